"""The commands that ask a trained policy's market, or its log: what-if, audit."""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pricerl.cli import session
from pricerl.cli.decisions import add_run_options, find_advice, log_of
from pricerl.cli.what_if import answer_lines, ask
from pricerl.errors import UsageError, did_you_mean
from pricerl.operations.decision_log import LOG_FILE, verify
from pricerl.operations.orders import shown

if TYPE_CHECKING:
    from pricerl.cli.lightning import PricingCLI


class Tools(NamedTuple):
    """What the command line lends."""

    parser: argparse.ArgumentParser
    lightning: Callable[[list[str]], PricingCLI]
    """Runs a Lightning command from its words."""
    make_advice: Callable[..., Any]
    """Advises for it, knowing the entries of a log."""


def what_if(words: Sequence[str], tools: Tools) -> int:
    """Print what a price would bring against keeping the current price."""
    parser = tools.parser
    parser.description = "What a price would bring against keeping the current price. Takes predict's options, too."
    parser.add_argument("--price", required=True, type=float, help="price to charge on all of the next days")
    parser.add_argument("--product", help="product, where the file has several")
    parser.add_argument("--ckpt_path", required=True, help="checkpoint that fit wrote")
    parser.add_argument("--data.path", dest="path", help="the seller's CSV; the checkpoint's own history if absent")
    options, rest = parser.parse_known_args(words)
    if not (math.isfinite(options.price) and options.price > 0):
        raise UsageError(f"--price: must be a positive number, found {options.price:g}")
    rest += ["--ckpt_path", options.ckpt_path, *([] if options.path is None else ["--data.path", options.path])]
    command = tools.lightning(["predict", *rest])
    product = _find_product(command.datamodule.preprocessor.names, options.product)
    dynamics = command.datamodule.build_dynamics("cpu")
    answer = ask(dynamics, product, options.price, command.options.horizon)
    print("\n".join(answer_lines(answer, dynamics.guardrails.price_step)))
    return 0


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


def _find_product(names: Sequence[str], wanted: str | None) -> int:
    if wanted is None and len(names) > 1:
        raise UsageError(f"--product is needed, the file has {len(names)}: {', '.join(map(shown, names[:10]))}")
    if wanted is not None and wanted not in names:
        listed = ", ".join(map(shown, names[:10]))
        raise UsageError(f"--product {shown(wanted)!r} is unknown; known are {listed}{did_you_mean(wanted, names)}")
    return 0 if wanted is None else list(names).index(wanted)
