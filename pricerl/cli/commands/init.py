"""Command ``init``: files of limits and costs to edit."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pricerl.advice.exports import DOCUMENT
from pricerl.advice.files import read_advice
from pricerl.cli.imports import SHIPPED
from pricerl.cli.reading_options import add_reading, reading_of
from pricerl.cli.usage import Parser
from pricerl.data.naming import COSTS_FILE
from pricerl.data.reading.reader import read_history
from pricerl.data.row_table import TABLES
from pricerl.errors import EXIT_OK, UsageError
from pricerl.guardrails.price_grid import usual_endings
from pricerl.runs.names import find_run, runs_with
from pricerl.terminal import write_lines
from pricerl.writing import write_text

GUARDRAILS = "guardrails.yaml"


def init(words: Sequence[str]) -> int:
    """Write guardrails.yaml, the limits on prices, and costs.csv, for the costs of the products, into this folder."""
    parser = Parser(prog="pricerl init", description=init.__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help="the seller's file, whose products costs.csv lists")
    parser.add_argument("--run_name", help="run whose products it lists instead; the only one if absent")
    add_reading(parser)
    products, endings = _products(parser.parse_intermixed_args(words))
    texts = {GUARDRAILS: (SHIPPED / GUARDRAILS).read_text(encoding="utf-8")}
    uses = {GUARDRAILS: "holds the limits on prices. Edit it, then: pricerl advise FILE --config"}
    if endings:
        offer = f"charm_endings: null  # most of your prices end in {list(endings)}: write that here to keep to it"
        texts[GUARDRAILS] = texts[GUARDRAILS].replace("charm_endings: null", offer)
    if products:
        texts[COSTS_FILE] = TABLES["costs"].template(products)
        uses[COSTS_FILE] = "lists your products. Fill in what a unit costs you, then: pricerl advise FILE --costs"
    written = []
    kept = []
    for name, text in texts.items():
        if Path(name).exists() or Path(name).is_symlink():
            option = uses[name].split()[-1]
            kept.append(f"{name} exists and stays as it is; use it with {option} {name}, or rename it")
        else:
            write_text(Path(name), text)
            written.append(f"{name} {uses[name]} {name}")
    if not written:
        raise UsageError("; ".join(kept))
    write_lines([*kept, *written])
    return EXIT_OK


def _products(options: argparse.Namespace) -> tuple[dict[str, float | None], tuple[float, ...]]:
    """Return the products of the named files, or of the newest advice of a run, with known unit costs and endings."""
    if options.files:
        found = read_history(options.files, reading_of(options)).products
        prices = [price for item in found for price in item.price[item.observed]]
        return {item.product: item.unit_cost for item in found}, usual_endings(prices)

    runs = runs_with(DOCUMENT) if options.run_name is None else [find_run(options.run_name, DOCUMENT)]
    advice = read_advice(runs[0].path) if len(runs) == 1 else None
    return ({} if advice is None else {item["product"]: None for item in advice["products"]}), ()
