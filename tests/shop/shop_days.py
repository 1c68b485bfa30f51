"""Days, names and orders that a shop must hold, followed from the files that it read, without any of its code."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from statistics import median
from typing import NamedTuple

from seller_files import Cell, Line, SellersFile, Values

WINDOW = 28
"""Rows at the end of a shop's days by which a new name is compared."""


class Known(NamedTuple):
    """A day that was read."""

    values: Values
    read: str
    """Day on which it was read."""
    file: int


class Step(NamedTuple):
    """What a file is for a shop, once its products have the shop's names."""

    file: SellersFile
    joined: dict[str, str]
    """The shop's name by the file's of each product that this file renames."""
    alike: dict[str, str]
    """Products that the file lacks, by new names that look like them."""
    follows: bool
    """Whether one of these begins where the product ends."""
    more: Collection[Cell] = frozenset()
    """Days at an end of the file to which orders of other files are added."""
    parts: Collection[str] = frozenset()
    """Days of which other files had perhaps a part."""
    gone: Collection[Line] = frozenset()
    """Orders of other files that are forgotten: their day is whole, or this file has them."""


def step_of(cells: Iterable[Cell]) -> int:
    """Days from row to row of products' days: 7 if all are whole weeks apart, most often one, 1, or 0 if unclear."""
    numbers = sorted((name, ordinal(day)) for name, day in cells)
    gaps = [two[1] - one[1] for one, two in itertools.pairwise(numbers) if one[0] == two[0]]
    if any(gap % 7 for gap in gaps):
        return 1
    return 7 if gaps and median(gaps) == 7 else 0


def ordinal(day: str) -> int:
    """Return a day's number."""
    return date.fromisoformat(day).toordinal()


def renamed(file: SellersFile, names: Mapping[str, str]) -> SellersFile:
    """Return a file with other names; of days that become one, the one with the most sales gives the price."""
    cells: dict[Cell, Values] = {}
    for (name, day), values in sorted(file.cells.items(), key=lambda item: item[1][1] or 0.0):
        cell = names.get(name, name), day
        before = cells.get(cell, (None, None, None))
        sums = [_sum(new, old) for new, old in zip(values, before, strict=True)]
        cells[cell] = (before[0] if values[0] is None else values[0], *sums[1:])  # type: ignore[assignment]
    order = dict.fromkeys((names.get(name, name), day) for name, day in file.cells)
    lines: dict[Line, tuple[float, float]] = {}
    for (name, day, number), (units, sales) in (file.lines or {}).items():
        line = names.get(name, name), day, number
        more = lines.get(line, (0.0, 0.0))
        lines[line] = units + more[0], round(sales + more[1], 6)
    return file._replace(
        cells={cell: cells[cell] for cell in order},
        lost=frozenset((names.get(name, name), day) for name, day in file.lost),
        lines=None if file.lines is None else lines,
    )


@dataclass
class ShopDays:
    """Days of a shop, names of its products in files, and orders at the ends of files."""

    cells: dict[Cell, Known] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    orders: dict[Line, tuple[float, float]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    currency: str = ""
    count: int = 0
    """Number of files that had something new."""

    def copied(self) -> ShopDays:
        """Return a copy that later files leave as it is."""
        own = {**self.cells}, {**self.aliases}, {**self.orders}, [*self.names]
        return ShopDays(*own, self.currency, self.count)

    def readable(self) -> dict[Cell, Values]:
        """Return the values of the days that could be read."""
        return {cell: known.values for cell, known in self.cells.items() if known.values[1] is not None}

    def look_at(self, file: SellersFile, products: Collection[str], accepted: Collection[str]) -> Step:
        """Return a file under the names that a shop has for its products, with orders of other files."""
        file = renamed(file, self.aliases)
        have = {*products, *self.names}
        names = {name for name, _ in file.cells}
        missing = have - names - {name for name, _ in file.lost}
        equal, following = self._alike(file, names - have, missing) if names - have and missing else ({}, {})
        alike = equal | following
        joined = alike if "renamed" in accepted else {}
        file = renamed(file, joined)
        if not file.lines:
            return Step(file, joined, alike, bool(following))
        first, last = file.ends()
        parts = {day for _, day, _ in self.orders if first <= day <= last}
        more = set()
        cells = {**file.cells}
        for (name, day, number), (units, sales) in self.orders.items():
            cell = name, day
            if day in (first, last) and cell in cells and number not in file.numbers:
                _, total, count = cells[cell]
                cells[cell] = (None, round((total or 0) + sales, 6), (count or 0) + units)
                more.add(cell)
        gone = {line for line in self.orders if first < line[1] < last}
        gone |= {line for line in self.orders if line[1] in (first, last) and line[2] in file.numbers}
        return Step(file._replace(cells=cells), joined, alike, bool(following), more, parts, gone)

    def refuses(self, file: SellersFile, products: Collection[str], accepted: Collection[str]) -> str:
        """Return why a file cannot be joined; empty if it can."""
        step = self.look_at(file, products, accepted)
        if step.alike and not (step.joined or "new" in accepted):
            return "renamed"
        if not self.count:
            return ""
        if file.currency != self.currency:
            return "currency"
        if len({found for cells in (self.readable(), step.file.cells) if (found := step_of(cells))}) > 1:
            return "weeks"
        last: dict[int, str] = {}
        for (_, day), known in self.cells.items():
            if known.values[1] is not None:
                last[known.file] = max(day, last.get(known.file, ""))
        for (name, day), (values, read, number) in self.cells.items():
            fresh = step.file.cells.get((name, day), (None, None, None))
            ended = values[1] is not None and day < min(read, last[number]) and day not in step.parts
            if ended and "changed" not in accepted and any(map(_differs, fresh, values)):
                return "changed"
        return ""

    def learn(self, file: SellersFile, products: Collection[str], accepted: Collection[str], today: str) -> int:
        """Follow the days of a file, and return how many are new or changed."""
        step = self.look_at(file, products, accepted)
        self.aliases |= step.joined
        self.names += dict.fromkeys(name for name, _ in step.file.cells if name not in self.names)
        nothing = (None, None, None)
        found: dict[Cell, Known] = {}
        for cell in [*step.file.cells, *step.file.lost]:
            before = self.cells[cell].values if cell in self.cells else nothing
            fresh = step.file.cells.get(cell, nothing)
            values = tuple(old if new is None else new for new, old in zip(fresh, before, strict=True))
            if cell[0] in self.names and (cell not in self.cells or values != before):
                found[cell] = Known(values, today, self.count + 1)  # type: ignore[arg-type]
        self.cells |= found
        self.count += bool(found or step.joined)
        self.currency = file.currency if found else self.currency
        if step.file.lines:
            for line in step.gone:
                del self.orders[line]
            ends = step.file.ends()
            self.orders |= {line: amounts for line, amounts in step.file.lines.items() if line[1] in ends}
        return len(found)

    # --- products that look alike

    def _alike(
        self, file: SellersFile, new: Collection[str], missing: Collection[str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Return the products of the shop that new ones of a file equal, and those that they follow."""
        step = step_of(file.cells) or 1
        days = [ordinal(day) for _, day in file.cells]
        end = max((ordinal(day) for _, day in self.cells), default=0)
        span = Span(min(days), max(days), end, step)
        until = min(span.last, end)
        old = self._rows(self.readable(), missing, lambda day: until - WINDOW * step < day <= until)
        fresh = self._rows(file.cells, new, lambda _: True)
        recent = [row for row in fresh if row.day > until - WINDOW * step]
        found = _equal(recent, old)
        taken = {*found, *found.values()}
        rest = [[row for row in rows if row.name not in taken] for rows in (fresh, old)]
        return found, _following(*rest, span)

    @staticmethod
    def _rows(cells: Mapping[Cell, Values], names: Collection[str], holds: Callable[[int], bool]) -> list[Row]:
        rows = (Row(name, ordinal(day), price or 0.0, sales or 0.0) for (name, day), (price, sales, _) in cells.items())
        return [row for row in rows if row.name in names and holds(row.day)]


class Span(NamedTuple):
    """Days of a file and a shop."""

    first: int
    last: int
    end: int
    """Last day that the shop has."""
    step: int


class Row(NamedTuple):
    """A day of a product."""

    name: str
    day: int
    price: float
    sales: float


def _sum(new: float | None, old: float | None) -> float | None:
    return None if new is old is None else round((new or 0) + (old or 0), 6)


def _only(rows: list[Row]) -> dict[tuple[float, ...], str]:
    """Return the name of each price and sales of a day that one row has; empty if several have them."""
    found: dict[tuple[float, ...], str] = {}
    for row in rows:
        found[row[1:]] = "" if row[1:] in found else row.name
    return found


def _differs(new: float | None, old: float | None) -> bool:
    return new is not None and old is not None and abs(new - old) > 1e-9 * abs(old)


def _equal(fresh: list[Row], old: list[Row]) -> dict[str, str]:
    """Return the old names of new ones with price and sales of most days, which are not so by chance."""
    count = Counter(row.name for row in fresh)
    alike = Counter((row.name, *row[2:]) for row in fresh)
    one, two = ({values: name for values, name in _only(rows).items() if name} for rows in (fresh, old))
    met = Counter((one[values], two[values]) for values in one.keys() & two.keys())
    rated = []
    for new, name in sorted(pair for pair, days in met.items() if days > 1):
        theirs = {row[1:] for row in old if row.name == name}
        first, last = min(theirs)[0], max(theirs)[0]
        both = [row for row in fresh if row.name == new and first <= row.day <= last]
        same = [row for row in both if row[1:] in theirs]
        nats = sum(math.log(count[new] / alike[(new, *row[2:])]) for row in same)
        if len(same) >= 0.8 * len(both) and nats >= 10:
            rated.append((-nats, new, name))
    found: dict[str, str] = {}
    best = {new: (new, name) for _, new, name in sorted(rated, key=lambda item: item[0])[::-1]}
    for _, new, name in sorted(rated, key=lambda item: item[0]):
        if best[new] == (new, name) and name not in found.values():
            found[new] = name
    return found


def _following(fresh: list[Row], old: list[Row], span: Span) -> dict[str, str]:
    """Return the old names of new products that begin where the only one with their prices ends."""
    reach, long = 7 + span.step, WINDOW * span.step
    ended = {}
    for name, rows in _by_name(old).items():
        days = [row.day for row in rows]
        absent = (span.last - max(days[-1], span.first - span.step)) / span.step
        regular = min(len(rows) / ((span.end - days[0]) / span.step + 2), 1)
        if days[-1] > span.end - reach and (1 - regular) ** absent < 0.05:
            sales = sum(row.sales for row in rows) / (span.end - days[0] + span.step)
            ended[name] = median(row.price for row in rows), sales
    begun = {}
    for name, rows in _by_name(fresh).items():
        first = rows[0].day
        early = [row for row in rows if row.day < first + long]
        if span.end <= first < max(span.first, span.end) + reach:
            sales = sum(row.sales for row in early) / (min(span.last - first, long) + span.step)
            begun[name] = median(row.price for row in early), sales
    if span.last <= span.end or not 0 < len(ended) <= len(begun):
        return {}
    found = {}
    for name, (price, sales) in begun.items():
        near = [other for other in ended if price / 1.03 <= ended[other][0] <= price * 1.03]
        back = [other for other in begun if len(near) == 1 and _is_near(begun[other][0], ended[near[0]][0])]
        if len(near) == 1 and back == [name]:
            low, high = sorted((sales, ended[near[0]][1]))
            if 0 < high < 3 * low:
                found[name] = near[0]
    return found


def _is_near(price: float, other: float) -> bool:
    return other / 1.03 <= price <= other * 1.03


def _by_name(rows: list[Row]) -> dict[str, list[Row]]:
    return {name: list(own) for name, own in itertools.groupby(sorted(rows), lambda row: row.name)}
