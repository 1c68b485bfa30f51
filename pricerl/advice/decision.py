"""Decide: follow the policy, take one careful step, or keep the price because the data cannot tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from pricerl.data.cleaning.zero_sales import LARGEST_SHARE, UnlikelyZeros
from pricerl.data.quality import MIN_USABLE_DAYS
from pricerl.errors import UsageError

Grade = Literal["B", "B-", "C", "D"]
"""B: clear, inside tried prices, not yet tested; B-: worth one careful step; C: the history does not decide;
D: nothing can be estimated. A needs a randomised price test."""


Source = Literal["SAC", "lower bound", "hold", "manual", "limits", "override"]

FALLBACKS: tuple[Source, ...] = ("SAC", "lower bound", "hold", "manual")
"""Who sets the price, in turn: the policy, the best price in an unlucky market, the current price, a person."""

PAUSED = "it is paused (data.guardrails.pause)"
NO_PRICE_ALLOWED = (
    "no price within one step of it satisfies floor, ceiling and minimum margin (it must at least cover fees and unit "
    "cost) and the other limits (data.guardrails); change one of them or set the price by hand"
)
NO_OTHER_PRICE = (
    "floor, ceiling, largest change, price ladder, charm endings and price_step (data.guardrails) leave no other price "
    "within one step of it"
)
KEEP_NOT_ALLOWED = (
    "floor, ceiling or minimum margin do not allow the current price; this is the nearest one that they do"
)
UNFAMILIAR = (
    "the current price lies far from those the policy was trained on; run fit on this file, or some weeks later if it "
    "was run: the newest days are held out of training"
)


@dataclass(frozen=True)
class DecisionConfig:
    """How sure a change must be before it is recommended."""

    min_chance: float = 0.90
    """A change is recommended only if it earns more in at least this share of the posterior draws; 0 turns the gate
    off and follows the policy."""

    claim_chance: float = 0.975
    """From this share on the whole path is recommended (grade B), below it one step (grade B-)."""

    hidden_strength: float = 1.0
    """A change must stand a cause that no column tells and that is this many times as strong as the strongest one that
    the history shows; where it does not, its grade is one lower. 0 turns that off."""

    min_days: int = MIN_USABLE_DAYS
    """Fewer usable days than this decide nothing."""

    max_unlikely_zeros: float = LARGEST_SHARE
    """Nothing is decided where a larger share of the days sold nothing without usual demand explaining it: stock-outs
    that no column tells hide what a price does. 1 turns that off."""

    kill_days: int = 3
    """So many days in a row whose sales lie below the 5 % limit of what was predicted stop the model: the price goes
    back to the last good one. 0 turns that off."""

    def __post_init__(self) -> None:
        for name in ("min_chance", "claim_chance"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"decision.{name} must lie between 0 and 1, found {getattr(self, name)}")
        if not 0 <= self.hidden_strength < float("inf"):
            raise UsageError(f"decision.hidden_strength must be 0 or more, found {self.hidden_strength}")
        if not 0 <= self.max_unlikely_zeros <= 1:
            raise UsageError(f"decision.max_unlikely_zeros must lie between 0 and 1, found {self.max_unlikely_zeros}")
        if self.min_days < 1:
            raise UsageError(f"decision.min_days must be at least 1, found {self.min_days}")
        if self.kill_days < 0:
            raise UsageError(f"decision.kill_days must be 0 (off) or more, found {self.kill_days}")


@dataclass(frozen=True)
class Evidence:
    """What is known about one product's proposed change."""

    proposes_change: bool
    """Whether the policy's path leaves the current price."""
    probability_better: float
    """Share of posterior draws in which the path earns more than keeping the price."""
    inside_tried_prices: bool
    """Whether the path stays between the lowest and the highest price ever charged."""
    usable_days: int
    distinct_prices: int
    costs_known: bool
    feasible: bool
    """Whether any price satisfies all guardrails."""
    keep_allowed: bool
    """Whether floor, ceiling and margin allow the current price."""
    movable: bool
    """Whether any other price satisfies all guardrails."""
    hold_lasts: bool
    """Whether the minimum hold of the last change outlasts the horizon."""
    familiar: bool
    """Whether the current price lies where the policy was trained."""
    entangled_with: str = ""
    """The observed cause that moved so much with the price that what each did cannot be told apart; mostly empty."""
    unlikely_zeros: UnlikelyZeros | None = None
    """Days without a sale that can be no chance, if there are."""
    paused: bool = False
    """Whether the seller keeps the price as it is, whatever could be earned."""
    overturned_by: str = ""
    """The observed cause of which a hidden one that is ``hidden_strength`` times as strong would bring the chance of a
    gain down to a half; empty where none would."""


@dataclass(frozen=True)
class Decision:
    """What is recommended and how strongly."""

    follow: Literal["path", "step", "limit", "hold"]
    """The policy's whole path, its first change only, the nearest price that the limits allow, or the current price."""
    grade: Grade
    source: Source
    lacks_evidence: bool
    """Whether the price is kept because the data cannot tell, not because it is good."""
    why: str
    """The rule that decided, as a clause."""
    unsure: bool = False
    """Whether the policy's change only failed for want of a sure gain."""
    gated: bool = True
    """Whether a change had to be sure to earn more; without, the reason prints what following the policy costs."""

    @property
    def chain(self) -> tuple[Source, ...]:
        """The fallbacks down to the one that decided; limits and overrides stand outside of them."""
        return FALLBACKS[: FALLBACKS.index(self.source) + 1] if self.source in FALLBACKS else (self.source,)


def fall_back(decision: Decision, evidence: Evidence, config: DecisionConfig) -> Decision:
    """Take a more cautious price where the policy's own is not sure enough, if that one is.

    Args:
        decision: on the policy's path.
        evidence: on the path to the lower bound's price: best for the objective in an unlucky market.
        config: how sure a change must be.
    """
    if not (decision.unsure and evidence.proposes_change):
        return decision
    cautious = _weigh(evidence, config)
    if cautious.follow == "hold":
        return decision
    why = f"the policy would go further than the history is sure of; {cautious.why}"
    return replace(cautious, source="lower bound", why=why)


def decide(evidence: Evidence, config: DecisionConfig) -> Decision:
    """Apply the rules in order; the first that holds decides. A hold never keeps a price that the limits forbid."""
    if evidence.paused:
        return Decision("hold", "C", "hold", False, PAUSED)
    if not evidence.feasible:
        return replace(_hold("D", NO_PRICE_ALLOWED), source="manual")
    if evidence.hold_lasts:
        return Decision("hold", "C", "hold", False, "the minimum hold of its last change outlasts these days")
    if not evidence.movable:
        return Decision("hold", "C", "hold", False, NO_OTHER_PRICE)
    decision = _weigh(evidence, config)
    if decision.follow == "hold" and not evidence.keep_allowed:
        return Decision("limit", "C", "limits", False, KEEP_NOT_ALLOWED)
    return decision


def _weigh(evidence: Evidence, config: DecisionConfig) -> Decision:
    """Follow the policy or keep the price, as the evidence says."""
    gated = config.min_chance > 0
    if not evidence.familiar:
        return _hold("D", UNFAMILIAR)
    if evidence.distinct_prices < 2:
        return _hold("D", "the price never varied, so the history cannot say what another price would do")
    if evidence.usable_days < config.min_days:
        return _hold("D", f"only {evidence.usable_days} usable days; at least {config.min_days} are needed")
    if gated and evidence.entangled_with:
        moved = f"the price moved with the {evidence.entangled_with}, so what each of them did cannot be told apart"
        return _hold("D", moved)
    zeros = evidence.unlikely_zeros
    if gated and zeros is not None and zeros.share > config.max_unlikely_zeros:
        why = f"{zeros}: stock-outs or closed days that no column tells would mislead; say so in an In Stock column"
        return _hold("D", why)
    if gated and not evidence.costs_known:
        return _hold("D", "profit cannot be estimated without costs; set data.cost.unit_cost or report Total Profit")
    if not evidence.proposes_change:
        return Decision("hold", "C", "SAC", False, "the policy proposes no other price", gated=gated)
    if not gated:
        grade: Grade = "B" if _is_clear(evidence, config) and not evidence.overturned_by else "C"
        return Decision("path", grade, "SAC", False, "the objective is followed without a check on profit", gated=gated)
    if evidence.probability_better < config.min_chance:
        share = "all" if config.min_chance == 1 else f"at least {100 * config.min_chance:.4g} %"
        why = f"a change must earn more in {share} of the markets that fit the history, and this one does not"
        return replace(_hold("C", why), unsure=True)
    if evidence.overturned_by:
        times = "" if config.hidden_strength == 1 else f"{config.hidden_strength:.4g} times "
        hidden = f"a cause that no column tells, {times}as strong as the {evidence.overturned_by}, "
        if not _is_clear(evidence, config):
            return replace(_hold("C", hidden + "would undo the likely gain of a change"), unsure=True)
        return Decision("step", "B-", "SAC", False, f"one careful step, then look again; {hidden}would undo its gain")
    if _is_clear(evidence, config):
        return Decision("path", "B", "SAC", False, "a model estimate, not yet tested")
    return Decision("step", "B-", "SAC", False, "one careful step, then look again; a model estimate, not yet tested")


def _is_clear(evidence: Evidence, config: DecisionConfig) -> bool:
    """Whether the gain can be claimed as far as the columns tell."""
    return evidence.probability_better >= config.claim_chance and evidence.inside_tried_prices


def _hold(grade: Grade, why: str) -> Decision:
    return Decision("hold", grade, "hold", True, why)
