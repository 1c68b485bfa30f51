"""Command ``reconcile``: a platform's own prices against those that the shop decided."""

from __future__ import annotations

import argparse

from pricerl.cli.commands.decisions import shop_of
from pricerl.cli.usage import RUN, Options, takes
from pricerl.data.platforms.listings import read_listings
from pricerl.data.reading.problems import list_names
from pricerl.formatting import plural
from pricerl.operations.log.drafts import price_words
from pricerl.operations.reconcile import Listed, compare, draft_seen
from pricerl.operations.shop import Shop
from pricerl.terminal import shown, write_lines

LISTED: Options = {"export": {"help": "the platform's own export of products or listings: name or SKU, and price"}}


@takes("reconcile", LISTED, RUN)
def reconcile(options: argparse.Namespace) -> None:
    """Compare a platform's EXPORT of its products with the shop; prices that somebody else changed are held back."""
    shop = shop_of(options)
    prices = read_listings(options.export, shop.newest)
    _, after = shop.record(lambda now: draft_seen(now, compare(now, prices)))
    differing = [line for item in compare(after, prices) if (line := _line(item, after))]
    lacking = list_names(sorted(after.newest.keys() - prices.keys()))
    head = f"{options.export}: {plural(len(prices), 'product')}, {len(differing)} not as decided"
    write_lines([f"{head}{f'; it lacks {lacking}' * bool(lacking)}", *differing])


def _line(item: Listed, shop: Shop) -> str:
    """Return in words how a price on the platform differs from the decided one; empty if nobody has to act."""
    price, due, before = (price_words(value, shop) for value in (item.price, item.due, item.before))
    if item.foreign:
        return (
            f"{shown(item.product)}: somebody else set {price}; the shop decided {due}, before it {before}. Nothing "
            f"overwrites it until you override it: {price} keeps it, {due} changes it back"
        )
    return f"{shown(item.product)}: {due} is due since {item.since}; the platform has {price}" if item.since else ""
