"""Sums of a recognised export per product and day, as the columns of a history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pricerl.arrays import DateArray, FloatArray, IntArray
from pricerl.data.config import DataConfig
from pricerl.data.reading import columns
from pricerl.data.reading.columns import fold
from pricerl.data.reading.dates import read_days
from pricerl.data.reading.exports.export_rows import (
    ExportRows,
    count_sales,
    find_code,
    name_products,
    split_cells,
    spread_discount,
)
from pricerl.data.reading.exports.preset_fields import Preset, discount_columns
from pricerl.data.reading.exports.preset_files import (
    AUTO,
    NONE,
    find_missing,
    find_preset,
    locate,
    own_presets,
    recognise,
)
from pricerl.data.reading.header import has_required
from pricerl.data.reading.numbers import read_number_columns, read_texts
from pricerl.data.reading.problems import FILE_STEP, Problem, refuse
from pricerl.data.reading.ragged_rows import LostRow, RaggedRow, check_share, days_like, find_lost
from pricerl.data.reading.sources.csv_file import TextTable
from pricerl.data.reading.texts import Cells, TextColumn
from pricerl.formatting import plural

DECIMALS = 6
"""Sums are rounded to a millionth, so that equal prices stay equal."""

LEAST_PART = 0.75
LEAST_COLUMNS = 4
"""Smallest share and number of a preset's columns in a header that looks like its export."""


@dataclass(frozen=True, eq=False)
class Parsed:
    """Columns of a history as numbers and dates, before they are judged."""

    frame: pd.DataFrame
    """Canonical columns, products as a categorical."""

    lines: Sequence[int]
    """``(N,)`` line of each row in the seller's file; of sums, the line of the first row of each product and day."""

    notes: Sequence[str]
    """Notes on how the file was read."""

    problems: Sequence[Problem] = ()
    """Problems of header and cells."""

    lost: Sequence[LostRow] = ()
    """Rows whose number of cells is not that of the header."""

    cells: Mapping[str, Cells] = field(default_factory=dict)
    """The columns that the file has as texts."""

    names: Mapping[str, str] = field(default_factory=dict)
    """Name in the file by column."""

    currency: str = ""
    """ISO 4217 code in the currency column of an export, or in the name of its column of prices; empty without any."""


def choose_preset(table: TextTable, setting: str) -> Preset | None:
    """Return the preset for a table; None if its columns are those of a history already, or not known.

    Args:
        table: the file as text.
        setting: name of a preset or YAML file, ``auto`` or ``none``.

    Raises:
        UsageError: the setting names no valid preset.
        DataError: the preset's columns are not in the file, or only nearly all of them.
    """
    header = table.header
    own = {fold(cell) for cell in header}
    if setting == NONE or (setting == AUTO and {fold(name) for name in columns.REQUIRED} <= own):
        return None
    preset = None if setting == AUTO else find_preset(setting)
    missing = [] if preset is None else find_missing(preset, header)
    if preset is not None and not missing:
        return preset
    known = recognise(header, own_presets())
    if preset is None:
        if known is None and not has_required(header):
            _refuse_part(table)
        return known
    if known is None or known.kind != "ads":
        text = f"preset {preset.name} needs column {missing[0]!r}; the header has: {', '.join(header[:12])}"
        refuse(table.source, [Problem(0, "", text)])
    return known


def _refuse_part(table: TextTable) -> None:
    """Raise a ``DataError`` if a header has nearly all columns of a preset, such as one with columns removed."""
    best = None
    missing = list(table.header)
    for preset in own_presets():
        lack = find_missing(preset, table.header)
        part = len(preset.header) - len(lack)
        if part >= max(LEAST_PART * len(preset.header), LEAST_COLUMNS) and len(lack) < len(missing):
            best = preset
            missing = lack
    if best is not None:
        named = " and ".join(map(repr, missing))
        remedy = f"download it with all columns: {best.download}"
        refuse(table.source, [Problem(0, "", f"looks like {best.title}, but has no column {named}; {remedy}")])


def sum_up(preset: Preset, table: TextTable, config: DataConfig, products: Sequence[str] | None = None) -> Parsed:
    """Sum the rows of an export that count as sales per product and day; the frame has the sums and the columns.

    Args:
        preset: how to read the export; all columns of its header are in the table.
        table: the export as text.
        config: decimal sign, date format and time zone.
        products: columns that can name the product; None for those of the preset.

    Raises:
        DataError: the export cannot be used.
    """
    if preset.grain == "period" or not preset.sums:
        lack = "has no dates" if preset.grain == "period" else "has no units and prices of products"
        refuse(table.source, [Problem(0, "", f"{preset.title}, {lack}; {preset.instead}")])
    assert preset.date is not None
    names = locate(preset, table.header)
    places = [table.header.index(cell) for cell in names.values()]
    frame = table.frame.iloc[:, places].set_axis(list(names), axis=1)
    every = ExportRows(frame, np.asarray(table.lines, dtype=np.int64))
    rows, notes, problems = count_sales(preset, every)
    rows, unlisted = split_cells(preset.split, rows)
    problems += unlisted
    if not problems and not len(rows):
        problems = [Problem(0, "", f"{preset.title}: none of {plural(len(every), 'row')} counts as a sale")]
    named, trouble = name_products(preset, preset.product if products is None else products, rows)
    ragged = _without_footer(preset, table)
    width = len(table.header)
    if problems := [*check_share(ragged, len(every), width, table.separator), *problems, *trouble]:
        refuse(table.source, problems, table.files)
    values, spread, problems = _read_values(preset, rows, config, table.separator)
    settings = (preset.date.formats, config.date_format, config.time_zone, preset.date.zone)
    dates = rows.frame[preset.date.column]
    days, trouble, remarks = read_days(dates, rows.lines.data, *settings)
    if problems := [*problems, *(problem._replace(column=preset.date.column) for problem in trouble)]:
        refuse(table.source, problems, table.files)
    frame, first = _group(preset, named, days, values)
    like = days_like(dates, lambda texts: read_days(texts, range(len(texts)), *settings)[0])
    lost = find_lost(ragged, table.header, table.separator, names[preset.date.column], None, like) if ragged else []
    counted = f"{plural(len(rows), preset.grain)} of {plural(len(named.categories), 'product')}"
    read = f"Read as {preset.title} (preset {preset.name}): {counted}."
    caution = [preset.caution] if preset.caution else []
    notes = [*table.notes, read, *notes, *spread, *remarks, *caution]
    return Parsed(frame, rows.lines[first].data, notes, lost=lost, currency=find_code(preset, rows, names))


def _without_footer(preset: Preset, table: TextTable) -> list[RaggedRow]:
    """Return the ragged rows, but for lines around the rows of each file that belong to the export."""
    lines = np.asarray(table.lines)
    ragged = []
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
    expressions = preset.expressions()
    discount = preset.order_discount
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
    preset: Preset, products: pd.Categorical, days: DateArray, values: dict[str, FloatArray]
) -> tuple[pd.DataFrame, IntArray]:
    """Return the sums of values ``(N,)`` per product and day, next to the columns of a history; and first rows."""
    first = days.min()
    numbers = (days - first).astype(np.int64)
    span = int(numbers.max()) + 1
    keys, rows, groups = np.unique(
        products.codes.astype(np.int64) * span + numbers, return_index=True, return_inverse=True
    )
    named = pd.Categorical.from_codes(keys // span, categories=products.categories)
    dates = (first + keys % span).astype("datetime64[s]")
    sums: dict[str, FloatArray] = {}
    for name, value in values.items():
        sums[name] = np.asarray(np.round(np.bincount(groups, value, len(keys)), DECIMALS), dtype=np.float64)
    derived = {name: np.round(expression(sums), DECIMALS) for name, expression in preset.derived().items()}
    if (price := derived.get(columns.PRODUCT_PRICE)) is not None:
        price[~(price > 0)] = np.nan  # days of returns or gifts only have no price
    return pd.DataFrame({columns.PRODUCT: named, columns.REPORT_DATE: dates, **sums, **derived}), rows
