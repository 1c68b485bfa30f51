"""Reading, checking and cleaning of a seller's file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from pricerl.data.cleaning.rows import Rows
from pricerl.data.config import DataConfig
from pricerl.data.history import UNNAMED_PRODUCT, History
from pricerl.data.naming import Sources, list_sources, name_after
from pricerl.data.platforms.aggregation import aggregate
from pricerl.data.platforms.sales_reports import join_ads, sort_reports
from pricerl.data.reading import columns
from pricerl.data.reading.calendar_checks import check_calendar
from pricerl.data.reading.currencies import check_currencies, find_currency
from pricerl.data.reading.dates import find_order, read_dates
from pricerl.data.reading.header import find_vague_cost, match_header, unit_costs
from pricerl.data.reading.numbers import NO_NAMES, read_flags, read_groups, read_number_columns
from pricerl.data.reading.problems import Problem, name_files, refuse
from pricerl.data.reading.ragged_rows import check_share, find_lost, leave_out, settle
from pricerl.data.reading.sources.containers import open_tables
from pricerl.data.reading.sources.csv_file import split_rows
from pricerl.data.reading.sources.frames import Frame, read_frame
from pricerl.data.reading.tables import Cells, Parsed, TextColumn, TextTable
from pricerl.data.reading.value_checks import check_plausibility, check_values, merge_products
from pricerl.errors import DataError
from pricerl.formatting import plural


def read_history(path: Sources | Frame, config: DataConfig | None = None) -> History:
    """Read, check and clean a seller's file.

    >>> history = pricerl.read_history("sales.csv")
    >>> [(item.product, len(item.dates)) for item in history.products]
    [('sales', 90)]

    Args:
        path: file (CSV, Excel, Parquet or JSON lines, compressed or not), folder or pattern of dated files, ``-`` for
            standard input, or URL of a database; errors name it as written here. Or several of these: dated files
            of one sales report, and the ads reports to join to it. Or a frame with the same columns.
        config: how to read ambiguous values.

    Returns:
        The cleaned history of every product in the file.

    Raises:
        DataError: no product can be used; lists every problem with the line of the seller's own file.
    """
    try:
        return read_rows(path, config).clean()
    except DataError as error:
        raise error if isinstance(path, Frame) else error.among(list_sources(path)) from None


def read_rows(path: Sources | Frame, config: DataConfig | None = None) -> Rows:
    """Read and check a seller's file as `read_history` does, without laying its rows on a calendar."""
    config = config or DataConfig()
    if isinstance(path, Frame):
        config = replace(config, decimal="." if config.decimal == "auto" else config.decimal)
        return _rows_of([read_frame(path, "frame")], config)
    sources = list_sources(path)
    try:
        return _rows_of(open_tables(sources, config.query), config)
    except DataError as error:
        raise error.among(sources) from None


def history_from_text(text: str, source: str, config: DataConfig) -> History:
    """Check and clean the text of a seller's file as `read_history` does; errors and reports name its ``source``."""
    return _rows_of([split_rows(text.encode(), source)], config).clean()


def _rows_of(tables: Sequence[TextTable], config: DataConfig) -> Rows:
    table, preset, ads = sort_reports(tables, config)
    if preset is None:
        parsed = _parse_table(table, config)
        config = replace(config, date_order=find_order(parsed.cells.get(columns.REPORT_DATE), config.date_order))
    else:
        parsed = aggregate(preset, table, config, preset.product)
        lists_sales = preset.lists_sales_only and config.missing_days == "auto"
        config = replace(config, sales="revenue", missing_days="zero" if lists_sales else config.missing_days)
    for report, joined in ads if not parsed.problems else ():
        parsed = join_ads(parsed, report, joined, config)
    blanked = _blank_zero_prices(parsed.frame)
    merged, alike = merge_products(parsed)
    kept, unknown_days, lost, unclear = settle(parsed, summed=preset is not None)
    problems = {
        *parsed.problems,
        *alike,
        *check_values(parsed),
        *check_plausibility(parsed, config),
        *(() if alike else check_calendar(parsed, config.missing_days)),
        *check_currencies(parsed.cells, parsed.lines, parsed.names, table.header_line),
        *unclear,
    }
    every = {*problems, *lost, *table.unread}
    products = parsed.frame[columns.PRODUCT]
    skipped = _set_aside(problems, parsed.lines, products) if problems else []
    used = kept & ~products.isin([problem.product for problem in skipped or ()]).to_numpy()
    usable = parsed.frame if used.all() else parsed.frame[used]
    if skipped is None or (config.strict and every) or not len(usable):
        refuse(table.source, every, table.files)
    ragged = (
        f"Wrong number of cells or no product: {plural(len(lost), 'row')}, whose day counts as unknown. "
        "check FILE lists them."
    )
    found = Rows(
        source=table.source,
        frame=usable,
        config=config,
        notes=(*([ragged] if lost else ()), *parsed.notes, *blanked, *merged),
        skipped=tuple(name_files(skipped, table.files)),
        lost=unknown_days,
        problems=tuple(name_files({*lost, *table.unread}, table.files)),
        orders=parsed.orders,
        currency=parsed.currency or find_currency(parsed.cells, parsed.names),
        far_above=None if preset is None else preset.far_above,
        unnamed=columns.PRODUCT not in parsed.cells and list(products.cat.categories) == [UNNAMED_PRODUCT],
    )
    return found.renamed({UNNAMED_PRODUCT: name_after(table.source)}) if found.unnamed else found


def _set_aside(problems: Iterable[Problem], lines: Sequence[int], products: pd.Series) -> list[Problem] | None:
    """Return the problems with the product of each if skipping these solves them and leaves others, otherwise None."""
    wanted = {item.line for item in problems}
    owners = {line: str(name) for line, name in zip(lines, products, strict=True) if line in wanted}
    named = [item._replace(product=item.product or owners.get(item.line, "")) for item in problems]
    others = set(products.unique()) - {item.product for item in named}
    return sorted(named) if others and all(item.product and not item.everywhere for item in named) else None


def _parse_table(table: TextTable, config: DataConfig) -> Parsed:
    header = table.header
    positions, ignored, problems = match_header(header, table.header_line, config.columns)
    date, product = (positions.get(name) for name in (columns.REPORT_DATE, columns.PRODUCT))
    table, sums = (table, []) if date is None else leave_out(table, date, product)
    cells = {name: table.frame.iloc[:, position] for name, position in positions.items()}
    frame, unreadable = _parse(cells, table.lines, table.separator, config)
    if columns.UNIT_COST not in cells and (place := find_vague_cost(header, positions.values())) is not None:
        vague = {columns.UNIT_COST: table.frame.iloc[:, place]}
        numbers, trouble = read_number_columns(vague, table.lines, config.decimal, table.separator)
        if not trouble and (costs := unit_costs(numbers[columns.UNIT_COST], frame)) is not None:
            frame[columns.UNIT_COST] = costs
            positions[columns.UNIT_COST] = place
            cells |= vague
            name = f"Column {header[place].strip()!r} "
            how = "" if costs is numbers[columns.UNIT_COST] else " after division by Units"
            ignored = [
                *(note for note in ignored if not note.startswith(name)),
                f"{name}was read as {columns.UNIT_COST}{how}.",
            ]
    too_many = check_share(table)
    find_days = partial(read_dates, date_format=config.date_format, usual=config.date_order)
    return Parsed(
        frame,
        table.lines,
        [*sums, *table.notes, *ignored],
        [*problems, *too_many, *unreadable],
        [] if date is None or too_many else find_lost(table, date, product, cells[columns.REPORT_DATE], find_days),
        cells,
        {name: header[position] for name, position in positions.items()},
        table.frame,
    )


def _parse(
    cells: Mapping[str, Cells], lines: Sequence[int], separator: str, config: DataConfig
) -> tuple[pd.DataFrame, list[Problem]]:
    """Parse text columns into dates and numbers."""
    values, problems = read_number_columns(
        {name: cells[name] for name in columns.NUMERIC if name in cells}, lines, config.decimal, separator
    )
    frame = pd.DataFrame(values, index=pd.RangeIndex(len(lines)), copy=False)
    column = TextColumn(cells.get(columns.PRODUCT, [UNNAMED_PRODUCT] * len(lines)))
    stripped = [text.strip() for text in column.texts.to_pylist()]
    merged, names = pd.factorize(np.array(stripped, dtype=object))
    codes, order = pd.factorize(column.spread(merged))  # categories in their order of first appearance
    frame[columns.PRODUCT] = pd.Categorical.from_codes(codes, categories=pd.Index(names[order].tolist()))
    blank = column.rows(np.array([name in NO_NAMES for name in stripped], dtype=bool))
    problems += [Problem(lines[row], columns.PRODUCT, "is blank; every row needs a product") for row in blank]
    if columns.GROUP in cells:
        frame[columns.GROUP] = read_groups(cells[columns.GROUP])
    readers: dict[str, Callable[..., tuple[Any, list[Problem]]]] = {
        **{name: partial(read_flags, name) for name in columns.FLAGS},
        columns.REPORT_DATE: partial(read_dates, date_format=config.date_format, usual=config.date_order),
    }
    for name, read in readers.items():
        if name in cells:
            frame[name], trouble = read(cells[name], lines)
            problems += trouble
    return frame, problems


def _blank_zero_prices(frame: pd.DataFrame) -> tuple[str, ...]:
    """Treat a price of 0 on a day without sales as blank; return a note if any exist."""
    if not {columns.PRODUCT_PRICE, columns.TOTAL_SALES} <= set(frame.columns):
        return ()
    sales = frame[columns.TOTAL_SALES]
    zero = (frame[columns.PRODUCT_PRICE] == 0) & ~(sales > 0)
    frame[columns.PRODUCT_PRICE] = frame[columns.PRODUCT_PRICE].mask(zero)
    if columns.UNITS in frame.columns:
        frame[columns.UNITS] = frame[columns.UNITS].mask(sales < 0)
    return (f"Product Price is 0 on {zero.sum()} rows without sales; read as blank.",) if zero.any() else ()
