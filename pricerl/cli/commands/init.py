"""Command ``init``: files of limits and costs to edit."""

from __future__ import annotations

import argparse
from pathlib import Path

from pricerl.advice.exports import DOCUMENT
from pricerl.cli.usage import READING, Options, config_of, settings_of, takes
from pricerl.data.config import DataConfig
from pricerl.data.naming import COSTS_FILE
from pricerl.data.reading.reader import read_history
from pricerl.data.row_table import TABLES
from pricerl.errors import refuse
from pricerl.operations.shop import Shop
from pricerl.runs.names import find_run, runs_with
from pricerl.tasks.configs import SHIPPED
from pricerl.terminal import write_lines
from pricerl.writing import write_text

GUARDRAILS = "guardrails.yaml"

USES = {
    GUARDRAILS: ("holds the limits on prices. Edit it", "--config"),
    COSTS_FILE: ("lists your products. Fill in what a unit costs you", "--costs"),
}
"""Use of each file, and the option that reads it."""
KEPT = "exists and stays as it is; use it with"

OPTIONS: Options = {
    "files": {"nargs": "*", "metavar": "FILE", "help": "the seller's file, whose products costs.csv lists"},
    "--run_name": {"help": "run whose products it lists instead; the only one if absent"},
}


@takes("init", OPTIONS, settings_of(DataConfig, *READING), mixed=True)
def init(options: argparse.Namespace) -> None:
    """Write guardrails.yaml, the limits on prices, and costs.csv, for the costs of the products, into this folder."""
    products = _products(options)
    texts = {
        GUARDRAILS: (SHIPPED / GUARDRAILS).read_text(encoding="utf-8"),
        **({COSTS_FILE: TABLES["costs"].template(products)} if products else {}),
    }
    new = {name: text for name, text in texts.items() if not (Path(name).exists() or Path(name).is_symlink())}
    lines = [
        f"{name} {f'{about}, then: pricerl advise FILE' if name in new else KEPT} {option} {name}"
        for name, (about, option) in USES.items()
        if name in texts
    ]
    refuse({"; ".join(lines): not new})
    for name, text in new.items():
        write_text(Path(name), text)
    write_lines(lines)


def _products(options: argparse.Namespace) -> dict[str, float | None]:
    """Return the products of the named files, or of the newest advice of a run, with known unit costs."""
    if options.files:
        found = read_history(options.files, config_of(options, DataConfig)).products
        return {item.product: item.unit_cost for item in found}
    runs = runs_with(DOCUMENT) if options.run_name is None else [find_run(options.run_name, DOCUMENT)]
    return dict.fromkeys(Shop.read(runs[0]).newest) if len(runs) == 1 else {}
