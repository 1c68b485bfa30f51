"""What an advice holds: plain values that the table, the JSON and the report show."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pricerl.advice.decision import Decision
from pricerl.evaluation import Backtest, BaselineRow, Raising


@dataclass(frozen=True)
class Gain:
    """Profit a day against keeping the price, money, over the horizon; 90 % limits over the drawn markets."""

    mean: float
    low: float
    high: float
    chance_better: float


@dataclass(frozen=True)
class DayAdvice:
    """One row of ``advice.csv``; None is an empty cell."""

    date: str
    recommended_price: float
    price_low: float
    price_high: float
    units: tuple[float, float, float] | None
    sales: tuple[float, float, float] | None
    profit: tuple[float, float, float] | None
    organic: float | None
    ad: float | None
    note: str


@dataclass(frozen=True)
class ProductAdvice:
    """Everything the outputs show about one product."""

    product: str
    price_now: float
    recommended_price: float
    """The price at the end of the recommended path's first change, or the price now."""
    settled_price: float
    """Where the policy's own path ends."""
    decision: Decision
    gain: Gain | None
    """Of the recommended path; None where it is the price now or costs are unknown."""
    proposed_gain: Gain | None
    """Of the policy's own path, before the gate; None where costs are unknown."""
    elasticity: tuple[float, float, float]
    """Around the price now: mean and 90 % limits."""
    raising: Raising | None
    """Whether a slightly higher price than the one now earns more; None where costs are unknown."""
    days: tuple[DayAdvice, ...]
    keep: dict[str, float | None]
    """Expected units, sales and profit a day when keeping the price."""
    expected: dict[str, float | None]
    """The same for the recommended path."""
    baselines: tuple[BaselineRow, ...]
    planner_gap: float | None
    """Profit before fixed cost lost at the settled price against the best constant price of its market, as a share."""
    backtest: Backtest | None
    costs: str
    data_quality: dict[str, Any]
    data_lines: tuple[str, ...]
    effective_days: float
    """Effective days at prices similar to the recommended one."""
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values for ``advice.json``."""
        plain = asdict(self)
        plain["baselines"] = [row._asdict() for row in self.baselines]
        plain["raising"] = None if self.raising is None else self.raising._asdict()
        plain["backtest"] = None if self.backtest is None else {**self.backtest._asdict(), "skill": self.backtest.skill}
        return plain
