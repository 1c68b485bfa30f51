"""Recognised exports: rows that count as sales are summed per product and day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pricerl.arrays import DateArray, FloatArray, IntArray
from pricerl.data.config import DataConfig
from pricerl.data.reading import columns
from pricerl.data.reading.columns import fold
from pricerl.data.reading.csv_file import TextTable
from pricerl.data.reading.export_rows import ExportRows, count_sales, find_code, name_products
from pricerl.data.reading.local_days import read_days
from pricerl.data.reading.numbers import read_number_columns, read_texts
from pricerl.data.reading.order_lines import split_cells, spread_discount
from pricerl.data.reading.preset_fields import Preset, discount_columns
from pricerl.data.reading.preset_files import AUTO, NONE, find_preset, locate, own_presets
from pricerl.data.reading.problems import FILE_STEP, Problem
from pricerl.data.reading.ragged_rows import LostRow, RaggedRow, check_share, days_like, find_lost
from pricerl.data.reading.texts import TextColumn
from pricerl.formatting import plural

DECIMALS = 6
"""Sums are rounded to a millionth, so that equal prices stay equal."""

LEAST_PART, LEAST_COLUMNS = 0.75, 4
"""Smallest share and number of a preset's columns in a header that looks like its export."""


@dataclass(frozen=True, eq=False)
class Export:
    """Sums of an export per product and day."""

    preset: Preset
    """How the export was read."""

    frame: pd.DataFrame
    """Product (categorical), Report Date, and the sums of the preset, ``R`` rows."""

    lines: IntArray
    """``(R,)`` line of the first row of each product and day in the seller's file."""

    notes: tuple[str, ...] = ()
    """Rows that were read and left out."""

    currency: str = ""
    """ISO 4217 code in the export's currency column, or in the name of its column of prices; empty without any."""

    lost: tuple[LostRow, ...] = ()
    """Rows whose number of cells is not that of the header."""


class ExportError(Exception):
    """An export that cannot be used.

    Args:
        problems: all that was found, at least one.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__(str(problems[0]))
        self.problems = problems


def recognise(header: Sequence[str], presets: Iterable[Preset]) -> Preset | None:
    """Return the preset whose columns are all in a header; of several, one that can be used, with most columns."""
    cells = tuple(header)
    fitting = [preset for preset in presets if set(preset.header) <= set(locate(preset, cells))]
    return max(fitting, key=lambda preset: (bool(preset.sums), len(preset.header)), default=None)


def choose_preset(header: Sequence[str], setting: str) -> Preset | None:
    """Return the preset for a file; None if its columns are those of a history already, or not known.

    Args:
        header: names of the file's columns.
        setting: name of a preset or YAML file, ``auto`` or ``none``.

    Raises:
        UsageError: the setting names no valid preset.
        ExportError: the preset's columns are not in the file, or only nearly all of them.
    """
    own = {fold(cell) for cell in header}
    if setting == NONE or (setting == AUTO and {fold(name) for name in columns.REQUIRED} <= own):
        return None
    if setting == AUTO:
        known = recognise(header, own_presets())
        if known is None and not columns.has_required(header):
            _refuse_part(header)
        return known
    preset = find_preset(setting)
    found = locate(preset, tuple(header))
    missing = [name for name in preset.header if name not in found]
    if not missing:
        return preset
    other = recognise(header, own_presets())
    if other is not None and other.kind == "ads":
        return other
    listed = f"; the header has: {', '.join(list(header)[:12])}"
    raise ExportError(Problem(0, "", f"preset {preset.name} needs column {missing[0]!r}{listed}"))


def _refuse_part(header: Sequence[str]) -> None:
    """Raise an ``ExportError`` if a header has nearly all columns of a preset, such as one with columns removed."""
    best, missing = None, header
    for preset in own_presets():
        found = locate(preset, tuple(header))
        lack = [name for name in preset.header if name not in found]
        part = len(preset.header) - len(lack)
        if part >= max(LEAST_PART * len(preset.header), LEAST_COLUMNS) and len(lack) < len(missing):
            best, missing = preset, lack
    if best is not None:
        named = " and ".join(map(repr, missing))
        remedy = f"download it with all columns: {best.download}"
        raise ExportError(Problem(0, "", f"looks like {best.title}, but has no column {named}; {remedy}"))


def sum_up(preset: Preset, table: TextTable, config: DataConfig, products: Sequence[str] | None = None) -> Export:
    """Sum the rows of an export that count as sales per product and day.

    Args:
        preset: how to read the export; all columns of its header are in the table.
        table: the export as text.
        config: decimal sign, date format and time zone.
        products: columns that can name the product; None for those of the preset.

    Raises:
        ExportError: the export cannot be used.
    """
    if preset.grain == "period" or not preset.sums:
        lack = "has no dates" if preset.grain == "period" else "has no units and prices of products"
        raise ExportError(Problem(0, "", f"{preset.title}, {lack}; {preset.instead}"))
    assert preset.date is not None
    names = locate(preset, tuple(map(str, table.frame.columns)))
    places = [list(table.frame.columns).index(cell) for cell in names.values()]
    frame = table.frame.iloc[:, places].set_axis(list(names), axis=1)
    every = ExportRows(frame, np.asarray(table.lines, dtype=np.int64))
    rows, notes, problems = count_sales(preset, every)
    rows, unlisted = split_cells(preset.split, rows)
    problems += unlisted
    if not problems and not len(rows):
        problems = [Problem(0, "", f"{preset.title}: none of {plural(len(every), 'row')} counts as a sale")]
    named, trouble = name_products(preset, preset.product if products is None else products, rows)
    ragged = _without_footer(preset, table)
    header = list(map(str, table.frame.columns))
    if problems := [*check_share(ragged, len(every), len(header), table.separator), *problems, *trouble]:
        raise ExportError(*problems)
    values, spread, problems = _read_values(preset, rows, config, table.separator)
    settings = (preset.date.formats, config.date_format, config.time_zone, preset.date.zone)
    dates = rows.frame[preset.date.column]
    days, trouble, remarks = read_days(dates, rows.lines.data, *settings)
    if problems := [*problems, *(problem._replace(column=preset.date.column) for problem in trouble)]:
        raise ExportError(*problems)
    export = _group(preset, named, days, values, rows.lines)
    like = days_like(dates, lambda texts: read_days(texts, range(len(texts)), *settings)[0])
    lost = find_lost(ragged, header, table.separator, names[preset.date.column], None, like) if ragged else []
    counted = f"{plural(len(rows), preset.grain)} of {plural(len(named.categories), 'product')}"
    first = f"Read as {preset.title} (preset {preset.name}): {counted}."
    caution = [preset.caution] if preset.caution else []
    notes = [*table.notes, first, *notes, *spread, *remarks, *caution]
    return replace(export, notes=tuple(notes), currency=find_code(preset, rows, names), lost=tuple(lost))


def _without_footer(preset: Preset, table: TextTable) -> list[RaggedRow]:
    """Return the ragged rows, but for lines around the rows of each file that belong to the export."""
    lines, ragged = np.asarray(table.lines), []
    for file in {row.line // FILE_STEP for row in table.ragged}:
        rows = lines[lines // FILE_STEP == file]
        found = [row for row in table.ragged if row.line // FILE_STEP == file]
        around = [row for row in found if len(rows) and not rows[0] < row.line < rows[-1]]
        ragged += [row for row in found if row not in around or len(around) > preset.footer]
    return ragged


def _read_values(
    preset: Preset, rows: ExportRows, config: DataConfig, separator: str
) -> tuple[dict[str, FloatArray], list[str], list[Problem]]:
    """Return the expression of each sum for each row ``(N,)``, notes, and the problems of its cells."""
    expressions, discount = preset.expressions(), preset.order_discount
    used = dict.fromkeys(name for expression in expressions.values() for name in expression.columns)
    extra = [name for name in discount_columns(discount) if name not in used] if discount else []
    present = {name: rows.frame[name] for name in (*used, *extra) if name in rows}
    signs = _needed_signs(present.values())
    shared = "auto" if len(signs) > 1 else (signs or preset.decimal or "auto")
    decimal = config.decimal if config.decimal != "auto" else shared
    numbers, problems = read_number_columns(present, rows.lines.data, decimal, separator)
    for name in (*used, *extra):
        if name not in present:
            numbers[name] = np.zeros(len(rows))
            continue
        blank = rows.blanks(name)
        numbers[name] = np.where(blank, 0.0, numbers[name])
        if name not in (*preset.optional, *extra):
            text = f"is blank in a row that counts as a sale; {preset.title}, always fills it"
            problems += [Problem(int(line), name, text) for line in rows.lines[blank]]
    values = {name: expression(numbers) for name, expression in expressions.items()}
    if problems or preset.kind != "sales":
        return values, [], problems
    values["revenue"], notes = spread_discount(discount, rows, values["revenue"], numbers)
    return values, notes, []


def _needed_signs(columns: Iterable[pd.Series]) -> str:
    """Return the decimal signs that some number of the export needs: usually one, as an export writes all with one."""
    readings = [read_texts(TextColumn(cells).texts) for cells in columns]
    needs_point = any((np.isnan(comma) & ~np.isnan(point)).any() for point, comma, _ in readings)
    needs_comma = any((np.isnan(point) & ~np.isnan(comma)).any() for point, comma, _ in readings)
    return "." * needs_point + "," * needs_comma


def _group(
    preset: Preset, products: pd.Categorical, days: DateArray, values: dict[str, FloatArray], lines: IntArray
) -> Export:
    """Sum values ``(N,)`` per product and day."""
    first = days.min()
    numbers = (days - first).astype(np.int64)
    span = int(numbers.max()) + 1
    keys, rows, groups = np.unique(
        products.codes.astype(np.int64) * span + numbers, return_index=True, return_inverse=True
    )
    named = pd.Categorical.from_codes(keys // span, categories=products.categories)
    dates = (first + keys % span).astype("datetime64[s]")
    sums = {name: np.round(np.bincount(groups, value, len(keys)), DECIMALS) for name, value in values.items()}
    return Export(preset, pd.DataFrame({columns.PRODUCT: named, columns.REPORT_DATE: dates, **sums}), lines[rows])
