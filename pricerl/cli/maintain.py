"""Commands that maintain a run: ``watch`` new days, ``retrain``, ``review``, ``export`` its policy, ``audit``."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from pricerl.advice.files import read_advice
from pricerl.cli.decisions import add_run_options, shop_of
from pricerl.cli.usage import Parser, add_settings, config_of, option_words
from pricerl.errors import EXIT_ALARM, EXIT_OK, EXIT_WARNING, DataError, UsageError, import_extra
from pricerl.formatting import sentence
from pricerl.operations.log.decision_log import FEWEST_DIGITS, LOG_FILE, read_log, verify
from pricerl.operations.shop import Shop
from pricerl.operations.watching import alerts
from pricerl.operations.watching.alerts import Alert, Channel
from pricerl.operations.watching.monitor_document import MONITOR_FILE, Finding, Monitor, to_json
from pricerl.runs.folder import BEST, RunFolder
from pricerl.runs.names import find_run
from pricerl.terminal import print_notes, table, write_json, write_lines
from pricerl.writing import write_text

EXIT_CODES = {"ok": EXIT_OK, "unknown": EXIT_OK, "warning": EXIT_WARNING, "alarm": EXIT_ALARM}
"""Exit code by severity."""

MOST_FINDINGS = 40
"""Most rows of the table on the terminal; ``monitor.json`` has all findings."""

MOST_REVIEWED = 60
"""Most rows of a table of ``review`` on the terminal; the page has all."""


def watch(words: Sequence[str]) -> int:
    """Check the new days of a RUN's fresh file, write monitor.json and send alerts; all options of predict apply."""
    from pricerl.cli.loading import load_words
    from pricerl.operations.watching.monitoring import watch_run
    from pricerl.operations.watching.new_days import WatchSettings

    parser = _file_parser("watch", watch.__doc__)
    add_settings(parser, WatchSettings)
    parser.add_argument("--cool_down", type=float, default=7.0, help="days without a second alert of the same kind")
    addresses = f"file of apprise addresses, one per line; else the variable {alerts.ADDRESSES}"
    parser.add_argument("--alert_file", help=addresses)
    parser.add_argument("--test-alert", action="store_true", help="send a test alert and do nothing else")
    parser.add_argument("--format", choices=["text", "json"], default="text", help="output: text, or json for programs")
    options, rest = parser.parse_known_args(words)
    folder = find_run(options.run_name, BEST)
    channels = alerts.apprise_channels(alerts.read_addresses(options.alert_file))
    if options.test_alert:
        alert = Alert(alerts.TEST, "", "ok", "this is a test: alerts arrive here")
        _, failures = alerts.send_alerts(folder.path, [alert], channels, 0.0, datetime.now(timezone.utc))
        if failures:
            raise UsageError("; ".join(failures))
        write_lines([f"test alert written to {folder.path}, and sent to {len(channels)} addresses"])
        return EXIT_OK
    today = Shop.open(folder, options.today).today
    given = option_words({"run_name": folder.path.name, "data.path": options.path, "today": options.today})
    limits = config_of(options, WatchSettings)
    try:
        run = load_words("watch", [*rest, *given])
        entries = read_log(folder.path / LOG_FILE).entries
        monitor = watch_run(run, entries, limits, today, read_advice(folder.path))
    except DataError as error:
        unusable = Finding("data", "alarm", f"the file cannot be used: {error.problems[0]}")
        _deliver(folder.path, Monitor.of(folder.path.name, None, today, [unusable], []), channels, options)
        raise
    sent = _deliver(folder.path, monitor, channels, options)
    if options.format == "json":
        write_json(msgspec.to_builtins(monitor))
    else:
        again = shlex.join(["pricerl", "predict", *given])
        written = f"  alerts: {len(sent)} written to {folder.path / alerts.ALERT_FILE} (addresses: {len(channels)})"
        write_lines([*monitor_lines(monitor, folder.path / MONITOR_FILE, again), *([written] if sent else [])])
    return EXIT_CODES[monitor.severity]


def _file_parser(command: str, purpose: str | None) -> Parser:
    """Return a parser of the options that name a run, its fresh file and today; it leaves others to ``predict``."""
    parser = Parser(prog=f"pricerl {command}", description=purpose, allow_abbrev=False)
    parser.add_argument("--run_name", help="run, a folder in checkpoints; the only one if absent; also the first word")
    parser.add_argument("--data.path", dest="path", help="the fresh file; the files of the newest advice if absent")
    parser.add_argument("--today", help="day to take as today, such as 2026-01-31; the clock's if absent")
    return parser


def _deliver(folder: Path, monitor: Monitor, channels: Sequence[Channel], options: argparse.Namespace) -> list[Alert]:
    """Write the document and send the alerts that are due; return these."""
    write_text(folder / MONITOR_FILE, to_json(monitor))
    now = datetime.now(timezone.utc)
    sent, failures = alerts.send_alerts(folder, alerts.alerts_of(monitor), channels, options.cool_down, now)
    print_notes(failures)
    return sent


def monitor_lines(monitor: Monitor, path: Path, again: str) -> list[str]:
    """Return the most severe finding with what to do, such as to advise ``again``, and the table of all."""
    several = len(monitor.products) > 1
    new = max((product.new_days for product in monitor.products), default=0)
    head = f"{monitor.run} on {monitor.today}: {monitor.severity}; {new} new days"
    listed = [(item, f"{name}: {item.text}" if several and name else item.text) for name, item in monitor.listed()]
    lead = []
    for item, text in listed[:1] if monitor.severity in ("warning", "alarm") else []:
        lead += [sentence(text), *([f"  {item.step}"] if item.step else [])]
        lead += [f"  {again}"] if item.kind == "drift" and item.step else []
    cells = [(item.severity, item.kind, text) for item, text in listed]
    more = [f"  … and {len(cells) - MOST_FINDINGS} more in {path}"] if len(cells) > MOST_FINDINGS else []
    return [*lead, head, *table(cells[:MOST_FINDINGS], numbers=False), *more]


def retrain(words: Sequence[str]) -> int:
    """Train a RUN anew on a fresh file, with the settings that its shop keeps; all options of fit apply."""
    options, rest = _file_parser("retrain", retrain.__doc__).parse_known_args(words)
    folder = find_run(options.run_name, BEST)
    shop = Shop.open(folder, options.today)
    if folder.current is None:
        raise UsageError(f"{folder.path} has no complete generation yet; start with fit")
    if options.path is None:
        shop.refuse_missing()
    from pricerl.cli.advise import fit
    from pricerl.runs.checkpoint import Checkpoint, without_query

    before = Checkpoint.read(folder.current.path / BEST)
    path = options.path or json.dumps(shop.sources)
    kept = option_words(
        {
            "trainer.max_steps": (before.about.get("limits") or {}).get("max_steps"),
            "config": json.dumps(without_query(shop.settings)),
            "waits": shop.waits if options.path is None else None,
        }
    )
    kept += option_words({"config": shop.lasting or None})
    given = option_words({"run_name": folder.path.name, "data.path": path, "today": options.today})
    return fit([*before.words, *kept, *rest, *given])


def review(words: Sequence[str]) -> int:
    """Compare all past advice of a RUN with what happened, and write review.html; all options of predict apply."""
    options, rest = _file_parser("review", review.__doc__).parse_known_args(words)
    folder = find_run(options.run_name, BEST)
    given = option_words({"run_name": folder.path.name, "data.path": options.path, "today": options.today})
    from pricerl.cli.loading import load_words

    run = load_words("review", [*rest, *given])
    from pricerl.operations import review as past_advice
    from pricerl.operations.track_record import review_products

    market = run.pricing.market
    entries = read_log(folder.path / LOG_FILE).entries
    rows = review_products(market, entries, run.pricing.seed)
    if not rows:
        found = "no day of the file had been advised on before; come back with a fresher file"
        raise DataError(run.pricing.preprocessor.source, [found])
    known = all(product.cost.known for product in market.products)
    products = market.preprocessor.products
    news = past_advice.find_news(products, entries, read_advice(folder.path), folder.path.name, run.formatter)
    page = past_advice.lay_out_review(rows, "profit" if known else "sales", run.formatter, news)
    path = folder.path / past_advice.REVIEW_FILE
    write_text(path, past_advice.render_review(page, Path(run.pricing.preprocessor.source).name, run.formatter))
    again = [f"  {shlex.join(['pricerl', 'predict', *given])}"] if news else []
    write_lines([page.headline, *(f"  {line}" for line in page.lead), *again])
    for title, cells in past_advice.review_lines(page):
        write_lines(["", title, *table(cells[:MOST_REVIEWED])])
    write_lines(["", f"open {path}"])
    return EXIT_OK


def export(words: Sequence[str]) -> int:
    """Write the policy of a RUN with scaler and price rule as one program; all options of predict apply."""
    parser = _file_parser("export", export.__doc__)
    parser.add_argument("--format", choices=["onnx", "weights"], default="onnx", help="program, or for --model.init")
    parser.add_argument("--out", help="folder for the program and policy.json, or for weights; the run's if absent")
    options, rest = parser.parse_known_args(words)
    folder = find_run(options.run_name, BEST)
    if options.format == "weights":
        return _export_weights(folder, options.out)
    if options.format == "onnx":
        import_extra("onnxscript", '--format onnx needs an extra: pip install -e ".[export]"')
    from pricerl.cli.loading import load_words
    from pricerl.operations.log.provenance import current_versions
    from pricerl.runs.export import write_policy
    from pricerl.training.saved_policy import SavedPolicy

    given = option_words({"run_name": folder.path.name, "data.path": options.path, "today": options.today})
    run = load_words("export", [*rest, *given])
    assert run.checkpoint is not None
    if not isinstance(run.module, SavedPolicy):
        raise UsageError(f"export writes policies of SACModule, found {type(run.module).__name__}; write your own")
    about = {"format": 1, "run": folder.path.name, "checkpoint": run.checkpoint.name, "versions": current_versions()}
    dynamics = run.pricing.build_dynamics(run.pricing.market)
    path = write_policy(run.module.agent.actor, dynamics, Path(options.out or folder.path), about)
    write_lines([f"{path}", f"{path.with_suffix('.json')}"])
    return EXIT_OK


def _export_weights(folder: RunFolder, out: str | None) -> int:
    """Write the weights of a run's best save, from which other trainings may start."""
    from pricerl.evaluation.pricing_data import PricingData
    from pricerl.runs.checkpoint import Checkpoint
    from pricerl.tasks.settings import advice_parser, build_data, merge_settings
    from pricerl.training.saved_policy import SavedPolicy

    checkpoint = Checkpoint.read("best", folder.path)
    parser = advice_parser()
    built = parser.instantiate(merge_settings(parser, [("", checkpoint.settings)]))
    path = Path(out or folder.path) / "policy.safetensors"
    SavedPolicy(checkpoint).write_weights(path, build_data(PricingData, built).layout)
    write_lines([f"{path}"])
    return EXIT_OK


def audit_log(words: Sequence[str]) -> int:
    """Check that the decision log is unbroken (verify)."""
    parser = Parser(prog="pricerl audit", description=audit_log.__doc__, allow_abbrev=False)
    parser.add_argument("action", choices=("verify",))
    parser.add_argument("target", nargs="?", help="a log file instead of a run")
    add_run_options(parser)
    parser.add_argument("--anchor", help="hash of an entry, as a report prints it, that the log must contain")
    options = parser.parse_args(words)
    path = shop_of(options).log_path if options.target is None else Path(options.target)
    path = path / LOG_FILE if path.is_dir() else path
    anchor = (options.anchor or "").strip().rstrip("….").lower()  # reports print the first twelve digits
    if options.anchor is not None and not re.fullmatch(f"[0-9a-f]{{{FEWEST_DIGITS},64}}", anchor):
        raise UsageError(f"--anchor: must be at least {FEWEST_DIGITS} digits of a hash, found {options.anchor!r}")
    log = verify(path)
    lines = [f"{path}: unbroken, {len(log.entries)} entries, last hash {log.head.hash}"]
    if anchor:
        number = log.find(anchor)
        if number is None:
            found = f"no entry has the hash {anchor}: the log was rewritten, cut, or belongs to another run"
            raise DataError(str(path), [f"{found}; restore it from a copy"])
        place = f"entry {number} of {len(log.entries)}" if number else "the head of an empty log"
        lines.append(f"{anchor} is {place}")
    write_lines(lines)
    return EXIT_OK
