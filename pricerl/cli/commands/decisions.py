"""Commands for people's decisions (``override`` to ``rollback``), the log (``history``) and the outbox (``prices``)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pricerl.advice.exports import PRICES
from pricerl.cli.usage import Parser, add_author_options, with_first
from pricerl.data.naming import COSTS_FILE, choose_product
from pricerl.data.platforms.import_forms import own_forms
from pricerl.errors import EXIT_OK, UsageError
from pricerl.formatting import Formatter, plural
from pricerl.operations.log import drafts, orders
from pricerl.operations.log.decision_log import LOG_FILE, Entry, read_log
from pricerl.operations.log.staging import draft_approval, draft_rejection, find_open, is_staged
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder
from pricerl.runs.names import find_run
from pricerl.terminal import confirm, shown, table, write_lines
from pricerl.writing import write_text

if TYPE_CHECKING:
    from pricerl.advice.sentences.next_steps import Place
    from pricerl.advice.sentences.verdict import Record


def override(words: Sequence[str]) -> int:
    """Charge a price until a day instead of the recommended one, within the hard limits."""
    return _order(orders.OVERRIDE, override.__doc__, words)


def pause(words: Sequence[str]) -> int:
    """Keep the price until a day instead of following the model."""
    return _order(orders.PAUSE, pause.__doc__, words)


def resume(words: Sequence[str]) -> int:
    """End the override, pause or price test of a product before its last day, else take back the approval."""
    options = _author_parser("resume", resume.__doc__).parse_args(words)
    shop = shop_of(options)
    said = (options.product, options.by, options.reason)
    (*_, entry), after = shop.record(lambda shop: [drafts.draft_resumption(shop, *said)])
    done = f"{shown(entry['product'])}: {drafts.end_words(entry, after)} (entry {entry['id']} of {shop.log_path})"
    back = (order := after.order_on(entry["product"])) is not None and order.status == "returning"
    follows = (
        "the regular price holds again, and the model goes on" if back else "the next advice follows the model again"
    )
    write_lines([done, follows, *outbox_lines(after)])
    return EXIT_OK


def approve(words: Sequence[str]) -> int:
    """Record the approval of a recommended change, or of a decision that an agent prepared."""
    parser = _author_parser("approve", approve.__doc__)
    parser.add_argument("id", nargs="?", type=int, help="entry to approve; the product's last advice if absent")
    parser.add_argument("--yes", action="store_true", help="approve what an agent prepared without being asked")
    options = parser.parse_args(words)
    shop = shop_of(options)
    if is_staged(shop, options.id):
        write_lines(_prepared_lines(shop, find_open(shop, options.id)))
        if not (options.yes or confirm("Approve this? [y/N] ")):
            raise UsageError("nothing has changed: answer y at a terminal, or add --yes")
    said = (options.by, options.reason)
    (*_, entry), after = shop.record(lambda shop: [draft_approval(shop, options.product, options.id, *said)])
    name = shown(entry["product"])
    if entry["kind"] != orders.APPROVAL:
        *_, content = drafts.entry_cells(entry, after)
        more = [f"the next advice takes it with --costs {COSTS_FILE}"] if entry["kind"] == orders.COSTS else []
        write_lines([f"{content} (entry {entry['id']} of {after.log_path})", *more, *outbox_lines(after)])
        return EXIT_OK
    price = entry["price"]
    advice = shop.newest[entry["product"]]
    now, new = (drafts.price_words(price, after) for price in (advice["current_price"], entry["price"]))
    change = f"the change from {now} to {new} on {entry['date']}"
    later = sorted({day["price"] for day in advice["days"]} - {price, advice["current_price"]})
    steps = ", ".join(drafts.price_words(step, after) for step in later)
    more = [f"later steps ({steps}) need another advice first"] if later else []
    write_lines([f"{name}: {change} is approved (entry {entry['id']})", *more, *outbox_lines(after)])
    return EXIT_OK


def reject(words: Sequence[str]) -> int:
    """Reject a decision that an agent prepared."""
    parser = Parser(prog="pricerl reject", description=reject.__doc__)
    add_run_options(parser)
    parser.add_argument("id", type=int, help="entry to reject")
    add_author_options(parser)
    options = parser.parse_args(words)
    shop = shop_of(options)
    (*_, entry), after = shop.record(lambda shop: [draft_rejection(shop, options.id, options.by, options.reason)])
    *_, content = drafts.entry_cells(entry, after)
    write_lines([f"{content} (entry {entry['id']} of {after.log_path})"])
    return EXIT_OK


def _prepared_lines(shop: Shop, staged: Entry) -> list[str]:
    """Return author and reason of a decision that an agent prepared, its effect in money, and what it does."""
    from pricerl.advice.sentences.next_steps import prepared_words

    found = _advised(shop, staged["product"])
    words = prepared_words(staged, *found[:2]) if found else [drafts.entry_cells(staged, shop)[-1]]
    head = f"{shown(staged['product'])}: prepared by an agent, {shown(staged['actor'], 40)} (entry {staged['id']})"
    return [head, *(f"  {line}" for line in words), f"  its reason: {shown(staged['reason'])}"]


def _author_parser(command: str, purpose: str | None, needs_reason: bool = False) -> Parser:
    """Return a parser of the options of a decision: run, product, reason and author."""
    parser = Parser(prog=f"pricerl {command}", description=purpose)
    add_run_options(parser)
    parser.add_argument("--product", help="product, if the run has several")
    add_author_options(parser, needs_reason)
    return parser


def add_run_options(parser: Parser) -> None:
    """Add the options that name a run."""
    parser.add_argument("--run_name", help="run, a folder in checkpoints; the only one if absent")
    parser.add_argument("--ckpt_path", help="a checkpoint in the run's folder, instead of its name")
    parser.add_argument("--today", help="day to take as today, such as 2026-01-31; the clock's if absent")


def shop_of(options: argparse.Namespace) -> Shop:
    """Return the shop of the run that the options name, or of the only run."""
    named = options.ckpt_path in (None, "last", "best")
    folder = find_run(options.run_name, LOG_FILE).path if named else RunFolder.of(Path(options.ckpt_path)).path
    if not folder.is_dir():
        name = "name the run with --run_name R, or with --ckpt_path FILE, a checkpoint in its folder"
        raise UsageError(f"{folder} is not a folder of a run; {name}")
    return Shop.open(RunFolder(folder), options.today)


def _order(kind: str, purpose: str | None, words: Sequence[str]) -> int:
    """Append an order that refers to the product's last advice, and print its effect."""
    parser = _author_parser(kind, purpose, needs_reason=True)
    parser.add_argument("--until", required=True, help="last day, such as 2026-01-31")
    if kind == orders.OVERRIDE:
        parser.add_argument("--price", required=True, type=float, help="price to charge, within the hard limits")
        tolerance = "largest difference from the current price that needs no --force, as a share; 0.2 is 20 %%"
        parser.add_argument("--tolerance", type=float, default=orders.TOLERANCE, help=tolerance)
        parser.add_argument("--force", action="store_true", help="charge a price beyond that, or one never tried")
    options = parser.parse_args(with_first(words, "--price") if kind == orders.OVERRIDE else words)
    shop = shop_of(options)
    said = (options.product, options.until, options.by, options.reason)
    if kind == orders.PAUSE:
        (*_, entry), after = shop.record(lambda shop: [drafts.draft_pause(shop, *said)])
    else:
        asked = (options.price, options.tolerance, options.force)
        (*_, entry), after = shop.record(lambda shop: [drafts.draft_override(shop, *said, *asked)])
    effect = (
        f"you charge {drafts.price_words(entry['price'], after)}" if kind == orders.OVERRIDE else "the price is kept"
    )
    done = f"{shown(entry['product'])}: until {entry['until']} {effect} (entry {entry['id']} of {shop.log_path})"
    expected = _expected_lines(after, entry["product"], entry["price"]) if kind == orders.OVERRIDE else []
    kept = f"{'change it in your shop; ' if kind == orders.OVERRIDE else ''}later advice keeps to it"
    write_lines([done, *expected, kept, *outbox_lines(after)])
    return EXIT_OK


def _expected_lines(shop: Shop, product: str, price: float) -> list[str]:
    """Return the expected effect of an ordered price, money, and the limits of the last advice."""
    from pricerl.advice.sentences.grounds import describe_limits
    from pricerl.advice.sentences.next_steps import expectation_words

    if (found := _advised(shop, product)) is None:
        return []
    item, f, place = found
    return [*expectation_words(item, price, f, place), describe_limits(item, f)]


def _advised(shop: Shop, product: str) -> tuple[Record, Formatter, Place] | None:
    """Return the record of a product in ``advice.json``, with its formatter and place; None without one."""
    from pricerl.advice.files import read_advice
    from pricerl.advice.sentences.next_steps import Place

    document = read_advice(shop.folder.path) or {"products": []}
    place = Place(run=shop.folder.path.name, product=product if len(shop.newest) > 1 else "")
    for item in document["products"]:
        if item["product"] == product and item["current_price"] == shop.newest[product]["current_price"]:
            f = Formatter(*(document[name] for name in ("locale", "currency", "price_decimals", "step_days")))
            return item, f, place
    return None


def outbox_lines(shop: Shop) -> list[str]:
    """Return the content of the outbox in one line, and one per reason to leave prices out."""
    box = shop.outbox
    path = shop.folder.path / PRICES
    names = {row.product: f"{shown(row.product)} " if len(shop.newest) > 1 else "" for row in box.rows}
    listed = ", ".join(f"{names[row.product]}{row.price:.{box.decimals}f} from {row.date}" for row in box.rows[:3])
    more = f" and {len(box.rows) - 3} more" if len(box.rows) > 3 else ""
    said = f"{path}: {listed}{more}" if box.rows else f"{path}: no price to change"
    left: dict[str, list[str]] = {}
    for name, why in box.left_out:
        left.setdefault(why, []).append(shown(name))
    lines = [said]
    for why, products in left.items():
        others = f" and {len(products) - 3} more" if len(products) > 3 else ""
        lines.append(f"{', '.join(products[:3])}{others}: no price, {why}")
    return lines


def history(words: Sequence[str]) -> int:
    """Print all decisions, overrides, pauses and approvals with author and reason."""
    parser = Parser(prog="pricerl history", description=history.__doc__)
    add_run_options(parser)
    parser.add_argument("--product", help="this product only")
    options = parser.parse_args(words)
    shop = shop_of(options)
    found = read_log(shop.log_path)
    if options.product is not None:
        advised = dict.fromkeys(entry["product"] for entry in found.entries if entry["kind"] == orders.ADVICE)
        choose_product(list(advised), options.product, "this run")
    shown_entries = [entry for entry in found.entries if options.product in (None, entry.get("product"))]
    heads = table([drafts.entry_cells(entry, shop) for entry in shown_entries], numbers=False)
    reasons = [f"      {shown(entry['reason']) or '–'}" for entry in shown_entries]
    write_lines(line for pair in zip(heads, reasons, strict=True) for line in pair)
    return EXIT_OK


def prices(words: Sequence[str]) -> int:
    """Print the prices to charge, and write today's in the import form of a platform, with a file that undoes them."""
    parser = Parser(prog="pricerl prices", description=prices.__doc__)
    add_run_options(parser)
    forms = own_forms()
    listed = ", ".join(f"{form.file} and {form.undo}" for form in forms.values())
    parser.add_argument("--as", dest="form", choices=forms, help=f"platform; writes {listed}")
    filled = ", ".join(name for name, form in forms.items() if form.fills)
    parser.add_argument("--fill", type=Path, help=f"your platform's export of products, for {filled}")
    parser.add_argument("--out", default=".", help="folder to write into; this one if absent")
    options = parser.parse_args(words)
    if bool(options.fill) != (options.form is not None and bool(forms[options.form].fills)):
        raise UsageError(f"--fill: name your export of products with --as {filled}, and with no other platform")
    shop = shop_of(options)
    box = shop.outbox
    write_lines([*table(box.table()), *box.notes] if box.rows else outbox_lines(shop))
    if options.form is not None:
        form = forms[options.form]
        for name, text in shop.import_files(form, options.fill).items():
            write_text(Path(options.out) / name, text)
        later = sum(row.date > shop.today.isoformat() for row in box.rows)
        held = f"{plural(len(box.rows) - later, 'price')} of today{f', without {later} of later days' * bool(later)}"
        write_lines([f"{Path(options.out) / form.file}: {held}; upload: {form.upload}"])
        write_lines([f"{Path(options.out) / form.undo}: the prices until now, which undo them"])
    return EXIT_OK


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
        before = folder.current
        chosen = folder.find(options.to)
        chosen.verify()
        about = {"generation": chosen.name, "instead_of": None if before is None else before.name}
        (*_, entry), after = shop.record(
            [drafts.typed_stamp(orders.ROLLBACK, options.by, options.reason) | about], uses=chosen
        )
    instead = "" if before is None else f" instead of {before.name}"
    done = f"{folder.path} uses {chosen.name}{instead} (entry {entry['id']} of {shop.log_path})"
    write_lines([done, *outbox_lines(after)])
    return EXIT_OK
