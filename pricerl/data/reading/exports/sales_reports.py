"""Files of a seller by kind: one sales report, and the ads reports that are joined to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, NoReturn

import numpy as np
import pandas as pd

from pricerl.data.config import DataConfig
from pricerl.data.history import UNNAMED_PRODUCT
from pricerl.data.reading import columns
from pricerl.data.reading.exports.export_sums import Parsed, choose_preset, sum_up
from pricerl.data.reading.exports.preset_fields import Preset
from pricerl.data.reading.exports.preset_files import AUTO, NONE, find_missing, locate, own_presets
from pricerl.data.reading.header import match_header
from pricerl.data.reading.problems import Problem, list_names, refuse
from pricerl.data.reading.sources.containers import join_files
from pricerl.data.reading.sources.csv_file import TextTable
from pricerl.formatting import plural


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
        preset = choose_preset(table, setting)
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
    ads = [preset for preset in own_presets() if preset.kind == "ads"]
    near = max(ads, key=lambda preset: len(locate(preset, table.header)))
    missing = ", ".join(map(repr, find_missing(near, table.header)))
    lack = f"of {near.title}, which could be joined, it lacks {missing}"
    text = f"joins nothing: it is neither a sales report nor one of ads; {lack} (docs/presets.md lists the reports)"
    refuse(table.source, [Problem(0, "", text)])


def _has_sales(table: TextTable, config: DataConfig) -> bool:
    """Return whether a table has the columns of a history."""
    positions, _, _ = match_header(table.header, table.header_line, config.columns)
    return set(columns.REQUIRED) <= set(positions)


def read_export(table: TextTable, preset: Preset, config: DataConfig) -> Parsed:
    """Read a sales report.

    Raises:
        DataError: the export cannot be used.
    """
    export = sum_up(preset, table, config)
    return replace(export, frame=export.frame.drop(columns=list(preset.sums)))


def join_all_ads(parsed: Parsed, ads: Sequence[tuple[TextTable, Preset]], config: DataConfig) -> Parsed:
    """Join ads reports to the columns of a history without problems.

    Raises:
        DataError: an ads report cannot be used.
    """
    for table, preset in ads if not parsed.problems else ():
        parsed = _join_ads(parsed, table, preset, config)
    return parsed


def _join_ads(parsed: Parsed, table: TextTable, preset: Preset, config: DataConfig) -> Parsed:
    """Add the columns of an ads report to those of a history, by product and day; NaN on days without ads.

    Args:
        parsed: columns of a history, by product and day.
        table: the ads report as text.
        preset: how to read the ads report.
        config: decimal sign, date format and time zone.

    Raises:
        DataError: the ads report cannot be used, or is about other products or days.
    """
    frame = parsed.frame
    if twice := sorted(set(preset.columns) & set(frame.columns)):
        _refuse_ads(table, f"{preset.title}: the sales report has a column {twice[0]!r} already")
    known = set(frame[columns.PRODUCT].cat.categories)
    candidates = [()] if known == {UNNAMED_PRODUCT} else [(name,) for name in preset.product]
    keys = [columns.PRODUCT, columns.REPORT_DATE]
    present = set(locate(preset, table.header))
    reports = [sum_up(preset, table, config, names) for names in candidates if set(names) <= present]
    shared = [len(known & set(report.frame[columns.PRODUCT].cat.categories)) for report in reports]
    if not any(shared):
        named = " or ".join(map(repr, preset.product))
        theirs = list_names(name for report in reports for name in report.frame[columns.PRODUCT].cat.categories)
        ours = list_names(frame[columns.PRODUCT].cat.categories)
        text = f"no {named} is a product of the sales report: it names {theirs}, the sales report {ours}"
        _refuse_ads(table, f"{preset.title}: {text}")
    ads = reports[int(np.argmax(shared))]
    if ads.lost:
        remedy = "check quotes and separators"
        refuse(table.source, [Problem(row.line, "", f"{row.finding}; {remedy}") for row in ads.lost], table.files)
    added = ads.frame[[*keys, *preset.columns]].astype({columns.PRODUCT: object})
    joined = frame.astype({columns.PRODUCT: object}).merge(added, on=keys, how="left", indicator=True)
    matched = int((joined.pop("_merge") == "both").sum())
    if not matched:
        theirs, ours = (_name_days(part[columns.REPORT_DATE]) for part in (ads.frame, frame))
        text = f"no day of a product is in both reports: it has {theirs}, the sales report {ours}"
        _refuse_ads(table, f"{preset.title}: {text}")
    cost = f", ad cost {ads.frame['cost'].sum():,.2f}" if "cost" in ads.frame else ""
    note = f"Joined {preset.title} (preset {preset.name}) on {matched:,} of {plural(len(frame), 'row')}{cost}."
    joined[columns.PRODUCT] = frame[columns.PRODUCT].array
    return replace(parsed, frame=joined, notes=[*parsed.notes, note, *ads.notes[1:]])


def _refuse_ads(table: TextTable, text: str) -> NoReturn:
    refuse(table.source, [Problem(0, "", text)], table.files)


def _name_days(dates: pd.Series) -> str:
    return f"{dates.min():%Y-%m-%d} to {dates.max():%Y-%m-%d}"
