"""Reading, checking and cleaning of a seller's file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from pricerl.data.cleaning.cleaning import clean
from pricerl.data.config import DataConfig
from pricerl.data.history import UNNAMED_PRODUCT, History
from pricerl.data.naming import Sources, list_sources, name_after
from pricerl.data.reading import columns
from pricerl.data.reading.calendar_checks import check_calendar
from pricerl.data.reading.currencies import check_currencies, find_currency
from pricerl.data.reading.dates import note_forms, read_dates
from pricerl.data.reading.exports.export_sums import Parsed
from pricerl.data.reading.exports.sales_reports import join_all_ads, read_export, sort_reports
from pricerl.data.reading.header import find_vague_cost, match_header, unit_costs
from pricerl.data.reading.numbers import is_blank, read_flags, read_number_columns
from pricerl.data.reading.problems import Problem, name_files, refuse, set_aside
from pricerl.data.reading.ragged_rows import Losses, LostRow, check_share, days_like, find_lost, settle
from pricerl.data.reading.sources.containers import open_tables
from pricerl.data.reading.sources.csv_file import TextTable, split_rows
from pricerl.data.reading.texts import Cells, TextColumn
from pricerl.data.reading.value_checks import check_plausibility, check_values, merge_products
from pricerl.errors import DataError


def read_history(path: Sources, config: DataConfig | None = None) -> History:
    """Read, check and clean a seller's file.

    >>> history = pricerl.read_history("sales.csv")
    >>> [(item.product, len(item.dates)) for item in history.products]
    [('sales', 90)]

    Args:
        path: file (CSV, Excel, Parquet or JSON lines, compressed or not), folder or pattern of dated files, ``-`` for
            standard input, or URL of a database; errors name it as written here. Or several of these: dated files
            of one sales report, and the ads reports to join to it.
        config: how to read ambiguous values.

    Returns:
        The cleaned history of every product in the file.

    Raises:
        DataError: no product can be used; lists every problem with the line of the seller's own file.
    """
    config = config or DataConfig()
    sources = list_sources(path)
    try:
        return _history_from_tables(open_tables(sources, config.query), config)
    except DataError as error:
        raise error.among(sources) from None


def history_from_text(text: str, source: str, config: DataConfig) -> History:
    """Check and clean the text of a seller's file as `read_history` does; errors and reports name its ``source``."""
    return _history_from_tables([split_rows(text.encode(), source)], config)


def _history_from_tables(tables: Sequence[TextTable], config: DataConfig) -> History:
    table, preset, ads = sort_reports(tables, config)
    parsed = _parse_table(table, config) if preset is None else read_export(table, preset, config)
    parsed = join_all_ads(parsed, ads, config)
    if preset is not None and preset.lists_sales_only and config.missing_days == "auto":
        config = replace(config, missing_days="zero")
    frame = parsed.frame
    lines = parsed.lines
    texts = parsed.cells
    blanked = _blank_zero_prices(frame)
    merged, alike = merge_products(frame, lines)
    problems = [*parsed.problems, *check_values(frame, texts, lines), *alike]
    problems += [] if alike else check_calendar(frame, lines, config.missing_days)
    problems += check_plausibility(frame, texts, lines, config)
    problems += check_currencies(texts, lines, parsed.names, table.header_line)
    notes = (*parsed.notes, *blanked, *merged)
    products = frame[columns.PRODUCT].astype(object).to_numpy()
    losses = Losses()
    if parsed.lost:
        losses = settle(parsed.lost, frame, summed=preset is not None)
        problems += losses.open
    every = {*problems, *losses.reported}
    skipped = set_aside(set(problems), lines, products.tolist(), config.strict) if problems else []
    usable = frame[~np.isin(products, [problem.product for problem in skipped or ()]) & losses.kept]
    if skipped is None or (config.strict and every) or not len(usable):
        refuse(table.source, every, table.files)
    aside = name_files(skipped, table.files)
    notes = (*losses.notes(), *notes)
    history = clean(usable, table.source, config, notes, aside, losses.days)
    found = sorted([*history.problems, *name_files(losses.reported, table.files)])
    currency = parsed.currency or find_currency(parsed.cells, parsed.names)
    history = replace(history, currency=currency, problems=tuple(found))
    named = columns.PRODUCT in parsed.cells or {*products} != {UNNAMED_PRODUCT}
    return history if named else replace(history, unnamed=True).renamed(name_after(table.source))


def _parse_table(table: TextTable, config: DataConfig) -> Parsed:
    header = table.header
    positions, ignored, problems = match_header(header, table.header_line, config.columns)
    cells = {name: table.frame.iloc[:, position] for name, position in positions.items()}
    frame, unreadable = _parse(cells, table.lines, table.separator, config)
    if columns.UNIT_COST not in cells and (place := find_vague_cost(header, positions.values())) is not None:
        vague = {columns.UNIT_COST: table.frame.iloc[:, place]}
        name = f"Column {header[place].strip()!r}"
        numbers, trouble = read_number_columns(vague, table.lines, config.decimal, table.separator)
        found = numbers[columns.UNIT_COST]
        if not trouble and (costs := unit_costs(found, frame)) is not None:
            frame[columns.UNIT_COST] = costs
            positions[columns.UNIT_COST] = place
            cells |= vague
            how = "" if costs is found else " after division by Units"
            others = (note for note in ignored if not note.startswith(f"{name} "))
            ignored = (*others, f"{name} was read as {columns.UNIT_COST}{how}.")
    too_many = check_share(table.ragged, len(table.lines), table.frame.shape[1], table.separator)
    problems = [*problems, *too_many, *unreadable]
    forms = () if config.date_format else note_forms(cells.get(columns.REPORT_DATE, ()))
    can_tell = columns.REPORT_DATE in positions and not too_many
    lost = _find_lost(table, positions, config) if can_tell else []
    names = {name: header[position] for name, position in positions.items()}
    return Parsed(frame, table.lines, [*table.notes, *ignored, *forms], problems, lost, cells, names)


def _find_lost(table: TextTable, positions: Mapping[str, int], config: DataConfig) -> list[LostRow]:
    if not table.ragged:
        return []
    names = [str(place) for place in range(table.frame.shape[1])]  # those in the file may repeat
    product = names[positions[columns.PRODUCT]] if columns.PRODUCT in positions else None
    dates = table.frame.iloc[:, positions[columns.REPORT_DATE]]
    date = names[positions[columns.REPORT_DATE]]
    like = days_like(dates, lambda texts: read_dates(texts, range(len(texts)), config.date_format)[0])
    return find_lost(table.ragged, names, table.separator, date, product, like)


def _parse(
    cells: Mapping[str, Cells], lines: Sequence[int], separator: str, config: DataConfig
) -> tuple[pd.DataFrame, list[Problem]]:
    """Parse text columns into dates and numbers."""
    texts = {name: cells[name] for name in columns.NUMERIC if name in cells}
    values, problems = read_number_columns(texts, lines, config.decimal, separator)
    frame = pd.DataFrame(values, index=pd.RangeIndex(len(lines)), copy=False)
    frame[columns.PRODUCT], blank = _read_products(cells.get(columns.PRODUCT), len(lines))
    problems += [Problem(lines[row], columns.PRODUCT, "is blank; every row needs a product") for row in blank]
    if columns.GROUP in cells:
        frame[columns.GROUP] = _read_groups(cells[columns.GROUP])
    for name in columns.FLAGS:
        if name in cells:
            frame[name], trouble = read_flags(name, cells[name], lines)
            problems += trouble
    if columns.REPORT_DATE in cells:
        days, trouble = read_dates(cells[columns.REPORT_DATE], lines, config.date_format)
        frame[columns.REPORT_DATE] = days.astype("datetime64[s]")
        problems += trouble
    return frame, problems


def _read_products(cells: Cells | None, num_rows: int) -> tuple[pd.Categorical[str], list[int]]:
    """Return the products of the rows, categories in their order of first appearance, and the rows without one."""
    if cells is None:
        return pd.Categorical.from_codes(np.zeros(num_rows, dtype=np.int64), categories=pd.Index([UNNAMED_PRODUCT])), []
    column = TextColumn(cells)
    stripped = [text.strip() for text in column.texts.to_pylist()]
    blank = np.array([is_blank(name) for name in stripped], dtype=bool)
    merged, names = pd.factorize(np.array(stripped, dtype=object))
    codes, order = pd.factorize(column.spread(merged))
    return pd.Categorical.from_codes(codes, categories=pd.Index(names[order].tolist())), [
        int(row) for row in column.rows(blank)
    ]


def _read_groups(cells: Cells) -> pd.Categorical[str]:
    """Return the groups of the rows, without one where the cell is blank."""
    column = TextColumn(cells)
    stripped = [text.strip() for text in column.texts.to_pylist()]
    codes, names = pd.factorize(np.array([None if is_blank(name) else name for name in stripped], dtype=object))
    return pd.Categorical.from_codes(column.spread(codes), categories=pd.Index(names))


def _blank_zero_prices(frame: pd.DataFrame) -> tuple[str, ...]:
    """Treat a price of 0 on a day without sales as blank; return a note if any exist."""
    if not {columns.PRODUCT_PRICE, columns.TOTAL_SALES} <= set(frame.columns):
        return ()
    price = frame[columns.PRODUCT_PRICE].to_numpy()
    sales = frame[columns.TOTAL_SALES].to_numpy()
    zero = (price == 0) & ~(sales > 0)
    frame[columns.PRODUCT_PRICE] = np.where(zero, np.nan, price)
    if columns.UNITS in frame.columns:
        frame[columns.UNITS] = np.where(sales < 0, np.nan, frame[columns.UNITS].to_numpy())
    return (f"Product Price is 0 on {zero.sum()} rows without sales; read as blank.",) if zero.any() else ()
