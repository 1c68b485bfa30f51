"""Files of a simulated seller: days or lines of orders, whole or in part, under the names that platforms give."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pricerl.data.cleaning.rows import Rows
from pricerl.data.config import DataConfig
from pricerl.data.reading.tables import Orders

DAY = timedelta(days=1)
NUMBERS = 3
"""Orders of a day; each may have lines of all products."""

Cell = tuple[str, str]
"""Product and day."""
Values = tuple[float | None, float | None, float | None]
"""Price, sales and units."""
Line = tuple[str, str, str]
"""Product, day and number of an order."""


class SellersFile(NamedTuple):
    """What a file has, as plain values."""

    kind: str
    cells: dict[Cell, Values]
    lost: frozenset[Cell] = frozenset()
    """Days of which a row exists that cannot be read."""
    lines: dict[Line, tuple[float, float]] | None = None
    """Units and sales of each line of its orders; None for a file of days."""
    numbers: frozenset[str] = frozenset()
    """Numbers of all orders in the file, cancelled ones included."""
    currency: str = "EUR"

    def ends(self) -> tuple[str, str]:
        """Return the first and the last day of its orders."""
        days = [day for _, day, _ in self.lines or ()]
        return min(days), max(days)


class Labels:
    """Names of products in files, which the platform changes now and then."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.known = {name: [(date.min, name)] for name in names}

    def change(self, name: str, label: str, day: date) -> None:
        """Let files have another name of a product from a day on."""
        self.known[name].append((day, label))

    def on(self, name: str, day: date) -> list[str]:
        """Return the names of a product on a day: two on the day of a change."""
        known = [item for item in self.known[name] if item[0] <= day]
        return [label for _, label in known[-2:]] if known[-1][0] == day else [known[-1][1]]

    def apply(self, file: SellersFile, chance: random.Random) -> SellersFile:
        """Return a file with the names of the last day, or with those of each day."""
        by_day = chance.random() < 0.3
        cells: dict[Cell, Values] = {}
        lines: dict[Line, tuple[float, float]] = {}

        def labels(name: str, day: str) -> list[str]:
            return self.on(name, date.fromisoformat(day)) if by_day else [self.known[name][-1][1]]

        for (name, day, number), amounts in (file.lines or {}).items():
            first, *_, last = (*labels(name, day), *labels(name, day))
            if first != last and number.endswith("1") and amounts[0] > 1:  # an order of both
                lines[first, day, number] = (1.0, round(amounts[1] / amounts[0], 2))
                amounts = amounts[0] - 1, round(amounts[1] - lines[first, day, number][1], 2)
            lines[first if number.endswith("0") else last, day, number] = amounts
        prices = {(label, day): own[0] for (name, day), own in file.cells.items() for label in labels(name, day)}
        if file.lines is not None:
            return file._replace(cells=cells_of(lines, prices), lines=lines)
        for (name, day), (price, sales, units) in file.cells.items():
            first, *_, last = (*labels(name, day), *labels(name, day))
            if first != last and sales is not None and price is not None:
                cells.setdefault((first, day), (round(price + 0.5, 2), round(sales / 4, 2), units))
                sales = round(sales - round(sales / 4, 2), 2)
            cells.setdefault((last, day), (price, sales, units))
        return file._replace(cells=cells, lost=frozenset((labels(name, day)[-1], day) for name, day in file.lost))


def cells_of(lines: Mapping[Line, tuple[float, float]], prices: Mapping[Cell, float | None]) -> dict[Cell, Values]:
    """Return the days of orders."""
    cells: dict[Cell, Values] = {}
    for (name, day, _), (units, sales) in lines.items():
        _, more, count = cells.get((name, day), (None, 0.0, 0.0))
        cells[name, day] = (prices[name, day], round(sales + (more or 0), 2), units + (count or 0))
    return cells


def file_of_orders(
    kind: str,
    values: Mapping[Cell, tuple[float, float]],
    units: Callable[[str, date], int],
    cancelled: set[str],
    chance: random.Random,
) -> SellersFile:
    """Return a file with the lines of orders on some days, perhaps without the first ones or the last ones."""
    days = sorted({day for _, day in values})
    begin, end = chance.choice((0, 0, 1, 2)), chance.choice((NUMBERS, NUMBERS, 2, 1))
    begin = 0 if len(days) == 1 and begin >= end else begin
    lines: dict[Line, tuple[float, float]] = {}
    numbers = set()
    for (name, day), (_, sales) in values.items():
        count = units(name, date.fromisoformat(day))
        for at in range(begin if day == days[0] else 0, end if day == days[-1] else NUMBERS):
            number = f"{day}/{at}"
            if number not in cancelled or at < NUMBERS - 1:  # the export lacks the last one if it was cancelled
                numbers.add(number)
            own = count // NUMBERS + (at < count % NUMBERS)
            if number not in cancelled:
                lines[name, day, number] = (float(own), round(own * sales / count, 2))
    if not lines:
        return SellersFile(kind, {cell: (*own, None) for cell, own in values.items()})
    prices = {cell: price for cell, (price, _) in values.items()}
    return SellersFile(kind, cells_of(lines, prices), lines=lines, numbers=frozenset(numbers))


def rows_of(file: SellersFile) -> Rows:
    """Return a file as the reader returns it."""
    names = list(dict.fromkeys(name for name, _ in file.cells))
    columns: dict[str, Any] = {
        "Product": pd.Categorical([name for name, _ in file.cells], categories=names),
        "Report Date": np.array([day for _, day in file.cells], dtype="datetime64[s]"),
        "Product Price": [values[0] for values in file.cells.values()],
        "Total Sales": [values[1] for values in file.cells.values()],
    }
    orders = None
    if file.lines is not None:
        columns["Units"] = [values[2] for values in file.cells.values()]
        ends = file.ends()
        table = [(*line, *amounts) for line, amounts in file.lines.items() if line[1] in ends]
        lines = pd.DataFrame(table, columns=["product", "day", "number", "units", "revenue"])
        lines["day"] = lines["day"].to_numpy().astype("datetime64[s]")
        orders = Orders(lines, file.numbers)
    lost: dict[str, list[str]] = {}
    for name, day in sorted(file.lost):
        lost.setdefault(name, []).append(day)
    return Rows(
        f"{file.kind}.csv",
        pd.DataFrame(columns),
        DataConfig(),
        lost={name: np.array(days, dtype="datetime64[D]") for name, days in lost.items()},
        currency=file.currency,
        orders=orders,
    )
