"""Relations between the prices of several products: sizes in order, multipacks no dearer per unit, lines of one price.

They are checked after each product's own limits. A relation never makes a price move further: it holds back, or lets
a line take its smallest change together. Products whose prices cannot be reconciled keep their current ones.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast, get_args

from pricerl.errors import UsageError, did_you_mean
from pricerl.guardrails.price_grid import FLOAT32_SLACK

RelationKind = Literal["size_order", "multipack", "one_price"]
KINDS: tuple[str, ...] = get_args(RelationKind)


@dataclass(frozen=True)
class Relation:
    """Relation between the prices of several products."""

    kind: RelationKind
    products: tuple[str, ...]
    """``size_order``: the sizes, smallest first; ``multipack``: the single, then the pack; ``one_price``: the line."""
    count: int = 1
    """Singles in a multipack."""

    def among(self, known: Collection[str]) -> Relation | None:
        """Return the relation between its known products, or None if they are not related."""
        names = tuple(name for name in self.products if name in known)
        related = len(names) == len(self.products) if self.kind == "multipack" else len(names) > 1
        return Relation(self.kind, names, self.count) if related else None

    def objection(self, prices: Sequence[float]) -> str:
        """Return why prices of the products, in money in their order, break the relation; empty if they do not."""
        for one, other, first, second in zip(self.products, self.products[1:], prices, prices[1:], strict=False):
            slack = FLOAT32_SLACK * max(abs(first), abs(second)) * self.count
            if self.kind == "size_order" and not first <= second + slack:
                return f"{one} at {first:.10g} would cost more than the larger {other} at {second:.10g}"
            if self.kind == "multipack" and not second <= self.count * first + slack:
                return f"{other} at {second:.10g} would cost more than {self.count} times {one} at {first:.10g}"
            if self.kind == "one_price" and not abs(first - second) <= slack:
                return f"{one} at {first:.10g} and {other} at {second:.10g} would no longer have one price"
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


def read_relations(given: object) -> tuple[Relation, ...]:
    """Return the relations of the setting ``guardrails.relations``; raise a ``UsageError`` on the first wrong one."""
    if given is None:
        return ()
    if not isinstance(given, (list, tuple)):
        raise UsageError(f"guardrails.relations must be a list of relations, found {given!r}")
    return tuple(_read_relation(item, f"guardrails.relations[{number}]") for number, item in enumerate(given))


def _read_relation(item: object, where: str) -> Relation:
    example = "{kind: size_order, products: [Small, Large]}"
    if not isinstance(item, Mapping) or not {"kind", "products"} <= set(item) <= {"kind", "products", "count"}:
        raise UsageError(f"{where} must be such as {example}, with a count for a multipack, found {item!r}")
    kind = item["kind"]
    names = item["products"]
    count = item.get("count")
    if kind not in KINDS:
        raise UsageError(
            f"{where}.kind must be one of {', '.join(KINDS)}, found {kind!r}{did_you_mean(str(kind), KINDS)}"
        )
    listed = isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)
    if not listed or len(names) < 2 or len(set(names)) < len(names):
        raise UsageError(f"{where}.products must list two or more different products, found {names!r}")
    if kind == "multipack":
        if len(names) != 2 or isinstance(count, bool) or not isinstance(count, int) or count < 2:
            raise UsageError(f"{where}: a multipack has products [single, pack] and a count of 2 or more")
    elif count is not None:
        raise UsageError(f"{where}.count is for a multipack only")
    return Relation(cast(RelationKind, kind), tuple(names), count or 1)


def resolve(relations: Sequence[Relation], advised: Mapping[str, AdvisedPrices]) -> dict[str, Bound]:
    """Return the prices that relations impose instead of the wanted ones, by product, each with the reason.

    Relations are read in their order until none is broken or nothing in it can change any more: a line of one price
    takes its smallest change if all its products move from one price to the same side, else the products of a broken
    relation keep their prices. Products that are absent are left out.
    """
    bound: dict[str, Bound] = {}
    for item in relations:
        if item.kind == "one_price":
            bound |= _share_smallest_change(item, advised)
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
    try:
        days = zip(*(now[name] for name in names), strict=True)
        why = "" if related is None else next(filter(None, map(related.objection, days)), "")
        if not all(math.isfinite(price) for name in names for price in now[name]):
            why = "a price is no finite number"
    except ValueError:
        why = "their prices are for different days"
    if not why:
        return {}
    back = [name for name in names if not advised[name].fixed and now[name] != advised[name].kept]
    return {name: Bound(advised[name].kept, f"{item.kind.replace('_', ' ')}: {why}") for name in back}


def broken_by(
    relations: Iterable[Relation], product: str, price: float, current: Mapping[str, float]
) -> list[tuple[str, str]]:
    """Return kind and reason of each relation that a price breaks while others keep theirs; the current breaks none."""
    if price == current[product]:
        return []
    found: list[tuple[str, str]] = []
    for item in relations:
        related = item.among(current)
        if related is not None and product in related.products:
            prices = [price if name == product else current[name] for name in related.products]
            if why := related.objection(prices):
                found.append((item.kind, why))
    return found


def span_between(relations: Iterable[Relation], product: str, current: Mapping[str, float]) -> tuple[float, float]:
    """Return the lowest and highest price, in money, that relations leave to one product; crossed if there is none."""
    low = 0.0
    high = math.inf
    for item in relations:
        related = item.among(current)
        if related is None or product not in related.products:
            continue
        at = related.products.index(product)
        before = [current[name] for name in related.products[:at]]
        after = [current[name] for name in related.products[at + 1 :]]
        lowest, highest = {
            "size_order": (before, after),
            "one_price": (before + after, before + after),
            "multipack": ([price / item.count for price in after], [price * item.count for price in before]),
        }[item.kind]
        low = max([low, *lowest])
        high = min([high, *highest])
    return low, high
