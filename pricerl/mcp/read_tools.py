"""Tools that read: what commands and pages say of a shop, as figures and quoted texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pricerl.advice.block import reasons
from pricerl.advice.report.work_list import WorkList
from pricerl.advice.sentences import grounds, next_steps
from pricerl.mcp.answers import AdvisedProduct, Answer, estimate, null, quote, quote_all
from pricerl.operations.log.drafts import entry_cells
from pricerl.operations.watching.monitor_document import read_monitor
from pricerl.serve.workplace import Workplace

MOST = 30
"""Most products, entries or findings of one answer."""


@dataclass(frozen=True)
class Reading:
    """Tools of a folder that change nothing; their docstrings describe them to agents."""

    workplace: Workplace

    def shops(self) -> Answer:
        """Shops with their products, and the seller's files."""
        found = {}
        for name in self.workplace.shops():
            names = list(self.workplace.open_shop(name).newest)
            found[name] = {"products": len(names), "first": quote_all(names[:MOST])}
        return {"shops": found, "files": quote_all(self.workplace.files())}

    def check(self, file: str) -> Answer:
        """How a file is read: current prices, days and doubts per product, and what is left out."""
        reading = self.workplace.read([file])
        products = [
            {"product": quote(item.product), "current_price": item.current_price, "report": quote_all(item.report)}
            for item in reading.products[:MOST]
        ]
        return {
            "products": products,
            "count": len(reading.products),
            "currency": reading.currency or null("the file names none"),
            "left_out": quote_all(reading.problems[:MOST]),
            "refusal": quote(reading.refusal) if reading.refusal else null("the file can be read"),
        }

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
            "change_on": advised.place.change_day(record) or null("the price is kept"),
            "days": [{"date": day["date"], "price": day["recommended_price"]} for day in record["days"]],
            "keep": advised.figures(record["keep"]),
            "recommended": advised.figures(record["recommended"], "no price is recommended"),
            "difference": advised.figures(record["uplift"], "no change is recommended"),
            "to_charge": [{"price": row.price, "from": row.date, "until": row.last_day} for row in charged],
        }

    def why(self, shop: str, product: str = "") -> Answer:
        """Reasons of an advice, the probability that it pays, and what would change it."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        weighed = advised.record["uplift"] or advised.record["weighed"]
        return {
            **advised.about,
            "reasons": {label: quote(text) for label, text in reasons(advised.record, advised.f) if text},
            "probability_better": weighed["probability_better"] if weighed else null("no change was weighed"),
            "elasticity": estimate(advised.record["elasticity"], "% of units per % of price"),
            "would_change": quote_all(next_steps.what_would_change(advised.record, advised.f)),
        }

    def what_if(self, shop: str, price: float, product: str = "") -> Answer:
        """Effect of another price per day, the chance that it earns more, and the limits that object."""
        return what_if(AdvisedProduct.find(self.workplace, shop, product), price)

    def limits(self, shop: str, product: str = "") -> Answer:
        """Limits on the next price of a product."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        words = quote(grounds.describe_limits(advised.record, advised.f))
        return {
            **advised.about,
            "hard": advised.entry["limits"],
            "next": advised.record["details"]["bounds"],
            "words": words,
        }

    def history(self, shop: str, product: str = "", last: int = 10) -> Answer:
        """Newest entries of the decision log: who decided what, when and why."""
        opened = self.workplace.open_shop(shop)
        chosen = [entry for entry in opened.log.entries if product in ("", entry.get("product"))]
        newest = chosen[-max(1, min(last, MOST)) :]
        names = ("log_id", "time", "kind", "by", "what")
        rows = [dict(zip(names, map(quote, entry_cells(entry, opened)), strict=True)) for entry in newest]
        return {
            "shop": shop,
            "count": len(chosen),
            "entries": [row | {"why": quote(entry["reason"])} for row, entry in zip(rows, newest, strict=True)],
        }

    def review(self, shop: str, product: str = "") -> Answer:
        """How past advice did: days followed, totals predicted and actual."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        record = advised.record["track_record"]
        if record is None or not record["days"]:
            return {**advised.about, **null("no day of past advice is in the file yet")}
        totals = {name: record[name] for name in ("followed", "inside", "total")}
        return {**advised.about, "days": len(record["days"]), **totals}

    def watch(self, shop: str) -> Answer:
        """Findings of the last watch, the most severe first."""
        opened = self.workplace.open_shop(shop)
        monitor = read_monitor(opened.folder.path)
        if monitor is None:
            return {"shop": shop, **null("pricerl watch has not run")}
        found = [
            {"product": quote(name), "kind": item.kind, "severity": item.severity, "finding": quote(item.text)}
            for name, item in monitor.listed()[:MOST]
        ]
        return {"shop": shop, "findings": found}

    def price_test_plan(self, shop: str, product: str = "") -> Answer:
        """The price test that the advice offers, with its cost, or why there is none."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        test = advised.record["details"]["price_test"]
        return {**advised.about, "test": test or null("no test can make clear whether a change pays")}


def what_if(advised: AdvisedProduct, price: float) -> Answer:
    """Return what the newest advice expects of the price, money, of its curves that is nearest to the one asked."""
    details = advised.record["details"]
    curves = details["curves"]
    if advised.record["stock"] is not None:
        return {**advised.about, **null("prices are valued together with orders of stock: run pricerl what-if")}
    if not curves["price"][0] <= price <= curves["price"][-1]:
        tried = f"{curves['price'][0]:g} to {curves['price'][-1]:g}"
        return {**advised.about, **null(f"nothing is forecast at {price:g}; the curves reach from {tried}")}
    at = min(range(len(curves["price"])), key=lambda place: abs(curves["price"][place] - price))
    nearest = curves["price"][at]
    against = [item["why"] for item in details["objections"] if item["low"] <= nearest <= item["high"]]
    gains = {name: gain and gain[at] for name, gain in curves["gain"].items()}
    return {
        **advised.about,
        "price": nearest,
        "asked": price,
        "keep": advised.figures(advised.record["keep"]),
        "difference": advised.figures(gains),
        "probability_better": curves["better"][at] if curves["better"] else null("costs are unknown"),
        "limits_that_object": quote_all(against),
    }


def _verdict(record: Mapping[str, Any]) -> Answer:
    return {
        "product": quote(record["product"]),
        **{name: record[name] for name in ("current_price", "recommended_price")},
        **{name: record["decision"][name] for name in ("grade", "follow")},
    }
