"""Rivals of the advice in PriceBench: pricing by common demand models at the true cost.

Every rival estimates demand from the recorded days of one shop and names the best of the shop's candidate prices;
PriceBench approaches it under the same guardrails as every other price. EconML and LightGBM come with the extra
``bench``; without them their rules are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from shops.pricebench import HORIZON, PathRule, ShopPath, approach

from pricerl.arrays import FloatArray
from pricerl.data.days import DAYS_PER_YEAR, WEEK, weekday_of
from pricerl.data.features import shifted_mean
from pricerl.env.product import Product
from pricerl.evaluation.pricing_rules import GATE, Candidates
from pricerl.market.cost import CostPosterior
from pricerl.market.demand.regression import STILL_MOTIONS, Prior, fit_regression
from pricerl.market.market import ProductMarket

LITERATURE_ELASTICITY, LITERATURE_SD = -2.62, 1.0
"""Prior of the elasticity: mean of 1,851 estimates (Bijmolt, van Heerde and Pieters 2005), and a wide sd."""
WEEKDAY_SD, TREND_SD, SEASON_SD = 0.5, 0.5, 0.3
"""Prior sds of the other log effects; the trend's is that over the whole history."""
SEASON_DAYS = 365
"""Shortest history with a yearly season."""
NUM_DRAWS = 500
HALF_UNIT = 0.5
"""Added to units before their logarithm."""
STEEPEST, FLATTEST = -20.0, -0.1
"""Range to which elasticities are clipped."""
FOREST = {"n_estimators": 100, "min_samples_leaf": 5, "n_jobs": 1, "random_state": 0}
TREES = {"objective": "poisson", "n_estimators": 200, "learning_rate": 0.05, "num_leaves": 15, "min_child_samples": 10}

BAYESIAN, BAYESIAN_GATED = "Bayesian log-log", "Bayesian log-log, gated"
DML, LIGHTGBM = "EconML DML", "LightGBM, monotone"
PACKAGES = {DML: "econml", LIGHTGBM: "lightgbm"}
NAMES = (BAYESIAN, BAYESIAN_GATED, DML, LIGHTGBM)


def missing_packages() -> dict[str, str]:
    """Return the rivals whose package is not installed, with its name."""
    return {name: package for name, package in PACKAGES.items() if find_spec(package) is None}


def rival_rules(truths: tuple[Mapping[str, Any], ...]) -> dict[str, PathRule]:
    """Return the rivals by name; each sees the true costs of the shop.

    Args:
        truths: of the shops, in their order.
    """
    rules = (bayesian_log_log, gated_bayesian_log_log, double_machine_learning, monotone_trees)
    named = {name: rule for name, rule in zip(NAMES, rules, strict=True) if name not in missing_packages()}
    return {name: _at_true_costs(approach(rule), truths) for name, rule in named.items()}


def bayesian_log_log(shop: Candidates) -> float:
    """Return the price of the highest posterior-mean profit under a constant elasticity."""
    return shop.best(_bayesian_profit(shop).mean(0))


def gated_bayesian_log_log(shop: Candidates) -> float:
    """Return the same price if it gains with a probability of at least 0.9, else the current price."""
    profit = _bayesian_profit(shop)
    best = int(profit.mean(0).argmax())
    sure = (profit[:, best] > profit[:, shop.at_current_price]).mean() >= GATE
    return float(shop.prices[best]) if sure else shop.current_price


def double_machine_learning(shop: Candidates) -> float:
    """Return the best price at the elasticity of double machine learning (Chernozhukov et al. 2018), with forests."""
    from econml.dml import LinearDML
    from sklearn.ensemble import RandomForestRegressor

    price, units = shop.sold
    days = _days(shop)
    controls = np.column_stack([_calendar(days, days), np.log(shifted_mean(units, units.mean()) + HALF_UNIT)])
    model = LinearDML(
        model_y=RandomForestRegressor(**FOREST), model_t=RandomForestRegressor(**FOREST), random_state=0, cv=3
    )
    model.fit(np.log(units + HALF_UNIT), np.log(price), X=None, W=controls)
    elasticity = float(np.clip(model.const_marginal_effect().item(), STEEPEST, FLATTEST))
    return shop.best(_margin(shop) * shop.prices**elasticity)


def monotone_trees(shop: Candidates) -> float:
    """Return the best price on gradient-boosted trees whose demand falls with the price, over the next two weeks."""
    from lightgbm import LGBMRegressor

    price, units = shop.sold
    days = _days(shop)
    design = np.column_stack([np.log(price), _calendar(days, days)])
    constraints = [-1] + [0] * (design.shape[1] - 1)
    model = LGBMRegressor(**TREES, monotone_constraints=constraints, n_jobs=1, random_state=0, verbose=-1)
    model.fit(design, units)
    ahead = _calendar(days[-1] + 1 + np.arange(HORIZON), days)
    asked = np.column_stack(
        [np.repeat(np.log(shop.prices), HORIZON), np.tile(ahead, (len(shop.prices), 1))],
    )
    return shop.best(_margin(shop) * model.predict(asked).reshape(-1, HORIZON).mean(1))


def _bayesian_profit(shop: Candidates) -> FloatArray:
    """Return profit in posterior draws at the candidate prices, ``(K, G)``, up to each draw's level."""
    price, units = shop.sold
    days, x = _days(shop), np.log(price / shop.current_price)
    calendar = _calendar(days, days)
    sds = [np.inf, LITERATURE_SD, *[WEEKDAY_SD] * WEEK, TREND_SD, *[SEASON_SD] * (calendar.shape[1] - WEEK - 1)]
    mean = np.zeros(len(sds))
    mean[1] = LITERATURE_ELASTICITY
    design = np.column_stack([np.ones_like(x), x, calendar])
    found = fit_regression(units, design, Prior(mean, np.array(sds)), np.arange(len(units)), motions=STILL_MOTIONS)
    rng = np.random.default_rng(0)
    elasticity = rng.normal(found.mode[1], np.sqrt(found.covariance[1, 1]), NUM_DRAWS)
    ratio = shop.prices / shop.current_price
    return np.asarray(_margin(shop) * ratio ** np.clip(elasticity, STEEPEST, FLATTEST)[:, None])


def _margin(shop: Candidates) -> FloatArray:
    """Return the profit of a unit at the candidate prices, ``(G,)``."""
    return np.asarray(shop.market.cost.mean_margin(shop.prices))


def _days(shop: Candidates) -> FloatArray:
    """Return the recorded days as days since 1970-01-01, ``(D,)``."""
    history = shop.product.history
    return np.asarray(history.dates[history.observed].astype("datetime64[D]").astype(np.int64))


def _calendar(days: FloatArray, history: FloatArray) -> FloatArray:
    """Return indicators of the weekday, the trend and, from a year of history on, the yearly season, ``(D, C)``."""
    trend = (days - history.mean()) / max(float(np.ptp(history)), 1.0)
    columns = [*np.eye(WEEK)[weekday_of(days)].T, trend]
    if np.ptp(history) >= SEASON_DAYS - 1:
        phase = 2 * np.pi * days / DAYS_PER_YEAR
        columns += [np.sin(phase), np.cos(phase)]
    return np.column_stack(columns)


@dataclass(frozen=True)
class _AtCost(Candidates):
    """Candidates at another cost than the estimated one."""

    cost: CostPosterior | None = None

    @property
    def market(self) -> ProductMarket:
        """Market at that cost."""
        return replace(self.product.counted, cost=self.cost or self.product.counted.cost)


def _at_true_costs(rule: PathRule, truths: tuple[Mapping[str, Any], ...]) -> PathRule:
    """Return a rule that sees the true costs instead of the estimated ones, and claims nothing."""

    def follow(product: Product, candidates: Candidates) -> ShopPath:
        truth, cost = truths[product.index], candidates.market.cost
        known = replace(
            cost,
            share_kept=np.full_like(cost.share_kept, truth["share_kept"]),
            unit_cost=np.full_like(cost.unit_cost, truth["unit_cost"]),
            known=True,
        )
        return rule(product, _AtCost(product, candidates.gate, known))._replace(claims=False)

    return follow
