"""Commands about what was decided: ``history`` and ``audit`` of the decision log, and ``rollback`` of the model."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from pricerl.cli.decisions import actor_of, add_run_options, find_advice, outbox_lines, shop_of, typed_text
from pricerl.cli.usage import Parser, add_author_options, add_files, option_words
from pricerl.data.naming import list_sources
from pricerl.data.reading.sources.containers import is_present
from pricerl.errors import EXIT_OK, DataError, UsageError
from pricerl.operations.log.decision_log import FEWEST_DIGITS, LOG_FILE, Entry, stamp, verify
from pricerl.operations.log.orders import ADVICE, APPROVAL, PAUSE, RESUME, ROLLBACK, TEST_RESULT
from pricerl.operations.outbox import first_change
from pricerl.operations.shop import Shop, choose_product
from pricerl.terminal import shown, table, write_lines


def history(words: Sequence[str]) -> int:
    """Print all decisions, overrides, pauses and approvals with author and reason."""
    parser = Parser(prog="pricerl history", description=history.__doc__)
    add_run_options(parser)
    parser.add_argument("--product", help="this product only")
    options = parser.parse_args(words)
    shop = shop_of(options)
    found = shop.log
    if options.product is not None:
        advised = dict.fromkeys(entry["product"] for entry in found.entries if entry["kind"] == ADVICE)
        choose_product(list(advised), options.product, "this run")
    shown_entries = [entry for entry in found.entries if options.product in (None, entry.get("product"))]
    heads = table([_cells(entry, shop) for entry in shown_entries], numbers=False)
    reasons = [f"      {shown(entry['reason']) or '–'}" for entry in shown_entries]
    write_lines(line for pair in zip(heads, reasons, strict=True) for line in pair)
    if found.torn:
        write_lines([f"line {len(found.entries) + 1} is incomplete: a write was interrupted; the line is ignored"])
    return EXIT_OK


def audit_log(words: Sequence[str]) -> int:
    """Check that the decision log is unbroken (verify), or repeat one of its decisions (replay)."""
    parser = Parser(prog="pricerl audit", description=audit_log.__doc__, allow_abbrev=False)
    parser.add_argument("action", choices=("verify", "replay"))
    parser.add_argument("target", nargs="?", help="verify: a log file instead of a run; replay: an entry's number")
    add_run_options(parser)
    parser.add_argument("--anchor", help="verify: hash of an entry, as a report prints it, that the log must contain")
    add_files(parser, "replay: the data file, if it has moved since")
    parser.add_argument("--allow", help="replay: packages that may be imported, separated by commas")
    options = parser.parse_args(words)
    return _verify(options) if options.action == "verify" else _replay(options)


def _verify(options: argparse.Namespace) -> int:
    path = shop_of(options).log_path if options.target is None else Path(options.target)
    path = path / LOG_FILE if path.is_dir() else path
    anchor = None if options.anchor is None else _read_anchor(options.anchor)
    log = verify(path)
    lines = [f"{path}: unbroken, {len(log.entries)} entries, last hash {log.head.hash}"]
    if anchor is not None:
        number = log.find(anchor)
        if number is None:
            found = f"no entry has the hash {anchor}: the log was rewritten, cut, or belongs to another run"
            raise DataError(str(path), [f"{found}; restore it from a copy"])
        place = f"entry {number} of {len(log.entries)}" if number else "the head of an empty log"
        lines.append(f"{anchor} is {place}")
    write_lines(lines)
    return EXIT_OK


def _read_anchor(text: str) -> str:
    """Return the digits of a hash, of which reports print the first twelve and an ellipsis."""
    digits = text.strip().rstrip("….").lower()
    if not re.fullmatch(f"[0-9a-f]{{{FEWEST_DIGITS},64}}", digits):
        raise UsageError(f"--anchor: must be at least {FEWEST_DIGITS} digits of a hash, found {text!r}")
    return digits


def _replay(options: argparse.Namespace) -> int:
    """Repeat a recorded decision from the checkpoint and data named in its entry."""
    if options.target is None or not options.target.isdecimal():
        raise UsageError(f"audit replay needs the number of an entry, found {options.target!r} (see history)")
    from pricerl.cli.advise import make_advice, run_lightning
    from pricerl.operations.log.provenance import check_replay, compare, describe_origin

    log = shop_of(options).log_path
    entries = verify(log).entries
    entry = find_advice(entries, int(options.target))
    seen = entries[: entry["seen"]]
    settings = {**_replay_settings(entry, log.parent, options.path), "allow": options.allow}
    run = run_lightning("predict", option_words(settings), seen)
    origin = describe_origin(run, date.fromisoformat(entry.get("today") or entry["days"][0]["date"]))
    differences = check_replay(entry, run, origin, log)
    write_lines([compare(entry, make_advice(run, seen, None).advice, differences, log)])
    return EXIT_OK


def _replay_settings(entry: Entry, folder: Path, moved: list[str] | None) -> dict[str, Any]:
    """Return the options of ``predict`` that repeat an entry's decision; ``moved`` replaces a data file that moved."""
    if entry["checkpoint"] is None:
        raise UsageError(f"entry {entry['id']} names no checkpoint: its run wrote none, so it cannot be replayed")

    path = moved or entry["path"]
    for file in list_sources(path):
        if not is_present(file):
            missing = f"the data file of entry {entry['id']} does not exist here; name it with --data.path"
            raise DataError(file, [missing])
    return {
        "config": json.dumps(entry["settings"]),
        "ckpt_path": folder / entry["checkpoint"],
        **{name: entry[name] for name in ("horizon", "threads", "matmul_precision")},
        "today": entry.get("today") or entry["days"][0]["date"],
        "trainer.accelerator": "cpu",
        "trainer.enable_progress_bar": False,
        "data.path": path,
    }


def rollback(words: Sequence[str]) -> int:
    """Use an earlier generation of weights and advice again."""
    parser = Parser(prog="pricerl rollback", description=rollback.__doc__)
    add_run_options(parser)
    parser.add_argument("--to", help="generation, such as gen-0003; the one before the current if absent")
    add_author_options(parser)
    options = parser.parse_args(words)
    shop = shop_of(options)
    folder = shop.folder
    with folder.locked():
        before, chosen = folder.current, folder.find(options.to)
        chosen.verify()
        draft = stamp(ROLLBACK, actor_of(options.by), typed_text(options.reason))
        draft |= {"generation": chosen.name, "instead_of": None if before is None else before.name}
        (*_, entry), after = shop.record([draft], uses=chosen)
    instead = "" if before is None else f" instead of {before.name}"
    done = f"{folder.path} uses {chosen.name}{instead} (entry {entry['id']} of {shop.log_path})"
    write_lines([done, *outbox_lines(after)])
    return EXIT_OK


def _change_words(advice: Entry) -> str:
    change, now = first_change(advice), f"{advice['current_price']:g}"
    return f"keep {now}" if change is None else f"{now} to {change['price']:g} on {change['date']}"


def _cells(entry: Entry, shop: Shop) -> tuple[str, ...]:
    """Return the table cells of an entry: number, time, kind, author and content."""
    if entry["kind"] in ("repair", "rollback", "retrain"):
        left, right = ("generation", "instead_of") if entry.get("promoted", True) else ("instead_of", "generation")
        content = "" if entry["kind"] == "repair" else f"{entry[left]} instead of {entry[right]}"
    else:
        content = f"{shown(entry['product'])}: {_describe_content(entry, shop)}"
    as_of = f", as of {entry['today']}" if entry.get("today") and entry["today"] != entry["time"][:10] else ""
    return (f"{entry['id']}", entry["time"], entry["kind"], f"by {shown(entry['actor'], 40)}", f"{content}{as_of}")


def _describe_content(entry: Entry, shop: Shop) -> str:
    if entry["kind"] == APPROVAL:
        return f"{entry['price']:g} on {entry['date']} approved (entry {entry['approves']})"
    if entry["kind"] == RESUME:
        return f"the order of entry {entry['ends']} has ended"
    if entry["kind"] == TEST_RESULT:
        return f"{entry['question']} {entry['verdict']} at {entry['test_price']:g} (test of entry {entry['test']})"
    if entry["kind"] == ADVICE:
        return f"{_change_words(entry)}, grade {entry['grade']}, source {entry['source']}"
    status = next(item.status for item in shop.orders_on(entry["product"]) if item.id == entry["id"])
    price = "price kept" if entry["kind"] == PAUSE else f"{entry.get('test_price') or entry['price']:g}"
    return f"{price} until {entry['until']}, {status}"
