"""Commands for people's decisions (``override`` to ``rollback``), the log (``history``) and the outbox (``prices``)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from pricerl.advice.exports import PRICES
from pricerl.advice.sentences.grounds import describe_limits
from pricerl.advice.sentences.next_steps import Place, expectation_words, group_steps, prepared_words
from pricerl.advice.sentences.verdict import Record
from pricerl.arrays import grouped
from pricerl.cli.usage import AUTHOR, PRODUCT, RUN, Options, function_of, parser_of, takes, with_first
from pricerl.data.naming import COSTS_FILE, choose_product
from pricerl.data.platforms.import_forms import own_forms
from pricerl.errors import did_you_mean, refuse
from pricerl.experiments.schedule import read_plans
from pricerl.formatting import Formatter, plural
from pricerl.operations.exports import read_publication, read_record
from pricerl.operations.log import drafts, orders
from pricerl.operations.log.decision_log import LOG_FILE, Entry
from pricerl.operations.log.staging import (
    draft_approvals,
    draft_rejection,
    find_open,
    groups_of,
    is_staged,
    waiting_in,
)
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder
from pricerl.runs.names import find_run
from pricerl.shop.database import reading
from pricerl.terminal import confirm, list_first, shown, table, write_lines
from pricerl.writing import write_text

FOLLOWS = {
    orders.OVERRIDE: "change it in your shop; later advice keeps to it",
    orders.PAUSE: "later advice keeps to it",
    orders.CLEAR: "run predict: it plans these prices anew from what is left, until then or until resume",
    orders.RESUME: "the next advice follows the model again",
    orders.VISITOR_TEST: "the next advice counts it",
    orders.COSTS: f"the next advice takes it, and {COSTS_FILE} has it",
    orders.PRICE_TEST: "later advice follows the schedule; override, pause and the kill switch take precedence",
}
"""Consequence of a decision, by kind."""

ORDERED: Options = {
    **AUTHOR,
    "--reason": {**AUTHOR["--reason"], "required": True},
    "--until": {"required": True, "help": "last day, such as 2026-01-31"},
}
"""Options of an order: author, the reason, which it needs, and its last day."""

PRICE: Options = {"--price": {"required": True, "type": float, "help": "price to charge, within the hard limits"}}

DOUBTS: Options = {
    "--tolerance": {
        "type": float,
        "default": orders.TOLERANCE,
        "help": "largest difference from the current price that needs no --force, as a share; 0.2 is 20 %%",
    },
    "--force": {"action": "store_true", "help": "charge prices beyond that, or never tried"},
}
"""Options for prices that are far from the current one, or were never charged."""

APPROVED: Options = {
    "id": {"nargs": "?", "type": int, "help": "entry to approve; the product's last advice if absent"},
    "--yes": {"action": "store_true", "help": "approve what an agent prepared without being asked"},
    "--group": {"help": "approve all changes that wait in a group of products, or none of them"},
}
"""Options of ``approve``."""

PRICE_TESTS = {
    "plan": "pricerl.cli.experiments.price_tests:plan",
    "start": "pricerl.cli.commands.decisions:start",
    "read": "pricerl.cli.experiments.price_tests:read",
}
"""Module and function of each action of ``price-test``, of which only some need torch."""


@takes(orders.OVERRIDE, RUN, PRODUCT, ORDERED, PRICE, DOUBTS)
def override(options: argparse.Namespace) -> None:
    """Charge a price until a day instead of the recommended one, within the hard limits."""
    said = (options.product, options.until, options.by, options.reason, options.price, options.tolerance, options.force)
    record(options, lambda shop: [drafts.draft_override(shop, *said)])


@takes(orders.PAUSE, RUN, PRODUCT, ORDERED)
def pause(options: argparse.Namespace) -> None:
    """Keep the price until a day instead of following the model."""
    record(options, lambda shop: [drafts.draft_pause(shop, options.product, options.until, options.by, options.reason)])


@takes("resume", RUN, PRODUCT, AUTHOR)
def resume(options: argparse.Namespace) -> None:
    """End the override, pause, price test or clearance of a product early, else take back the approval."""
    record(options, lambda shop: [drafts.draft_resumption(shop, options.product, options.by, options.reason)])


@takes("approve", RUN, PRODUCT, AUTHOR, APPROVED)
def approve(options: argparse.Namespace) -> None:
    """Record the approval of a recommended change, or of a decision that an agent prepared."""
    shop = shop_of(options)
    if is_staged(shop, options.id):
        write_lines(_prepared_lines(shop, find_open(shop, options.id)))
        stays = not (options.yes or confirm("Approve this? [y/N] "))
        refuse({"nothing has changed: answer y at a terminal, or add --yes": stays})
    record(
        options,
        lambda shop: draft_approvals(shop, options.product, options.id, options.group, options.by, options.reason),
    )


@takes("reject", RUN, AUTHOR, {"id": {"type": int, "help": "entry to reject"}})
def reject(options: argparse.Namespace) -> None:
    """Reject a decision that an agent prepared."""
    record(options, lambda shop: [draft_rejection(shop, options.id, options.by, options.reason)])


def price_test(words: Sequence[str]) -> int | None:
    """Rank products by the value of a test and plan those that pay (plan), follow them (start), or judge (read)."""
    if words and words[0] in ("-h", "--help"):
        write_lines([f"usage: pricerl price-test {'|'.join(PRICE_TESTS)} RUN [options]", str(price_test.__doc__)])
        return None
    action = words[0] if words else "nothing"
    found = f"{action!r}{did_you_mean(action, PRICE_TESTS)}"
    refuse({f"price-test: the first word must be plan, start or read, found {found}": action not in PRICE_TESTS})
    return function_of(PRICE_TESTS[action])(with_first(words[1:], "--run_name"))


@takes("price-test start", RUN, PRODUCT, AUTHOR, DOUBTS)
def start(options: argparse.Namespace) -> None:
    """Start the planned price tests: predict and prices.csv follow their schedules."""
    plans = read_plans(shop_of(options).folder.path)
    planned = [order for order in plans if options.product in (None, order["product"])]
    if not planned:
        choose_product([order["product"] for order in plans], options.product, "the plan")
    said = (options.by, options.reason, options.tolerance, options.force)
    record(options, lambda shop: [drafts.draft_price_test(shop, order, *said) for order in planned])


def record(options: argparse.Namespace, draft: Callable[[Shop], list[Entry]]) -> None:
    """Append decisions to the log, and print each with its effect, and the outbox after it."""
    _print_decided(*shop_of(options).record(draft))


def _print_decided(written: Sequence[Entry], after: Shop) -> None:
    """Print the entries that a shop's log has got, each with its effect, and the outbox after them."""
    for entry in written:
        *_, content = drafts.entry_cells(entry, after)
        write_lines([f"{content} (entry {entry['id']} of {after.log_path})", *_effect_lines(after, entry)])
    write_lines([*filter(None, [FOLLOWS.get(written[-1]["kind"])]), *outbox_lines(after)])


def shop_of(options: argparse.Namespace) -> Shop:
    """Return the shop of the run that the options name, or of the only run."""
    named = options.ckpt_path in (None, "last", "best")
    folder = find_run(options.run_name, LOG_FILE).path if named else RunFolder.of(Path(options.ckpt_path)).path
    remedy = "name the run with --run_name R, or with --ckpt_path FILE, a checkpoint in its folder"
    refuse({f"{folder} is not a folder of a run; {remedy}": not named and not folder.is_dir()})
    return Shop.open(RunFolder(folder), options.today)


def _prepared_lines(shop: Shop, staged: Entry) -> list[str]:
    """Return author and reason of a decision that an agent prepared, its effect in money, and what it does."""
    found = _advised(shop, staged["product"])
    words = prepared_words(staged, *found[:2]) if found else [drafts.entry_cells(staged, shop)[-1]]
    head = f"{shown(staged['product'])}: prepared by an agent, {shown(staged['actor'], 40)} (entry {staged['id']})"
    return [head, *(f"  {line}" for line in words), f"  its reason: {shown(staged['reason'])}"]


def _effect_lines(shop: Shop, decided: Entry) -> list[str]:
    """Return the expected effect of an ordered price in money, with the limits of the last advice.

    Of an approved change it is what that earns without the changes that still wait in its category; else nothing.
    """
    ordered, approved = (decided["kind"] == kind for kind in (orders.OVERRIDE, orders.APPROVAL))
    group = groups_of(shop).get(decided["product"], "") if approved else ""
    split = group and waiting_in(shop, group)
    if not ((ordered or split) and (found := _advised(shop, decided["product"]))):
        return []
    item, f, place = found
    if ordered:
        return [*expectation_words(item, decided["price"], f, place), describe_limits(item, f)]
    return [f"{words}: {command}" for words, command in group_steps(item, f, place)]


def _advised(shop: Shop, product: str) -> tuple[Record, Formatter, Place] | None:
    """Return the record of the newest advice on a product with its formatter and place, if the shop keeps one."""
    with reading(shop.log_path) as database:
        publication, record = read_publication(database), read_record(database, product)
    place = Place(run=shop.folder.path.name, product=product if len(shop.newest) > 1 else "")
    return (record, publication.formatter, place) if publication and record else None


def outbox_lines(shop: Shop) -> list[str]:
    """Return the content of the outbox in one line, and one per reason to leave prices out."""
    box = shop.outbox
    names = {row.product: f"{shown(row.product)} " if len(shop.newest) > 1 else "" for row in box.rows}
    rows = [f"{names[row.product]}{row.price:.{box.decimals}f} from {row.date}" for row in box.rows]
    left = grouped((why, shown(name)) for name, why in box.left_out)
    reasons = [f"{list_first(products, 3)}: no price, {why}" for why, products in left.items()]
    total = [box.summary] if rows else []
    return [f"{shop.folder.path / PRICES}: {list_first(rows, 3) or 'no price to change'}", *total, *reasons]


def receipt_lines(shop: Shop) -> list[str]:
    """Return what the new prices of a shop's last roll-out have earned; nothing without one."""
    if orders.last_roll_out(shop.log.entries)[0] is None:
        return []
    from pricerl.operations.roll_out import say_receipt  # late, as it reads all days

    return say_receipt(shop)


@takes("history", RUN, {"--product": {"help": "this product only"}})
def history(options: argparse.Namespace) -> None:
    """Print all decisions, overrides, pauses and approvals with author and reason."""
    shop = shop_of(options)
    found = shop.entries()
    if options.product is not None:
        advised = dict.fromkeys(entry["product"] for entry in found if entry["kind"] == orders.ADVICE)
        choose_product(list(advised), options.product, "this run")
    shown_entries = [entry for entry in found if options.product in (None, entry.get("product"))]
    heads = table([drafts.entry_cells(entry, shop) for entry in shown_entries], numbers=False)
    reasons = [f"      {shown(entry['reason']) or '–'}" for entry in shown_entries]
    write_lines(line for pair in zip(heads, reasons, strict=True) for line in pair)


def prices(words: Sequence[str]) -> None:
    """Print the prices to charge, and write today's in the import form of a platform, with a file that undoes them."""
    forms = own_forms()
    listed = ", ".join(f"{form.file} and {form.undo}" for form in forms.values())
    filled = ", ".join(name for name, form in forms.items() if form.fills)
    written: Options = {
        "--as": {"dest": "form", "choices": forms, "help": f"platform; writes {listed}"},
        "--fill": {"type": Path, "help": f"your platform's export of products, for {filled}"},
        "--out": {"default": ".", "help": "folder to write into; this one if absent"},
    }
    options = parser_of("prices", prices.__doc__, RUN, written).parse_args(words)
    wrong = bool(options.fill) != (options.form is not None and bool(forms[options.form].fills))
    refuse({f"--fill: name your export of products with --as {filled}, and with no other platform": wrong})
    shop = shop_of(options)
    box = shop.outbox
    shown = [*table(box.table()), box.summary, *box.notes] if box.rows else outbox_lines(shop)
    write_lines([*shown, *receipt_lines(shop)])
    if options.form is not None:
        form = forms[options.form]
        for name, text in shop.import_files(form, options.fill).items():
            write_text(Path(options.out) / name, text)
        later = sum(row.date > shop.today.isoformat() for row in box.rows)
        held = f"{plural(len(box.rows) - later, 'price')} of today{f', without {later} of later days' * bool(later)}"
        write_lines(
            [
                f"{Path(options.out) / form.file}: {held}; upload: {form.upload}",
                f"{Path(options.out) / form.undo}: the prices until now, which undo them",
            ]
        )


@takes(
    "rollback", RUN, {"--to": {"help": "generation, such as gen-0003; the one before the current if absent"}}, AUTHOR
)
def rollback(options: argparse.Namespace) -> None:
    """Use an earlier generation of weights and advice again."""
    shop = shop_of(options)
    with shop.folder.locked():
        before = shop.folder.current
        chosen = shop.find_model(options.to)
        about = {"generation": chosen.name, "instead_of": None if before is None else before.name}
        stamp = drafts.typed_stamp(orders.ROLLBACK, options.by, options.reason)
        written, after = shop.record(lambda _: [stamp | about], uses=chosen)
    _print_decided(written[-1:], after)
