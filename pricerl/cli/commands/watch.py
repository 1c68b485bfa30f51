"""Command ``watch``: new days checked against the model, and alerts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import msgspec

from pricerl.cli.loading import load_words
from pricerl.cli.usage import Options, config_of, predict_command, settings_of, takes_file
from pricerl.errors import EXIT_ALARM, EXIT_OK, EXIT_WARNING, DataError, refuse
from pricerl.formatting import sentence
from pricerl.operations.exports import read_record
from pricerl.operations.log.decision_log import LOG_FILE, read_log
from pricerl.operations.shop import Shop
from pricerl.operations.watching import alerts
from pricerl.operations.watching.alerts import Alert, Channel
from pricerl.operations.watching.monitor_document import MONITOR_FILE, Finding, Monitor, to_json
from pricerl.operations.watching.monitoring import watch_run
from pricerl.operations.watching.new_days import WatchSettings
from pricerl.runs.folder import BEST
from pricerl.runs.names import find_run
from pricerl.shop.database import ask
from pricerl.tasks.load import files_read
from pricerl.terminal import print_notes, table, write_json, write_lines
from pricerl.writing import write_text

EXIT_CODES = {"ok": EXIT_OK, "unknown": EXIT_OK, "warning": EXIT_WARNING, "alarm": EXIT_ALARM}
"""Exit code by severity."""

MOST_FINDINGS = 40
"""Most rows of the table on the terminal; ``monitor.json`` has all findings."""


OPTIONS: Options = {
    "--cool_down": {"type": float, "default": 7.0, "help": "days without a second alert of the same kind"},
    "--alert_file": {"help": f"file of apprise addresses, one per line; else the variable {alerts.ADDRESSES}"},
    "--test-alert": {"action": "store_true", "help": "send a test alert and do nothing else"},
    "--format": {"choices": ["text", "json"], "default": "text", "help": "output: text, or json for programs"},
}


@takes_file("watch", settings_of(WatchSettings), OPTIONS)
def watch(options: argparse.Namespace, rest: list[str]) -> int:
    """Check the new days of a RUN's fresh file, write monitor.json and send alerts; all options of predict apply."""
    folder = find_run(options.run_name, BEST)
    channels = alerts.apprise_channels(alerts.read_addresses(options.alert_file))
    if options.test_alert:
        alert = Alert(alerts.TEST, "", "ok", "this is a test: alerts arrive here")
        _, failures = alerts.send_alerts(folder.path, [alert], channels, 0.0, datetime.now(timezone.utc))
        refuse({"; ".join(failures): failures})
        write_lines([f"test alert written to {folder.path}, and sent to {len(channels)} addresses"])
        return EXIT_OK
    shop = Shop.open(folder, options.today)
    options.run_name = folder.path.name
    try:
        run = load_words("watch", rest, options)
        if (read := files_read(run)) is not None:
            shop.add(read)
        entries = read_log(folder.path / LOG_FILE).entries
        records = partial(ask, folder.path / LOG_FILE, read_record)
        monitor = watch_run(run, entries, config_of(options, WatchSettings), shop.today, records)
    except DataError as error:
        unusable = Finding("data", "alarm", f"the file cannot be used: {error.problems[0]}")
        _deliver(folder.path, Monitor.of(folder.path.name, None, shop.today, [unusable], []), channels, options)
        raise
    sent = _deliver(folder.path, monitor, channels, options)
    if options.format == "json":
        write_json(msgspec.to_builtins(monitor))
    else:
        about = monitor_lines(monitor, folder.path / MONITOR_FILE, predict_command(options))
        written = f"{len(sent)} written to {folder.path / alerts.ALERT_FILE} (addresses: {len(channels)})"
        write_lines([*about, *([f"  alerts: {written}"] if sent else [])])
    return EXIT_CODES[monitor.severity]


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
