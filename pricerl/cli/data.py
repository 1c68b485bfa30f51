"""Commands about files: ``check`` prints the content of a history, ``simulate`` writes one with known demand."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pricerl.cli.configs import SHIPPED
from pricerl.cli.usage import Parser, add_files
from pricerl.errors import EXIT_OK, DataError, UsageError, list_problems
from pricerl.formatting import plural
from pricerl.terminal import write_lines
from pricerl.writing import write_text

if TYPE_CHECKING:
    from pricerl.data.history import ProductHistory
    from pricerl.data.quality import ProductReport

GUARDRAILS = "guardrails.yaml"


def _mapping(text: str) -> dict[str, str]:
    """Return an option that is a JSON object of texts."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f'must be a JSON object such as {{"Net paid": "Total Sales"}}, found {text!r}')
    return {str(name): str(column) for name, column in found.items()}


READING: dict[str, dict[str, Any]] = {
    "date_format": {"help": "strptime format of Report Date, such as %%d.%%m.%%Y"},
    "decimal": {"choices": ("auto", ".", ","), "default": "auto", "help": "decimal mark of numbers"},
    "sales": {"choices": ("auto", "revenue", "units"), "default": "auto", "help": "unit of Total Sales"},
    "missing_days": {
        "choices": ("auto", "zero", "unknown"),
        "default": "auto",
        "help": "days without a row",
    },
    "suspicious": {"choices": ("refuse", "keep"), "default": "refuse", "help": "values that look like typos"},
    "strict": {"choices": ("true", "false"), "default": "false", "help": "refuse a file with an unusable product"},
    "columns": {
        "type": _mapping,
        "help": """columns by their names in the file, such as '{"Net paid": "Total Sales"}'""",
    },
    "query": {"help": "SQL query, if FILE is the URL of a database"},
    "preset": {"default": "auto", "help": "preset of a platform's export, or a YAML file; see docs/presets.md"},
    "time_zone": {"help": "time zone of an export's time stamps, such as Europe/Berlin"},
    "forecaster": {"default": "mean_7", "help": "forecaster of sales, used where it beats the 7-day mean"},
    "country": {"help": "country of the public holidays, such as GB or DE-BY"},
}
"""Options of ``check``; in ``fit`` they are ``--data.reading.NAME``."""


FULL_REPORTS = 20
"""Products whose reports are printed in full without ``--verbose``."""


def check(words: Sequence[str]) -> int:
    """Print the content of a history file, or every problem in it."""
    parser = Parser(prog="pricerl check", description=check.__doc__)
    parser.add_argument("files", nargs="*", help="the seller's CSV, and ads reports to join to it")
    add_files(parser, "the same, by the option name of the other commands")
    parser.add_argument("--problems", help="CSV to write all problems to; the screen shows 20")
    parser.add_argument(
        "--verbose", action="store_true", help=f"all reports in full, not only those of {FULL_REPORTS} products"
    )
    for name, settings in READING.items():
        parser.add_argument(f"--{name}", f"--data.reading.{name}", dest=name, **settings)
    options = parser.parse_intermixed_args(words)
    files = options.path or options.files
    if not files:
        raise UsageError("check needs a FILE, the seller's CSV (see check --help)")
    from pricerl.data import DataConfig, read_history
    from pricerl.data.preprocessor import report_history
    from pricerl.data.reading.problems import problem_table

    settings = {name: getattr(options, name) for name in READING}
    config = DataConfig(**{**settings, "strict": options.strict == "true"})
    try:
        history = read_history(files, config)
    except DataError as error:
        _write_problems(options.problems, error.table)
        raise
    _write_problems(options.problems, problem_table(history.problems))
    full = len(history.products) if options.verbose else FULL_REPORTS
    _print_reports(history.products[:full], report_history(history, config, full), history.reports[full:])
    write_lines(_skipped_lines([str(problem) for problem in history.problems], files))
    return EXIT_OK


def _print_reports(
    products: Sequence[ProductHistory], reports: Sequence[ProductReport], short: Sequence[ProductReport]
) -> None:
    """Print the reports of some products in full, those of others on one line each."""
    from pricerl.market import CostConfig, describe_costs

    for product, report in zip(products, reports, strict=True):
        write_lines([*report.lines(), f"  {'costs':<16} {describe_costs(product, CostConfig())}"])
    if short:
        rest = f"{plural(len(short), 'more product')}, a line each; check --verbose prints their reports:"
        write_lines([rest, *(f"  {report.summary()}" for report in short)])


def _skipped_lines(problems: Sequence[str], files: Sequence[str]) -> list[str]:
    """Return the first problems of skipped products and unknown days, and the number of the others."""
    return ["problems of skipped products and unknown days:", *list_problems(problems, files)] if problems else []


def _write_problems(file: str | None, table: str) -> None:
    if file and table:
        write_text(Path(file), table)


def init(words: Sequence[str]) -> int:
    """Write guardrails.yaml, the limits on prices line by line with their meaning, into this folder."""
    parser = Parser(prog="pricerl init", description=init.__doc__)
    parser.parse_args(words)
    path = Path(GUARDRAILS)
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} exists and stays as it is; use it with --config {path}, or rename it")
    write_text(path, (SHIPPED / GUARDRAILS).read_text(encoding="utf-8"))
    write_lines([f"{path} holds the limits on prices. Edit it, then: pricerl advise FILE --config {path}"])
    return EXIT_OK


def simulate(words: Sequence[str]) -> int:
    """Write a simulated seller, and its true demand in a file next to it."""
    from pricerl.simulation.seller import MARKETS, SellerConfig, write_seller

    default = SellerConfig()
    parser = Parser(prog="pricerl simulate", description=simulate.__doc__)
    parser.add_argument("--out", required=True, help="CSV to write; the truth goes to FILE.truth.json")
    parser.add_argument("--market", choices=MARKETS, default=default.market, help="family of demand")
    parser.add_argument("--days", type=int, default=default.days, help="days of history")
    parser.add_argument("--units", type=float, default=default.units, help="mean units per day at the initial price")
    parser.add_argument("--seed", type=int, default=default.seed, help="seed of the simulation")
    parser.add_argument("--products", type=int, default=default.products, help="number of products in the file")
    options = vars(parser.parse_args(words))
    out = Path(options.pop("out"))
    write_seller(SellerConfig(**options), out)
    write_lines([f"{out}", f"{out}.truth.json"])
    return EXIT_OK
