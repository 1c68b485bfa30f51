"""Tools for agents: what commands and pages say of a shop, and decisions that a person approves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Annotated, Any, NamedTuple

from msgspec import to_builtins
from pydantic import Field

from pricerl.advice.block import reasons
from pricerl.advice.report.render import formatter_of
from pricerl.advice.report.work_list import WorkList
from pricerl.advice.sentences import grounds
from pricerl.advice.sentences.next_steps import Place, price_test_words, what_would_change
from pricerl.advice.sentences.verdict import find_decided
from pricerl.advice.what_if import COSTS_UNKNOWN
from pricerl.cli.usage import option_words
from pricerl.errors import EXIT_OK, CheckpointError, DataError, PricerlError, refuse
from pricerl.experiments.schedule import read_plans
from pricerl.formatting import PLAIN, Formatter
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.log.drafts import content_words
from pricerl.operations.log.staging import Asked, draft_staged, open_decisions
from pricerl.operations.log.typed_limits import limits_of
from pricerl.operations.shop import Shop
from pricerl.operations.watching.monitor_document import read_monitor
from pricerl.serve.jobs import Job, Jobs
from pricerl.serve.workplace import Workplace, record
from pricerl.terminal import clean

Answer = dict[str, Any]
OfShop = Annotated[str, Field(description="Name of a shop.")]
OfProduct = Annotated[str, Field(description="Name of a product; empty for the only one.")]
OrAll = Annotated[str, Field(description="Name of a product; empty for all.")]
Price = Annotated[float, Field(description="Price of a unit, in the shop's currency.")]
UnitCost = Annotated[float, Field(description="Cost of a unit, in the shop's currency.")]
Day = Annotated[str, Field(description="Day, as 2026-01-31.")]
Why = Annotated[str, Field(description="Your reason, shown to the person as yours.")]
MOST = 30
"""Most products, entries or findings of one answer."""
NO_TEST = "The advice offers no price test: nothing is left to decide by one, or the data do not allow it."
NO_LIMIT = "no such limit is set"
NOT_ADVISED = "the advice has none; why has its reasons"
AUTHOR = ContextVar("AUTHOR", default="agent")
"""Author of prepared decisions: the name of the token, if it has one."""


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
            **about(self.shop),
            "product": mark(self.record["product"]),
            "advised_on": self.entry["today"],
            "log_id": self.entry["id"],
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
        return {"shops": [*map(self._listed, self.workplace.shops())], "files": mark(self.workplace.files())}

    def _listed(self, shop: str) -> Answer:
        try:
            names = list(self.workplace.open_shop(shop).newest)
        except PricerlError as error:
            return {"shop": mark(shop), "products": null(mark(f"{error}"))}
        return {"shop": mark(shop), "products": len(names), "first": mark(names[:MOST])}

    def check(self, file: Annotated[str, Field(description="Name of a file of the folder.")]) -> Answer:
        """How a file is read: current prices, days and doubts per product, and what is left out."""
        found = self.workplace.read([file])
        return {
            "format": found.format or "a table of days",
            "currency": found.currency or null("the file names no currency"),
            "columns": [{**asdict(item), "name": mark(item.name)} for item in found.columns[:MOST]],
            "products": [
                {**asdict(item), "product": mark(item.product), "report": mark(item.report)}
                for item in found.products[:MOST]
            ],
            "count": len(found.products),
            "problems": mark(found.problems[:MOST]),
            **({"refusal": mark(found.refusal)} if found.refusal else {}),
        }

    def advice(self, shop: OfShop, product: OrAll = "") -> Answer:
        """Recommended price with expected profit, sales and units; without product, those that matter most."""
        opened = self.workplace.open_shop(shop)
        records = self.workplace.advice_of(opened)["products"]
        if not product and len(records) > 1:
            first = [_verdict(item, opened) for _, item in WorkList(records, most=MOST).listed]
            return {**about(opened), "count": len(records), "products": first}
        advised = AdvisedProduct.find(self.workplace, shop, product)
        record = advised.record
        charged = [row for row in opened.outbox.rows if row.product == record["product"]]
        return {
            **advised.about,
            **_verdict(record, opened),
            "change_on": advised.place.change_day(record) or null(NOT_ADVISED),
            "days": [{"date": day["date"], "price": day["recommended_price"]} for day in record["days"]],
            "keep": advised.figures(record["keep"]),
            "recommended": advised.figures(record["recommended"]),
            "difference": advised.figures(record["uplift"]),
            "to_charge": [{"price": row.price, "from": row.date, "until": row.last_day} for row in charged],
        }

    def why(self, shop: OfShop, product: OfProduct = "") -> Answer:
        """Reasons of an advice, the probability that it pays, and what would change it."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        weighed = advised.record["uplift"] or advised.record["weighed"]
        return {
            **advised.about,
            "reasons": mark(dict(reasons(advised.record, advised.f))),
            "decided_by": mark(advised.record["decision"]["reasons"]),
            "probability_better": known(weighed and weighed["probability_better"], NOT_ADVISED),
            "elasticity": estimate(advised.record["elasticity"], "% of units per % of price"),
            "would_change": mark(list(what_would_change(advised.record, advised.f))),
        }

    def what_if(self, shop: OfShop, price: Price, product: OfProduct = "", unit_cost: UnitCost | None = None) -> Answer:
        """Effect per day of a price, perhaps at another unit cost, its chance to earn more, and limits that object."""
        from pricerl.tasks.ask import ask_shop  # imports torch, which no other tool needs

        advised = AdvisedProduct.find(self.workplace, shop, product)
        try:
            found = ask_shop(advised.shop, advised.record["product"], price, unit_cost).to_dict()
        except (CheckpointError, DataError) as error:
            return {**advised.about, **null(mark(str(error)))}
        asked = {name: found[name] for name in ("price", "unit_cost", "days", "allowed", "outlooks")}
        kept, gain = ({name: item[side] for name, item in found["measures"].items()} for side in ("kept", "gain"))
        return {
            **advised.about,
            **mark(asked),
            "keep": advised.figures(kept),
            "difference": advised.figures(gain),
            "probability_better": known(found["probability_better"], found["unknown"]),
            "limits_that_object": mark(found["objections"]),
        }

    def limits(self, shop: OfShop, product: OfProduct = "") -> Answer:
        """Limits on the next price of a product."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        hard = asdict(limits_of(advised.entry, advised.shop.log.entries))
        limits = {"hard": hard, "next": advised.record["details"]["bounds"]}
        found = {kind: {name: known(it, NO_LIMIT) for name, it in its.items()} for kind, its in limits.items()}
        return {**advised.about, **found, "words": mark(grounds.describe_limits(advised.record, advised.f))}

    def history(
        self, shop: OfShop, product: OrAll = "", last: Annotated[int, Field(description="Most entries.")] = 10
    ) -> Answer:
        """Newest entries of the decision log: who decided what, when and why."""
        opened = self.workplace.open_shop(shop)
        chosen = [entry for entry in opened.entries() if product in ("", entry.get("product"))]
        entries = [_logged(entry, opened) for entry in chosen[-max(1, min(last, MOST)) :]]
        return {**about(opened), "count": len(chosen), "entries": entries}

    def review(self, shop: OfShop, product: OrAll = "") -> Answer:
        """Review: days followed, totals predicted and actual; without product, of each, and the earnings."""
        opened = self.workplace.open_shop(shop)
        if not product and len(opened.newest) > 1:
            found = [{"product": mark(name), **self.review(shop, name)} for name in [*opened.newest][:MOST]]
            return {**about(opened), "earned": self.workplace.receipt_of(opened), "products": found}
        advised = AdvisedProduct.find(self.workplace, shop, product)
        if not (record := advised.record["track_record"]) or not record["days"]:
            return {**advised.about, **null("no day of past advice is in the file yet")}
        totals = {name: record[name] for name in ("followed", "inside", "total")}
        return {**advised.about, "days": len(record["days"]), **totals}

    def watch(self, shop: OfShop) -> Answer:
        """Findings of the last watch, the most severe first."""
        opened = self.workplace.open_shop(shop)
        if (monitor := read_monitor(opened.folder.path)) is None:
            return {**about(opened), **null("pricerl watch has not run")}
        findings = [
            {**mark(to_builtins(item)), "product": mark(name), "kind": item.kind, "severity": item.severity}
            for name, item in monitor.listed()[:MOST]
        ]
        return {**about(opened), "findings": findings}

    def price_test_plan(self, shop: OfShop, product: OfProduct = "") -> Answer:
        """Whether to test a price, in words with the reason; the test that the advice offers, with its cost."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        record = advised.record
        if (test := record["details"]["price_test"]) is None:
            words = [NO_TEST, *what_would_change(record, advised.f)]
            return {**advised.about, "should_test": False, "words": words, "test": null(NOT_ADVISED)}
        words = price_test_words(test, advised.f, record["measure"])
        return {**advised.about, "should_test": test["pays"], "words": words, "test": mark(test)}

    def stage_override(self, shop: OfShop, price: Price, until: Day, reason: Why, product: OfProduct = "") -> Answer:
        """Prepare an order to charge a price until a day (2026-01-31)."""
        return self._stage(shop, product, "override", {"price": price, "until": until}, reason, price)

    def stage_pause(self, shop: OfShop, until: Day, reason: Why, product: OfProduct = "") -> Answer:
        """Prepare an order to keep the current price until a day."""
        return self._stage(shop, product, "pause", {"until": until}, reason)

    def stage_price_test(self, shop: OfShop, reason: Why, product: OfProduct = "") -> Answer:
        """Plan a price test and prepare its start; takes half a minute."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        self._check_room(advised.shop, advised.record["product"], "price_test")  # before the plan takes its time
        given = {"run_name": shop, "product": advised.record["product"], "today": self.workplace.today}
        planning = Job(0, [["price-test", "plan", *option_words(given)]], "")
        planning.run(Jobs(self.workplace.folder).begin)
        refuse({" ".join(planning.lines): planning.code != EXIT_OK})
        (plan,) = read_plans(advised.shop.folder.path)
        known = {name: plan[name] for name in ("schedule_hash", "test_price", "expected_cost", "until")}
        made = self._stage(shop, product, "price_test", known, reason, plan["test_price"])
        names = ("first_day", "until", "regular_price", "test_price", "power", "expected_cost", "cost")
        return {**made, **{name: plan[name] for name in names}, "plan": mark(planning.lines)}

    def stage_costs(
        self, shop: OfShop, unit_cost: UnitCost, reason: Why, product: OfProduct = "", valid_from: Day = ""
    ) -> Answer:
        """Prepare what a unit costs the seller, from a day on or always."""
        given = {"unit_cost": unit_cost, **({"from": valid_from} if valid_from else {})}
        return self._stage(shop, product, "costs", given, reason)

    def _stage(self, shop: str, product: str, asks: Asked, given: Answer, reason: str, price: float = 0) -> Answer:
        """Record a prepared decision, with what is expected of a price, or at 0 of the advised one."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        name = advised.record["product"]

        def draft(shop: Shop) -> list[Entry]:
            self._check_room(shop, name, asks)
            return [draft_staged(shop, asks, name, given, AUTHOR.get(), reason)]

        entry = record(advised.shop, draft)
        run = {"with_run_name": mark(advised.place.run)} if advised.place.run else {}
        expected = self.what_if(shop, price or advised.record["recommended_price"], product, given.get("unit_cost"))
        done = {"staged": entry["id"], "nothing_has_changed_until_a_person_runs": f"pricerl approve {entry['id']}"}
        return {**advised.about, **done, **run, "expected": expected}

    def _check_room(self, shop: Shop, name: str, asks: Asked) -> None:
        """Raise `UsageError` if as many prepared decisions wait in the shop as may, not counting the one replaced."""
        others = [item for item in open_decisions(shop) if (item["product"], item["asks"]) != (name, asks)]
        wait = f"{len(others)} of at most {self.workplace.most_prepared} prepared decisions wait in this shop"
        remedy = "a person approves or rejects one first, or allows more with --most_prepared"
        refuse({f"{wait}: {remedy}": len(others) >= self.workplace.most_prepared})


def about(shop: Shop) -> Answer:
    """Return the keys that begin every answer on a shop: its name, its currency and the unit of prices."""
    currency = shop.outbox.currency or null("the file names no currency")
    return {"shop": mark(shop.folder.path.name), "currency": currency, "prices": "per unit"}


def estimate(values: Sequence[float] | None, unit: str) -> Answer:
    """Return mean and 90 % limits of an estimate, or null where it needs costs."""
    if values is None:
        return null(COSTS_UNKNOWN)
    return {**dict(zip(("mean", "low", "high"), values, strict=True)), "level": 0.9, "unit": unit}


def null(reason: Any) -> Answer:
    """Return a missing value with the reason."""
    return {"value": None, "reason": reason}


def known(value: Any, reason: str) -> Any:
    """Return a value, or that it is missing for a reason."""
    return null(reason) if value is None else value


def mark(value: Any) -> Any:
    """Mark every string as data, as names and texts of files and people may be in any; leave out what is None."""
    if isinstance(value, Mapping):
        return {key: mark(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [mark(item) for item in value]
    return {"quoted": clean(value)} if isinstance(value, str) else value


def _logged(entry: Entry, shop: Shop) -> Answer:
    """Return an entry of the log."""
    said = {"by": entry["actor"], "what": content_words(entry, shop), "why": entry["reason"]}
    given = mark({"product": entry.get("product") or None, **said})
    return {"log_id": entry["id"], "time": entry["time"], "kind": entry["kind"], **given}


def _verdict(record: Mapping[str, Any], shop: Shop) -> Answer:
    """Return what a person has decided on a product, if anything, before what the advice recommends."""
    order = {}
    if (decided := find_decided(record, PLAIN, shop.today.isoformat())) is not None:
        until = decided.until or null("an approval has no last day of its own")
        order = {"decided": {"kind": decided.kind, "price": decided.price, "until": until}}
    prices = {name: record[name] for name in ("current_price", "recommended_price")}
    graded = {name: record["decision"][name] for name in ("grade", "follow")}
    return {"product": mark(record["product"]), **order, **prices, **graded}
