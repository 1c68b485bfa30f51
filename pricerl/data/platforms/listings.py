"""Prices that a platform charges, from its own export of products or listings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from pricerl.data.reading.columns import PRODUCT, PRODUCT_PRICE, fold
from pricerl.data.reading.currencies import split_currency
from pricerl.data.reading.header import ALIASES
from pricerl.data.reading.numbers import read_number_columns
from pricerl.data.reading.problems import list_names
from pricerl.data.reading.sources.containers import open_tables
from pricerl.errors import DataError

PRICES = (PRODUCT_PRICE, "Variant Price", "Your Price", "Start Price", "Regular Price", *ALIASES[PRODUCT_PRICE])
"""Columns of the price, of which the first in a file counts: Shopify's, Amazon's, eBay's, WooCommerce's, any other."""
KEYS = (PRODUCT, "Variant SKU", "Seller SKU", "Handle", "Title", "ASIN 1", "Item Number", *ALIASES[PRODUCT])
"""Columns, any of which can have the name of a product."""


def read_listings(path: str, known: Collection[str]) -> dict[str, float]:
    """Return the prices of ``known`` products in an export, in money; a file without any is a ``DataError``."""
    (table,) = open_tables([path])
    heads = [fold(split_currency(str(name)).name) for name in table.frame.columns]
    keys = [place for place, head in enumerate(heads) if head in map(fold, KEYS)]
    places = [heads.index(name) for name in map(fold, PRICES) if name in heads]
    if not keys or not places:
        raise DataError(path, [f"needs a column of products and one of prices, such as {KEYS[1]} and {PRICES[1]}"])
    columns = {PRODUCT_PRICE: [str(text).strip() for text in table.frame.iloc[:, places[0]]]}
    numbers, problems = read_number_columns(columns, table.lines, "auto", table.separator)
    rows = zip(table.frame.iloc[:, keys].to_numpy(), numbers[PRODUCT_PRICE].tolist(), strict=True)
    pairs = {(name, price) for row, price in rows if price > 0 for name in {*map(str.strip, row)} & {*known}}
    faults = [
        *map(str, problems),
        *(
            f"has several prices of {name!r}; name its variants"
            for name, count in Counter(name for name, _ in pairs).items()
            if count > 1
        ),
    ]
    if faults or not pairs:
        raise DataError(path, faults or [f"has no price of {list_names(sorted(known))}"])
    return dict(pairs)
