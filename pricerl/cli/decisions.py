"""Commands for people's decisions: ``override``, ``pause``, ``resume`` and ``approve``."""

from __future__ import annotations

import argparse
import getpass
import math
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pricerl.advice.exports import PRICES
from pricerl.cli.log import write_run_log
from pricerl.cli.usage import Parser, add_author_options, positive_price, with_first
from pricerl.errors import EXIT_OK, UsageError
from pricerl.formatting import Formatter
from pricerl.guardrails.hard_limits import refuse_price
from pricerl.operations.log.decision_log import LOG_FILE, Entry, stamp
from pricerl.operations.log.orders import (
    ADVICE,
    APPROVAL,
    OVERRIDE,
    PAUSE,
    RESUME,
    TOLERANCE,
    doubt_price,
)
from pricerl.operations.outbox import first_change, last_day_of, limits_of
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder
from pricerl.runs.names import find_run
from pricerl.terminal import shown, write_lines

MOST_NOTES = 10
"""Most sentences about prices that were left out."""

RUN_OPTIONS = "name the run with --run_name R, or with --ckpt_path FILE, a checkpoint in its folder"

KEPT_TO = {OVERRIDE: "change it in your shop; later advice keeps to it", PAUSE: "later advice keeps to it"}
"""Effect of an order on later advice."""


def override(words: Sequence[str]) -> int:
    """Charge a price until a day instead of the recommended one, within the hard limits."""
    return _order(OVERRIDE, override.__doc__, words)


def pause(words: Sequence[str]) -> int:
    """Keep the price until a day instead of following the model."""
    return _order(PAUSE, pause.__doc__, words)


def resume(words: Sequence[str]) -> int:
    """End an override or a pause before its last day; the model decides again from the next advice on."""
    parser = Parser(prog="pricerl resume", description=resume.__doc__)
    add_run_options(parser)
    parser.add_argument("--product", help="product, if the run has several")
    add_author_options(parser)
    options = parser.parse_args(words)
    shop = shop_of(options)
    (*_, entry), after = shop.record(lambda shop: [_draft_resumption(shop, options)])
    done = f"{shown(entry['product'])}: the order of entry {entry['ends']} has ended (entry {entry['id']} of "
    write_lines([f"{done}{shop.log_path})", "the next advice follows the model again", *outbox_lines(after)])
    return EXIT_OK


def _draft_resumption(shop: Shop, options: argparse.Namespace) -> Entry:
    """Draft the end of the order in force on a product.

    Raises:
        UsageError: there is none.
    """
    advice = shop.advice_on(options.product)
    orders = shop.orders_on(advice["product"])
    order = next((order for order in reversed(orders) if order.status in ("active", "refused")), None)
    if order is None:
        raise UsageError(f"no override, pause or price test of {shown(advice['product'])} is in force (see history)")
    draft = stamp(RESUME, actor_of(options.by), typed_text(options.reason))
    return draft | {"product": advice["product"], "ends": order.id}


def approve(words: Sequence[str]) -> int:
    """Record the approval of a recommended change."""
    parser = Parser(prog="pricerl approve", description=approve.__doc__)
    add_run_options(parser)
    parser.add_argument("id", nargs="?", type=int, help="entry to approve; the product's last advice if absent")
    parser.add_argument("--product", help="product, if the run has several")
    add_author_options(parser)
    options = parser.parse_args(words)
    shop = shop_of(options)
    (*_, entry), after = shop.record(lambda shop: [_draft_approval(shop, options)])
    name, price = shown(entry["product"]), entry["price"]
    advice = shop.log.entries[entry["approves"] - 1]
    change = f"the change from {advice['current_price']:g} to {price:g} on {entry['date']}"
    later = sorted({day["price"] for day in advice["days"]} - {price, advice["current_price"]})
    more = [f"later steps ({', '.join(f'{step:g}' for step in later)}) need another advice first"] if later else []
    write_lines([f"{name}: {change} is approved (entry {entry['id']})", *more, *outbox_lines(after)])
    return EXIT_OK


def _draft_approval(shop: Shop, options: argparse.Namespace) -> Entry:
    """Draft the approval of the newest advice on a product.

    Raises:
        UsageError: there is nothing to approve, or it was approved before.
    """
    if options.id is None:
        advice = shop.advice_on(options.product)
    else:
        advice = find_advice(shop.log.entries, options.id)
        newest = shop.newest.get(advice["product"])
        if newest is None or newest["id"] != advice["id"]:
            instead = f"the newest is entry {newest['id']}" if newest else "it is not in force"
            raise UsageError(f"entry {advice['id']} is not the newest advice on {shown(advice['product'])}; {instead}")
    change = first_change(advice)
    name = f"entry {advice['id']}"
    if change is None:
        raise UsageError(f"{name} keeps the price at {advice['current_price']:g}: nothing to approve")
    if last_day_of(advice) < shop.today.isoformat():
        raise UsageError(f"{name} covers the days until {last_day_of(advice)}; run predict with a fresh file first")
    for entry in shop.log.entries:
        if entry.get("approves") == advice["id"]:
            raise UsageError(f"{name} was approved before, by {shown(entry['actor'])} ({entry['time']})")
    order = shop.order_on(advice["product"])
    if order is not None and order.id not in (advice.get("order"), advice.get("test")):
        price = "keeps the price" if order.price is None else f"of {order.price:g}"
        rule = f"the {order.kind} {price} until {order.until} (entry {order.id}) is in force and takes precedence"
        raise UsageError(f"{name}: {rule}; end it with resume, or let predict advise under it")
    draft = stamp(APPROVAL, actor_of(options.by), typed_text(options.reason))
    about = {"product": advice["product"], "approves": advice["id"]}
    return draft | about | {"date": change["date"], "price": change["price"]}


def add_run_options(parser: Parser) -> None:
    """Add the options that name a run."""
    parser.add_argument("--run_name", help="run, a folder in checkpoints; the only one if absent")
    parser.add_argument("--ckpt_path", help="a checkpoint in the run's folder, instead of its name")
    parser.add_argument("--today", help="day to take as today, such as 2026-01-31; the clock's if absent")


def shop_of(options: argparse.Namespace) -> Shop:
    """Return the shop of the run named by the options.

    Raises:
        UsageError: the run does not exist, or none is named and there are several.
    """
    named = options.ckpt_path in (None, "last", "best")
    folder = find_run(options.run_name, LOG_FILE).path if named else RunFolder.of(Path(options.ckpt_path)).path
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder of a run; {RUN_OPTIONS}")
    write_run_log(folder)
    return Shop.open(RunFolder(folder), options.today)


def find_advice(entries: Sequence[Entry], number: int) -> Entry:
    """Return an advice by its entry number.

    Raises:
        UsageError: there is no such entry, or it is not an advice.
    """
    if not 1 <= number <= len(entries):
        raise UsageError(f"entry {number} does not exist; the log holds {len(entries)} entries (see history)")
    if entries[number - 1]["kind"] != ADVICE:
        raise UsageError(f"entry {number} is not an advice, but of kind {entries[number - 1]['kind']} (see history)")
    return entries[number - 1]


def _order(kind: str, purpose: str | None, words: Sequence[str]) -> int:
    """Append an order that refers to the product's last advice, and print its effect."""
    parser = Parser(prog=f"pricerl {kind}", description=purpose)
    add_run_options(parser)
    parser.add_argument("--product", help="product, if the run has several")
    parser.add_argument("--until", required=True, help="last day, such as 2026-01-31")
    add_author_options(parser, needs_reason=True)
    if kind == OVERRIDE:
        parser.add_argument("--price", required=True, type=float, help="price to charge, within the hard limits")
        tolerance = "largest difference from the current price that needs no --force, as a share; 0.2 is 20 %%"
        parser.add_argument("--tolerance", type=float, default=TOLERANCE, help=tolerance)
        parser.add_argument("--force", action="store_true", help="charge a price beyond that, or one never tried")
    options = parser.parse_args(with_first(words, "--price") if kind == OVERRIDE else words)
    shop = shop_of(options)
    (*_, entry), after = shop.record(lambda shop: [_draft_order(kind, shop, options)])
    effect = f"you charge {entry['price']:g}" if kind == OVERRIDE else "the price is kept"
    done = f"{shown(entry['product'])}: until {entry['until']} {effect} (entry {entry['id']} of {shop.log_path})"
    expected = _expected_lines(shop.folder.path, entry["product"], entry["price"]) if kind == OVERRIDE else []
    write_lines([done, *expected, KEPT_TO[kind], *outbox_lines(after)])
    return EXIT_OK


def _expected_lines(folder: Path, product: str, price: float) -> list[str]:
    """Return the expected effect of an ordered price, money, and the objections to it, from the last advice."""
    from pricerl.advice.files import read_advice
    from pricerl.advice.sentences.next_steps import expectation_words, objection_words

    document = read_advice(folder)
    found = (
        None if document is None else next((item for item in document["products"] if item["product"] == product), None)
    )
    if document is None or found is None:
        return []
    f = Formatter(*(document[name] for name in ("locale", "currency", "price_decimals", "step_days")))
    return [*expectation_words(found, price, f), *objection_words(found, price, f)]


def outbox_lines(shop: Shop) -> list[str]:
    """Return the content of the outbox in one line, and one per price that was left out."""
    box, path = shop.outbox, shop.folder.path / PRICES
    names = {row.product: f"{shown(row.product)} " if len(shop.newest) > 1 else "" for row in box.rows}
    listed = ", ".join(f"{names[row.product]}{row.price:.{box.decimals}f} from {row.date}" for row in box.rows[:3])
    more = f" and {len(box.rows) - 3} more" if len(box.rows) > 3 else ""
    said = f"{path}: {listed}{more}" if box.rows else f"{path}: no price to change"
    notes = box.notes[:MOST_NOTES]
    rest = [f"and {len(box.notes) - MOST_NOTES} more prices left out"] if len(box.notes) > MOST_NOTES else []
    return [said, *notes, *rest]


def _draft_order(kind: str, shop: Shop, options: argparse.Namespace) -> Entry:
    """Draft an order on the product of its last advice.

    Raises:
        UsageError: day, reason or price are not acceptable.
    """
    advice = shop.advice_on(options.product)
    until = _read_day(options.until, shop.first_day_for(advice)).isoformat()
    if not shown(options.reason):
        raise UsageError("--reason: must be a text, found nothing")
    draft = stamp(kind, actor_of(options.by), typed_text(options.reason))
    draft |= {"product": advice["product"], "until": until}
    if kind == OVERRIDE:
        draft |= {"price": positive_price(options.price), "currency": advice["terms"]["currency"]}
        if refusal := refuse_price(draft["price"], limits_of(advice)):
            raise UsageError(f"--price: {refusal}; choose another price or change the limit")
        if not 0 <= options.tolerance < math.inf:
            raise UsageError(f"--tolerance: must be 0 or more, found {options.tolerance:g}")
        doubt = doubt_price(draft["price"], advice["current_price"], advice["tried"], options.tolerance)
        if doubt and not options.force:
            raise UsageError(f"--price: {doubt}; add --force if you mean it")
        draft["forced"] = bool(doubt)
    return draft


def _read_day(text: str, first: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--until: must be a day such as 2026-01-31, found {text!r}") from None
    if day.isoformat() < first:
        raise UsageError(f"--until: {day} is before {first}, the next day that has no price yet; choose a later day")
    return day


def typed_text(text: str) -> str:
    """Return a typed text without undecodable bytes, which would make files unreadable."""
    return text.encode("utf-8", "backslashreplace").decode().strip()


def actor_of(name: str | None) -> str:
    """Return who decides: the given name, or the user's."""
    if name is not None and name.strip():
        return typed_text(name)
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # the user has no name, as in some containers
        return "unknown"
