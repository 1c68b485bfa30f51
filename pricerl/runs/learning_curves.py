"""Learning curves: the metrics of a training as one picture."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from pricerl.errors import UsageError, import_extra
from pricerl.writing import explained

COLUMNS = 4
"""Panels in a row."""


def read_panels(metrics: Path) -> tuple[dict[str, list[str]], list[dict[str, str]]]:
    """Return the columns of each panel by its title, and the rows of ``metrics.csv``, or raise a UsageError."""
    rows = list(csv.DictReader(metrics.read_text(encoding="utf-8").splitlines() if metrics.exists() else ()))
    panels: dict[str, list[str]] = defaultdict(list)
    for name in sorted(rows[0] if rows else ()):
        if "/" in name and any(row[name] for row in rows):
            panels[name.partition("/")[2].replace("_", " ")].append(name)
    if not panels:
        raise UsageError(f"{metrics} is missing or has no numbers; train with fit, or wait for the first evaluation")
    return dict(sorted(panels.items())), rows


def draw_curves(metrics: Path, picture: Path) -> None:
    """Draw ``metrics.csv`` over the updates, a panel per metric with training and evaluation, or raise a UsageError."""
    drawing = import_extra("matplotlib.figure", 'curves needs matplotlib: pip install -e ".[plots]"')
    panels, rows = read_panels(metrics)
    height = -(-len(panels) // COLUMNS)
    figure = drawing.Figure(figsize=(3.4 * COLUMNS, 2.2 * height), layout="constrained")  # inches
    for at, (title, names) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(height, COLUMNS, at, title=title, xlabel="updates")
        for name in names:
            points = [(int(row["step"]), float(row[name])) for row in rows if row[name]]
            axes.plot(*zip(*points, strict=True), ".-", label=name.partition("/")[0])
        if len(names) > 1:
            axes.legend()
    with explained(picture):
        figure.savefig(picture)
