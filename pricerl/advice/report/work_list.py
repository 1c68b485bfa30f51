"""Work list of many products: exceptions first, then changes by the money at stake, then prices that stay."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from pricerl.advice.report.view import Cell, View, shorten
from pricerl.advice.sentences.next_steps import Place
from pricerl.advice.sentences.verdict import Record, exception_words, gain_of, since_words, verb_of
from pricerl.advice.stored import StoredAdvice, Summary, kind_of
from pricerl.formatting import MEASURES, Formatter

MOST_PAGES = 20
"""Most products of which every one gets a page; of more, only listed ones that need a look."""

MOST_LISTED = 100
"""Most products with a row of their own."""

KINDS = ("exception", "change", "keep")
"""Kinds of tasks, in the order of work."""


class Task(NamedTuple):
    """A product's row of the work list."""

    name: str
    link: str
    """Address of its page; empty if that is made on demand."""
    kind: str
    verdict: str
    note: str
    """Reason for a look, if the product is an exception."""
    now: str
    gain: Cell
    grade: str
    since: str
    """Difference from the advice before."""


class WorkList:
    """Totals over many products of ``advice.json``, added one by one, and those that matter most.

    Stored ones that matter are read by ``load``.
    """

    def __init__(
        self,
        products: Iterable[Record | StoredAdvice] = (),
        load: Callable[[StoredAdvice], Record] = StoredAdvice.to_dict,
    ) -> None:
        self.kinds: Counter[str] = Counter()
        """Number of products by kind."""
        self.moves: Counter[int] = Counter()
        """Number of prices that go up (1), down (-1) or stay (0)."""
        self.gains: dict[str, list[Sequence[float]]] = {}
        """Known gains by measure, mean and 90 % limits each."""
        self.tested: list[Sequence[Record]] = []
        """Scores of each product with a backtest."""
        self.lacking = 0
        """Number of products without evidence enough for an advice."""
        self._load = load
        self._ranked: list[tuple[tuple[int, float, str, int], Record | StoredAdvice]] = []
        for product in products:
            self.add(product)

    def __len__(self) -> int:
        """Return the number of products."""
        return self.kinds.total()

    def add(self, product: Record | StoredAdvice) -> None:
        """Count a product, and keep it while it is one of those that matter most."""
        found = product.summary if isinstance(product, StoredAdvice) else Summary.of(product)
        if found.gain:
            self.gains.setdefault(found.measure, []).append(found.gain)
        if found.scores:
            self.tested.append(found.scores)
        self.lacking += found.lacks_evidence
        rank = KINDS.index(found.kind), -found.stake, found.grade, len(self)
        insort(self._ranked, (rank, product), key=itemgetter(0))
        del self._ranked[MOST_LISTED:]
        self.kinds[found.kind] += 1
        self.moves[found.move] += 1

    @property
    def listed(self) -> list[tuple[int, Record]]:
        """Place among all products, and entry, of each of those that matter most, in the order of work."""
        return [
            (place, self._load(item) if isinstance(item, StoredAdvice) else item) for (*_, place), item in self._ranked
        ]

    def sums(self, f: Formatter) -> list[tuple[str, list[float]]]:
        """Return the sum of the known gains of each measure with its words, mean and 90 % limits."""
        return [
            (f"{words} per {f.period}", [*map(sum, zip(*self.gains[measure], strict=True))])
            for measure, words in MEASURES.items()
            if measure in self.gains
        ]

    def totals(self, f: Formatter) -> list[tuple[str, str]]:
        """Return totals with their labels."""
        labels = ("need a person first", "changes advised", "prices to keep")
        found = [(f.number(self.kinds[kind], 0), label) for kind, label in zip(KINDS, labels, strict=True)]
        for words, (mean, low, high) in self.sums(f):
            digits = f.money_digits(mean, low, high)
            found.append((f.money(mean, digits, "+"), f"{words}{f.limits(low, high, digits, '+', '90 %: ')}"))
        return found

    def orders(
        self, links: Mapping[int, str], f: Formatter, today: str = ""
    ) -> tuple[tuple[str, str, list[Task]], ...]:
        """Return name, label and tasks of each order, with the addresses of the products' pages by their place."""
        tasks = [_task(product, links.get(place, ""), f, today) for place, product in self.listed]
        by_name = sorted(tasks, key=lambda task: task.name.casefold())
        return ("priority", "what to do first", tasks), ("name", "name", by_name)


def _task(product: Record, link: str, f: Formatter, today: str) -> Task:
    view = View.of(product, f, Place(today=today))
    decided = view.decided
    measure = product["measure"]
    verb = "Keep" if view.change_day is None else f"{verb_of(product)} to"
    gain = gain_of(product) if decided is None or decided.followed else None
    return Task(
        name=shorten(product["product"]),
        link=link,
        kind=kind_of(product),
        verdict="".join(decided.words) if decided else f"{verb} {f.price(product['recommended_price'])}",
        note=exception_words(product),
        now=f.price(product["current_price"]),
        gain=view.cell(measure, {measure: gain}, "+"),
        grade=product["decision"]["grade"],
        since=since_words(product, f),
    )
