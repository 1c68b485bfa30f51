"""Commands that maintain a run: ``watch`` new days, ``retrain`` and ``review`` past advice."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import date, datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pricerl.cli.advise import print_advice, run_lightning
from pricerl.cli.usage import Parser, option_words, with_first
from pricerl.errors import EXIT_ALARM, EXIT_OK, EXIT_WARNING, DataError, UsageError
from pricerl.operations.log.decision_log import LOG_FILE, read_log, stamp
from pricerl.operations.log.orders import RETRAIN
from pricerl.operations.model_gate import GATE_FILE, Comparison, GateConfig, Verdict
from pricerl.operations.shop import Shop
from pricerl.operations.watching.alerts import (
    ADDRESSES,
    TEST,
    Alert,
    Channel,
    Message,
    alerts_of,
    apprise_channels,
    read_addresses,
    send_alerts,
)
from pricerl.operations.watching.monitor_document import MONITOR_FILE, Monitor, to_json
from pricerl.runs.folder import BEST, RunFolder
from pricerl.runs.names import find_run
from pricerl.terminal import print_notes, table, write_json, write_lines
from pricerl.writing import write_text

if TYPE_CHECKING:
    from pricerl.runs.checkpoint import Checkpoint
    from pricerl.training.run import Run

EXIT_CODES = {"ok": EXIT_OK, "unknown": EXIT_OK, "warning": EXIT_WARNING, "alarm": EXIT_ALARM}
"""Exit code by severity."""

MOST_FINDINGS = 40
"""Most rows of the table on the terminal; ``monitor.json`` has all findings."""

MOST_REVIEWED = 60
"""Most rows of a table of ``review`` on the terminal; the page has all."""


def watch(words: Sequence[str]) -> int:
    """Check the new days of a RUN's fresh file, write monitor.json and send alerts; all options of predict apply."""
    parser = _watch_parser()
    options, rest = parser.parse_known_args(with_first(words, "--run_name"))
    folder = find_run(options.run_name, BEST)
    channels = apprise_channels(read_addresses(options.alert_file))
    if options.test_alert:
        return _test(folder, channels)
    today = Shop.open(folder, options.today).today
    try:
        run, monitor = _watch(folder, options, rest, today)
    except DataError as error:
        from pricerl.operations.watching.monitoring import failed_watch

        monitor = failed_watch(folder.path.name, today, error.problems[0])
        _deliver(folder.path, monitor, channels, options)
        raise
    if run.options.wandb:
        channels = [*channels, _wandb_channel(monitor)]
    sent = _deliver(folder.path, monitor, channels, options)
    if run.options.wandb:
        _active_run().finish()
    if options.format == "json":
        write_json(_plain(monitor))
    else:
        write_lines(monitor_lines(monitor, folder.path / MONITOR_FILE, sent))
    return EXIT_CODES[monitor.severity]


def _watch_parser() -> Parser:
    from pricerl.operations.watching.new_days import WatchSettings

    parser, usual = Parser(prog="pricerl watch", description=watch.__doc__, allow_abbrev=False), WatchSettings()
    parser.add_argument("--run_name", help="run, a folder in checkpoints; the only one if absent; also the first word")
    parser.add_argument("--data.path", dest="path", help="the fresh file; the files of the newest advice if absent")
    parser.add_argument(
        "--late_after", type=int, default=usual.late_after, help="days without data until they are late"
    )
    parser.add_argument("--old_after", type=int, default=usual.old_after, help="days until the model is old")
    drop = "smallest drop of a conversion that is reported, as a share"
    parser.add_argument("--conversion_drop", type=float, default=usual.conversion_drop, help=drop)
    move = "smallest change of the competitor's price that is reported, as a share"
    parser.add_argument("--competitor_move", type=float, default=usual.competitor_move, help=move)
    parser.add_argument("--cool_down", type=float, default=7.0, help="days without a second alert of the same kind")
    parser.add_argument("--alert_file", help=f"file of apprise addresses, one per line; else the variable {ADDRESSES}")
    parser.add_argument("--test-alert", action="store_true", help="send a test alert and do nothing else")
    parser.add_argument("--today", help="day of the watch, such as 2026-01-31; today if absent")
    parser.add_argument("--format", choices=["text", "json"], default="text", help="output: text, or json for programs")
    return parser


def _watch(folder: RunFolder, options: argparse.Namespace, rest: Sequence[str], today: date) -> tuple[Run, Monitor]:
    from pricerl.operations.watching.monitoring import watch_run
    from pricerl.operations.watching.new_days import WatchSettings

    limits = {name: getattr(options, name) for name in vars(WatchSettings())}
    given = option_words({"run_name": folder.path.name, "data.path": options.path, "today": options.today})
    run = run_lightning("predict", [*rest, *given])
    return run, watch_run(run, read_log(folder.path / LOG_FILE).entries, WatchSettings(**limits), today)


def _deliver(folder: Path, monitor: Monitor, channels: Sequence[Channel], options: argparse.Namespace) -> list[Alert]:
    """Write the document and send the alerts that are due; return these."""
    write_text(folder / MONITOR_FILE, to_json(monitor))
    sent, failures = send_alerts(folder, alerts_of(monitor), channels, options.cool_down, datetime.now(timezone.utc))
    print_notes(failures)
    return sent


def _test(folder: RunFolder, channels: Sequence[Channel]) -> int:
    """Send a test alert to every channel.

    Raises:
        UsageError: a channel failed.
    """
    alert = Alert(TEST, "", "ok", "this is a test: alerts arrive here")
    _, failures = send_alerts(folder.path, [alert], channels, 0.0, datetime.now(timezone.utc))
    if failures:
        raise UsageError("; ".join(failures))
    write_lines([f"test alert written to {folder.path}, and sent to {len(channels)} addresses"])
    return EXIT_OK


def monitor_lines(monitor: Monitor, path: Path, sent: Sequence[Alert]) -> list[str]:
    """Return the table of findings, the most severe first, and the places of more."""
    rows, several = monitor.listed(), len(monitor.products) > 1
    new = max((product.new_days for product in monitor.products), default=0)
    head = f"{monitor.run} on {monitor.today}: {monitor.severity}; {new} new days"
    cells = [
        (item.severity, item.kind, f"{name}: {item.text}" if several and name else item.text) for name, item in rows
    ]
    more = [f"  … and {len(cells) - MOST_FINDINGS} more in {path}"] if len(cells) > MOST_FINDINGS else []
    records = [product.track_record for product in monitor.products if product.track_record is not None]
    advised, followed = (sum(getattr(record, name) for record in records) for name in ("advised", "followed"))
    inside = [record.inside["units"] for record in records]
    held, tested = (sum(pair[place] for pair in inside) for place in (0, 1))
    track = [f"  track record: {advised} advised days passed, {followed} at the advised price"] if records else []
    if tested:
        track.append(f"  units inside the 90 % interval of the advice on {held} of {tested} days")
    alerts = [f"  alerts: {len(sent)} sent"] if sent else []
    return [head, *table(cells[:MOST_FINDINGS], numbers=False), *more, *track, *alerts]


def _wandb_channel(monitor: Monitor) -> Channel:
    """Log the numbers to the resumed run in Weights & Biases, and return the channel to it."""
    active = _active_run()
    for product in monitor.products:
        values = {f"watch/{item.kind}": item.value for item in product.findings if item.value is not None}
        active.log(values if len(monitor.products) == 1 else {f"{product.product}/{k}": v for k, v in values.items()})

    def send(message: Message) -> str:
        try:
            active.alert(message.title, message.body, level="ERROR" if message.severity == "alarm" else "WARN")
        except Exception as error:  # the service's own failure
            return f"Weights & Biases did not take the alerts: {type(error).__name__}"
        return ""

    return send


def _active_run() -> Any:
    """Return the resumed run in Weights & Biases."""
    return sys.modules["wandb"].run


def _plain(monitor: Monitor) -> Any:
    import msgspec

    return msgspec.to_builtins(monitor)


def retrain(words: Sequence[str]) -> int:
    """Train a challenger of a RUN on a fresh file and use it if it is not worse; all options of fit apply."""
    options, rest = _retrain_parser().parse_known_args(with_first(words, "--run_name"))
    config = GateConfig(options.holdout_days, options.confidence, options.profit_tolerance)
    folder = find_run(options.run_name, BEST)
    shop = Shop.open(folder, options.today)
    from pricerl.operations.model_comparison import check_days, judge
    from pricerl.runs.checkpoint import Checkpoint, without_query

    if folder.current is None:
        raise UsageError(f"{folder.path} has no complete generation yet; start with fit")
    champion = Checkpoint.read(folder.current.path / BEST)
    if options.path is None:
        shop.refuse_missing()
    path = options.path or json.dumps(shop.sources)
    given = option_words({"run_name": folder.path.name, "data.path": path, "today": options.today})
    check_days(run_lightning("predict", [*rest, *given]), champion, config)
    kept = option_words({"config": json.dumps(without_query(shop.settings))})
    run = run_lightning("fit", [*_settings_of(champion), *kept, *rest, *given])
    with run.held:
        verdict = judge(run, champion, shop.log.entries, config)
        return _conclude(run, shop, folder.current.name, verdict)


def _retrain_parser() -> Parser:
    parser, usual = Parser(prog="pricerl retrain", description=retrain.__doc__, allow_abbrev=False), GateConfig()
    parser.add_argument("--run_name", help="run, a folder in checkpoints; the only one if absent")
    parser.add_argument("--data.path", dest="path", help="the fresh file; the files of the newest advice if absent")
    parser.add_argument("--today", help="day to take as today, such as 2026-01-31; the clock's if absent")
    held = "last days of the file that both models must forecast, whole weeks"
    parser.add_argument("--holdout_days", type=int, default=usual.holdout_days, help=held)
    sure = "confidence with which the new model is not worse"
    parser.add_argument("--confidence", type=float, default=usual.confidence, help=sure)
    less = "share of profit that the new policy may earn less in the new market"
    parser.add_argument("--profit_tolerance", type=float, default=usual.profit_tolerance, help=less)
    return parser


def _settings_of(champion: Checkpoint) -> list[str]:
    """Return the champion's settings and length of training as options, which those of the command line follow.

    A challenger of a portable champion is portable too.
    """
    limits = champion.about.get("limits") or {}
    portable = "true" if champion.about.get("contains_history") is False else None
    return [*champion.words, *option_words({"trainer.max_steps": limits.get("max_steps"), "portable": portable})]


def _conclude(run: Run, shop: Shop, champion: str, verdict: Verdict) -> int:
    """Use the challenger and advise with it, or keep it aside; record the verdict."""
    assert run.generation is not None
    code = EXIT_OK
    write_text(run.generation.path / GATE_FILE, verdict.to_json())
    if verdict.promoted:
        code = print_advice(run)
    else:
        run.generation.complete()
    draft = stamp(RETRAIN, "pricerl", verdict.reason()) | {
        "generation": run.generation.name,
        "instead_of": champion,
        "promoted": verdict.promoted,
        "confidence": verdict.confidence,
        "holdout_days": verdict.holdout_days,
        "forecast": _pair(verdict.forecast),
        "profit": _pair(verdict.profit),
    }
    (*_, entry), _ = Shop.open(shop.folder, run.options.today).record([draft])
    used = run.generation.name if verdict.promoted else champion
    done = f"{shop.folder.path} uses {used} (entry {entry['id']})"
    write_lines(["", f"{run.generation.name} is {verdict.reason()}", done])
    return code


def _pair(test: Comparison) -> list[float | None]:
    """Return mean and lower limit of a comparison, None for a limit that is not finite."""
    return [float(f"{test.mean:.7g}"), float(f"{test.low:.7g}") if abs(test.low) < float("inf") else None]


def review(words: Sequence[str]) -> int:
    """Compare all past advice of a RUN with what happened, and write review.html; all options of predict apply."""
    parser = Parser(prog="pricerl review", description=review.__doc__, allow_abbrev=False)
    parser.add_argument("--run_name", help="run, a folder in checkpoints; the only one if absent")
    parser.add_argument(
        "--data.path",
        dest="path",
        help="a file that reaches beyond the advice; the files of the newest advice if absent",
    )
    options, rest = parser.parse_known_args(with_first(words, "--run_name"))
    folder = find_run(options.run_name, BEST)
    given = option_words({"run_name": folder.path.name, "data.path": options.path})
    run = run_lightning("predict", [*rest, *given])
    from pricerl.operations.review import REVIEW_FILE, lay_out_review, render_review, review_lines, review_products

    market = run.pricing.market
    rows = review_products(market, read_log(folder.path / LOG_FILE).entries, run.pricing.seed)
    if not rows:
        found = "no day of the file had been advised on before; come back with a fresher file"
        raise DataError(run.pricing.preprocessor.source, [found])
    known = all(product.cost.known for product in market.products)
    page = lay_out_review(rows, "profit" if known else "sales", run.formatter)
    path = folder.path / REVIEW_FILE
    write_text(path, render_review(page, Path(run.pricing.preprocessor.source).name, run.formatter))
    write_lines([page.headline, *(f"  {line}" for line in page.lead)])
    for title, cells in review_lines(page):
        write_lines(["", title, *table(cells[:MOST_REVIEWED])])
    write_lines(["", f"open {path}"])
    return EXIT_OK
