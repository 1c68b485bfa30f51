"""Layout of a product's page: the numbers of ``advice.json`` as texts in tiles and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from babel.numbers import get_currency_precision

from pricerl.advice.sentences.grounds import list_alternatives, track_lines
from pricerl.advice.sentences.next_steps import ANYWHERE, Place, account_words
from pricerl.advice.sentences.verdict import Record, measure_of
from pricerl.formatting import MEASURES, PLAIN_DIGITS, UNKNOWN, Formatter, counted, plural, unit_digits

MOST_DAYS = 31
"""Most rows of a table, such as that of the days; ``advice.csv`` and ``advice.json`` contain all."""


THREE_DIGITS = 100
"""Amounts from here on are shown without decimals."""


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
class PageFormatter(Formatter):
    """Formatter that shows all amounts of one page with the same digits, so that equal amounts look equal."""

    amount_digits: int = 2
    """Digits after the decimal mark of amounts per day."""

    def money_digits(self, *values: float | None) -> int:
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
    place: Place = ANYWHERE
    """Names that commands need, and the day on which the page was made."""

    @classmethod
    def of(cls, product: Record, f: Formatter, place: Place = ANYWHERE) -> View:
        """Choose digits by the largest expected number of each measure; three digits are enough for an estimate."""
        outcomes = [product["keep"], product["recommended"] or product["keep"], *product["days"]]
        digits = {}
        money = get_currency_precision(f.currency) if f.currency else PLAIN_DIGITS
        for name in ("units", "sales", "profit"):
            means = [outcome[name][0] for outcome in outcomes if outcome[name] is not None]
            large = max(map(abs, means), default=0.0) >= THREE_DIGITS
            digits[name] = unit_digits(*means) if name == "units" else 0 if large else money
        page = PageFormatter(f.locale, f.currency, f.price_decimals, f.step_days, digits[measure_of(product)])
        return cls(product, page, digits, place)

    @property
    def held(self) -> bool:
        """Whether the price is kept."""
        return self.change_day is None

    @property
    def change_day(self) -> str | None:
        """Day of the next change in ISO format; None if the price is kept."""
        return self.place.change_day(self.product)

    def headline(self) -> str:
        """Return the verdict in about three words."""
        now = self.product["current_price"]
        new = self.product["recommended_price"]
        verb = "Keep" if self.held else "Raise to" if new > now else "Lower to"
        return f"{verb} {self.f.price(new)}"

    def measure(self) -> str:
        """Return the word for what counts."""
        return MEASURES[measure_of(self.product)]

    def day_rows(self) -> list[tuple[str, str, list[Cell]]]:
        """Return the rows of the next days: date, note, cells."""
        return [
            (self.f.weekday_date(day["date"]), day["note"], self._day_cells(day))
            for day in self.product["days"][:MOST_DAYS]
        ]

    def _day_cells(self, day: Record) -> list[Cell]:
        cells = [Cell("Price", self.f.price(day["recommended_price"]), () if self.held else self._price_limits(day))]
        cells += [self.cell(name, day) for name in self.digits if self._any_day(name)]
        shares = (("Organic", "organic"), ("Ads", "ad"))
        return cells + [self._share_cell(label, day[name]) for label, name in shares if self._any_day(name)]

    def _any_day(self, name: str) -> bool:
        """Return whether a measure is known on any of the days that are shown."""
        return any(day[name] is not None for day in self.product["days"][:MOST_DAYS])

    def _price_limits(self, day: Record) -> tuple[str, ...]:
        """Return the limits of a day's price; empty if it is the same in all plausible scenarios."""
        return self._limits(day["price_low"], day["price_high"], self.f.price_decimals)

    def _limits(self, low: float, high: float, digits: int, plus: str = "") -> tuple[str, ...]:
        """Return an interval as a note; empty if both ends look the same."""
        ends = self.f.number(low, digits), self.f.number(high, digits)
        return () if ends[0] == ends[1] else (self.f.span(low, high, digits, plus),)

    def cell(self, name: str, outcome: Record, plus: str = "") -> Cell:
        """Return units, sales or profit of an outcome, with its 90 % limits as a note."""
        label = name.capitalize()
        digits = self.digits[name]
        show = self.f.number if name == "units" else self.f.money
        if outcome[name] is None:
            return Cell(label, UNKNOWN)
        mean, low, high = outcome[name]
        return Cell(label, show(mean, digits, plus), self._limits(low, high, digits, plus))

    def _share_cell(self, label: str, values: Sequence[float] | None) -> Cell:
        if values is None:
            return Cell(label, UNKNOWN)
        mean, low, high = values
        return Cell(label, self.f.percent(mean / 100), self._limits(low, high, 1))

    def comparison_rows(self) -> list[Row]:
        """Return keeping the price and, if a change is advised, the recommendation with their 90 % limits."""
        product = self.product
        price = self.f.price
        names = [name for name in ("profit", "sales", "units") if product["keep"][name] is not None]
        outcomes = [("Keep", product["current_price"], product["keep"])]
        if product["uplift"] is not None:
            outcomes.append(("Charge", product["recommended_price"], product["recommended"]))
        return [(f"{verb} {price(at)}", [self.cell(name, found) for name in names]) for verb, at, found in outcomes]

    def baseline_rows(self) -> list[Row]:
        """Return every rule with its price, its gain and the scenarios in which it beats keeping the price."""
        draws = self.product["num_draws"]
        rows = []
        for row in list_alternatives(self.product):
            share = row["probability_better"]
            cells = [
                Cell("Price", self.f.price(row["price"])),
                self.cell(measure_of(self.product), row["outcome"]),
                Cell("Beats keeping", UNKNOWN if share is None else counted(share, draws)),
            ]
            rows.append((row["rule"], cells))
        return rows

    def backtest_rows(self) -> list[list[Cell]]:
        """Return a row per horizon of the backtest."""
        percent = self.f.percent
        scores = self.product["backtest"]["scores"]
        supplied = any(row["wape_supplied"] is not None for row in scores)
        rows = []
        for row in scores:
            cells = [
                Cell("Days ahead", str(row["days_ahead"])),
                Cell("Error, forecast", percent(row["wape_market"])),
                Cell(f"Error, 7-{self.f.period} mean", percent(row["wape_mean_7"])),
                Cell("Skill", self.f.number(row["skill"], plus="+")),
                *([Cell("Error, supplied", percent(row["wape_supplied"]))] if supplied else []),
                Cell("Inside 90 %", counted(row["coverage"], row["days"])),
            ]
            rows.append(cells)
        return rows

    def span(self) -> tuple[str, str]:
        """Return the days of the advice and of the history in words."""
        days = self.product["days"]
        quality = self.product["data_quality"]
        date = self.f.date
        length = plural(quality["history_days"], self.f.period)
        past = f"{date(quality['first_day'])} to {date(quality['last_day'])}, {length}"
        return f"{date(days[0]['date'])} to {date(days[-1]['date'])}", past

    def sections(self) -> list[Section]:
        """Return the optional sections: changes by guardrails, orders, track record, account of the quarter."""
        product = self.product
        record = self.product["track_record"]
        account = self.product["account"]
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
            Section(
                "This quarter", () if account is None else tuple(account_words(account, self.f, measure_of(product)))
            ),
        ]
        return [section for section in sections if section.lines or section.rows]

    def _edit_cells(self, edit: Record) -> tuple[str, ...]:
        f = self.f
        why = f"{edit['why']} ({edit['rule']})"
        return f.weekday_date(edit["date"]), f.price(edit["before"]), f.price(edit["after"]), why

    def _order_cells(self, order: Record) -> tuple[str, ...]:
        price = "kept" if order["price"] is None else self.f.price(order["price"])
        status = f"{order['status']}: {order['refusal']}" if order["refusal"] else order["status"]
        until = self.f.date(order["until"])
        reason = order["reason"] or UNKNOWN
        return str(order["id"]), order["kind"].replace("_", " "), price, until, order["actor"], reason, status
