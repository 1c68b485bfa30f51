"""What a file holds and what had to be filled or left out, product by product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class ProductReport:
    """The data report of one product."""

    product: str
    """Name of the product."""

    first_day: str
    """First day of history, ISO; the first day with a sale."""

    last_day: str
    """Last day of history, ISO; the last day with a price and sales."""

    rows: int
    """Rows of the file that belong to the product."""

    history_rows: int
    """Rows up to the last day of history, those before the first sale included."""

    history_days: int
    """Calendar days from the first to the last day of history."""

    future_days: int
    """Calendar days after the history for which the file has room."""

    priced_days: int
    """History days with a recorded price and recorded sales, refund days included."""

    zero_sale_days: int
    """History days on which nothing sold."""

    blank_price_days: int
    """Those of the zero-sale days whose price was blank."""

    refund_days: int
    """History days with negative sales."""

    missing_days: int
    """Calendar days inside the history without a row."""

    dropped_leading_days: int
    """Rows before the first sale, left out."""

    gap_days: int
    """Rows in runs without price and sales that are too long to mean "nothing sold"."""

    distinct_prices: int
    """Number of different prices on priced days."""

    price_min: float
    """Lowest price, money per unit."""

    price_max: float
    """Highest price, money per unit."""

    filled: dict[str, int]
    """Number of blank cells filled, by column."""

    sales_measure: Literal["revenue", "units"]
    """What the file's ``Total Sales`` counts."""

    whole_unit_share: float
    """Share of the days with sales on which that measure gives a whole number of units."""

    forecast_used: str
    """Forecast behind the feature "predicted sales": ``mean_7``, ``supplied`` or a forecaster's name."""

    forecast_errors: dict[str, float]
    """Mean absolute error on training days by forecast, money a day; empty with too few days to tell."""

    notes: tuple[str, ...]
    """What could not be used, and why, in plain sentences."""

    quality: Literal["PASS", "REVIEW"]
    """REVIEW asks a person to look before trusting advice made from this history."""

    reasons: tuple[str, ...]
    """Why the quality is REVIEW; empty for PASS."""

    def lines(self) -> list[str]:
        """Return the report as text, one line an entry, the product's name first."""
        return [
            f"{self.product}: {self.quality}",
            *(f"  {reason}" for reason in self.reasons),
            *(f"  {label:<16} {value}" for label, value in self._facts()),
            *(f"  note: {note}" for note in self.notes),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain Python values, ready for JSON."""
        return {**asdict(self), "notes": list(self.notes), "reasons": list(self.reasons)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ProductReport:
        """Return the report that `to_dict` wrote."""
        return cls(**{**values, "notes": tuple(values["notes"]), "reasons": tuple(values["reasons"])})

    def _facts(self) -> list[tuple[str, str]]:
        facts = [
            ("history", f"{self.first_day} to {self.last_day}, {self.history_days} days"),
            ("rows", f"{self.rows}: {self.history_rows} history, {self.rows - self.history_rows} future"),
            ("future days", str(self.future_days)),
            ("priced days", str(self.priced_days)),
            ("prices", f"{self.distinct_prices} distinct, {self.price_min:,.2f} to {self.price_max:,.2f}"),
            ("zero-sale days", f"{self.zero_sale_days}, {self.blank_price_days} of them with a blank price"),
            ("refund days", str(self.refund_days)),
            ("missing days", str(self.missing_days)),
            ("before launch", f"{self.dropped_leading_days} rows dropped"),
            ("long gaps", f"{self.gap_days} days left out"),
            ("Total Sales", f"{self.sales_measure}; whole units on {self.whole_unit_share:.0%} of days with sales"),
            ("forecast", self._forecast()),
        ]
        return [*facts, ("filled cells", self._filled())]

    def _forecast(self) -> str:
        if not self.forecast_errors:
            return f"too few days to score one; {self.forecast_used} is used"
        errors = ", ".join(f"{name} {error:,.2f}" for name, error in self.forecast_errors.items())
        return f"{self.forecast_used} is used; mean absolute error on training days: {errors}"

    def _filled(self) -> str:
        return ", ".join(f"{column} {count}" for column, count in self.filled.items() if count) or "none"
