"""Layout of a product's page: the numbers of ``advice.json`` as texts in tiles and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pricerl.advice.reasons import MEASURES, Record, list_alternatives, measure_of, track_lines
from pricerl.advice.report.sanitize import shorten
from pricerl.formatting import UNKNOWN, Formatter, counted, plural, probability, unit_digits

MOST_DAYS = 31
"""Most rows of a table, such as that of the days; ``advice.csv`` and ``advice.json`` contain all."""


class Cell(NamedTuple):
    """A value with notes below, such as its 90 % interval; ``label`` names the column where rows become cards."""

    label: str
    value: str
    notes: tuple[str, ...] = ()


class Section(NamedTuple):
    """An optional heading with sentences, or with a table."""

    title: str
    lines: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


Row = tuple[str, list[Cell]]


@dataclass(frozen=True)
class View:
    """Texts of one product's page, with consistent digits."""

    product: Record
    """Entry of ``products`` in ``advice.json``, with details."""
    f: Formatter
    digits: dict[str, int]
    """Digits after the decimal mark of units, sales and profit."""

    @classmethod
    def of(cls, product: Record, f: Formatter) -> View:
        """Choose digits by the largest number of each column."""
        outcomes = (product["keep"], product["recommended"] or product["keep"], *product["days"])
        digits = {}
        for name, digits_of in (("units", unit_digits), ("sales", f.money_digits), ("profit", f.money_digits)):
            digits[name] = digits_of(*(value for outcome in outcomes for value in outcome[name] or ()))
        return cls(product, f, digits)

    @property
    def held(self) -> bool:
        """Whether the price is kept."""
        return self._first_change() is None

    def _first_change(self) -> Record | None:
        """Return the first day whose price differs from the current one, if any."""
        now = self.product["current_price"]
        return next((day for day in self.product["days"] if day["recommended_price"] != now), None)

    def _change(self) -> str:
        return self.f.percent(self.product["recommended_price"] / self.product["current_price"] - 1, plus="+")

    def headline(self) -> str:
        """Return the verdict in about three words."""
        now, new = self.product["current_price"], self.product["recommended_price"]
        verb = "Keep" if self.held else "Raise to" if new > now else "Lower to"
        return f"{verb} {self.f.price(new)}"

    def tiles(self) -> list[Cell]:
        """Return price, profit or revenue, units and probability."""
        tiles = [self._outcome_tile(name) for name in (measure_of(self.product), "units")]
        return [self._price_tile(), *tiles, self._probability_tile()]

    def measure(self) -> str:
        """Return the word for what counts."""
        return MEASURES[measure_of(self.product)]

    def _price_tile(self) -> Cell:
        product, f, label, day = self.product, self.f, "Recommended price", self._first_change()
        if day is None:
            unsure = product["decision"]["lacks_evidence"]
            word = "cannot say yet: the price is kept" if unsure else "no change is advised"
            return Cell(label, self.headline(), (word,))
        notes = [f"from {f.price(product['current_price'])} ({self._change()}) on {f.weekday_date(day['date'])}"]
        last = f.price(product["days"][-1]["recommended_price"])
        if last != f.price(product["recommended_price"]):
            notes.append(f"then in steps to {last}")
        notes += [f"90 %: {limits}" for limits in self._price_limits(day)]
        return Cell(label, self.headline(), tuple(notes))

    def _outcome_tile(self, name: str) -> Cell:
        """Return the expectation at the current price, or the difference made by the change."""
        label, uplift = f"{MEASURES.get(name, name).capitalize()} per {self.f.period}", self.product["uplift"]
        if self.product["keep"][name] is None:
            return Cell(label, "unknown", ("costs are not known",))
        where = "at the current price" if uplift is None else "compared with keeping the price"
        cell = self._cell(name, self.product["keep"] if uplift is None else uplift, "" if uplift is None else "+")
        return Cell(label, cell.value, (*(f"90 %: {limits}" for limits in cell.notes), where))

    def _probability_tile(self) -> Cell:
        product, label, no_change = self.product, "Probability of a gain", "nothing changes"
        draws, uplift = product["num_draws"], product["uplift"]
        proposed = product["proposal"]["over_keep"]["probability_better"]
        if uplift is not None and (better := uplift["probability_better"]) is not None:
            return Cell(label, probability(better, draws), (f"{counted(better, draws)} plausible scenarios",))
        if proposed is not None and product["decision"]["lacks_evidence"]:
            own = f"the {product['decision']['speaker']}'s own path: {counted(proposed, draws)} plausible scenarios"
            return Cell(label, UNKNOWN, (no_change, own))
        return Cell(label, UNKNOWN, (no_change if self.held else "unknown",))

    def day_rows(self) -> list[tuple[str, str, list[Cell]]]:
        """Return the rows of the next days: date, note, cells."""
        return [
            (self.f.weekday_date(day["date"]), day["note"], self._day_cells(day))
            for day in self.product["days"][:MOST_DAYS]
        ]

    def _day_cells(self, day: Record) -> list[Cell]:
        return [
            Cell("Price", self.f.price(day["recommended_price"]), ("kept",) if self.held else self._price_limits(day)),
            *self._outcome_cells(day),
            self._share_cell("Organic", day["organic"]),
            self._share_cell("Ads", day["ad"]),
        ]

    def _price_limits(self, day: Record) -> tuple[str, ...]:
        """Return the limits of a day's price; empty if it is the same in all plausible scenarios."""
        low, high = day["price_low"], day["price_high"]
        return () if self.f.price(low) == self.f.price(high) else (self.f.span(low, high, self.f.price_decimals),)

    def _outcome_cells(self, outcome: Record, plus: str = "") -> list[Cell]:
        return [self._cell(name, outcome, plus) for name in self.digits]

    def _cell(self, name: str, outcome: Record, plus: str = "") -> Cell:
        """Return units, sales or profit of an outcome."""
        label, digits, show = name.capitalize(), self.digits[name], self.f.number if name == "units" else self.f.money
        if outcome[name] is None:
            return Cell(label, UNKNOWN)
        mean, low, high = outcome[name]
        return Cell(label, show(mean, digits, plus), (self.f.span(low, high, digits, plus),))

    def _share_cell(self, label: str, values: Sequence[float] | None) -> Cell:
        if values is None:
            return Cell(label, UNKNOWN)
        mean, low, high = values
        return Cell(label, self.f.percent(mean / 100), (self.f.span(low, high, 1),))

    def comparison_rows(self) -> list[Row]:
        """Return keeping the price and, if a change is advised, the recommendation and their difference."""
        product, price = self.product, self.f.price
        keep, new = Cell("Price", price(product["current_price"])), Cell("Price", price(product["recommended_price"]))
        kept = ("Keep the price", [keep, *self._outcome_cells(product["keep"])])
        if product["uplift"] is None:
            return [kept]
        return [
            kept,
            ("Recommended", [new, *self._outcome_cells(product["recommended"])]),
            ("Difference", [Cell("Price", self._change()), *self._outcome_cells(product["uplift"], "+")]),
        ]

    def baseline_rows(self) -> list[Row]:
        """Return every rule with its price, its gain and the scenarios in which it beats keeping the price."""
        draws, rows = self.product["num_draws"], []
        for row in list_alternatives(self.product):
            share = row["probability_better"]
            cells = [
                Cell("Price", self.f.price(row["price"])),
                self._cell(measure_of(self.product), row["outcome"]),
                Cell("Beats keeping", UNKNOWN if share is None else counted(share, draws)),
            ]
            rows.append((row["rule"], cells))
        return rows

    def backtest_rows(self) -> list[list[Cell]]:
        """Return a row per horizon of the backtest."""
        percent = self.f.percent
        return [
            [
                Cell("Days ahead", str(row["days_ahead"])),
                Cell("Error, forecast", percent(row["wape_market"])),
                Cell(f"Error, 7-{self.f.period} mean", percent(row["wape_mean_7"])),
                Cell("Skill", self.f.number(row["skill"], plus="+")),
                Cell("Error, supplied", percent(row["wape_supplied"])),
                Cell("Inside 90 %", counted(row["coverage"], row["days"])),
            ]
            for row in self.product["backtest"]["scores"]
        ]

    def span(self) -> tuple[str, str]:
        """Return the days of the advice and of the history in words."""
        days, quality, date = self.product["days"], self.product["data_quality"], self.f.date
        length = plural(quality["history_days"], self.f.period)
        past = f"{date(quality['first_day'])} to {date(quality['last_day'])}, {length}"
        return f"{date(days[0]['date'])} to {date(days[-1]['date'])}", past

    def index_row(self) -> dict[str, Any]:
        """Return the product's row in the index of several products."""
        measure = measure_of(self.product)
        return {
            "name": shorten(self.product["product"]),
            "verdict": self.headline(),
            "now": self.f.price(self.product["current_price"]),
            "gain": self._cell(measure, self.product["uplift"] or {measure: None}, "+"),
            "grade": self.product["decision"]["grade"],
        }

    def sections(self) -> list[Section]:
        """Return the optional sections: changes by guardrails, orders, track record."""
        product, record = self.product, self.product["track_record"]
        edits = tuple(map(self._edit_cells, product["guardrails"][:MOST_DAYS]))
        orders = tuple(map(self._order_cells, product["orders"][:MOST_DAYS]))
        sections = [
            Section(
                "Guardrails that changed the price",
                (),
                (self.f.period.capitalize(), "Proposed", "Allowed", "Guardrail"),
                edits,
            ),
            Section("Your orders", (), ("Entry", "Order", "Price", "Until", "By", "Reason", "Status"), orders),
            Section("Track record", () if record is None else tuple(track_lines(record, self.f)[1:])),
        ]
        return [section for section in sections if section.lines or section.rows]

    def _edit_cells(self, edit: Record) -> tuple[str, ...]:
        f, why = self.f, f"{edit['why']} ({edit['rule']})"
        return f.weekday_date(edit["date"]), f.price(edit["before"]), f.price(edit["after"]), why

    def _order_cells(self, order: Record) -> tuple[str, ...]:
        price = "kept" if order["price"] is None else self.f.price(order["price"])
        status = f"{order['status']}: {order['refusal']}" if order["refusal"] else order["status"]
        until, reason = self.f.date(order["until"]), order["reason"] or UNKNOWN
        return str(order["id"]), order["kind"], price, until, order["actor"], reason, status
