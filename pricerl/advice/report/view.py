"""Layout of a product's page: the numbers of ``advice.json`` as texts in tables, with the same digits everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pricerl.advice.sentences.grounds import list_alternatives
from pricerl.advice.sentences.next_steps import Place
from pricerl.advice.sentences.verdict import Decided, Record, find_decided
from pricerl.evaluation.rule_names import BEST_FOR_OBJECTIVE, BEST_FOR_PROFIT, PLANNER, POLICY
from pricerl.formatting import UNKNOWN, Formatter, counted, translate
from pricerl.terminal import clean

MOST_DAYS = 31
"""Most rows of a table, such as the one of days; ``advice.csv`` and ``advice.json`` contain all."""

RULES = {
    POLICY: "path of the learned policy",
    PLANNER: "path of the plan",
    BEST_FOR_PROFIT: "highest expected profit",
    BEST_FOR_OBJECTIVE: "best for your objective",
    "lower bound": "most in bad scenarios",
}
"""Rules in a seller's words."""

THREE_DIGITS = 100
"""Amounts from here on are shown without decimals."""


class Cell(NamedTuple):
    """A value with notes below, such as its 90 % interval; ``label`` names the column where rows become cards."""

    label: str
    value: str
    notes: tuple[str, ...] = ()


Row = tuple[str, list[Cell]]


@dataclass(frozen=True)
class PageFormatter(Formatter):
    """Formatter that shows all amounts of one page with the same digits, so that equal amounts look equal."""

    amount_digits: int = 2
    """Digits after the decimal mark of amounts per day."""

    def money_digits(self, *values: float | None, whole: float = 0) -> int:
        """Return the page's digits, whatever the amounts."""
        return self.amount_digits


@dataclass(frozen=True)
class View:
    """Texts of one product's page, with consistent digits."""

    product: Record
    """Entry of ``products`` in ``advice.json``, with details."""
    f: Formatter
    digits: dict[str, int]
    """Digits after the decimal mark of units, sales and profit."""
    place: Place
    """Names that commands need, and the day on which the page was made."""

    @classmethod
    def of(cls, product: Record, f: Formatter, place: Place) -> View:
        """Choose digits by the largest expected number of each measure; three digits are enough for an estimate."""
        outcomes = [product["keep"], product["recommended"] or product["keep"], *product["days"]]
        gains = product["uplift"] or product.get("weighed") or {}
        means = {name: [item[name][0] for item in outcomes if item[name]] for name in ("units", "sales", "profit")}
        digits = {name: f.compared_digits(name, means[name], gains.get(name), THREE_DIGITS) for name in means}
        page = PageFormatter(f.locale, f.currency, f.price_decimals, f.step_days, digits[product["measure"]])
        return cls(product, page, digits, place)

    @property
    def change_day(self) -> str | None:
        """Day of the next change in ISO format, or None if the price is kept."""
        return self.place.change_day(self.product)

    @property
    def decided(self) -> Decided | None:
        """Decision in force on the product."""
        return find_decided(self.product, self.f, self.place.today)

    def day_rows(self) -> list[tuple[str, str, list[Cell]]]:
        """Return the rows of the next days: date, note, cells."""
        days = self.product["days"][:MOST_DAYS]
        known = [name for name in (*self.digits, "organic", "ad") if any(day[name] is not None for day in days)]
        cells = [[self._price(day), *(self.cell(name, day) for name in known)] for day in days]
        return [(self.f.weekday_date(day["date"]), day["note"], row) for day, row in zip(days, cells, strict=True)]

    def _price(self, day: Record) -> Cell:
        """Return the price of a day, with its limits where a change is advised."""
        limits = self._limits(day["price_low"], day["price_high"], self.f.price_decimals)
        return Cell("Price", self.f.price(day["recommended_price"]), () if self.change_day is None else limits)

    def _limits(self, low: float, high: float, digits: int, plus: str = "") -> tuple[str, ...]:
        """Return an interval as a note; empty if both ends look the same."""
        same = self.f.number(low, digits) == self.f.number(high, digits)
        return () if same else (self.f.span(low, high, digits, plus),)

    def cell(self, name: str, outcome: Record, plus: str = "") -> Cell:
        """Return units, sales, profit or a conversion of an outcome, with its 90 % limits as a note."""
        label = translate("Ads" if name == "ad" else name.capitalize())
        if outcome[name] is None:
            return Cell(label, UNKNOWN)
        mean, low, high = outcome[name]
        if name in ("organic", "ad"):
            return Cell(label, self.f.percent(mean / 100), self._limits(low, high, 1))
        digits = self.digits[name]
        show = self.f.number if name == "units" else self.f.money
        return Cell(label, show(mean, digits, plus), self._limits(low, high, digits, plus))

    def baseline_rows(self) -> list[Row]:
        """Return every rule with its price, its gain and the scenarios in which it beats keeping the price."""
        return [
            (
                RULES.get(str(row["rule"]), str(row["rule"])),
                [
                    Cell("Price", self.f.price(row["price"])),
                    self.cell(self.product["measure"], row["outcome"]),
                    Cell("Beats keeping", counted(row["probability_better"], self.product["num_draws"])),
                ],
            )
            for row in list_alternatives(self.product)
        ]

    def backtest_rows(self) -> list[list[Cell]]:
        """Return a row per horizon of the backtest."""
        scores = self.product["backtest"]["scores"]
        errors = {
            "Error, forecast": "wape_market",
            f"Error, 7-{self.f.period} mean": "wape_mean_7",
            "Error, supplied": "wape_supplied",
        }
        known = {label: name for label, name in errors.items() if any(row[name] is not None for row in scores)}
        return [
            [
                Cell("Days ahead", str(row["days_ahead"])),
                *(Cell(label, self.f.percent(row[name])) for label, name in known.items()),
                Cell("Skill", self.f.number(row["skill"], plus="+")),
                Cell("Inside 90 %", counted(row["coverage"], row["days"])),
            ]
            for row in scores
        ]


def shorten(name: str) -> str:
    """Return a name short enough for a heading, or a placeholder for an empty one."""
    return clean(name, 120).strip() or "product without a readable name"
