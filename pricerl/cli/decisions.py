"""The commands by which people decide and look back: override, pause, approve, history."""

from __future__ import annotations

import argparse
import getpass
import math
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pricerl.errors import DataError, UsageError, did_you_mean
from pricerl.operations.decision_log import LOG_FILE, Entry, append, read_log, stamp
from pricerl.operations.orders import (
    ADVICE,
    APPROVAL,
    OVERRIDE,
    PAUSE,
    HardLimits,
    orders_of,
    refuse_price,
    shown,
)
from pricerl.training.checkpointing import RUNS

Parser = argparse.ArgumentParser

PURPOSES = {
    "override": "Charge a price until a day, whatever the model says, within the hard limits.",
    "pause": "Keep the price until a day, whatever the model says.",
    "approve": "Record that a proposed change is approved.",
    "history": "Print what was decided, overridden, paused and approved, by whom and why.",
}

RUN_OPTIONS = "name the run with --run_name R, or with --ckpt_path FILE, a checkpoint in its folder"


def add_run_options(parser: Parser) -> None:
    """Let a command name the run whose log it is about."""
    parser.add_argument("--run_name", help="run whose decisions are meant, a folder in checkpoints")
    parser.add_argument("--ckpt_path", help="a checkpoint in the run's folder, instead of its name")


def log_of(options: argparse.Namespace) -> Path:
    """The log of the run that the options name.

    Raises:
        UsageError: they name none, or one that does not exist.
    """
    if options.run_name is None and options.ckpt_path in (None, "last", "best"):
        raise UsageError(RUN_OPTIONS)
    named = options.ckpt_path in (None, "last", "best")
    folder = RUNS / options.run_name if named else Path(options.ckpt_path).parent
    if not folder.is_dir():
        runs = sorted(path.name for path in RUNS.glob("*") if path.is_dir())
        near = did_you_mean(options.run_name, runs) if named else ""
        raise UsageError(f"{folder} is no run's folder{near}; {RUN_OPTIONS}")
    return folder / LOG_FILE


def order(words: Sequence[str], parser: Parser) -> int:
    """``override`` and ``pause``: write an order into the log."""
    kind = words[0]
    parser.description = PURPOSES[kind]
    add_run_options(parser)
    _add_order_options(parser, kind)
    options = parser.parse_args(words[1:])
    log = log_of(options)
    advice = _last_advice(log, options.product)
    until = _read_day(options.until, advice)
    reason = _read_reason(options.reason)
    draft = stamp(kind, _actor(options.by), reason)
    draft |= {"product": advice["product"], "until": until.isoformat()}
    if kind == OVERRIDE:
        price = _read_price(options.price)
        if refusal := refuse_price(price, HardLimits(**advice["limits"])):
            raise UsageError(f"--price: {refusal}; nothing outranks it, choose another price or change the limit")
        draft["price"] = price
    written = append(log, [draft])[-1]
    what = f"is overridden with {draft['price']:g}" if kind == OVERRIDE else "is paused: the price is kept"
    print(f"{shown(advice['product'])} {what} until {until} (entry {written['id']} of {log})")
    print("fit and predict follow it from now on")
    return 0


def approve(words: Sequence[str], parser: Parser) -> int:
    """Record that a proposed change is approved."""
    parser.description = PURPOSES["approve"]
    add_run_options(parser)
    parser.add_argument("id", nargs="?", type=int, help="entry to approve; the product's last advice if absent")
    parser.add_argument("--product", help="product, where the run has several")
    parser.add_argument("--reason", default="", help="why")
    parser.add_argument("--by", help="who approves; your user name if absent")
    options = parser.parse_args(words[1:])
    log = log_of(options)
    advice = (
        _last_advice(log, options.product) if options.id is None else find_advice(read_log(log).entries, options.id)
    )
    change = _change(advice)
    if change is None:
        raise UsageError(
            f"entry {advice['id']} keeps the price at {advice['current_price']:g}: there is nothing to approve"
        )
    known = [entry for entry in read_log(log).entries if entry.get("approves") == advice["id"]]
    if known:
        raise UsageError(
            f"entry {advice['id']} was approved before, by {shown(known[0]['actor'])} ({known[0]['time']})"
        )
    day, price = change
    draft = stamp(APPROVAL, _actor(options.by), _typed(options.reason))
    draft |= {"product": advice["product"], "approves": advice["id"], "date": day, "price": price}
    written = append(log, [draft])[-1]
    print(
        f"{shown(advice['product'])}: {advice['current_price']:g} to {price:g} on {day} is approved "
        f"(entry {written['id']})"
    )
    return 0


def history(words: Sequence[str], parser: Parser) -> int:
    """Print what was decided, overridden, paused and approved, by whom and why."""
    parser.description = PURPOSES["history"]
    add_run_options(parser)
    parser.add_argument("--product", help="this product only")
    options = parser.parse_args(words[1:])
    log = log_of(options)
    found = read_log(log)
    _known_product(found.entries, options.product, log)
    for entry in found.entries:
        if options.product in (None, entry.get("product")):
            print("\n".join(_describe(entry, found.entries)))
    if found.torn:
        print(f"line {len(found.entries) + 1} is torn: a write was interrupted, it does not count")
    return 0


def find_advice(entries: Sequence[Entry], number: int) -> Entry:
    """The advice with an entry's number.

    Raises:
        UsageError: there is no such entry, or it is no advice.
    """
    if not 1 <= number <= len(entries):
        raise UsageError(f"entry {number} does not exist; the log holds {len(entries)} entries (see history)")
    if entries[number - 1]["kind"] != ADVICE:
        raise UsageError(f"entry {number} is no advice but of kind {entries[number - 1]['kind']} (see history)")
    return entries[number - 1]


def _add_order_options(parser: Parser, kind: str) -> None:
    parser.add_argument("--product", help="product, where the run has several")
    if kind == OVERRIDE:
        parser.add_argument("--price", required=True, type=float, help="price to charge, within the hard limits")
    parser.add_argument("--until", required=True, help="last day, such as 2026-01-31")
    parser.add_argument("--reason", required=True, help="why; history and the audit show it")
    parser.add_argument("--by", help="who decides; your user name if absent")


def _last_advice(log: Path, product: str | None) -> Entry:
    """The newest advice on a product; the only product where none is named."""
    entries = read_log(log).entries
    known = _known_product(entries, product, log)
    if product is None and len(known) > 1:
        raise UsageError(f"--product is needed, this run has {len(known)}: {', '.join(map(shown, known[:10]))}")
    wanted = known[0] if product is None else product
    return [entry for entry in entries if entry["kind"] == ADVICE and entry["product"] == wanted][-1]


def _known_product(entries: Sequence[Entry], product: str | None, log: Path) -> list[str]:
    known = list(dict.fromkeys(entry["product"] for entry in entries if entry["kind"] == ADVICE))
    if not known:
        raise DataError(str(log), ["holds no advice yet; run fit or predict first"])
    if product is not None and product not in known:
        listed = ", ".join(map(shown, known[:10]))
        raise UsageError(f"--product {shown(product)!r} is unknown; known are {listed}{did_you_mean(product, known)}")
    return known


def _read_day(text: str, advice: Entry) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--until: must be a day such as 2026-01-31, found {text!r}") from None
    first = advice["days"][0]["date"]
    if day.isoformat() < first:
        raise UsageError(f"--until: {day} lies before {first}, the first of the next days; name a later one")
    return day


def _read_reason(text: str) -> str:
    if not shown(text):
        raise UsageError("--reason: must say why, found nothing")
    return _typed(text)


def _typed(text: str) -> str:
    """A typed text without bytes that are no text: those would break the files it is written into."""
    return text.encode("utf-8", "backslashreplace").decode().strip()


def _read_price(price: float) -> float:
    if not (math.isfinite(price) and price > 0):
        raise UsageError(f"--price: must be a positive number, found {price:g}")
    return price


def _actor(name: str | None) -> str:
    if name is not None and name.strip():
        return _typed(name)
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user, as in some containers
        return "unknown"


def _change(advice: Entry) -> tuple[str, float] | None:
    """Day and price of the first change that an advice recommends."""
    changed = [(day["date"], day["price"]) for day in advice["days"] if day["price"] != advice["current_price"]]
    return changed[0] if changed else None


def _describe(entry: Entry, entries: Sequence[Entry]) -> list[str]:
    """Two lines about an entry: what, when, who; and why."""
    head = f"{entry['id']:>4}  {entry['time']}  {entry['kind']:<8}  by {shown(entry['actor'], 40)}"
    if entry["kind"] == "repair":
        return [head, f"      {shown(entry['reason'])}"]
    return [f"{head}  {shown(entry['product'])}: {_say_what(entry, entries)}", f"      {shown(entry['reason']) or '–'}"]


def _say_what(entry: Entry, entries: Sequence[Entry]) -> str:
    if entry["kind"] == APPROVAL:
        return f"{entry['price']:g} on {entry['date']} approved (entry {entry['approves']})"
    if entry["kind"] == ADVICE:
        change = _change(entry)
        what = (
            f"keep {entry['current_price']:g}"
            if change is None
            else f"{entry['current_price']:g} to {change[1]:g} on {change[0]}"
        )
        return f"{what}, grade {entry['grade']}, source {entry['source']}"
    newest = [item for item in entries if item["kind"] == ADVICE and item["product"] == entry["product"]][-1]
    orders = orders_of(entries, entry["product"], newest["days"][0]["date"])
    status = next(item.status for item in orders if item.id == entry["id"])
    price = "price kept" if entry["kind"] == PAUSE else f"{entry['price']:g}"
    return f"{price} until {entry['until']}, {status}"
