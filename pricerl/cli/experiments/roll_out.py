"""Command ``roll-out``: begin to follow the advice in a random order, and what the new prices have earned since."""

from __future__ import annotations

import argparse

from pricerl.cli.commands.decisions import receipt_lines, record, shop_of
from pricerl.cli.usage import AUTHOR, RUN, Options, takes
from pricerl.experiments.roll_out import WEEKS
from pricerl.formatting import plural
from pricerl.operations.log import drafts, orders
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.roll_out import draft_end, draft_roll_out, foresee, formatter_of
from pricerl.operations.shop import Shop
from pricerl.terminal import confirm, write_lines

OPTIONS: Options = {
    "--weeks": {"type": int, "default": WEEKS, "help": "weeks within which all products begin"},
    "--keep-control": {"action": "store_true", "help": "later a tenth at a time goes back, for a year"},
    "--stop": {"action": "store_true", "help": "end the roll-out: every product follows the advice"},
    "--yes": {"action": "store_true", "help": "begin without being asked"},
}


@takes("roll-out", RUN, OPTIONS, AUTHOR)
def begin_or_read(options: argparse.Namespace) -> None:
    """Begin to follow the advice product by product in a random order, which measures what it earns; later, say so."""
    shop = shop_of(options)
    entry, end = orders.last_roll_out(shop.log.entries)
    write_lines([] if options.stop else receipt_lines(shop))
    if options.stop:
        record(options, lambda now: [draft_end(now, options.by, options.reason)])
    elif entry is not None and shop.today.isoformat() < end:
        content = drafts.entry_cells(entry, shop)[-1]
        write_lines([f"{content} (entry {entry['id']} of {shop.log_path}); roll-out --stop ends it"])
    else:
        design = (options.weeks, options.keep_control, options.by, options.reason)
        write_lines(_preview(shop, draft_roll_out(shop, *design)))
        if options.yes or confirm("Begin? [y/N] "):
            record(options, lambda now: [draft_roll_out(now, *design)])
        else:
            write_lines(["nothing has changed: answer y at a terminal, or add --yes"])


def _preview(shop: Shop, draft: Entry) -> list[str]:
    """Return the design of a roll-out, what waiting costs, and when a receipt is to be expected."""
    f = formatter_of(shop)
    clusters, quarter, waiting, shows, limits = foresee(shop, draft)
    count = f"{plural(len(draft['products']), 'product')} in {plural(clusters, 'cluster')}"
    begins = f"{count} begin to follow the advice in a random order, within {plural(draft['weeks'], 'week')}"
    until = f.date(draft["until"])
    gain = f"about {f.money(waiting)} of the {f.money(quarter)} that the advice expects in a quarter"
    small = f"no gain below about {f.money(limits)} shows until {until}: products are too few, or sell too unevenly"
    turns = f"  control    afterwards a tenth at a time goes back to its earlier prices, until {until}"
    return [
        f"{begins} from {f.date(draft['first_day'])} on",
        *([turns] if draft["control"] else []),
        f"  waiting    costs {gain if quarter > 0 else 'nothing, as the advice expects no gain'}",
        f"  receipt    {f'a gain as large as expected shows from about {f.date(shows)} on' if shows else small}",
    ]
