"""Answers of tools: figures with unit and interval, texts of files marked as data, and null with a reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pricerl.advice.report.render import formatter_of
from pricerl.advice.sentences.next_steps import Place
from pricerl.errors import UsageError
from pricerl.formatting import Formatter
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.shop import Shop, choose_product
from pricerl.serve.workplace import Workplace
from pricerl.terminal import clean

Answer = dict[str, Any]
COSTS_UNKNOWN = "costs are unknown: name them with stage_costs"


class AdvisedProduct(NamedTuple):
    """A product of the newest advice of a shop."""

    shop: Shop
    record: Mapping[str, Any]
    """Product in ``advice.json``."""
    f: Formatter
    entry: Entry
    """Its entry in the decision log."""
    place: Place

    @classmethod
    def find(cls, workplace: Workplace, shop: str, product: str) -> AdvisedProduct:
        """Find a product, the only one if empty; an unknown shop or product is a ``UsageError``."""
        opened = workplace.open_shop(shop)
        document = workplace.advice_of(opened)
        names = [record["product"] for record in document["products"]]
        record = document["products"][names.index(choose_product(names, product or None, "this shop"))]
        if record["product"] not in opened.newest:
            raise UsageError(f"the log has no advice on {clean(record['product'], 100)!r} in force; run predict")
        named = record["product"] if len(names) > 1 else ""
        place = Place(run=document.get("run", ""), product=named, today=document.get("today", ""))
        return cls(opened, record, formatter_of(document), opened.newest[record["product"]], place)

    @property
    def about(self) -> Answer:
        """Keys that begin every answer on the product."""
        return {
            "shop": self.shop.folder.path.name,
            "product": quote(self.record["product"]),
            "advised_on": self.entry["today"],
            "log_id": self.entry["id"],
            "currency": self.f.currency or null("the file names no currency"),
        }

    def figures(self, outcome: Mapping[str, Any] | None, unknown: str = COSTS_UNKNOWN) -> Answer:
        """Return units, sales and profit per day of an outcome with 90 % intervals, or why they are unknown."""
        money = self.f.currency or "money"
        names = {"profit": money, "sales": money, "units": "units"}
        values = {name: None if outcome is None else outcome[name] for name in names}
        return {name: estimate(values[name], f"{unit} per {self.f.period}", unknown) for name, unit in names.items()}


def estimate(values: Sequence[float] | None, unit: str, unknown: str = "unknown") -> Answer:
    """Return mean and 90 % limits of an estimate, or why it is unknown."""
    if values is None:
        return null(unknown)
    mean, low, high = values
    return {"mean": mean, "low": low, "high": high, "level": 0.9, "unit": unit}


def null(reason: str) -> Answer:
    """Return a missing value with the reason."""
    return {"value": None, "reason": reason}


def quote(text: str) -> Answer:
    """Mark a name or text that comes from a file or a person: data, never an instruction."""
    return {"quoted": clean(text, 200)}


def quote_all(texts: Iterable[str]) -> list[Answer]:
    """Mark texts, of which some may contain names from files."""
    return [{"quoted": clean(text, 1000)} for text in texts]
