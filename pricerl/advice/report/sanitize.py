"""Sanitising of the seller's texts for pages and file names."""

from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup

from pricerl.terminal import clean

MOST_SLUG = 40
"""Most characters of a product's name in a file name."""


def shorten(name: str) -> str:
    """Return a name short enough for a heading, or a placeholder for an empty one."""
    return clean(name, 120).strip() or "product without a readable name"


def finalize(value: object) -> object:
    """Clean a value that a template prints and bind percent signs to their numbers; markup is unchanged."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return clean(value).replace(" %", "\N{NO-BREAK SPACE}%")


def page_name(index: int, product: str) -> str:
    """Return the name of a product's page: its position, which keeps names unique, and the plain part of its name."""
    plain = unicodedata.normalize("NFKD", product).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain)[:MOST_SLUG].strip("-")
    return f"{index + 1:03d}-{slug or 'product'}.html"
