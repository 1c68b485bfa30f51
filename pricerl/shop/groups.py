"""Groups that the seller confirms once: sizes, colours and packs of a product, and products that limits relate."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from pricerl.arrays import grouped
from pricerl.data.cleaning.rows import Rows
from pricerl.data.history import LARGEST_CATEGORY
from pricerl.data.reading.problems import list_names
from pricerl.shop.database import Database
from pricerl.shop.days import MOST_LISTED, fill_groups, last_groups
from pricerl.terminal import list_first, print_notes, shown

GROUPED = "groups"
"""Value of ``--accept`` that puts products together that seem to be sizes, colours or packs of one product."""

_VARIANTS = (
    r"(?:pack|set|box) of \d+",
    r"(?:\d+ ?[x×] ?)?\d+(?:[.,]\d+)? ?(?:mg|g|gr|kg|ml|cl|dl|l|ltr|litre|liter|oz|lbs?|mm|cm|m)",
    r"\d+[ -]?(?:x|er|pack|packs|pcs?|ct|count|stück|pièces|piezas|unidades|pezzi)|x ?\d+",
    "xxs|xs|s|m|l|x+l|[2-6]xl|small|medium|large|klein|mittel|groß|petit|moyen|grand|pequeño|grande|piccolo",
    "black|white|gr[ea]y|red|blue|green|yellow|brown|pink|purple|orange|beige",
    "schwarz|weiß|grau|rot|blau|grün|gelb|braun|rosa|noir|blanc|gris|rouge|bleu|vert|jaune",
    "negro|blanco|rojo|azul|verde|amarillo|nero|bianco|grigio|rosso|giallo",
)
_VARIANT = re.compile(rf"(?<!\w)(?:{'|'.join(_VARIANTS)})(?!\w)", re.IGNORECASE)
"""Words of a name that say which size, colour or pack of a product it is."""


def propose_groups(known: Mapping[str, str], related: Iterable[Sequence[str]] = ()) -> dict[str, str]:
    """Return a group for each product without one that seems to belong to others.

    Names that differ in size, colour or pack alone do, and ``related`` products.

    Args:
        known: group of each product; empty without one. Products that have different groups are left as they are.
        related: products of each relation of the guardrails.
    """
    stems = grouped((stem.casefold(), name) for name in known if sum(map(str.isalpha, stem := _stem(name))) > 2)
    groups = dict(known)
    for members in [*related, *stems.values()]:
        present = [name for name in members if name in known]
        named = {groups[name] for name in present} - {""}
        if 1 < len(present) <= LARGEST_CATEGORY and len(named) < 2:
            variants = [{*map(str.casefold, _VARIANT.findall(name))} for name in present]
            title = next(iter(named), _stem(present[0], set.intersection(*variants)) or present[0])
            groups |= {name: title for name in present if not groups[name]}
    return {name: group for name, group in groups.items() if group != known[name]}


def _stem(name: str, kept: Collection[str] = ()) -> str:
    """Return a product's name without the words for its size, colour and pack, but for those that are ``kept``.

    >>> _stem("Green Tea, 2 x 250 g")
    'Tea'
    >>> _stem("Earl Grey 100 g", {"grey"})
    'Earl Grey'
    """
    plain = _VARIANT.sub(lambda found: found[0] if found[0].casefold() in kept else " ", name)
    return " ".join(re.findall(r"\w+", plain))


def describe_groups(proposed: Mapping[str, str], command: str = "") -> str:
    """Return which products would be put together, and how, as a sentence."""
    members = grouped((shown(group), shown(name)) for name, group in proposed.items())
    listed = list_first([f"{group} ({list_names(names)})" for group, names in members.items()], MOST_LISTED, "; ")
    return f"{listed}: variants of one product? price them together with {command}--accept {GROUPED}"


def group_rows(
    database: Database,
    rows: Rows,
    related: Iterable[Sequence[str]],
    products: Collection[str],
    accepted: Collection[str],
) -> Rows:
    """Return a file's rows with the groups that are proposed, if they are accepted; otherwise say so of new products.

    Args:
        database: database of the shop.
        rows: rows under the shop's names.
        related: products of each relation of the guardrails.
        products: products that the shop knows.
        accepted: answers of ``--accept``.
    """
    own = last_groups(rows.frame)
    known: dict[str, str] = dict(database.run("SELECT name, category FROM product ORDER BY id"))
    proposed = propose_groups({**known, **{name: own.get(name) or known.get(name, "") for name in rows.names}}, related)
    found = {name: group for name, group in proposed.items() if name in rows.names}
    if GROUPED in accepted and found:
        return replace(rows, frame=fill_groups(rows.frame, found))
    if not found.keys() <= {*products}:
        print_notes([describe_groups(found)])
    return rows
