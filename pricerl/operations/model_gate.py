"""Gate of a retraining: a challenger replaces the champion if it is not worse, at a stated confidence."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

import msgspec
import numpy as np

from pricerl.arrays import FloatArray, to_plain
from pricerl.data.days import WEEK
from pricerl.errors import UsageError

GATE_FILE = "gate.json"
"""Verdict of the gate in a generation's folder."""

ALIKE = 0.2
"""Correlation of neighbouring weeks that the comparison of forecasts allows for, as levels of demand drift. Without it,
worse models pass with up to 7 % instead of 5 % where the level has an sd of 10 % and a memory of ten days."""

FEWEST_BLOCKS = 4
"""Fewest weeks of held-out days: with fewer, one unusual week decides."""


@dataclass(frozen=True)
class GateConfig:
    """Settings of the gate; one outside its range raises a ``UsageError``."""

    holdout_days: int = 28
    """Last days of the file, which neither market is fitted to and both forecast; whole weeks."""
    confidence: float = 0.95
    """Confidence with which the challenger is not worse. A challenger that is worse is promoted with a probability of
    at most 1 minus this."""
    profit_tolerance: float = 0.001
    """Share of profit that the challenger's policy may earn less than the champion's, in the challenger's market."""

    def __post_init__(self) -> None:
        if self.holdout_days < FEWEST_BLOCKS * WEEK or self.holdout_days % WEEK:
            least = FEWEST_BLOCKS * WEEK
            raise UsageError(f"--holdout_days: must be a multiple of 7 of at least {least}, found {self.holdout_days}")
        if not 0.5 < self.confidence < 1:
            raise UsageError(f"--confidence: must be above 0.5 and below 1, found {self.confidence:g}")
        if not 0 <= self.profit_tolerance < 1:
            raise UsageError(f"--profit_tolerance: must be 0 to 1, found {self.profit_tolerance:g}")


class Comparison(NamedTuple):
    """One comparison of challenger and champion."""

    mean: float
    """Mean difference, challenger minus champion."""
    low: float
    """Lower end of its one-sided confidence interval."""
    least: float
    """Smallest such end with which the challenger is not worse."""

    @property
    def passed(self) -> bool:
        """Whether the challenger is not worse. A difference that cannot be computed is no pass."""
        return isfinite(self.low) and self.low >= self.least


class Verdict(NamedTuple):
    """Verdict of the gate."""

    forecast: Comparison
    """Difference of the log predictive densities of a held-out day's units."""
    profit: Comparison
    """Difference of the profit of both policies in the challenger's posterior draws, as a share of profit."""
    holdout_days: int
    confidence: float

    @property
    def promoted(self) -> bool:
        """Whether the challenger replaces the champion."""
        return self.forecast.passed and self.profit.passed

    def reason(self) -> str:
        """Return the verdict as a sentence."""
        forecast = (
            f"its forecasts of {self.holdout_days} held-out days score {self.forecast.mean:+.3f} per day against the "
            f"champion's (at least {self.forecast.low:+.3f} with {100 * self.confidence:g} % confidence)"
        )
        profit = (
            f"its policy earns {100.0 * self.profit.mean:+.2f} % in its own market (at least "
            f"{100.0 * self.profit.low:+.2f} %)"
        )
        if self.promoted:
            return f"promoted: {forecast}, and {profit}"
        failed = [text for test, text in ((self.forecast, forecast), (self.profit, profit)) if not test.passed]
        return f"not promoted, as the challenger may be worse: {'; '.join(failed)}"

    def to_json(self) -> str:
        """Return the verdict as the content of ``gate.json``."""
        content = {"promoted": self.promoted, "reason": self.reason(), **to_plain(self)}
        return msgspec.json.format(msgspec.json.encode(content), indent=1).decode() + "\n"  # what is not finite is null


def compare_scores(difference: FloatArray, block: int, confidence: float) -> Comparison:
    """Test whether a challenger's forecasts are not worse, from its differences of daily log scores ``(N,)``.

    Days are averaged in blocks, as differences of neighbouring days are alike, and the blocks get Student's t: a
    Diebold-Mariano test (1995) for few days. The last whole blocks count; days that were not observed are NaN. The
    confidence is one-sided.
    """
    count = len(difference) // block
    parts = difference[len(difference) - count * block :].reshape(count, block)
    means = np.ma.masked_invalid(parts).mean(axis=1).compressed()
    return lower_bound(means, confidence, 0.0, ((1 + ALIKE) / (1 - ALIKE)) ** 0.5)


def lower_bound(values: FloatArray, confidence: float, least: float, factor: float = 1.0) -> Comparison:
    """Return the mean of values ``(N,)`` and the lower end of its one-sided t interval, its error times a factor."""
    if len(values) < FEWEST_BLOCKS or not np.isfinite(values).all():
        return Comparison(float(np.mean(values)) if len(values) else 0.0, -np.inf, least)
    from scipy.special import stdtrit  # late, as commands that import this module hold no gate

    mean = float(values.mean())
    error = factor * float(values.std(ddof=1)) / len(values) ** 0.5
    return Comparison(mean, mean - float(stdtrit(len(values) - 1, confidence)) * error, least)
