"""Relations between the prices of several products: sizes in order, multipacks no dearer per unit, lines of one price.

They are checked after each product's own limits. A relation never makes a price move further: it holds back, or lets
a line take its smallest change together. Products whose prices cannot be reconciled keep their current ones.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise, zip_longest
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from pricerl.errors import UsageError, refuse
from pricerl.guardrails.price_grid import FLOAT32_SLACK

EXAMPLE = "{kind: size_order, products: [Small, Large]}, and a count for a multipack only"


class Relation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Relation between the prices of several products."""

    kind: Literal["size_order", "multipack", "one_price"]
    products: Annotated[tuple[str, ...], msgspec.Meta(min_length=2)]
    """``size_order``: the sizes, smallest first; ``multipack``: the single, then the pack; ``one_price``: the line."""
    count: int = 1
    """Singles in a multipack, 2 or more."""

    def __post_init__(self) -> None:
        faults = {
            "products must be different": len(set(self.products)) < len(self.products),
            "a multipack, and nothing else, has products [single, pack] and a count of 2 or more": (
                (self.kind == "multipack") != (self.count > 1) or (self.count > 1 and len(self.products) > 2)
            ),
        }
        refuse(faults, ValueError)

    def among(self, known: Collection[str]) -> Relation | None:
        """Return the relation between its known products, or None if they are not related."""
        names = tuple(name for name in self.products if name in known)
        related = len(names) == len(self.products) if self.kind == "multipack" else len(names) > 1
        return Relation(self.kind, names, self.count) if related else None

    def objection(self, prices: Sequence[float]) -> str:
        """Return why prices of the products, in money in their order, break the relation; empty if they do not."""
        for (one, first), (other, second) in pairwise(zip(self.products, prices, strict=True)):
            slack = FLOAT32_SLACK * max(abs(first), abs(second)) * self.count
            low = f"{one} at {first:.10g}"
            high = f"{other} at {second:.10g}"
            holds, broken = {
                "size_order": (first <= second + slack, f"{low} would cost more than the larger {high}"),
                "multipack": (
                    second <= self.count * first + slack,
                    f"{high} would cost more than {self.count} times {low}",
                ),
                "one_price": (abs(first - second) <= slack, f"{low} and {high} would no longer have one price"),
            }[self.kind]
            if not holds:
                return broken
        return ""


class AdvisedPrices(NamedTuple):
    """Prices advised for one product."""

    current: float
    """Current price, in money."""
    prices: tuple[float, ...]
    """Price of each day, in money."""
    fixed: bool = False
    """Whether they must stay: a person ordered them, or a hard limit forces them."""

    @property
    def kept(self) -> tuple[float, ...]:
        """The current price on every day."""
        return (self.current,) * len(self.prices)


class Bound(NamedTuple):
    """Prices that relations leave to a product."""

    prices: tuple[float, ...]
    why: str


def read_relations(given: Any) -> tuple[Relation, ...]:
    """Return the relations of the setting ``guardrails.relations``; raise a ``UsageError`` on the first wrong one."""
    try:
        return msgspec.convert(() if given is None else given, tuple[Relation, ...])
    except msgspec.ValidationError as error:
        fault, _, place = str(error).partition(" - at ")
        raise UsageError(f"guardrails.relations{place.strip('`$')}: {fault}; give such as {EXAMPLE}") from None


def resolve(relations: Sequence[Relation], advised: Mapping[str, AdvisedPrices]) -> dict[str, Bound]:
    """Return the prices that relations impose instead of the wanted ones, by product, each with the reason.

    Relations are read in their order until none is broken or nothing in it can change any more: a line of one price
    takes its smallest change if all its products move from one price to the same side, else the products of a broken
    relation keep their prices. Products that are absent are left out.
    """
    bound = {
        name: found
        for line in relations
        if line.kind == "one_price"
        for name, found in _share_smallest_change(line, advised).items()
    }
    while True:
        now = {name: bound[name].prices if name in bound else item.prices for name, item in advised.items()}
        held = next((found for found in (_hold(item, advised, now) for item in relations) if found), None)
        if held is None:
            return bound
        bound |= held


def _share_smallest_change(line: Relation, advised: Mapping[str, AdvisedPrices]) -> dict[str, Bound]:
    """Return the smallest change of a line for its products; nothing if they do not move together."""
    known = [(name, advised[name]) for name in line.products if name in advised]
    moves = [item.prices[-1] - item.current for _, item in known]
    together = len(known) == len(line.products) and len({item.current for _, item in known}) == 1
    if not together or any(item.fixed for _, item in known) or not (min(moves) > 0 or max(moves) < 0):
        return {}
    name, smallest = min(known, key=lambda item: (abs(item[1].prices[-1] - item[1].current), item[0]))
    why = f"one price for {', '.join(line.products)}: the smallest change among them, by {name}"
    return {other: Bound(smallest.prices, why) for other, item in known if item.prices != smallest.prices}


def _hold(
    item: Relation, advised: Mapping[str, AdvisedPrices], now: Mapping[str, tuple[float, ...]]
) -> dict[str, Bound]:
    """Return the products of a broken relation that can still go back to their current prices."""
    names = [name for name in item.products if name in advised]
    related = item.among(advised)
    days = zip_longest(*(now[name] for name in names), fillvalue=math.nan)  # which breaks every relation
    why = related and next(filter(None, map(related.objection, days)), "")
    back = [name for name in names if why and not advised[name].fixed and now[name] != advised[name].kept]
    return {name: Bound(advised[name].kept, f"{item.kind.replace('_', ' ')}: {why}") for name in back}


def _of_product(relations: Iterable[Relation], product: str, known: Collection[str]) -> list[Relation]:
    """Return the relations of a product to others that are known."""
    among = (item.among(known) for item in relations)
    return [item for item in among if item is not None and product in item.products]


def broken_by(
    relations: Iterable[Relation], product: str, price: float, current: Mapping[str, float]
) -> list[tuple[str, str]]:
    """Return kind and reason of each relation that a price breaks while others keep theirs; the current breaks none."""
    if price == current[product]:
        return []
    prices = {**current, product: price}
    reasons = (
        (item.kind, item.objection([prices[name] for name in item.products]))
        for item in _of_product(relations, product, current)
    )
    return [(kind, why) for kind, why in reasons if why]


def span_between(relations: Iterable[Relation], product: str, current: Mapping[str, float]) -> tuple[float, float]:
    """Return the lowest and highest price, in money, that relations leave to one product; crossed if there is none."""
    lows = [0.0]
    highs = [math.inf]
    for item in _of_product(relations, product, current):
        at = item.products.index(product)
        before = [current[name] for name in item.products[:at]]
        after = [current[name] for name in item.products[at + 1 :]]
        if item.kind == "multipack":
            before, after = [price / item.count for price in after], [price * item.count for price in before]
        lows += before + after if item.kind == "one_price" else before
        highs += before + after if item.kind == "one_price" else after
    return max(lows), min(highs)
