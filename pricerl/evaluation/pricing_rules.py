"""Pricing rules: functions from a product's candidate prices to one of them, baselines of SAC and of the decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import FloatArray, Share, quantiles_of
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.rule_names import BEST_FOR_OBJECTIVE, BEST_FOR_PROFIT
from pricerl.evaluation.valuation import DailyOutcome, PathValue, margins_at
from pricerl.guardrails.projection import lasting_band, project
from pricerl.market.market import ProductMarket
from pricerl.planner.constant_price import candidate_prices, value_average_day
from pricerl.planner.rollout import approach_all

MIN_DAYS_AT_PRICE = 3
"""Fewest recorded days at a past price for it to count."""
GATE = 0.90
"""Share of the posterior draws in which a change must earn more."""
HARM = 0.01
"""Smallest loss that counts as harm, as a share of profit."""


@dataclass(frozen=True)
class Candidates:
    """Prices that one product may be given, each valued in every posterior draw of its market."""

    product: Product
    gate: float = GATE
    """Share of the posterior draws in which a change must earn more."""

    @property
    def market(self) -> ProductMarket:
        """Market with the costs that count: none if revenue is the objective."""
        return self.product.counted

    @property
    def current_price(self) -> float:
        """Current price, in money."""
        return self.product.current_price

    @property
    def sold(self) -> tuple[FloatArray, FloatArray]:
        """Prices (money) and units of the recorded days, ``(D,)`` each."""
        history = self.product.history
        return history.price[history.observed], history.units[history.observed]

    @cached_property
    def prices(self) -> FloatArray:
        """``(G,)`` candidate prices including the current one, ascending, in money."""
        return np.unique(np.append(candidate_prices(self.product).cpu().double().numpy(), self.current_price))

    @cached_property
    def _average_day(self) -> tuple[FloatArray, FloatArray]:
        """Reward and units of an average day at ``prices`` in every posterior draw, ``(K, G)`` each."""
        reward, day = value_average_day(self.product, self.product.money(self.prices))
        return reward.cpu().double().numpy(), day.expected_units.cpu().double().numpy()

    @property
    def profit(self) -> FloatArray:
        """``(K, G)`` profit before fixed cost of an average day at ``prices`` in every posterior draw."""
        return margins_at(self.market, self.prices) * self._average_day[1]

    @property
    def objective(self) -> FloatArray:
        """``(K, G)`` reward of an average day at ``prices`` in every posterior draw."""
        return self._average_day[0]

    @property
    def at_current_price(self) -> int:
        """Index of the current price among ``prices``."""
        return int(np.searchsorted(self.prices, self.current_price))

    def best(self, value: FloatArray) -> float:
        """Return the candidate of the highest ``value (G,)``."""
        return float(self.prices[int(np.argmax(value))])


Rule = Callable[[Candidates], float]
"""Function from a product's candidate prices to a price, in money."""


def best_past(candidates: Candidates) -> float:
    """Return the tried price, to the cent or price step, of the highest mean daily profit, or sales without costs."""
    price, units = candidates.sold
    margin = candidates.market.cost.mean_margin(price) if candidates.market.cost.known else price
    grid = min(0.01, candidates.product.today.config.price_step)
    tried, which, days = np.unique(np.round((price / grid).round() * grid, 10), return_inverse=True, return_counts=True)
    earned = np.bincount(which, margin * units) / days
    earned[days < min(MIN_DAYS_AT_PRICE, days.max())] = -np.inf
    return float(tried[earned.argmax()])


def best_for_profit(candidates: Candidates) -> float:
    """Return the price of the highest posterior-mean profit, regardless of its uncertainty."""
    return candidates.best(candidates.profit.mean(0))


def best_for_objective(candidates: Candidates) -> float:
    """Return the price of the highest posterior-mean reward, regardless of its uncertainty."""
    return candidates.best(candidates.objective.mean(0))


def lower_bound(candidates: Candidates) -> float:
    """Return the price with the highest 20 % quantile of the objective's gain, among those that pass the gate."""
    gain = candidates.objective - candidates.objective[:, [candidates.at_current_price]]
    passes = (gain > 0).mean(0) >= candidates.gate
    bound = np.zeros(gain.shape[1])
    (bound[passes],) = quantiles_of(gain[:, passes], [0.2])
    return candidates.best(bound) if bound.max() > 0 else candidates.current_price


RULES: dict[str, Rule] = {
    "best past price": best_past,
    BEST_FOR_PROFIT: best_for_profit,
    "lower bound": lower_bound,
}
"""Rules by their names in tables; only the best past price needs no costs."""


class BaselineRow(NamedTuple):
    """Price of a rule, and the value of approaching it as fast as the guardrails allow."""

    rule: str
    """Name of the rule."""
    price: float
    """Money, inside the guardrails."""
    outcome: DailyOutcome
    """Per day over the forecast horizon."""
    probability_better: Share | None
    """Share of the posterior draws in which it earns more than keeping, or None if it keeps or costs are unknown."""


def compare_baselines(
    product: Product, gate: float, days: int, value_all: Callable[[Tensor], list[PathValue]]
) -> list[BaselineRow]:
    """Value the prices of all other rules in the same posterior draws and over the same days as keeping the price.

    Each rule's price is projected onto the guardrails and approached as fast as they allow.
    """
    asked, prices, paths = find_baselines(product.dynamics, gate, days)[product.index]
    now = product.money([product.current_price]).expand(1, days)
    keep, *values = value_all(torch.cat([now, paths]))
    return [
        BaselineRow(
            rule=rule,
            price=round(price, 4),
            outcome=value.outcome(),
            probability_better=None if (value.units == keep.units).all() else value.over(keep).probability_better,
        )
        for rule, price, value in zip(asked, prices.double().tolist(), values, strict=True)
    ]


@lru_cache(maxsize=1)
@torch.no_grad()
def find_baselines(dynamics: Dynamics, gate: float, days: int) -> list[tuple[dict[str, float], Tensor, Tensor]]:
    """Return what each rule asks for every product, these prices inside guardrails ``(R,)``, and the ways ``(R, H)``.

    All are money. The ways of all products are found in one batch.
    """
    asked = [_ask_rules(Candidates(Product(dynamics, index), gate)) for index in range(dynamics.market.num_products)]
    counts = [len(prices) for prices in asked]
    products = torch.arange(len(counts), device=dynamics.market.device).repeat_interleave(torch.tensor(counts))
    now = dynamics.history.current_price()[products]
    wanted = now.new_tensor([price for prices in asked for price in prices.values()])
    prices = project(wanted, now, lasting_band(dynamics.limits.rows(products), now))
    paths = approach_all(prices, dynamics, products, days)
    return [*zip(asked, torch.split(prices, counts), torch.split(paths, counts), strict=True)]


def _ask_rules(candidates: Candidates) -> dict[str, float]:
    """Return the price of every rule, in money.

    If costs are unknown, only rules that need none are compared. If revenue is the measure, all rules seek it, and none
    profit.
    """
    rules = dict(RULES) if candidates.market.cost.known else {"best past price": best_past}
    if candidates.product.market.measure != "profit":
        rules.pop(BEST_FOR_PROFIT, None)
    rules[BEST_FOR_OBJECTIVE] = best_for_objective
    return {name: rule(candidates) for name, rule in rules.items()}
