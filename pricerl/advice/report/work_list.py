"""Work list of many products: exceptions first, then changes by the money at stake, then prices that stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pricerl.advice.report.view import Cell, View, shorten
from pricerl.advice.sentences.next_steps import Place
from pricerl.advice.sentences.verdict import Record, exception_words, since_words
from pricerl.formatting import MEASURES, Formatter, plural

MOST_PAGES = 20
"""Most products of which every one gets a page; of more, only those that need a look."""

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
    stake: float
    """Money per day that the decision concerns."""


class WorkList(NamedTuple):
    """Index of many products: totals, and the tasks in three orders."""

    totals: list[tuple[str, str]]
    """Values with their labels."""
    orders: tuple[tuple[str, str, list[Task]], ...]
    """Name, label and tasks of each order."""


def kind_of(product: Record) -> str:
    """Return whether a product is an exception, a change, or neither."""
    if exception_words(product):
        return "exception"
    moves = any(day["recommended_price"] != product["current_price"] for day in product["days"])
    return "change" if moves else "keep"


def make_work_list(products: list[Record], links: list[str], f: Formatter) -> WorkList:
    """Return the work list of the ``products`` of ``advice.json``, with the addresses of their pages."""
    tasks = [_task(product, link, f) for product, link in zip(products, links, strict=True)]
    urgent = sorted(tasks, key=lambda task: (KINDS.index(task.kind), -task.stake, task.grade))
    by_gain = sorted(tasks, key=lambda task: -task.stake)
    by_name = sorted(tasks, key=lambda task: task.name.casefold())
    counts = Counter(task.kind for task in tasks)
    totals = [
        (str(counts["exception"]), "need a person first"),
        (str(counts["change"]), "changes advised"),
        (str(counts["keep"]), "prices to keep"),
    ]
    for measure, words in MEASURES.items():
        if gains := known_gains(products, measure):
            mean, low, high = (sum(ends) for ends in zip(*gains, strict=True))
            label = f"{words} per {f.period} from {plural(len(gains), 'change')}{f.limits(low, high, 0, '+', '90 %: ')}"
            totals.append((f.money(mean, plus="+"), label))
    orders = (("priority", "what to do first", urgent), ("gain", "money at stake", by_gain), ("name", "name", by_name))
    return WorkList(totals, orders)


def _task(product: Record, link: str, f: Formatter) -> Task:
    view = View.of(product, f, Place())
    now = product["current_price"]
    new = product["recommended_price"]
    measure = product["measure"]
    verb = "Keep" if view.change_day is None else "Raise to" if new > now else "Lower to"
    return Task(
        name=shorten(product["product"]),
        link=link,
        kind=kind_of(product),
        verdict=f"{verb} {f.price(new)}",
        note=exception_words(product),
        now=f.price(now),
        gain=view.cell(measure, product["uplift"] or {measure: None}, "+"),
        grade=product["decision"]["grade"],
        since=since_words(product, f),
        stake=stake_of(product),
    )


def stake_of(product: Record) -> float:
    """Return the gain of a change, or of one that was weighed; of an exception, all that the product earns."""
    outcome = product["keep"] if exception_words(product) else product["uplift"] or product["proposal"]["over_keep"]
    found = outcome[product["measure"]] or outcome["sales"]
    return float(abs(found[0]))


def known_gains(products: Sequence[Record], measure: str) -> list[Sequence[float]]:
    """Return the known gains of the products whose ``measure`` it is, mean and 90 % limits each."""
    gains = [product["uplift"][measure] for product in products if product["uplift"] and product["measure"] == measure]
    return [gain for gain in gains if gain is not None]
