"""Pricing rules: one price from what is known about a shop; the baselines of SAC, and the decision's own rules."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from pricerl.arrays import FloatArray
from pricerl.data import ProductHistory, weekday_of
from pricerl.data.days import WEEK
from pricerl.evaluation.rule_names import BEST_FOR_PROFIT, KEEP
from pricerl.evaluation.valuation import log_units_at
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.limits import GuardedProduct, UnitCosts, price_limits, support_box
from pricerl.guardrails.projection import lasting_band
from pricerl.market import ProductMarket
from pricerl.market.demand.regression import Prior, fit_regression

MIN_DAYS_AT_PRICE = 3
"""A past price counts only when it was charged on this many recorded days."""

COARSEST_GRID = 0.01
"""Money: past prices are distinguished to a cent, or to the price step where that is finer."""

NUM_PRICES = 201
GATE = 0.90
"""Share of the posterior draws in which a change must earn more."""
LOWER_QUANTILE = 0.20
"""The lower bound is this quantile over the posterior draws."""
KAPPA = 0.3
"""Relative profit that a certain loss of more than 1 % weighs."""
HARM = 0.01
"""Share of profit; a smaller loss is no harm."""
SIMILAR_WIDTH = 0.03
"""Prices within about 3 % are similar in the plain lookup."""
WEEKDAY_SD = 3.0
"""Prior sd of a weekday's coefficient, in logs: next to none, but finite where nothing was ever sold on it."""


@dataclass(frozen=True)
class Shop:
    """One product's history with the market fitted to it."""

    history: ProductHistory
    market: ProductMarket
    guardrails: GuardrailConfig = field(default_factory=GuardrailConfig)
    gate: float = GATE
    """Share of the posterior draws in which a change must gain."""
    candidates: FloatArray | None = None
    """``(G,)`` prices that the guardrails allow, money; the support box if absent."""
    reward: Callable[[FloatArray], FloatArray] | None = None
    """From prices ``(G,)`` to the objective of an average day in every posterior draw ``(K, G)``; profit if absent."""

    @property
    def current_price(self) -> float:
        """Money."""
        return float(self.history.price[-1])

    @property
    def share_kept(self) -> float:
        """Mean share of revenue kept after fees."""
        return float(self.market.cost.share_kept.mean())

    @property
    def unit_cost(self) -> float:
        """Mean landed cost per unit, money."""
        return float(self.market.cost.unit_cost.mean())

    @property
    def sold(self) -> tuple[FloatArray, FloatArray]:
        """Prices, money, and units of the recorded days, ``(D,)`` each."""
        return self.history.price[self.history.observed], self.history.units[self.history.observed]

    @cached_property
    def prices(self) -> FloatArray:
        """Candidate prices ``(G,)``, money, ascending, the current price among them."""
        candidates = self.candidates
        if candidates is None:
            support = support_box(self.sold[0], self.guardrails)
            costs = UnitCosts(self.share_kept, self.unit_cost, self.market.cost.known)
            limits = price_limits([GuardedProduct(self.guardrails, support, costs)], dtype=torch.float64)
            band = lasting_band(limits, torch.tensor([self.current_price], dtype=torch.float64))
            low, high = np.clip((float(band.low), float(band.high)), *np.exp(self.market.log_grid[[0, -1]]))
            candidates = np.linspace(low, high, NUM_PRICES)
        return np.unique(np.append(candidates, self.current_price))

    @cached_property
    def profit(self) -> FloatArray:
        """``(K, G)`` profit before fixed cost of an average day at ``prices`` in every posterior draw."""
        cost = self.market.cost
        margin = cost.share_kept[:, None] * self.prices - cost.unit_cost[:, None]
        return np.asarray(margin * np.exp(log_units_at(self.market, self.prices)))

    @cached_property
    def objective(self) -> FloatArray:
        """``(K, G)`` reward of an average day at ``prices`` in every posterior draw; profit without a reward."""
        return self.profit if self.reward is None else self.reward(self.prices)

    @property
    def at_current_price(self) -> int:
        """Index of the current price among ``prices``."""
        return int(np.searchsorted(self.prices, self.current_price))

    @property
    def profit_now(self) -> FloatArray:
        """``(K,)`` profit before fixed cost of an average day at the current price."""
        return self.profit[:, self.at_current_price]

    def probability_better(self, price: float) -> float:
        """Share of the posterior draws in which ``price`` earns more than the current price."""
        return float((self.at(price) > self.profit_now).mean())

    def at(self, price: float) -> FloatArray:
        """Profit before fixed cost of an average day at ``price`` in every posterior draw, ``(K,)``."""
        return np.asarray([np.interp(price, self.prices, row) for row in self.profit])

    def best(self, value: FloatArray) -> float:
        """The candidate of the highest ``value (G,)``."""
        return float(self.prices[int(np.argmax(value))])


Rule = Callable[[Shop], float]
"""From a shop to a price, money."""


def keep(shop: Shop) -> float:
    """Keep the price."""
    return shop.current_price


def median_price(shop: Shop) -> float:
    """Return to the usual price."""
    return float(np.median(shop.history.price))


def best_past(shop: Shop) -> float:
    """Take the tried price whose days earned the most profit; sales, where costs are unknown."""
    price, units = shop.sold
    share, cost = (shop.share_kept, shop.unit_cost) if shop.market.cost.known else (1.0, 0.0)
    grid = min(COARSEST_GRID, shop.guardrails.price_step)
    tried, which, days = np.unique(np.round((price / grid).round() * grid, 10), return_inverse=True, return_counts=True)
    earned = np.bincount(which, (share * price - cost) * units) / days
    earned[days < min(MIN_DAYS_AT_PRICE, days.max())] = -np.inf
    return float(tried[earned.argmax()])


def similar_lookup(shop: Shop) -> float:
    """Average what sold at similar prices and take the price that earned the most: the plan's search, taken plainly."""
    price, units = shop.sold
    closeness = np.exp(-0.5 * ((np.log(shop.prices)[:, None] - np.log(price)) / SIMILAR_WIDTH) ** 2)
    sold = closeness @ units / np.maximum(closeness.sum(1), 1e-12)
    earned = (shop.share_kept * shop.prices - shop.unit_cost) * sold
    return shop.best(np.where(closeness.sum(1) >= MIN_DAYS_AT_PRICE, earned, -np.inf))


def log_log(shop: Shop) -> float:
    """Regress log units on log price and use the closed form ``c e / (k (1 + e))``; elasticities down to -1.05."""
    price, units = shop.sold
    if np.ptp(price) == 0:
        return shop.current_price
    elasticity = min(float(np.polyfit(np.log(price), np.log(units + 0.5), 1)[0]), -1.05)
    optimum = shop.unit_cost * elasticity / (1 + elasticity) / shop.share_kept
    return float(np.clip(optimum, shop.prices[0], shop.prices[-1]))


def glm_plug_in(shop: Shop) -> float:
    """Fit a Poisson regression of units on log price and weekday and take the best price on its curve.

    ``log E[units] = a + b log p + weekday`` (Nelder and Wedderburn 1972); whatever ``b`` comes out is believed.
    """
    price, units = shop.sold
    if np.ptp(price) == 0:
        return shop.current_price
    log_price = np.log(price)
    weekday = np.eye(WEEK)[weekday_of(shop.history.dates[shop.history.observed].astype(np.int64))]
    design = np.column_stack([np.ones_like(log_price), log_price - log_price.mean(), weekday])
    prior = Prior(np.zeros(2 + WEEK), np.array([np.inf, np.inf, *[WEEKDAY_SD] * WEEK]))
    elasticity = fit_regression(units, design, prior, size=np.inf).mode[1]
    return shop.best((shop.share_kept * shop.prices - shop.unit_cost) * shop.prices**elasticity)


def best_for_profit(shop: Shop) -> float:
    """Take the price of the highest mean profit over the posterior draws, however unsure."""
    return shop.best(shop.profit.mean(0))


def best_for_objective(shop: Shop) -> float:
    """Take the price of the highest mean reward over the posterior draws, however unsure."""
    return shop.best(shop.objective.mean(0))


def lower_bound(shop: Shop) -> float:
    """Take the price of the highest 20 % quantile of the gain, among those sure enough to gain; else keep the price.

    The gain is that of the objective over the current price; sure enough is a share ``gate`` of the posterior draws.
    """
    gain = shop.objective - shop.objective[:, [shop.at_current_price]]
    bound = np.where((gain > 0).mean(0) >= shop.gate, np.quantile(gain, LOWER_QUANTILE, axis=0), 0.0)
    return shop.best(bound) if bound.max() > 0 else shop.current_price


def gated(shop: Shop) -> float:
    """Take the price of the highest mean profit if it is sure enough to gain, else keep the price."""
    proposal = best_for_profit(shop)
    return proposal if shop.probability_better(proposal) >= shop.gate else shop.current_price


def mean_less_harm(shop: Shop) -> float:
    """Maximise the mean relative gain less ``KAPPA`` times the probability of losing more than 1 %."""
    usual = np.maximum(np.abs(shop.profit_now), 1e-9)[:, None]
    gain = (shop.profit - shop.profit_now[:, None]) / usual
    return shop.best(gain.mean(0) - KAPPA * (gain < -HARM).mean(0))


def weekly_thompson(shop: Shop) -> float:
    """Take the best price of one posterior draw (Thompson 1933): one week's step of posterior sampling.

    The units sold seed the draw, so the same history gives the same price.
    """
    rng = np.random.default_rng(zlib.crc32(shop.history.units.tobytes()))
    return shop.best(shop.profit[rng.integers(len(shop.profit))])


RULES: dict[str, Rule] = {
    KEEP: keep,
    "median price": median_price,
    "best past price": best_past,
    "similar-price lookup": similar_lookup,
    "log-log, closed form": log_log,
    "GLM plug-in": glm_plug_in,
    BEST_FOR_PROFIT: best_for_profit,
    "lower bound": lower_bound,
    "gated": gated,
    "mean less harm": mean_less_harm,
    "weekly Thompson": weekly_thompson,
}
"""By their names in tables."""

WITHOUT_COSTS = (KEEP, "median price", "best past price")
"""Rules that need no costs; without them no other one is shown."""
