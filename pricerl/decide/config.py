"""Settings of the decision on a price."""

from __future__ import annotations

from dataclasses import dataclass

from pricerl.data.cleaning.zero_sales import LARGEST_SHARE
from pricerl.data.quality import MIN_USABLE_DAYS
from pricerl.errors import UsageError

LARGEST_EXPLORED = 0.03
"""Largest random part of a price, as a share of it."""


@dataclass(frozen=True)
class DecisionConfig:
    """Evidence required to recommend a price change."""

    min_chance: float = 0.70
    """Smallest share of the posterior draws in which a recommended change earns more, in effect at least one half; 0
    turns the gate off and follows the policy."""

    loss_budget: float = 0.005
    """Largest loss that pricing may risk, as a share of a quarter's profit. The first advice: with 90 % confidence a
    change costs less until falling sales show it and it is undone, within five weeks. Later advice: with 90 %
    confidence the account of the quarter ends no further below keeping the price. 1 turns that off."""

    loss_weight: float = 10.0
    """How much worse losing 1 is than missing a gain of 1, when later advice plans the rest of the quarter; at least 1.
    The first advice follows ``min_chance`` instead."""

    claim_chance: float = 0.975
    """Smallest such share to recommend the whole path (grade B) instead of one step (grade B-)."""

    explore_share: float = 0.0
    """Size of a random part of each price, as a share of it, where the history cannot decide: 0.01 to 0.02 shows how
    buyers respond, at a small cost. 0 turns that off; it is your consent. Not used where buyers seem to mind
    price changes."""

    min_days: int = MIN_USABLE_DAYS
    """Fewest usable rows for a decision: days, or weeks for weekly rows."""

    max_unlikely_zeros: float = LARGEST_SHARE
    """Largest share of days with unexplained zero sales; above it the price is kept, as unmarked stock-outs hide the
    effect of the price. 1 turns that off."""

    kill_days: int = 3
    """Consecutive days, or weekly rows, at the advised price with sales below the 5 % limit of their prediction that
    stop the model and, if that pays, return the price to the last good one. 0 turns that off."""

    require_approval: bool = False
    """Whether ``prices.csv`` contains a price only after a person has approved or ordered it."""

    def __post_init__(self) -> None:
        for name in ("min_chance", "claim_chance", "loss_budget", "max_unlikely_zeros"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"decision.{name} must lie between 0 and 1, found {getattr(self, name)}")
        if not 1 <= self.loss_weight < float("inf"):
            raise UsageError(f"decision.loss_weight must be a number of at least 1, found {self.loss_weight}")
        if not 0 <= self.explore_share <= LARGEST_EXPLORED:
            found = f"{LARGEST_EXPLORED:g}, found {self.explore_share}"
            raise UsageError(f"decision.explore_share must lie between 0 and {found}")
        if self.min_days < 1:
            raise UsageError(f"decision.min_days must be at least 1, found {self.min_days}")
        if self.kill_days < 0:
            raise UsageError(f"decision.kill_days must be 0 (off) or more, found {self.kill_days}")
