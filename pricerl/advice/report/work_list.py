"""Work list of many products: exceptions first, then changes by the money at stake, then prices that stay."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from operator import itemgetter
from typing import NamedTuple

from pricerl.advice.report.view import THREE_DIGITS, Cell, View, shorten
from pricerl.advice.sentences.next_steps import Place
from pricerl.advice.sentences.verdict import Record, exception_words, gain_of, gain_words, since_words, verb_of
from pricerl.advice.stored import StoredAdvice, Summary, kind_of
from pricerl.formatting import MEASURES, Formatter, translate

MOST_PAGES = 20
"""Most products of which every one gets a page; of more, only listed ones that need a look."""

MOST_LISTED = 100
"""Most products with a row of their own."""

KINDS = {"exception": "need a person first", "change": "changes advised", "keep": "prices to keep"}
"""Kinds of tasks in the order of work, and their words after a number."""


RANKS = {kind: rank for rank, kind in enumerate(KINDS)}


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
    record: Record
    charged: str
    """Price that a person decided on; empty without one."""
    ends: Sequence[float] | None
    """Mean and 90 % limits of the gain, in money; None without one, or if another price is charged."""
    category: str = ""
    """Category with the gain of all its changes, in words; empty for none."""


@dataclass(eq=False)
class WorkList:
    """Totals over many products of ``advice.json``, added one by one, and those that matter most."""

    products: InitVar[Iterable[Record | StoredAdvice]] = ()
    """The first to be added."""
    load: Callable[[StoredAdvice], Record] = StoredAdvice.to_dict
    """Function that reads a stored product."""
    most: int = MOST_LISTED
    """Products that are kept at most."""
    summaries: Mapping[str, Summary] = field(default_factory=dict)
    """Known summaries by product, which are not made again."""

    lacking: int = field(default=0, init=False)
    """Number of products without evidence enough for an advice."""
    kinds: Counter[str] = field(default_factory=Counter, init=False)
    """Number of products by kind."""
    moves: Counter[int] = field(default_factory=Counter, init=False)
    """Number of prices that go up (1), down (-1) or stay (0)."""
    gains: dict[str, list[Sequence[float]]] = field(default_factory=dict, init=False)
    """Known gains by measure, mean and 90 % limits each, of products outside such categories."""
    members: dict[str, list[Summary]] = field(default_factory=dict, init=False)
    """Summaries of the products of each category that shows an effect."""
    tested: list[Sequence[Record]] = field(default_factory=list, init=False)
    """Scores of each product with a backtest."""
    _ranked: list[tuple[tuple[int, float, str, int], str, Record | StoredAdvice]] = field(
        default_factory=list, init=False
    )

    def __post_init__(self, products: Iterable[Record | StoredAdvice]) -> None:
        for product in products:
            self.add(product)

    def __len__(self) -> int:
        """Return the number of products."""
        return self.kinds.total()

    def add(self, product: Record | StoredAdvice) -> None:
        """Count a product, and keep it while it is one of those that matter most."""
        found = (
            product.summary
            if isinstance(product, StoredAdvice)
            else self.summaries.get(product["product"]) or Summary.of(product)
        )
        if found.category:
            self.members.setdefault(found.category, []).append(found)
        elif found.gain:
            self.gains.setdefault(found.measure, []).append(found.gain)
        if found.scores:
            self.tested.append(found.scores)
        self.lacking += found.lacks_evidence
        rank = RANKS[found.kind], -found.stake, found.grade, len(self)
        if len(self) < self.most or rank < self._ranked[-1][0]:
            insort(self._ranked, (rank, found.category, product), key=itemgetter(0))
            del self._ranked[self.most :]
        self.kinds[found.kind] += 1
        self.moves[found.move] += 1

    @property
    def listed(self) -> list[tuple[int, Record]]:
        """Place among all products, and entry, of each of those that matter most, in the order of work.

        Products of a category follow the first of them.
        """
        first: dict[str, int] = {}
        rows = [
            first.setdefault(category, row) if category else row for row, (_, category, _) in enumerate(self._ranked)
        ]
        return [
            (place, self.load(item) if isinstance(item, StoredAdvice) else item)
            for _, ((*_, place), _, item) in sorted(zip(rows, self._ranked, strict=True), key=itemgetter(0))
        ]

    def sums(self, f: Formatter) -> list[tuple[str, list[float]]]:
        """Return the sum of the known gains of each measure with its words, mean and 90 % limits.

        A category counts as a whole, so that a buyer who moves inside it counts once.
        """
        gains = {measure: [*known] for measure, known in self.gains.items()}
        for category, members in self.members.items():
            together = self._together(category)
            for item in members[:1] if together else members:
                if gain := together or item.gain:
                    gains.setdefault(item.measure, []).append(gain)
        return [
            (
                f.say("{measure:measure} per {period}", {"measure": measure}),
                [*map(sum, zip(*gains[measure], strict=True))],
            )
            for measure in MEASURES
            if measure in gains
        ]

    def _together(self, category: str) -> list[float] | None:
        """Return the gain of all changes of a category, mean and 90 % limits, if it is known and all are as advised."""
        members = self.members.get(category, ())
        return members[0].together if members and all(item.together for item in members) else None

    def head_of(self, product: Record, f: Formatter) -> str:
        """Return the category of a product, with the gain of all its changes; empty for none."""
        category = (product.get("substitution") or {}).get("category", "")
        if (together := self._together(category)) is None:
            return category and shorten(category)
        named = {"category": shorten(category), "gain": gain_words(together, f, product["measure"])}
        return f.say("{category}: together {gain}", named)

    def totals(self, f: Formatter) -> list[tuple[str, str]]:
        """Return totals with their labels."""
        found = [(f.number(self.kinds[kind], 0), translate(label)) for kind, label in KINDS.items()]
        for words, (mean, low, high) in self.sums(f):
            digits = f.money_digits(mean, low, high)
            found.append((f.money(mean, digits, "+"), f"{words}{f.limits(low, high, digits, '+', '90 %: ')}"))
        return found

    def orders(
        self, links: Mapping[int, str], f: Formatter, today: str = ""
    ) -> tuple[tuple[str, str, list[Task]], ...]:
        """Return name, label and tasks of each order, with the addresses of the products' pages by their place."""
        listed = self.listed
        gains = [gain for _, product in listed if (gain := gain_of(product))]
        digits = max((f.compared_digits("profit", gain, gain, THREE_DIGITS) for gain in gains), default=0)
        tasks = [
            _task(product, links.get(place, ""), f, today, digits)._replace(category=self.head_of(product, f))
            for place, product in listed
        ]
        by_name = sorted(tasks, key=lambda task: ((task.category or task.name).casefold(), task.name.casefold()))
        return ("priority", "what to do first", tasks), ("name", "name", by_name)


def _task(product: Record, link: str, f: Formatter, today: str, digits: int) -> Task:
    """Return the row of a product, whose gain has the ``digits`` of all rows."""
    measure = product["measure"]
    view = View(product, f, {measure: digits}, Place(today=today))
    decided = view.decided
    words = "Keep {price}" if view.change_day is None else f"{verb_of(product)} to {{price}}"
    gain = gain_of(product) if decided is None or decided.followed else None
    return Task(
        name=shorten(product["product"]),
        link=link,
        kind=kind_of(product),
        verdict="".join(decided.words) if decided else f.say(words, {"price": f.price(product["recommended_price"])}),
        note=exception_words(product),
        now=f.price(product["current_price"]),
        gain=view.cell(measure, {measure: gain}, "+"),
        grade=product["decision"]["grade"],
        since=since_words(product, f),
        record=product,
        charged=decided.words[1] if decided else "",
        ends=gain,
    )
