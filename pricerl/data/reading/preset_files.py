"""Presets as files: the fields of a preset, those of the package, and the check of a user's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from pricerl.data.reading.columns import CONVERSIONS, PRODUCT_PRICE, REQUIRED, TOTAL_SALES, UNITS, fold
from pricerl.data.reading.columns import OPTIONAL_NUMBERS as OPTIONAL
from pricerl.data.reading.expressions import Expression, parse_expression
from pricerl.errors import UsageError, did_you_mean

FOLDER = Path(__file__).parents[1] / "presets"
AUTO, NONE = "auto", "none"

ANY = "*"
"""In one list of a status: every value that the other list does not name."""

DERIVED = {UNITS: "units", TOTAL_SALES: "revenue", PRODUCT_PRICE: "revenue / units"}
"""Columns of every sales preset, unless it defines them itself."""


class Dates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Column with the day of a row."""

    column: str
    """Name of the column."""

    formats: tuple[str, ...] = ()
    """strptime formats of the date without its time. The only one that fits all rows is used; if none or several do,
    dates must be ISO or unambiguous."""


class FillDown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cells that the export writes on the first line of an order only."""

    by: str
    """Column with the order's number, on every line."""

    columns: tuple[str, ...]
    """Columns whose blank cells take the value of the order's line above."""


class Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Column that decides whether a row counts as a sale."""

    column: str
    """Name of the column; without it in the file, every row counts."""

    keep: tuple[str, ...]
    """Values of rows that count; an empty text is a blank cell."""

    drop: tuple[str, ...]
    """Values of rows that do not count. In one of the two lists ``*`` is any other value; without it, a value in
    neither list is refused."""


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Export of a platform: how to recognise it, and how its columns become a history."""

    name: str
    """Name for ``--data.reading.preset``."""

    platform: str
    """Platform that writes the export."""

    report: str
    """The export's name on the platform."""

    download: str
    """Menu of the platform that leads to it."""

    confirmed: str
    """Source of the header, and its date."""

    grain: Literal["order line", "day", "week", "period"]
    """Meaning of one row; rows of a period without dates are refused."""

    header: tuple[str, ...]
    """Columns that identify the export; case, spaces, hyphens and underscores do not matter."""

    names: dict[str, tuple[str, ...]] = {}
    """Other names of a column, in other languages and versions."""

    kind: Literal["sales", "ads"] = "sales"
    """``ads``: joined to a sales report by product and day."""

    skip: dict[str, str] = {}
    """Rows that are no data, such as totals: a regular expression for a cell, by column."""

    footer: int = 0
    """Largest number of lines of another width, next to the first or last row, that belong to the export."""

    fill_down: FillDown | None = None
    """Cells left out on later lines of an order."""

    date: Dates | None = None
    """Column with the day."""

    product: tuple[str, ...] = ()
    """Columns that can name the product; the first one without a blank is used. None: the file is one product."""

    product_pattern: str | None = None
    """Regular expression of a cell that names one product, in its first group."""

    currency: str | None = None
    """Column with the currency; all rows that count must have the same."""

    decimal: Literal[".", ","] | None = None
    """Decimal sign, if the platform always writes the same."""

    status: tuple[Status, ...] = ()
    """Rules that decide whether a row counts."""

    optional: tuple[str, ...] = ()
    """Columns that may be absent or blank; they then count as 0."""

    sums: dict[str, str] = {}
    """Expressions over columns in quotes, summed per product and day; sales presets need ``units`` and ``revenue``."""

    columns: dict[str, str] = {}
    """Columns of a history as expressions over the sums, in addition to price, units and sales."""

    lists_sales_only: bool = False
    """True if the export leaves out days without a sale: they are zeros, not unknown."""

    caution: str = ""
    """Sentence that every reading of the export adds to the notes."""

    instead: str = ""
    """Better export, where this one does not suffice."""

    @property
    def title(self) -> str:
        """Platform and report, as in messages."""
        return f"{self.platform}, {self.report}"

    def expressions(self) -> dict[str, Expression]:
        """Return the expressions of the sums."""
        return {name: parse_expression(text) for name, text in self.sums.items()}

    def derived(self) -> dict[str, Expression]:
        """Return the expressions of the history's columns."""
        texts = {**DERIVED, **self.columns} if self.kind == "sales" else self.columns
        return {name: parse_expression(text) for name, text in texts.items()}

    def other_names(self, column: str) -> tuple[str, ...]:
        """Return every name of a column, the preset's own first."""
        return (column, *self.names.get(column, ()))

    def used(self) -> tuple[str, ...]:
        """Return the columns that the preset reads."""
        lists = [self.product, tuple(rule.column for rule in self.status), tuple(self.skip)]
        lists += [expression.columns for expression in self.expressions().values()]
        lists += [(self.date.column,)] if self.date else []
        lists += [(self.currency,)] if self.currency else []
        lists += [(self.fill_down.by, *self.fill_down.columns)] if self.fill_down else []
        return tuple(dict.fromkeys(name for names in lists for name in names))


def locate(preset: Preset, cells: tuple[str, ...]) -> dict[str, str]:
    """Return the name in the file, with these header cells, of each column of the preset that it has."""
    own = {fold(cell): cell for cell in reversed(cells)}
    wanted = dict.fromkeys((*preset.header, *preset.used()))
    found = {
        name: next((own[fold(other)] for other in preset.other_names(name) if fold(other) in own), None)
        for name in wanted
    }
    return {name: cell for name, cell in found.items() if cell is not None}


@cache
def own_presets() -> tuple[Preset, ...]:
    """Return the presets of the package, by name."""
    return tuple(read_preset(path) for path in sorted(FOLDER.glob("*.yaml")))


def find_preset(name: str) -> Preset:
    """Return the preset with a name, or the one in a user's YAML file.

    Raises:
        UsageError: no such preset or file, or a faulty one; the message names the field.
    """
    if name.endswith((".yaml", ".yml")):
        return read_preset(Path(name))
    known = {preset.name: preset for preset in own_presets()}
    if name not in known:
        close = did_you_mean(name, known)
        raise UsageError(f"there is no preset {name!r}{close} docs/presets.md lists them; a file's name ends in .yaml")
    return known[name]


def read_preset(path: Path) -> Preset:
    """Read and check one preset.

    Raises:
        UsageError: the file cannot be read or is not a preset.
    """
    try:
        preset = msgspec.yaml.decode(path.read_bytes(), type=Preset)
        _check(preset)
    except OSError as error:
        raise UsageError(f"preset {path}: cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, ValueError, re.error) as error:
        raise UsageError(f"preset {path}: {' '.join(str(error).split())}; docs/presets.md lists the fields") from None
    return preset


def _check(preset: Preset) -> None:
    """Check what the types of the fields do not.

    Raises:
        ValueError: a field contradicts another; the message names it.
    """
    for pattern in (*preset.skip.values(), *([preset.product_pattern] if preset.product_pattern else [])):
        re.compile(pattern)
    if not preset.header:
        raise ValueError("header must name the columns that identify the export")
    if preset.grain == "period" or not preset.sums:
        if not preset.instead:
            raise ValueError("instead must state what to download, as the export has no dates or no sums")
        return
    if preset.date is None or preset.date.column not in preset.header:
        raise ValueError("date must name the column with the day, one of the header")
    _check_sums(preset)
    stray = [name for name in preset.columns if name not in (*REQUIRED[1:], *OPTIONAL)]
    if stray:
        raise ValueError(f"columns: {stray[0]!r} is not a column of a history{did_you_mean(stray[0], OPTIONAL)}")
    if preset.kind == "ads" and not set(preset.columns) <= set(CONVERSIONS):
        raise ValueError("columns of an ads report can be conversions only")


def _check_sums(preset: Preset) -> None:
    needed = {"units", "revenue"} - set(preset.sums) if preset.kind == "sales" else set()
    if needed:
        raise ValueError(f"sums must define {' and '.join(sorted(needed))}")
    summed = {name for expression in preset.expressions().values() for name in expression.columns}
    if stray := sorted(summed - {*preset.header, *preset.optional}):
        raise ValueError(f"sums: column {stray[0]!r} must be in header or optional")
    for place, expressions in _placed(preset).items():
        for name, expression in expressions.items():
            wrong = (
                expression.sums if place == "sums" else (*expression.columns, *set(expression.sums) - {*preset.sums})
            )
            if wrong:
                rule = "names of columns need quotes" if place == "sums" else "it may use the names of sums only"
                raise ValueError(f"{place}: {name}: {wrong[0]!r} in {expression.text!r} is not defined; {rule}")


def _placed(preset: Preset) -> Mapping[str, Mapping[str, Expression]]:
    return {"sums": preset.expressions(), "columns": preset.derived()}
