"""Tools that prepare decisions: each returns what it would do and an id, which a person approves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pricerl.cli.usage import option_words
from pricerl.errors import EXIT_OK, UsageError
from pricerl.experiments.schedule import read_plans
from pricerl.mcp.answers import AdvisedProduct, Answer, null, quote_all
from pricerl.mcp.read_tools import what_if
from pricerl.operations.log.staging import Asked, draft_staged
from pricerl.serve.jobs import PROGRAM
from pricerl.serve.workplace import Workplace

ACTOR = "agent"
"""Author of prepared decisions in the log."""


@dataclass(frozen=True)
class Staging:
    """Tools of a folder that prepare a decision; their docstrings describe them to agents."""

    workplace: Workplace

    def stage_override(self, shop: str, price: float, until: str, reason: str, product: str = "") -> Answer:
        """Prepare an order to charge a price until a day (2026-01-31)."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        return self._stage(advised, "override", {"price": price, "until": until}, reason, what_if(advised, price))

    def stage_pause(self, shop: str, until: str, reason: str, product: str = "") -> Answer:
        """Prepare an order to keep the current price until a day."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        expected = {"price": advised.record["current_price"], "keep": advised.figures(advised.record["keep"])}
        return self._stage(advised, "pause", {"until": until}, reason, expected)

    def stage_price_test(self, shop: str, reason: str, product: str = "") -> Answer:
        """Plan a price test and prepare its start; takes half a minute."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        given = {"run_name": shop, "product": advised.record["product"], "today": self.workplace.today}
        words = [sys.executable, "-c", PROGRAM, "price-test", "plan", *option_words(given)]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != EXIT_OK:
            raise UsageError(" ".join(f"{done.stdout} {done.stderr}".split()))
        (plan,) = read_plans(advised.shop.folder.path)
        names = ("first_day", "until", "regular_price", "test_price", "power", "expected_cost", "cost")
        expected = {**{name: plan[name] for name in names}, "plan": quote_all(done.stdout.splitlines())}
        return self._stage(advised, "price_test", {"schedule_hash": plan["schedule_hash"]}, reason, expected)

    def stage_costs(self, shop: str, unit_cost: float, reason: str, product: str = "", valid_from: str = "") -> Answer:
        """Prepare what a unit costs the seller, from a day on or always."""
        advised = AdvisedProduct.find(self.workplace, shop, product)
        given = {"unit_cost": unit_cost, **({"from": valid_from} if valid_from else {})}
        expected = null("the effect is known after approval and the next predict")
        return self._stage(advised, "costs", given, reason, expected)

    @staticmethod
    def _stage(advised: AdvisedProduct, asks: Asked, given: Mapping[str, Any], reason: str, expected: Answer) -> Answer:
        """Record a prepared decision; one that would be refused is refused now."""
        product = advised.record["product"]
        (*_, entry), _ = advised.shop.record(lambda shop: [draft_staged(shop, asks, product, given, ACTOR, reason)])
        approve = f"pricerl approve {entry['id']}{advised.place.option}"
        done = {"staged": entry["id"], "nothing_has_changed_until_a_person_runs": approve}
        return {**advised.about, **done, "expected": expected}
