"""Files of a seller by kind: one sales report, and the ads reports that are joined to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pandas as pd

from pricerl.arrays import grouped
from pricerl.data.config import DataConfig
from pricerl.data.history import UNNAMED_PRODUCT
from pricerl.data.platforms import presets
from pricerl.data.platforms.aggregation import aggregate
from pricerl.data.platforms.presets import Preset
from pricerl.data.reading import columns
from pricerl.data.reading.columns import fold
from pricerl.data.reading.header import has_required
from pricerl.data.reading.problems import Problem, list_names, refuse
from pricerl.data.reading.sources.containers import join_files
from pricerl.data.reading.tables import Parsed, TextTable, as_categorical
from pricerl.formatting import plural

LEAST_PART = 0.75
LEAST_COLUMNS = 4
"""Smallest share and number of a preset's columns in a header that looks like its export."""

Report = tuple[TextTable, Preset]


def sort_reports(tables: Sequence[TextTable], config: DataConfig) -> tuple[TextTable, Preset | None, list[Report]]:
    """Return the one sales report, its preset or None for a history's columns, and the ads reports to join to it.

    Raises:
        UsageError: the setting names no valid preset.
        DataError: the tables are not one sales report and its ads reports.
    """
    setting = presets.NONE if config.preset == presets.AUTO and config.columns else config.preset
    chosen = [(choose_preset(table, setting), table) for table in tables]
    parts = grouped((preset.name if preset else "", (preset, table)) for preset, table in chosen)
    reports = [(_join([table for _, table in part]), part[0][0]) for part in parts.values()]
    ads = [(table, preset) for table, preset in reports if preset is not None and preset.kind == "ads"]
    sales = [(table, preset) for table, preset in reports if preset is None or preset.kind != "ads"]
    if not sales:
        refuse(
            ads[0][0].source,
            [
                f"{ads[0][1].title}, has no sales; name it together with a sales report of the same products and days",
            ],
        )
    if len(sales) > 1:
        refuse(
            sales[1][0].source,
            [
                f"is neither of the same report as {sales[0][0].source} nor a report of ads (docs/presets.md lists "
                "them); read one sales report at a time"
            ],
        )
    return *sales[0], ads


def _join(tables: Sequence[TextTable]) -> TextTable:
    """Return the tables of one report as one; a file that is named twice counts once."""
    files = {table.source: table for table in tables}
    return join_files(tables[0].source, files) if len(files) > 1 else tables[-1]


def choose_preset(table: TextTable, setting: str) -> Preset | None:
    """Return the preset for a table; None for a history's own columns, or unknown ones.

    Raises:
        UsageError: the setting names no valid preset.
        DataError: the preset's columns are not in the file, or only nearly all of them.
    """
    header = table.header
    if setting == presets.NONE or (
        setting == presets.AUTO and set(map(fold, columns.REQUIRED)) <= set(map(fold, header))
    ):
        return None
    known = presets.recognise(header)
    if setting == presets.AUTO:
        if known is None and not has_required(header):
            _refuse_part(table)
        return known or _find_order_lines(table)
    preset = presets.find_preset(setting)
    missing = presets.find_missing(preset, header)
    if missing and (known is None or known.kind != "ads"):
        refuse(
            table.source,
            [f"preset {preset.name} needs column {missing[0]!r}; the header has: {', '.join(header[:12])}"],
        )
    return known if missing else preset


def _find_order_lines(table: TextTable) -> Preset | None:
    """Return the preset of order lines if a table holds them; None for a table of days, or of anything else.

    Where the columns of a history have other names too, only numbered or timed rows that share days are order lines.
    """
    preset = presets.find_preset(presets.ORDER_LINES)
    header = table.header
    found = presets.find_order_lines(header)
    if not found:
        return None
    product = next(found[name] for name in preset.product if name in found)
    dates, names = (as_categorical(table.frame.iloc[:, header.index(cell)]) for cell in (found["Date"], product))
    days, _ = pd.factorize(np.array([re.split("[ T]", text.strip())[0] for text in dates.categories], dtype=object))
    shared = pd.DataFrame({"product": names.codes, "day": days[dates.codes]}).duplicated().any()
    marked = {*map(fold, preset.names["Order"])} & {*map(fold, header)} or any(":" in text for text in dates.categories)
    if has_required(header) and not (shared and marked):
        return None
    return preset if shared else msgspec.structs.replace(preset, lists_sales_only=False)


def _refuse_part(table: TextTable) -> None:
    """Raise a ``DataError`` if a header has nearly all columns of a preset, such as one with columns removed."""
    near = [
        (missing, preset)
        for preset in presets.own_presets()
        for missing in [presets.find_missing(preset, table.header)]
        if len(preset.header) - len(missing) >= max(LEAST_PART * len(preset.header), LEAST_COLUMNS)
    ]
    if near:
        missing, best = min(near, key=lambda part: len(part[0]))
        refuse(
            table.source,
            [
                f"looks like {best.title}, but has no column {' and '.join(map(repr, missing))}; download it with all "
                f"columns: {best.download}"
            ],
        )


def join_ads(parsed: Parsed, table: TextTable, preset: Preset, config: DataConfig) -> Parsed:
    """Add the columns of an ads report by product and day, NaN elsewhere; raise a ``DataError`` if none is shared."""
    frame = parsed.frame
    if twice := sorted(set(preset.columns) & set(frame.columns)):
        refuse(table.source, [f"{preset.title}: the sales report has a column {twice[0]!r} already"], table.files)
    known = set(frame[columns.PRODUCT].cat.categories)
    present = presets.locate(preset, table.header)
    named: list[tuple[str, ...]] = [(name,) for name in preset.product if name in present]
    candidates = [()] if known == {UNNAMED_PRODUCT} else named or [preset.product]
    ads = max(
        (aggregate(preset, table, config, names) for names in candidates),
        key=lambda report: len(known & set(report.frame[columns.PRODUCT].cat.categories)),
    )
    if ads.lost:
        refuse(table.source, [Problem(row.line, "", f"{row.finding}; {row.remedy}") for row in ads.lost], table.files)
    keys = [columns.PRODUCT, columns.REPORT_DATE]
    joined = frame.merge(ads.frame[[*keys, *preset.columns]], on=keys, how="left", indicator=True)
    matched = int((joined.pop("_merge") == "both").sum())
    if not matched:
        refuse(
            table.source,
            [
                f"{preset.title}: no product and day are in both reports: it has {_describe_rows(ads.frame)}, the "
                f"sales report {_describe_rows(frame)}"
            ],
            table.files,
        )
    cost = f", ad cost {ads.frame['cost'].sum():,.2f}" if "cost" in ads.frame else ""
    note = f"Joined {preset.title} (preset {preset.name}) on {matched:,} of {plural(len(frame), 'row')}{cost}."
    joined[columns.PRODUCT] = frame[columns.PRODUCT].array
    return replace(parsed, frame=joined, notes=[*parsed.notes, note, *ads.notes[1:]])


def _describe_rows(frame: pd.DataFrame) -> str:
    days = frame[columns.REPORT_DATE]
    return f"{list_names(frame[columns.PRODUCT].cat.categories)} from {days.min():%F} to {days.max():%F}"
