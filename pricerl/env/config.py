"""Settings of an episode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pricerl.data.days import steps_in
from pricerl.data.features import FEATURES
from pricerl.env.description import DESCRIPTION, PLACES
from pricerl.env.history_tensors import CALENDAR_DAYS
from pricerl.errors import refuse
from pricerl.guardrails.config import GuardrailConfig

MAX_HORIZON = CALENDAR_DAYS - 366
"""Days; the rest of the calendar covers decisions that reach beyond the horizon."""


@dataclass(frozen=True)
class EnvConfig:
    """Length and interface of an episode."""

    horizon: int = 28
    """Days, or weeks for weekly rows, in an episode; its end is a truncation, values bootstrap beyond it."""

    action: Literal["step", "absolute"] = "step"
    """``step``: the action is a relative change of the price, the default under guardrails. ``absolute``: a position in
    the price box, decided every day, for markets without step caps."""

    noise: bool = True
    """Whether observed sales include the day's noise; rewards never do."""

    describe: bool = True
    """Whether observations also describe the product's market and the price's place in it: elasticity and its spread,
    margin, volume, season, distance from the best constant price. One policy for many products needs it."""

    compile: bool = False
    """Whether steps are compiled. This takes about ten seconds once and then saves two thirds of the time with 64 rows
    and nearly half with thousands. Without a compiler, steps run uncompiled, with a warning."""

    def __post_init__(self) -> None:
        refuse(
            {
                f"data.env.horizon must be 1 to {MAX_HORIZON} days, found {self.horizon}": (
                    not 1 <= self.horizon <= MAX_HORIZON
                ),
                f"data.env.action must be 'step' or 'absolute', found {self.action!r}": (
                    self.action not in ("step", "absolute")
                ),
            }
        )

    @property
    def num_features(self) -> int:
        """Features per day, including those that describe the market."""
        return len(FEATURES) + (len(DESCRIPTION) + len(PLACES) if self.describe else 0)

    def days_per_step(self, guardrails: GuardrailConfig, step_days: int = 1) -> int:
        """Return days per decision, or weeks if ``step_days`` is 7: the minimum hold, 1 for absolute actions."""
        return steps_in(guardrails.min_hold_days, step_days) if self.action == "step" else 1
