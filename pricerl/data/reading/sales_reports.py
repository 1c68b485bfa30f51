"""Histories from exports: sums per product and day as the columns of a history, with those of ads reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from pricerl.data.config import DataConfig
from pricerl.data.history import UNNAMED_PRODUCT
from pricerl.data.reading import columns
from pricerl.data.reading.csv_file import TextTable
from pricerl.data.reading.dated_files import join_files
from pricerl.data.reading.preset_fields import Preset
from pricerl.data.reading.preset_files import AUTO, NONE, locate, own_presets
from pricerl.data.reading.presets import DECIMALS, Export, ExportError, choose_preset, sum_up
from pricerl.data.reading.problems import Problem, list_names, refuse
from pricerl.data.reading.ragged_rows import LostRow
from pricerl.data.reading.texts import Cells
from pricerl.formatting import plural


@dataclass(frozen=True, eq=False)
class Parsed:
    """Columns of a history as numbers and dates, before they are judged."""

    frame: pd.DataFrame
    """Canonical columns."""

    lines: Sequence[int]
    """``(N,)`` line of each row in the seller's file."""

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

    def texts(self) -> Mapping[str, Cells]:
        """Return the columns as texts, computed ones as Python writes their values."""
        return _Written(self.cells, self.frame)


class _Written(dict[str, Cells]):
    def __init__(self, cells: Mapping[str, Cells], frame: pd.DataFrame) -> None:
        super().__init__(cells)
        self._frame = frame

    def __missing__(self, name: str) -> Cells:
        return [str(value) for value in self._frame[name].tolist()]


class Reports(NamedTuple):
    """The seller's files by kind."""

    sales: TextTable
    """Table of the sales."""

    preset: Preset | None
    """How to read it; None for the columns of a history."""

    ads: list[tuple[TextTable, Preset]]
    """Ads reports to join to it."""


def sort_reports(tables: Sequence[TextTable], config: DataConfig) -> Reports:
    """Return the one sales report among tables, and the ads reports; dated files of one report are joined.

    Raises:
        UsageError: the setting names no valid preset.
        DataError: the tables are not one sales report and its ads reports.
    """
    setting = NONE if config.preset == AUTO and config.columns else config.preset
    presets: dict[str, Preset | None] = {}
    parts: dict[str, dict[str, TextTable]] = {}
    for table in tables:
        try:
            preset = choose_preset(_header(table), setting)
        except ExportError as error:
            refuse(table.source, error.problems)
        name = preset.name if preset else ""
        presets[name] = preset
        parts.setdefault(name, {})[table.source] = table
    _refuse_strangers(parts, presets, config)
    reports = [
        (next(iter(files.values())) if len(files) == 1 else join_files(next(iter(files)), files), presets[name])
        for name, files in parts.items()
    ]
    ads = [(table, preset) for table, preset in reports if preset is not None and preset.kind == "ads"]
    sales = [(table, preset) for table, preset in reports if preset is None or preset.kind != "ads"]
    if not sales:
        text = f"{ads[0][1].title}, has no sales; name it together with a sales report of the same products and days"
        refuse(ads[0][0].source, [Problem(0, "", text)])
    if len(sales) > 1:
        text = f"is a second sales report next to {sales[0][0].source}; read one at a time"
        refuse(sales[1][0].source, [Problem(0, "", text)])
    return Reports(*sales[0], ads)


def _refuse_strangers(
    parts: Mapping[str, Mapping[str, TextTable]], presets: Mapping[str, Preset | None], config: DataConfig
) -> None:
    """Refuse a file whose columns are those of no report, next to one with sales.

    Args:
        parts: tables by preset and file; those without a preset under an empty name.
        presets: presets by name.
        config: names of columns.

    Raises:
        DataError: there is such a file; the message names the columns that it lacks.
    """
    unnamed = parts.get("", {})
    strangers = [table for table in unnamed.values() if not _has_sales(table, config)]
    has_sales = len(strangers) < len(unnamed) or any(preset and preset.kind == "sales" for preset in presets.values())
    if not strangers or not has_sales:
        return  # the reader says which columns of the only candidate are missing
    table = strangers[0]
    header = _header(table)
    near = max((preset for preset in own_presets() if preset.kind == "ads"), key=lambda it: len(locate(it, header)))
    missing = [name for name in near.header if name not in locate(near, header)]
    lack = f"of {near.title}, which could be joined, it lacks {', '.join(map(repr, missing))}"
    text = f"joins nothing: it is neither a sales report nor one of ads; {lack} (docs/presets.md lists the reports)"
    refuse(table.source, [Problem(0, "", text)])


def _header(table: TextTable) -> tuple[str, ...]:
    return tuple(map(str, table.frame.columns))


def _has_sales(table: TextTable, config: DataConfig) -> bool:
    """Return whether a table has the columns of a history."""
    positions, _, _ = columns.match_header(_header(table), table.header_line, config.columns)
    return set(columns.REQUIRED) <= set(positions)


def read_export(table: TextTable, preset: Preset, config: DataConfig) -> Parsed:
    """Read a sales report.

    Raises:
        DataError: the export cannot be used.
    """
    try:
        export = sum_up(preset, table, config)
    except ExportError as error:
        refuse(table.source, error.problems, table.files)
    frame = to_history_columns(export)
    return Parsed(frame, export.lines.data, export.notes, lost=export.lost, currency=export.currency)


def join_all_ads(parsed: Parsed, ads: Sequence[tuple[TextTable, Preset]], config: DataConfig) -> Parsed:
    """Join ads reports to the columns of a history without problems.

    Raises:
        DataError: an ads report cannot be used.
    """
    for table, preset in ads if not parsed.problems else ():
        try:
            frame, notes = join_ads(parsed.frame, table, preset, config)
        except ExportError as error:
            refuse(table.source, error.problems, table.files)
        parsed = replace(parsed, frame=frame, notes=[*parsed.notes, *notes])
    return parsed


def to_history_columns(export: Export) -> pd.DataFrame:
    """Return the columns of a history ``(R,)`` from the sums of an export."""
    sums = {name: export.frame[name].to_numpy() for name in export.preset.sums}
    frame = export.frame[[columns.PRODUCT, columns.REPORT_DATE]].copy()
    for name, expression in export.preset.derived().items():
        frame[name] = np.round(expression(sums), DECIMALS)
    if columns.PRODUCT_PRICE in frame:
        price = frame[columns.PRODUCT_PRICE]
        frame[columns.PRODUCT_PRICE] = price.where(price > 0)  # days of returns or gifts only have no price
    return frame


def join_ads(
    frame: pd.DataFrame, table: TextTable, preset: Preset, config: DataConfig
) -> tuple[pd.DataFrame, list[str]]:
    """Add the columns of an ads report to those of a history, by product and day.

    Args:
        frame: columns of a history, by product and day.
        table: the ads report as text.
        preset: how to read the ads report.
        config: decimal sign, date format and time zone.

    Returns:
        The frame with the new columns, NaN on days without ads; and notes.

    Raises:
        ExportError: the ads report cannot be used, or is about other products or days.
    """
    if twice := sorted(set(preset.columns) & set(frame.columns)):
        raise ExportError(Problem(0, "", f"{preset.title}: the sales report has a column {twice[0]!r} already"))
    known = set(frame[columns.PRODUCT].cat.categories)
    whole = known == {UNNAMED_PRODUCT}
    candidates = [()] if whole else [(name,) for name in preset.product]
    keys = (columns.PRODUCT, columns.REPORT_DATE)
    ads = [sum_up(preset, table, config, names) for names in candidates if _has_all(preset, table, names)]
    shared = [len(known & set(export.frame[columns.PRODUCT].cat.categories)) for export in ads]
    if not any(shared):
        named = " or ".join(map(repr, preset.product))
        theirs = list_names(name for export in ads for name in export.frame[columns.PRODUCT].cat.categories)
        ours = list_names(frame[columns.PRODUCT].cat.categories)
        text = f"no {named} is a product of the sales report: it names {theirs}, the sales report {ours}"
        raise ExportError(Problem(0, "", f"{preset.title}: {text}"))
    export = ads[int(np.argmax(shared))]
    if export.lost:
        remedy = "check quotes and separators"
        raise ExportError(*(Problem(row.line, "", f"{row.finding}; {remedy}") for row in export.lost))
    added = to_history_columns(export).astype({columns.PRODUCT: object})
    joined = frame.astype({columns.PRODUCT: object}).merge(added, on=list(keys), how="left", indicator=True)
    matched = int((joined.pop("_merge") == "both").sum())
    if not matched:
        theirs, ours = (_name_days(part[columns.REPORT_DATE]) for part in (export.frame, frame))
        text = f"no day of a product is in both reports: it has {theirs}, the sales report {ours}"
        raise ExportError(Problem(0, "", f"{preset.title}: {text}"))
    cost = f", ad cost {export.frame['cost'].sum():,.2f}" if "cost" in export.frame else ""
    note = f"Joined {preset.title} (preset {preset.name}) on {matched:,} of {plural(len(frame), 'row')}{cost}."
    joined[columns.PRODUCT] = frame[columns.PRODUCT].array
    return joined, [note, *export.notes[1:]]


def _has_all(preset: Preset, table: TextTable, names: Sequence[str]) -> bool:
    return set(names) <= set(locate(preset, _header(table)))


def _name_days(dates: pd.Series) -> str:
    return f"{dates.min():%Y-%m-%d} to {dates.max():%Y-%m-%d}"
