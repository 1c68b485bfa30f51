"""``audit``: prove that a decision log is unbroken, or make one of its decisions again."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pricerl.cli.decisions import add_run_options, find_advice, log_of
from pricerl.cli.usage import Parser
from pricerl.errors import EXIT_OK, UsageError
from pricerl.operations.decision_log import LOG_FILE, verify


def audit_log(words: Sequence[str]) -> int:
    """Run ``audit verify`` or ``audit replay``."""
    purpose = "verify proves that the decision log is unbroken; replay makes one of its decisions again."
    parser = Parser(prog="pricerl audit", description=purpose, allow_abbrev=False)
    parser.add_argument("action", choices=("verify", "replay"))
    parser.add_argument("target", nargs="?", help="verify: a log, instead of a run; replay: the number of an entry")
    add_run_options(parser)
    parser.add_argument("--data.path", dest="path", help="replay: the data file, where it has moved since")
    options = parser.parse_args(words)
    return _verify(options) if options.action == "verify" else _replay(options)


def _verify(options: argparse.Namespace) -> int:
    path = log_of(options) if options.target is None else Path(options.target)
    path = path / LOG_FILE if path.is_dir() else path
    log = verify(path)
    print(f"{path}: unbroken, {len(log.entries)} entries, last hash {log.last_hash}")
    return EXIT_OK


def _replay(options: argparse.Namespace) -> int:
    """Make a recorded decision again, from the checkpoint and the data that its entry names."""
    if options.target is None or not options.target.isdecimal():
        raise UsageError(f"audit replay needs the number of an entry, found {options.target!r} (see history)")
    from pricerl.cli.policies import make_advice, origin_of, run_lightning
    from pricerl.operations.reproduction import compare, refuse_changed, replay_words

    log = log_of(options)
    entries = verify(log).entries
    entry = find_advice(entries, int(options.target))
    with tempfile.TemporaryDirectory() as folder:
        words = replay_words(entry, log.parent, options.path, Path(folder) / "settings.yaml")
        run = run_lightning("predict", words)
    refuse_changed(entry, origin_of(run), log)
    print(compare(entry, make_advice(run, entries[: entry["seen"]]), log))
    return EXIT_OK
