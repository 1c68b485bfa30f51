"""Command ``roll-out``: begin to follow the advice in a random order, and what the new prices have earned since."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pricerl.cli.commands.decisions import outbox_lines, receipt_lines, shop_of
from pricerl.cli.usage import Parser, add_author, add_run
from pricerl.errors import EXIT_OK
from pricerl.experiments.roll_out import WEEKS
from pricerl.formatting import plural
from pricerl.operations.log import drafts, orders
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.roll_out import draft_end, draft_roll_out, foresee, formatter_of
from pricerl.operations.shop import Shop
from pricerl.terminal import confirm, write_lines


def begin_or_read(words: Sequence[str]) -> int:
    """Begin to follow the advice product by product in a random order, which measures what it earns; later, say so."""
    parser = Parser(prog="pricerl roll-out", description=begin_or_read.__doc__)
    add_run(parser)
    parser.add_argument("--weeks", type=int, default=WEEKS, help="weeks within which all products begin")
    kept = "go back to the earlier prices of a tenth of the products afterwards, another tenth every four weeks"
    parser.add_argument("--keep-control", action="store_true", help=f"{kept}, for a year")
    parser.add_argument("--stop", action="store_true", help="end the roll-out: every product follows the advice")
    parser.add_argument("--yes", action="store_true", help="begin without being asked")
    add_author(parser)
    options = parser.parse_args(words)
    shop = shop_of(options)
    said = (options.by, options.reason)
    entry, end = orders.last_roll_out(shop.log.entries)
    if options.stop:
        return _record(shop, lambda now: [draft_end(now, *said)])
    write_lines(receipt_lines(shop))
    if entry is not None and shop.today.isoformat() < end:
        *_, content = drafts.entry_cells(entry, shop)
        write_lines([f"{content} (entry {entry['id']} of {shop.log_path}); roll-out --stop ends it"])
        return EXIT_OK
    design = (options.weeks, options.keep_control, *said)
    write_lines(_preview(shop, draft_roll_out(shop, *design)))
    if options.yes or confirm("Begin? [y/N] "):
        return _record(shop, lambda now: [draft_roll_out(now, *design)])
    write_lines(["nothing has changed: answer y at a terminal, or add --yes"])
    return EXIT_OK


def _record(shop: Shop, draft: Callable[[Shop], list[Entry]]) -> int:
    """Append the start or the end of a roll-out to the log."""
    (written,), after = shop.record(draft)
    *_, content = drafts.entry_cells(written, after)
    write_lines([f"{content} (entry {written['id']} of {after.log_path})", *outbox_lines(after)])
    return EXIT_OK


def _preview(shop: Shop, draft: Entry) -> list[str]:
    """Return the design of a roll-out, what waiting costs, and when a receipt is to be expected."""
    f = formatter_of(shop)
    clusters, quarter, waiting, shows, limits = foresee(shop, draft)
    count = f"{plural(len(draft['products']), 'product')} in {plural(clusters, 'cluster')}"
    begins = f"begin to follow the advice in a random order, within {plural(draft['weeks'], 'week')}"
    until = f.date(draft["until"])
    gain = f"about {f.money(waiting)} of the {f.money(quarter)} that the advice expects in a quarter"
    shown = f"a gain as large as the advice expects shows from about {f.date(shows)} on" if shows else ""
    wide = f"no gain below about {f.money(limits)} shows until {until}: products are too few, or sell too unevenly"
    control = f"  control    afterwards a tenth at a time goes back to its earlier prices, until {until}"
    return [
        f"{count} {begins} from {f.date(draft['first_day'])} on",
        *([control] if draft["control"] else []),
        f"  waiting    costs {gain if quarter > 0 else 'nothing, as the advice expects no gain'}",
        f"  receipt    {shown or wide}",
    ]
