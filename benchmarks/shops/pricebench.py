"""PriceBench: price paths on simulated shops with known demand, compared with the best path under the guardrails.

Every rule's price is approached as fast as the guardrails allow, and its path is valued for two weeks in true expected
profit. The attainable gain of a shop is how much more the best such path earns than the kept price.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pricerl.arrays import DateArray, FloatArray, limits_of
from pricerl.data.config import DataConfig
from pricerl.data.days import weekday_of
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.pricing_rules import GATE, HARM, Candidates, Rule
from pricerl.guardrails.price_grid import same_price
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import assemble, fit_market
from pricerl.market.market import Market, ProductMarket
from pricerl.market.reward import RewardConfig
from pricerl.planner.constant_price import candidate_prices
from pricerl.planner.rollout import approach_prices
from pricerl.simulation.seller import simulate, simulated_history
from pricerl.simulation.true_demand import expected_profit, expected_units
from shops.confounders import reference_effect
from shops.sellers import JUMPS_AT_ROUND, KINDS, LEFT_DIGITS, ShopConfig, join

PLAIN_TRUTHS = ("constant", "linear", "logit", "kinked")
"""Truths that hide nothing and whose current price is not the best."""
REPORTED = ("promotions", "competitor")
"""Kinds of sellers whose files report what moves demand."""
PARTS_ALONE = ("follower", "weekends", "bulk_orders")
"""Kinds of sellers that single parts of the advice are for (``weight.py``)."""
TRUTHS = (*PLAIN_TRUTHS, "optimal", *(kind for kind in KINDS if kind not in (*REPORTED, *PARTS_ALONE)))
CLEAN = ", clean"
"""End of the name of a truth that is the twin of a kind of seller, without what obscures demand."""
TWINNED = tuple(kind for kind in KINDS if kind not in ("closed", "thin", *PARTS_ALONE, *JUMPS_AT_ROUND, *LEFT_DIGITS))
"""Kinds of sellers with twins; the others hide nothing."""
DAYS = (130, 365, 1000)
UNITS = (5.5, 50.0, 500.0)

HORIZON = 14
"""Days over which a path is valued."""
DEALS = ("averages", "promotions", "stockpiling")
"""Kinds of sellers whose last row may hold another price than the one in force; all sellers confirm theirs."""
NEAR = 1.01
"""Relative price change over which an elasticity is measured."""
CHANGES = (0.9, 1.1)
"""Relative price changes whose predicted demand is compared with the true one."""
STEP = 1.05
"""Relative price change whose predicted gain is checked for coverage."""
CLAIM = 0.975
"""Smallest probability of a gain that counts as a claim of a rule."""
NO_GAIN = 1e-4
"""Sum of the best gains over the sum of profits up to which there is nothing to share."""
PERCENT = 100.0


class Cell(NamedTuple):
    """One setting of the benchmark."""

    truth: str
    """Demand family, or the disturbance that hides it."""
    days: int
    """Days of history."""
    units: float
    """Mean daily units at the current price."""


class ShopPath(NamedTuple):
    """Prices that a rule sets for one shop."""

    price: FloatArray
    """``(H,)`` money, inside the guardrails."""
    claims: bool
    """Whether the rule claims that they earn more than the current price (grade B)."""
    grade: str = ""
    """Grade of the product's decision; empty for rules without one."""


PathRule = Callable[[Product, Candidates], ShopPath]
"""Function from a product and its candidate prices to a path."""


@dataclass(frozen=True)
class ShopSet:
    """Shops in one market, one product per shop."""

    addresses: tuple[tuple[Cell, int], ...]
    """Cell and seed of each shop."""
    truths: tuple[dict[str, Any], ...]
    """Ground truths of the simulated sellers."""
    market: Market


def open_shop_set(addresses: Sequence[tuple[Cell, int]], demand: DemandConfig) -> ShopSet:
    """Simulate shops and fit a market to each history; a shop does not depend on the others in its set.

    Args:
        addresses: cell and seed of each shop.
        demand: demand model and its settings.
    """
    truths, fitted = [], []
    histories = {}
    for cell, seed in addresses:
        kind, clean = cell.truth.removesuffix(CLEAN), cell.truth.endswith(CLEAN)
        seller = ShopConfig(kind, cell.days, cell.units, seed, clean=clean, shocked=True)  # type: ignore[arg-type]
        history = simulated_history(seller, DataConfig(current_price="regular" if kind in DEALS else "last"))
        truths.append(simulate(seller)[1])
        fitted.append(fit_market(DataPreprocessor.fit(history, DataConfig()), demand, seed=seed).products[0])
        histories[f"{cell.truth} {seed}"] = history
    prepared = DataPreprocessor.fit(join(histories), DataConfig())
    return ShopSet(tuple(addresses), tuple(truths), assemble(prepared, fitted))


def expected_path_profit(truth: Mapping[str, Any], past: FloatArray, paths: FloatArray, dates: DateArray) -> FloatArray:
    """Return the mean daily profit of price paths after a history, before fixed cost.

    Buyers who remember prices (family ``reference``) compare each day's price with all before it. Stock suffices, and
    hidden drivers of demand stay as they are.

    Args:
        truth: one product's truth, with costs, family and parameters.
        past: ``(D,)`` prices of the history.
        paths: ``(N, H)`` prices of the days after it.
        dates: ``(H,)`` these days.

    Returns:
        ``(N,)`` money per day.
    """
    daily = expected_profit(truth, paths) + truth["fixed_cost"]
    if truth["family"] == "reference":
        seen = np.broadcast_to(past, (len(paths), len(past)))
        daily = daily * reference_effect(np.log(np.hstack([seen, paths])))[:, len(past) :]
    weekday = weekday_of(dates.astype("datetime64[D]").astype(np.int64))
    return np.asarray((daily * np.asarray(truth["weekday_demand"])[weekday]).mean(1))


def profit_at(candidates: Candidates, price: float) -> FloatArray:
    """Return the profit before fixed cost of an average day at a price in every posterior draw, ``(K,)``."""
    return np.asarray([np.interp(price, candidates.prices, row) for row in candidates.profit])


def probability_better(candidates: Candidates, price: float) -> float:
    """Return the share of the posterior draws in which a price earns more than the current one."""
    return float((profit_at(candidates, price) > profit_at(candidates, candidates.current_price)).mean())


def approach(rule: Rule) -> PathRule:
    """Return the rule that approaches a rule's price as fast as the guardrails allow.

    It claims a gain if the shop's own market sees one with a probability of at least 0.975.
    """

    def follow(product: Product, candidates: Candidates) -> ShopPath:
        price = rule(candidates)
        path = _paths_to(np.array([price]), product)[0]
        moves = not same_price(price, product.current_price)
        return ShopPath(path, moves and probability_better(candidates, price) >= CLAIM)

    return follow


def price_shop_set(
    shop_set: ShopSet, rules: Mapping[str, PathRule], reward: RewardConfig = RewardConfig()
) -> Iterator[dict[str, Any]]:
    """Price every shop of a set by every rule.

    Args:
        shop_set: the shops.
        rules: by name.
        reward: objective of the planner and the lower bound.

    Yields:
        One row per shop and rule: the last price of its path; ``gain`` and ``best_gain``, how much more the path
        and the best path earn than ``keep``, the kept price, all over 14 days and divided by the revenue of
        these days at the current price; ``oracle_share``, the profit over that at the optimal price; whether the rule
        moved the price, in the wrong direction, or claimed a gain; its grade; whether the best path leads up; whether
        the 90 % interval of a 5 % step's gain covers the truth; and the errors of `price_errors`.
    """
    dynamics = Dynamics(shop_set.market, reward)
    for index, ((cell, seed), truth) in enumerate(zip(shop_set.addresses, shop_set.truths, strict=True)):
        product = Product(dynamics, index)
        candidates = Candidates(product, GATE)
        judge = _Judge(candidates, truth)
        targets = np.append(candidate_prices(product).cpu().double().numpy(), product.current_price)
        paths = _paths_to(targets, product)
        best = paths[int(np.argmax(judge.profit(paths)))]
        known = {"covered": judge.covers(STEP), **price_errors(shop_set.market.products[index], product, truth)}
        for name, rule in rules.items():
            found = rule(product, candidates)
            yield {**cell._asdict(), "seed": seed, "rule": name, **judge.score(found, best), **known}


def price_errors(fitted: ProductMarket, product: Product, truth: Mapping[str, Any]) -> dict[str, float]:
    """Return the errors of a fitted market's response to the price.

    Args:
        fitted: market of one product.
        product: the same product.
        truth: its ground truth.

    Returns:
        ``elasticity_error``: absolute log ratio of the posterior median of the elasticity at the current price to the
        true one; ``response_error``: mean over price changes of 10 % down and up of the absolute relative error of the
        predicted ratio of demand after to before.
    """
    ratios = np.array([1 / NEAR, 1.0, NEAR, *CHANGES])
    at = np.log(product.current_price * ratios)
    draws = np.stack([np.interp(at, fitted.log_grid, row) for row in fitted.units.log_value])
    true = expected_units(truth, truth["current_price"] * ratios)
    slopes = draws[:, 2] - draws[:, 0]
    units = np.exp(draws).mean(0)
    response = (units[3:] / units[1]) / (true[3:] / true[1]) - 1
    return {
        "elasticity_error": float(abs(np.log(np.median(slopes) / np.log(true[2] / true[0])))),
        "response_error": float(np.abs(response).mean()),
    }


@dataclass(frozen=True)
class _Judge:
    """Scores of paths on one shop by its truth."""

    candidates: Candidates
    truth: Mapping[str, Any]

    def profit(self, paths: FloatArray) -> FloatArray:
        """Return the true daily profit of paths ``(N, H)`` as a share of the current revenue, ``(N,)``."""
        history = self.candidates.product.history
        dates = history.dates[-1].astype("datetime64[D]") + np.arange(1, paths.shape[1] + 1)
        past, paths = self._scale * history.price, self._scale * paths
        return expected_path_profit(self.truth, past, paths, dates) / self._revenue

    def score(self, found: ShopPath, best: FloatArray) -> dict[str, Any]:
        """Return the scores of a path."""
        now = self.candidates.current_price
        constant = (np.full(HORIZON, price) for price in (now, self.truth["optimal_price"] / self._scale))
        keep, oracle, at_best, profit = self.profit(np.stack([*constant, best, found.price]))
        moved = any(not same_price(price, now) for price in found.price)
        up, best_up = found.price[-1] > now, best[-1] > now
        return {
            "price": found.price[-1],
            "keep": keep,
            "gain": profit - keep,
            "best_gain": at_best - keep,
            "oracle_share": profit / oracle,
            "moved": moved,
            "wrong": moved and bool(up != best_up or same_price(best[-1], now)),
            "claim": found.claims and moved,
            "grade": found.grade,
            "up": bool(best_up),
        }

    def covers(self, step: float) -> bool:
        """Return whether the 90 % interval of the profit ratio of a relative price change covers the true ratio."""
        now = self.candidates.current_price
        true_now, true_then = (
            expected_profit(self.truth, price) + self.truth["fixed_cost"] for price in (now, step * now)
        )
        low, high = limits_of(profit_at(self.candidates, step * now) / profit_at(self.candidates, now))
        return bool(low <= true_then / true_now <= high)

    @property
    def _scale(self) -> float:
        """True current price over the file's: the file's last realised average differs from the expected one."""
        return float(self.truth["current_price"] / self.candidates.current_price)

    @property
    def _revenue(self) -> float:
        parameters = self.truth["parameters"]
        return float(parameters["units"] * self.truth["current_price"])


def summarise(rows: pd.DataFrame, by: Sequence[str] = ("days", "units", "truth", "rule")) -> pd.DataFrame:
    """Return one line per group of rows of `price_shop_set`, in percent.

    ``share`` is the sum of the gains over the sum of the best gains, with its standard error ``se``; ``gain`` the sum
    of the gains over the sum of the profits of keeping. ``harmed`` shops earn more than 1 % less than by keeping;
    ``moved`` shops change the price, ``wrong`` ones away from the best path. ``claims`` are changes of grade B,
    ``true`` the share that gained, ``cover`` the 90 % intervals that cover the truth, ``oracle`` the mean share of
    the oracle's profit, ``up`` the shops whose best path leads up, ``shops`` their number.
    """
    rows = rows.assign(
        harmed=rows["gain"] < -HARM * rows["keep"].abs(),
        true=(rows["gain"] > 0).where(rows["claim"]).astype(float),
    )
    rows = rows.rename(columns={"oracle_share": "oracle", "claim": "claims", "covered": "cover"})
    groups = rows.groupby(list(by), sort=False)
    sums, sizes = groups[["gain", "best_gain", "keep"]].sum(), groups.size()
    attainable = sums["best_gain"].where(sums["best_gain"] > NO_GAIN * sums["keep"].abs())
    share = sums["gain"] / attainable
    of_group = rows[list(by)].join(share.rename("share"), on=list(by))["share"]
    spread = ((rows["gain"] - of_group * rows["best_gain"]) ** 2).groupby([rows[name] for name in by], sort=False)
    error = np.sqrt(spread.sum()) / attainable
    means = groups[["harmed", "moved", "wrong", "claims", "true", "cover", "oracle", "up"]].mean()
    heads = pd.DataFrame({"share": share, "se": error, "gain": sums["gain"] / sums["keep"]})
    return (PERCENT * heads.join(means)).assign(shops=sizes)


def compare_twins(rows: pd.DataFrame, by: Sequence[str] = ("days", "units")) -> pd.DataFrame:
    """Return one line per group of rows of one rule and kind of seller that compares shops with their clean twins.

    ``elasticity`` and ``response`` are mean errors in percent, with ``clean`` the twins' errors; ``excess`` and
    ``excess response`` how much larger the former are, with standard errors; ``harmed`` shops have a profit more than
    1 % below keeping; ``grades`` are counts and ``shops`` pairs.
    """
    clean = rows["truth"].str.endswith(CLEAN)
    rows = rows.assign(kind=rows["truth"].str.removesuffix(CLEAN), harmed=rows["gain"] < -HARM * rows["keep"].abs())
    paired = rows[~clean].merge(rows[clean], on=["kind", "days", "units", "seed", "rule"], suffixes=("", "_clean"))
    groups = paired.groupby([*by, "kind"], sort=False)
    return pd.DataFrame({group: _compare_pairs(shops) for group, shops in groups}).T.rename_axis([*by, "kind"])


def _compare_pairs(shops: pd.DataFrame) -> dict[str, Any]:
    """Return one line of `compare_twins`."""
    line: dict[str, Any] = {}
    for name, excess, error in (("elasticity", "excess", "se"), ("response", "excess response", "se response")):
        own, twin = shops[f"{name}_error"], shops[f"{name}_error_clean"]
        ratio = own.sum() / twin.sum()
        line |= {name: PERCENT * own.mean(), f"clean {name}": PERCENT * twin.mean(), excess: PERCENT * (ratio - 1)}
        line[error] = PERCENT * np.linalg.norm(own - ratio * twin) / twin.sum()
    for name, end in (("", ""), ("clean ", "_clean")):
        line[f"{name}harmed"] = PERCENT * shops[f"harmed{end}"].mean()
        counts = shops[f"grade{end}"].value_counts().sort_index()
        line[f"{name}grades"] = " ".join(f"{grade} {count}" for grade, count in counts.items())
    return {**line, "shops": len(shops)}


def _paths_to(targets: FloatArray, product: Product) -> FloatArray:
    """Return the paths ``(R, H)`` that approach target prices ``(R,)`` as fast as the guardrails allow."""
    return np.asarray(approach_prices(product.money(targets), product, HORIZON).cpu().double().numpy())
