"""The command that asks the log: audit."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pricerl.advice import session
from pricerl.advice.audit import LOG_FILE, verify
from pricerl.advice.desk import add_run_options, find_advice, log_of
from pricerl.errors import UsageError

if TYPE_CHECKING:
    from pricerl.training.command import PricingCLI


class Tools(NamedTuple):
    """What the command line lends."""

    parser: argparse.ArgumentParser
    lightning: Callable[[list[str]], PricingCLI]
    """Runs a Lightning command from its words."""
    make_advice: Callable[..., Any]
    """Advises for it, knowing the entries of a log."""


def audit(words: Sequence[str], tools: Tools) -> int:
    """Prove that a log is unbroken, or make one of its decisions again."""
    parser = tools.parser
    parser.description = "verify proves that the log of decisions is unbroken; replay makes one of them again."
    parser.add_argument("action", choices=("verify", "replay"))
    parser.add_argument("target", nargs="?", help="verify: a log, instead of a run; replay: the number of an entry")
    add_run_options(parser)
    parser.add_argument("--data.path", dest="path", help="replay: the data file, where it lies elsewhere now")
    options = parser.parse_args(words)
    if options.action == "replay":
        return _replay(options, tools)
    path = log_of(options) if options.target is None else Path(options.target)
    path = path / LOG_FILE if path.is_dir() else path
    log = verify(path)
    print(f"{path}: unbroken, {len(log.entries)} entries, last hash {log.last_hash}")
    return 0


def _replay(options: argparse.Namespace, tools: Tools) -> int:
    """Make a recorded decision again, from the checkpoint and the data that its entry names."""
    if options.target is None or not options.target.isdecimal():
        raise UsageError(f"audit replay needs the number of an entry, found {options.target!r} (see history)")
    log = log_of(options)
    entries = verify(log).entries
    entry = find_advice(entries, int(options.target))
    with tempfile.TemporaryDirectory() as folder:
        command = tools.lightning(session.replay_words(entry, log.parent, options.path, Path(folder) / "settings.yaml"))
    session.refuse_changed(entry, session.origin_of(command), log)
    print(session.compare(entry, tools.make_advice(command, entries[: entry["seen"]]), log))
    return 0
