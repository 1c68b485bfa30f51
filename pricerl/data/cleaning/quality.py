"""Data report per product: counts, filled cells and the verdict on the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pricerl.arrays import to_plain
from pricerl.data.days import STEP_WORDS
from pricerl.reasons import Reason, read_reason

Quality = Literal["PASS", "REVIEW", "FAIL"]
SalesMeasure = Literal["revenue", "units"]

MIN_USABLE_DAYS = 28
"""Default of ``decision.min_days``: with fewer usable days nothing is estimated."""

FEWEST_PRICED_DAYS = 30
FEWEST_SOLD_DAYS = 20
FEWEST_PRICES = 3
"""Thresholds below which the file needs a manual review before its advice can be trusted."""


LARGEST_ZERO_SHARE = 0.10
"""Maximum share of unexplained zero-sales days with which demand can be estimated. Of simulated shops whose weekly
delivery sells out, price changes harmed 30 % (130 to 1000 days, 5.5 to 500 units per day); refusing changes above this
share reduced that to 1 % and affected no shop that is always in stock."""


class Verdict(NamedTuple):
    """Verdict on a product's data."""

    quality: Quality
    """FAIL: nothing can be estimated. REVIEW: look at the data before trusting the advice. PASS: neither."""

    findings: tuple[Reason, ...]
    """Reasons of a FAIL or REVIEW; empty for PASS."""


@dataclass(frozen=True)
class ProductReport:
    """Data report of one product."""

    product: str
    """Name of the product."""

    first_day: str
    """First day of history, ISO: the first day with a sale."""

    last_day: str
    """Last day of history, ISO: the last day with a price and sales."""

    rows: int
    """Rows of the product in the file."""

    history_rows: int
    """Rows up to the last day of history, including those before the first sale."""

    history_days: int
    """Calendar days from the first to the last day of history."""

    future_days: int
    """Calendar days from the end of history to the product's last row."""

    usable_days: int
    """History days with known price and sales that count as observations of demand."""

    priced_days: int
    """History days with a recorded price and recorded sales, including refund days."""

    zero_sale_days: int
    """Usable days without a sale."""

    blank_price_days: int
    """Zero-sale days whose price is blank."""

    refund_days: int
    """History days with negative sales."""

    missing_days: int
    """History days without a row."""

    dropped_leading_days: int
    """Rows before the first sale, dropped."""

    gap_days: int
    """Rows in runs without price and sales that are longer than ``data.max_gap_days``."""

    distinct_prices: int
    """Number of different prices on priced days."""

    price_min: float
    """Lowest price per unit."""

    price_max: float
    """Highest price per unit."""

    filled: dict[str, int]
    """Number of blank cells filled, by column."""

    sales_measure: SalesMeasure
    """Interpretation of ``Total Sales`` in this file."""

    whole_unit_share: float
    """Share of days with sales on which this interpretation yields whole units."""

    forecast_used: str
    """Forecast used for the feature "predicted sales": ``mean_7``, ``supplied`` or a forecaster's name."""

    forecast_errors: dict[str, float]
    """Mean absolute error in money per day by forecast, on training days; empty if too few days could be scored."""

    notes: tuple[str, ...]
    """Data that were ignored, changed or doubtful, in full sentences."""

    doubts: tuple[Reason, ...]
    """Findings that require a review under any settings."""

    step_days: int = 1
    """Days from row to row: 1, or 7 for weekly rows, whose counts above are weeks."""

    def judge(self, min_days: int = MIN_USABLE_DAYS) -> Verdict:
        """Return the verdict: FAIL for one price or fewer than ``min_days`` usable days, REVIEW for other doubts."""
        enough = self.usable_days >= min_days
        priced = self.priced_days >= FEWEST_PRICED_DAYS
        sold = self.usable_days - self.zero_sale_days
        failures = (
            None if enough else Reason("too_few_days", {"usable": self.usable_days, "needed": min_days}),
            Reason("one_price") if self.distinct_prices < 2 else None,  # which contains no information about others
        )
        doubts = (
            Reason("few_priced_days", {"days": self.priced_days}) if enough and not priced else None,
            Reason("few_sold_days", {"days": sold}) if enough and priced and sold < FEWEST_SOLD_DAYS else None,
            Reason("few_prices", {"prices": self.distinct_prices})
            if 1 < self.distinct_prices < FEWEST_PRICES
            else None,
            *self.doubts,
        )
        quality: Quality = "FAIL" if any(failures) else "REVIEW" if any(doubts) else "PASS"
        return Verdict(quality, tuple(filter(None, (*failures, *doubts))))

    @property
    def period(self) -> str:
        """Word for a row: day or week."""
        return STEP_WORDS[self.step_days]

    def to_dict(self, min_days: int = MIN_USABLE_DAYS) -> dict[str, Any]:
        """Return the report and its verdict as plain Python values, ready for JSON."""
        return {**to_plain(self), "min_days": min_days, **to_plain(self.judge(min_days))}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ProductReport:
        """Return the report that `to_dict` wrote."""
        own = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        return cls(**{**own, "notes": tuple(own["notes"]), "doubts": tuple(map(read_reason, own["doubts"]))})
