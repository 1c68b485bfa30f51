"""Tools for agents: what commands and pages say of a shop, and decisions that a person approves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from pricerl.advice.block import reasons
from pricerl.advice.report.render import formatter_of
from pricerl.advice.report.work_list import WorkList
from pricerl.advice.sentences import grounds
from pricerl.advice.sentences.next_steps import Place, what_would_change
from pricerl.advice.what_if import COSTS_UNKNOWN
from pricerl.arrays import to_plain
from pricerl.cli.usage import option_words
from pricerl.errors import EXIT_OK, CheckpointError, DataError, PricerlError, UsageError
from pricerl.experiments.schedule import read_plans
from pricerl.formatting import Formatter
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.log.drafts import entry_cells
from pricerl.operations.log.staging import Asked, draft_staged
from pricerl.operations.shop import Shop
from pricerl.operations.watching.monitor_document import read_monitor
from pricerl.serve.jobs import PROGRAM
from pricerl.serve.workplace import Workplace
from pricerl.terminal import clean

Answer = dict[str, Any]
MOST = 30
"""Most products, entries or findings of one answer."""
NOT_ADVISED = "the advice has none; why has its reasons"


class AdvisedProduct(NamedTuple):
    """A product of the newest advice of a shop."""

    shop: Shop
    entry: Entry
    """Its entry in the decision log."""
    record: Mapping[str, Any]
    """Its record in ``advice.json``."""
    f: Formatter
    place: Place

    @classmethod
    def find(cls, workplace: Workplace, name: str, product: str) -> AdvisedProduct:
        """Find a product, the only one if empty; an unknown shop or product is a ``UsageError``."""
        shop = workplace.open_shop(name)
        entry = shop.advice_on(product or None)
        document = workplace.advice_of(shop)
        (record,) = (item for item in document["products"] if item["product"] == entry["product"])
        return cls(shop, entry, record, formatter_of(document), Place(run=document["run"], today=document["today"]))

    @property
    def about(self) -> Answer:
        """Keys that begin every answer on the product."""
        return {
            "shop": self.shop.folder.path.name,
            "product": mark(self.record["product"]),
            "advised_on": self.entry["today"],
            "log_id": self.entry["id"],
            "currency": self.f.currency or null("the file names no currency"),
        }

    def figures(self, values: Mapping[str, Any] | None) -> Answer:
        """Return profit, sales and units per day with 90 % intervals, and the reason for what is unknown."""
        units = {"profit": self.f.currency or "money", "sales": self.f.currency or "money", "units": "units"}
        if values is None:
            return dict.fromkeys(units, null(NOT_ADVISED))
        return {name: estimate(values.get(name), f"{unit} per {self.f.period}") for name, unit in units.items()}


@dataclass(frozen=True)
class AgentTools:
    """Tools of a folder, described by their docstrings. ``stage_*`` prepare a decision, the others only read."""

    workplace: Workplace

    def shops(self) -> Answer:
        """Shops with their products, and the seller's files."""
        found: Answer = {}
        for name in self.workplace.shops():
            try:
                names = list(self.workplace.open_shop(name).newest)
                found[name] = {"products": len(names), "first": mark(names[:MOST])}
            except PricerlError as error:
                found[name] = {"products": null(f"{error}")}
        return {"shops": found, "files": mark(self.workplace.files())}

    def check(self, file: str) -> Answer:
        """How a file is read: current prices, days and doubts per product, and what is left out."""
        found = asdict(self.workplace.read([file]))
        first = {name: found[name][:MOST] for name in ("columns", "products", "problems")}
        shown = mark({**first, "count": len(found["products"]), "refusal": found["refusal"] or None})
        return {**shown, "currency": found["currency"] or null("the file names no currency")}

    def advice(self, shop: str, product: str = "") -> Answer:
        """Recommended price with expected profit, sales and units; without product, those that matter most."""
        opened = self.workplace.open_shop(shop)
        records = self.workplace.advice_of(opened)["products"]
        if not product and len(records) > 1:
            first = [_verdict(item) for _, item in WorkList(records).listed[:MOST]]
            return {"shop": shop, "count": len(records), "products": first}
        advised = AdvisedProduct.find(self.workplace, shop, product)
        record = advised.record
        charged = [row for row in opened.outbox.rows if row.product == record["product"]]
        return {
            **advised.about,
            **_verdict(record),
            "change_on": advised.place.change_day(record) or null(NOT_ADVISED),
            "days": [{"date": day["date"], "price": day["recommended_price"]} for day in record["days"]],
            "keep": advised.figures(record["keep"]),
            "recommended": advised.figures(record["recommended"]),
            "difference": advised.figures(record["uplift"]),
            "to_charge": [{"price": row.price, "from": row.date, "until": row.last_day} for row in charged],
        }

    def why(self, shop: str, product: str = "") -> Answer:
        """Reasons of an advice, the probability that it pays, and what would change it."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        weighed = advised.record["uplift"] or advised.record["weighed"]
        return {
            **advised.about,
            "reasons": mark(dict(reasons(advised.record, advised.f))),
            "probability_better": weighed["probability_better"] if weighed else null(NOT_ADVISED),
            "elasticity": estimate(advised.record["elasticity"], "% of units per % of price"),
            "would_change": mark(list(what_would_change(advised.record, advised.f))),
        }

    def what_if(self, shop: str, price: float, product: str = "", unit_cost: float | None = None) -> Answer:
        """Effect per day of a price, perhaps at another unit cost, its chance to earn more, and limits that object."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        try:
            from pricerl.cli.advise import ask_shop  # imports torch

            found = ask_shop(advised.shop, advised.record["product"], price, unit_cost).to_dict()
        except (CheckpointError, DataError) as error:
            return {**advised.about, **null(str(error))}
        kept, gain = ({name: item[side] for name, item in found["measures"].items()} for side in ("kept", "gain"))
        return {
            **advised.about,
            **mark({name: found[name] for name in ("price", "unit_cost", "days", "allowed", "outlooks")}),
            "keep": advised.figures(kept),
            "difference": advised.figures(gain),
            "probability_better": null(found["unknown"]) if (better := found["probability_better"]) is None else better,
            "limits_that_object": mark(found["objections"]),
        }

    def limits(self, shop: str, product: str = "") -> Answer:
        """Limits on the next price of a product."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        limits = (advised.entry["limits"], advised.record["details"]["bounds"])
        unset = null("no such limit is set")
        hard, now = ({key: unset if value is None else value for key, value in values.items()} for values in limits)
        words = mark(grounds.describe_limits(advised.record, advised.f))
        return {**advised.about, "hard": hard, "next": now, "words": words}

    def history(self, shop: str, product: str = "", last: int = 10) -> Answer:
        """Newest entries of the decision log: who decided what, when and why."""
        opened = self.workplace.open_shop(shop)
        chosen = [entry for entry in opened.log.entries if product in ("", entry.get("product"))]
        names = ("log_id", "time", "kind", "by", "what", "why")
        cells = ((*entry_cells(entry, opened), entry["reason"]) for entry in chosen[-max(1, min(last, MOST)) :])
        rows = [dict(zip(names, row, strict=True)) for row in cells]
        return {"shop": shop, "count": len(chosen), "entries": mark(rows)}

    def review(self, shop: str, product: str = "") -> Answer:
        """How past advice did: days followed, totals predicted and actual."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        if not (record := advised.record["track_record"]) or not record["days"]:
            return {**advised.about, **null("no day of past advice is in the file yet")}
        totals = {name: record[name] for name in ("followed", "inside", "total")}
        return {**advised.about, "days": len(record["days"]), **totals}

    def watch(self, shop: str) -> Answer:
        """Findings of the last watch, the most severe first."""
        if (monitor := read_monitor(self.workplace.open_shop(shop).folder.path)) is None:
            return {"shop": shop, **null("pricerl watch has not run")}
        listed = monitor.listed()[:MOST]
        return {"shop": shop, "findings": mark([{"product": name, **to_plain(finding)} for name, finding in listed])}

    def price_test_plan(self, shop: str, product: str = "") -> Answer:
        """The price test that the advice offers, with its cost, or why there is none."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        test = advised.record["details"]["price_test"]
        return {**advised.about, "test": mark(test) if test else null(NOT_ADVISED)}

    def stage_override(self, shop: str, price: float, until: str, reason: str, product: str = "") -> Answer:
        """Prepare an order to charge a price until a day (2026-01-31)."""
        return self._stage(shop, product, "override", {"price": price, "until": until}, reason, price)

    def stage_pause(self, shop: str, until: str, reason: str, product: str = "") -> Answer:
        """Prepare an order to keep the current price until a day."""
        return self._stage(shop, product, "pause", {"until": until}, reason)

    def stage_price_test(self, shop: str, reason: str, product: str = "") -> Answer:
        """Plan a price test and prepare its start; takes half a minute."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        given = {"run_name": shop, "product": advised.record["product"], "today": self.workplace.today}
        words = [sys.executable, "-c", PROGRAM, "price-test", "plan", *option_words(given)]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != EXIT_OK:
            raise UsageError(" ".join(f"{done.stdout} {done.stderr}".split()))
        (plan,) = read_plans(advised.shop.folder.path)
        known = {"schedule_hash": plan["schedule_hash"]}
        made = self._stage(shop, product, "price_test", known, reason, plan["test_price"])
        names = ("first_day", "until", "regular_price", "test_price", "power", "expected_cost", "cost")
        return {**made, **{name: plan[name] for name in names}, "plan": mark(done.stdout.splitlines())}

    def stage_costs(self, shop: str, unit_cost: float, reason: str, product: str = "", valid_from: str = "") -> Answer:
        """Prepare what a unit costs the seller, from a day on or always."""
        given = {"unit_cost": unit_cost, **({"from": valid_from} if valid_from else {})}
        return self._stage(shop, product, "costs", given, reason)

    def _stage(self, shop: str, product: str, asks: Asked, given: Answer, reason: str, price: float = 0) -> Answer:
        """Record a prepared decision, with what is expected of a price, money, or at 0 of the advised one."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        name = advised.record["product"]
        (*_, entry), _ = advised.shop.record(lambda shop: [draft_staged(shop, asks, name, given, "agent", reason)])
        approve = f"pricerl approve {entry['id']}{advised.place.option}"
        expected = self.what_if(shop, price or advised.record["recommended_price"], product, given.get("unit_cost"))
        done = {"staged": entry["id"], "nothing_has_changed_until_a_person_runs": approve, "expected": expected}
        return {**advised.about, **done}


def estimate(values: Sequence[float] | None, unit: str) -> Answer:
    """Return mean and 90 % limits of an estimate, or null where it needs costs."""
    known = values and dict(zip(("mean", "low", "high"), values, strict=True))
    return {**known, "level": 0.9, "unit": unit} if known else null(COSTS_UNKNOWN)


def null(reason: str) -> Answer:
    """Return a missing value with the reason."""
    return {"value": None, "reason": clean(reason)}


def mark(value: Any) -> Any:
    """Mark the strings of a value, which come from files and people or contain such: data; leave out what is None."""
    if isinstance(value, Mapping):
        return {key: mark(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return list(map(mark, value))
    return {"quoted": clean(value)} if isinstance(value, str) else value


def _verdict(record: Mapping[str, Any]) -> Answer:
    prices = {name: record[name] for name in ("current_price", "recommended_price")}
    graded = {name: record["decision"][name] for name in ("grade", "follow")}
    return {"product": mark(record["product"]), **prices, **graded}
