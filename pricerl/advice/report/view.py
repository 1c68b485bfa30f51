"""What stands where on a product's page: the numbers of ``advice.json`` as texts; the template only lays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pricerl.advice.report.formatting import (
    UNKNOWN,
    chance,
    counted,
    long_date,
    money_digits,
    number,
    percent,
    short_date,
    signed,
    unit_digits,
)
from pricerl.advice.report.sanitize import shorten

Product = Mapping[str, Any]

MOST_DAYS = 31
"""Rows of the table of days; further ones are in ``advice.csv``."""


class Tile(NamedTuple):
    """One of the numbers at the top."""

    label: str
    value: str
    notes: tuple[str, ...]


class Cell(NamedTuple):
    """A number with its 90 % interval below; ``label`` names the column where rows become cards."""

    label: str
    value: str
    interval: str = ""


@dataclass(frozen=True)
class Digits:
    """Digits after the point by what is shown, the same all over a page."""

    price: int
    units: int
    sales: int
    profit: int


def digits_of(product: Product, decimals: int) -> Digits:
    """Choose digits by the largest number that stands in a column."""
    outcomes = [product["details"][name] for name in ("keep", "recommended")]

    def values(name: str) -> list[float]:
        rows = [row[name] for row in (*outcomes, *product["days"]) if row[name] is not None]
        return [value for row in rows for value in row]

    return Digits(
        decimals, unit_digits(*values("units")), money_digits(*values("sales")), money_digits(*values("profit"))
    )


def headline(product: Product, digits: Digits) -> str:
    """The verdict in three words or so."""
    now, new = product["current_price"], product["recommended_price"]
    verb = "Keep" if product["details"]["first_change"] is None else "Raise to" if new > now else "Lower to"
    return f"{verb} {number(new, digits.price)}"


def tiles(product: Product, digits: Digits) -> list[Tile]:
    """Price, profit, units and chance."""
    return [
        _price_tile(product, digits),
        _profit_tile(product, digits),
        _units_tile(product, digits),
        _chance_tile(product),
    ]


def _price_tile(product: Product, digits: Digits) -> Tile:
    details, decision = product["details"], product["decision"]
    if details["first_change"] is None:
        word = "cannot say yet: the price is kept" if decision["lacks_evidence"] else "no change is advised"
        return Tile("Recommended price", headline(product, digits), (word,))
    change = f"now {number(product['current_price'], digits.price)} ({signed(100 * details['change'], 1)} %)"
    notes = [f"{change}, from {short_date(details['first_change'])} on"]
    last = product["days"][-1]["recommended_price"]
    if number(last, digits.price) != number(product["recommended_price"], digits.price):
        notes.append(f"then in steps to {number(last, digits.price)}")
    day = next(day for day in product["days"] if day["date"] == details["first_change"])
    notes.append(f"90 %: {number(day['price_low'], digits.price)} to {number(day['price_high'], digits.price)}")
    return Tile("Recommended price", headline(product, digits), tuple(notes))


def _profit_tile(product: Product, digits: Digits) -> Tile:
    keep, difference = product["details"]["keep"], product["details"]["difference"]
    if keep["profit"] is None:
        return Tile("Profit a day", "unknown", ("costs are not known",))
    if product["details"]["first_change"] is None:
        return Tile("Profit a day", *_expected(keep["profit"], digits.profit, "at the current price"))
    return Tile("Profit a day", *_difference(difference["profit"], digits.profit))


def _units_tile(product: Product, digits: Digits) -> Tile:
    keep, difference = product["details"]["keep"], product["details"]["difference"]
    if product["details"]["first_change"] is None:
        return Tile("Units a day", *_expected(keep["units"], digits.units, "at the current price"))
    return Tile("Units a day", *_difference(difference["units"], digits.units))


def _chance_tile(product: Product) -> Tile:
    label, markets = "Chance that it beats today", product["details"]["markets"]
    if (gain := product["gain"]) is not None:
        better = gain["probability_better"]
        return Tile(label, chance(better, markets), (f"in {counted(better, markets)} markets that fit your history",))
    if (proposed := product["proposed_gain"]) is not None and product["decision"]["lacks_evidence"]:
        better = counted(proposed["probability_better"], markets)
        return Tile(label, UNKNOWN, ("nothing changes", f"the policy's own path: {better} markets"))
    return Tile(label, UNKNOWN, ("nothing changes" if product["details"]["first_change"] is None else "unknown",))


def _expected(values: Sequence[float], digits: int, where: str) -> tuple[str, tuple[str, ...]]:
    mean, low, high = (number(value, digits) for value in values)
    return mean, (f"90 %: {low} to {high}", where)


def _difference(values: Sequence[float], digits: int) -> tuple[str, tuple[str, ...]]:
    mean, low, high = (signed(value, digits) for value in values)
    return mean, (f"90 %: {low} to {high}", "against keeping the price")


def day_rows(product: Product, digits: Digits) -> list[tuple[str, str, list[Cell]]]:
    """Rows of the next days: date, note, cells."""
    held = product["details"]["first_change"] is None
    return [
        (short_date(day["date"]), day["note"], _day_cells(day, digits, held)) for day in product["days"][:MOST_DAYS]
    ]


def _day_cells(day: Mapping[str, Any], digits: Digits, held: bool) -> list[Cell]:
    price, low, high = (number(day[key], digits.price) for key in ("recommended_price", "price_low", "price_high"))
    return [
        Cell("Price", price, "kept" if held else f"{low} to {high}"),
        _cell("Units", day["units"], digits.units),
        _cell("Sales", day["sales"], digits.sales),
        _cell("Profit", day["profit"], digits.profit),
        _share_cell("Organic", day["organic"], day["organic_limits"]),
        _share_cell("Ads", day["ad"], day["ad_limits"]),
    ]


def _cell(label: str, values: Sequence[float] | None, digits: int, sign: bool = False) -> Cell:
    if values is None:
        return Cell(label, UNKNOWN)
    mean, low, high = (signed(value, digits) if sign else number(value, digits) for value in values)
    return Cell(label, mean, f"{low} to {high}")


def _share_cell(label: str, value: float | None, limits: Sequence[float] | None) -> Cell:
    if value is None or limits is None:
        return Cell(label, UNKNOWN)
    return Cell(label, f"{number(value, 1)} %", f"{number(limits[0], 1)} to {number(limits[1], 1)}")


def comparison_rows(product: Product, digits: Digits) -> list[tuple[str, list[Cell]]]:
    """Keeping the price, the recommendation, and what lies between."""
    details, price = product["details"], digits.price
    return [
        ("Keep the price", _outcome_cells(number(product["current_price"], price), details["keep"], digits, False)),
        (
            "Recommended",
            _outcome_cells(number(product["recommended_price"], price), details["recommended"], digits, False),
        ),
        ("Difference", _outcome_cells(f"{signed(100 * details['change'], 1)} %", details["difference"], digits, True)),
    ]


def _outcome_cells(price: str, outcome: Mapping[str, Any], digits: Digits, sign: bool) -> list[Cell]:
    return [
        Cell("Price", price),
        _cell("Units", outcome["units"], digits.units, sign),
        _cell("Sales", outcome["sales"], digits.sales, sign),
        _cell("Profit", outcome["profit"], digits.profit, sign),
    ]


def baseline_rows(product: Product, digits: Digits) -> list[tuple[str, list[Cell]]]:
    """Every rule with its price, its profit a day, and in how many markets it beats keeping the price."""
    markets, rows = product["details"]["markets"], []
    for row in product["baselines"]:
        known = row["profit"] is not None
        profit = (row["profit"], row["profit_low"], row["profit_high"]) if known else None
        better = UNKNOWN if row["probability_better"] is None else counted(row["probability_better"], markets)
        cells = [Cell("Price", number(row["price"], digits.price)), _cell("Profit", profit, digits.profit)]
        rows.append((row["rule"], [*cells, Cell("Beats keeping", better)]))
    return rows


def backtest_rows(product: Product) -> list[list[Cell]]:
    """A row for every horizon of the backtest."""
    return [
        [
            Cell("Days ahead", str(row["days_ahead"])),
            Cell("Error, market", percent(row["wape_market"])),
            Cell("Error, 7-day mean", percent(row["wape_mean_7"])),
            Cell("Skill", signed(row["skill"])),
            Cell("Error, supplied", percent(row["wape_supplied"])),
            Cell("Inside 90 %", counted(row["coverage"], row["days"])),
        ]
        for row in product["backtest"]["scores"]
    ]


def span(product: Product) -> tuple[str, str]:
    """Days of the advice and of the history, in words."""
    days, quality = product["days"], product["data_quality"]
    coming = f"{long_date(days[0]['date'])} to {long_date(days[-1]['date'])}"
    past = f"{long_date(quality['first_day'])} to {long_date(quality['last_day'])}, {quality['history_days']} days"
    return coming, past


def index_row(product: Product, decimals: int) -> dict[str, Any]:
    """What the index of several products shows of one."""
    digits, gain = digits_of(product, decimals), product["gain"]
    profit = None if gain is None else (gain["mean"], gain["low"], gain["high"])
    return {
        "name": shorten(product["product"]),
        "verdict": headline(product, digits),
        "now": number(product["current_price"], decimals),
        "gain": _cell("Profit a day", profit, digits.profit, sign=True),
        "grade": product["decision"]["grade"],
    }
