"""Data report per product: counts, filled cells and the verdict on the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pricerl.arrays import to_plain
from pricerl.data.days import STEP_WORDS
from pricerl.formatting import plural

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

    reasons: tuple[str, ...]
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
    """Lowest price, money per unit."""

    price_max: float
    """Highest price, money per unit."""

    filled: dict[str, int]
    """Number of blank cells filled, by column."""

    sales_measure: SalesMeasure
    """Interpretation of ``Total Sales`` in this file."""

    whole_unit_share: float
    """Share of days with sales on which this interpretation yields whole units."""

    forecast_used: str
    """Forecast used for the feature "predicted sales": ``mean_7``, ``supplied`` or a forecaster's name."""

    forecast_errors: dict[str, float]
    """Mean absolute error on training days by forecast, money per day; empty if too few days could be scored."""

    notes: tuple[str, ...]
    """Data that were ignored, changed or doubtful, in full sentences."""

    doubts: tuple[str, ...]
    """Findings that require a review under any settings."""

    step_days: int = 1
    """Days from row to row: 1, or 7 for weekly rows, whose counts above are weeks."""

    def judge(self, min_days: int = MIN_USABLE_DAYS) -> Verdict:
        """Return the verdict: FAIL for one price or fewer than ``min_days`` usable days, REVIEW for other doubts."""
        failures = []
        doubts = []
        if self.usable_days < min_days:
            failures.append(f"only {plural(self.usable_days, 'usable ' + self.period)}; at least {min_days} are needed")
        elif self.priced_days < FEWEST_PRICED_DAYS:
            doubts.append(f"only {plural(self.priced_days, self.period)} with a price and sales")
        elif (sold := self.usable_days - self.zero_sale_days) < FEWEST_SOLD_DAYS:
            doubts.append(f"only {plural(sold, self.period)} with a sale")
        if self.distinct_prices < 2:  # which contains no information about others
            failures.append("only 1 price was tried; at least 2 different prices are needed")
        elif self.distinct_prices < FEWEST_PRICES:
            doubts.append(f"only {self.distinct_prices} different prices were tried")
        doubts += self.doubts
        return Verdict("FAIL" if failures else "REVIEW" if doubts else "PASS", (*failures, *doubts))

    @property
    def period(self) -> str:
        """Word for a row: day or week."""
        return STEP_WORDS[self.step_days]

    def summary(self) -> str:
        """Return the report on one line: verdict, length of the history, number of prices and reasons."""
        quality, reasons = self.judge()
        size = f"{plural(self.history_days, self.period)}, {plural(self.distinct_prices, 'price')}"
        return "; ".join([f"{self.product}: {quality}, {size}", *reasons])

    def to_dict(self, min_days: int = MIN_USABLE_DAYS) -> dict[str, Any]:
        """Return the report and its verdict as plain Python values, ready for JSON."""
        quality, reasons = self.judge(min_days)
        return {**to_plain(self), "min_days": min_days, "quality": quality, "reasons": list(reasons)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ProductReport:
        """Return the report that `to_dict` wrote."""
        own = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        return cls(**{**own, "notes": tuple(own["notes"]), "doubts": tuple(own["doubts"])})

    def lines(self) -> list[str]:
        """Return the report as text, one line per entry: verdict, reasons, counts, notes."""
        quality, reasons = self.judge()
        word = self.period
        errors = ", ".join(f"{name} {error:,.2f}" for name, error in self.forecast_errors.items())
        score = f"mean absolute error on training {word}s: {errors}" if errors else f"too few {word}s to score it"
        facts = {
            "history": f"{self.first_day} to {self.last_day}, {plural(self.history_days, word)}",
            "rows": f"{self.rows}: {self.history_rows} history, {self.rows - self.history_rows} future",
            f"future {word}s": str(self.future_days),
            f"usable {word}s": str(self.usable_days),
            f"priced {word}s": str(self.priced_days),
            "prices": f"{self.distinct_prices} distinct, {self.price_min:,.2f} to {self.price_max:,.2f}",
            f"zero-sale {word}s": f"{self.zero_sale_days}, {self.blank_price_days} of them with a blank price",
            f"refund {word}s": str(self.refund_days),
            f"missing {word}s": str(self.missing_days),
            "before launch": f"{plural(self.dropped_leading_days, 'row')} dropped",
            "long gaps": f"{plural(self.gap_days, word)} left out",
            "Total Sales": f"{self.sales_measure}; whole units on {self.whole_unit_share:.0%} of {word}s with sales",
            "forecast": f"{self.forecast_used}; {score}",
            "filled cells": ", ".join(f"{name} {count}" for name, count in self.filled.items() if count) or "none",
        }
        return [
            f"{self.product}: {quality}",
            *(f"  {reason}" for reason in reasons),
            *(f"  {label:<16} {value}" for label, value in facts.items()),
            *(f"  note: {note}" for note in self.notes),
        ]
