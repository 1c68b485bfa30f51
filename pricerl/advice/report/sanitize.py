"""Sanitising of the seller's texts for pages and file names."""

from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup

MOST_CHARACTERS = 1000
"""Longest text before it is cut, far longer than any sentence of the page."""

MOST_NAME = 120
MOST_SLUG = 40

INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Unicode categories of invisible characters that can reverse, hide or break a line."""

JOINERS = {"\N{ZERO WIDTH JOINER}", "\N{ZERO WIDTH NON-JOINER}"}
"""Invisible characters that are kept, as emoji and some scripts need them."""


def clean(text: str, most: int = MOST_CHARACTERS) -> str:
    """Remove control and direction characters, and cut a text that is too long."""
    if len(text) <= most and text.isprintable():  # the common case: no invisible character
        return text
    spaced = re.sub(r"[\t\r\n]+", " ", text)
    kept = "".join(
        character for character in spaced if character in JOINERS or unicodedata.category(character) not in INVISIBLE
    )
    return kept if len(kept) <= most else kept[: most - 1] + "…"


def shorten(name: str) -> str:
    """Return a name short enough for a heading, or a placeholder for an empty one."""
    return clean(name, MOST_NAME).strip() or "product without a readable name"


def finalize(value: object) -> object:
    """Clean a value that a template prints and bind percent signs to their numbers; markup is unchanged."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return clean(value).replace(" %", "\N{NO-BREAK SPACE}%")


def page_name(index: int, product: str) -> str:
    """Return the name of a product's page: its position, which keeps names unique, and the plain part of its name.

    Args:
        index: position among the products, from 0 on.
        product: any text.
    """
    plain = unicodedata.normalize("NFKD", product).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain)[:MOST_SLUG].strip("-")
    return f"{index + 1:03d}-{slug or 'product'}.html"
