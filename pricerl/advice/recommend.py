"""The advice on each product: decision, next days, checks and reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import torch

from pricerl.advice.config import DecisionConfig
from pricerl.advice.decided_path import DecidedPath, decide_path
from pricerl.advice.final_check import today_of
from pricerl.advice.past import FIRST, Past
from pricerl.advice.price_path import PricePath
from pricerl.advice.price_test import PriceTest, plan_price_test
from pricerl.advice.proposer import Proposer
from pricerl.advice.reasons import explain
from pricerl.advice.report_data import gather_details
from pricerl.advice.result import CostMeans, DayAdvice, ProductAdvice, ProposedPath
from pricerl.advice.stop_rule import StopRule, find_stop_rule
from pricerl.arrays import Interval, interval_of
from pricerl.data import weekday_of
from pricerl.data.days import steps_in
from pricerl.env import Dynamics
from pricerl.errors import UsageError
from pricerl.evaluation import (
    Backtest,
    BaselineRow,
    Policy,
    Yardstick,
    estimate_off_policy,
    find_sensitivity,
)
from pricerl.evaluation.forecast import PathForecast, forecast_path
from pricerl.evaluation.planner import compare_baselines, planner_gaps
from pricerl.evaluation.rule_names import BEST_FOR_OBJECTIVE
from pricerl.evaluation.valuation import elasticity_at, find_break_even, would_raising_pay
from pricerl.formatting import PLAIN, Formatter
from pricerl.market import ProductMarket

MAX_HORIZON = 365
"""Longest horizon in days, well inside the calendar."""

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def advise(
    policy: Policy,
    dynamics: Dynamics,
    config: DecisionConfig,
    horizon: int,
    backtests: Mapping[str, Backtest],
    seed: int = 0,
    most: int | None = None,
    formatter: Formatter = PLAIN,
    yardstick: Yardstick | None = None,
    past: Mapping[str, Past] = MappingProxyType({}),
    current: Mapping[str, float] | None = None,
) -> list[ProductAdvice]:
    """Advise on every product of the market.

    Args:
        policy: deterministic policy.
        dynamics: market of the fresh history, with reward and guardrails.
        config: required evidence.
        horizon: days to plan, rounded up to whole weeks for weekly rows.
        backtests: forecast skill by product.
        seed: of the daily noise.
        most: number of products, the first ones; all if absent.
        formatter: of the reasons.
        yardstick: plan that proposes the path of every product for which the policy is not better; the policy
            always does if absent.
        past: what the decision log holds on products, by name.
        current: current prices of related products of other markets, by name, money.

    Raises:
        UsageError: if the horizon is not between 1 and 365 days.
    """
    check_horizon(horizon)
    steps = steps_in(horizon, dynamics.market.step_days)
    adviser = _Adviser(Proposer(policy, dynamics, yardstick), dynamics, config, steps, seed, formatter, past, current)
    names = [item.product for item in dynamics.market.preprocessor.products]
    return [adviser.advise_product(index, backtests.get(name)) for index, name in enumerate(names[:most])]


def check_horizon(horizon: int) -> None:
    """Refuse a horizon that is not between 1 and 365 days with a ``UsageError``."""
    if not 1 <= horizon <= MAX_HORIZON:
        raise UsageError(f"--horizon: must be 1 to {MAX_HORIZON} days, found {horizon}")


@dataclass(frozen=True)
class _Adviser:
    """Constants of all products of one advice."""

    proposer: Proposer
    dynamics: Dynamics
    config: DecisionConfig
    horizon: int
    seed: int
    formatter: Formatter
    past: Mapping[str, Past]
    current: Mapping[str, float] | None

    def advise_product(self, index: int, skill: Backtest | None) -> ProductAdvice:
        """Return the advice on one product: proposal, forecast, decision and reasons."""
        dynamics, market = self.dynamics, self.dynamics.market
        prepared, fitted, counted = market.preprocessor, market.products[index], market.counted(index)
        history, report = prepared.products[index], prepared.reports[index]
        seeds = self.seed, prepared.numbers[index]
        decided = self._decide(index)
        decision, path, gated, shop = decided.decision, decided.path, decided.gated, decided.shop
        current_price, keep, settled = shop.current_price, decided.keep, float(decided.aim.price[-1])
        forecast = forecast_path(market, index, path.price, self.seed)
        recommended = next((price for price in gated.prices if price != current_price), current_price)
        baselines = compare_baselines(dynamics, index, shop, keep, self.horizon)
        advice = ProductAdvice(
            product=history.product,
            current_price=money(current_price),
            recommended_price=money(recommended),
            settled_price=money(settled),
            decision=decision,
            num_draws=market.num_draws,
            measure=market.measure,
            keep=keep.outcome(),
            recommended=forecast.value.outcome(),
            uplift=forecast.value.over(keep) if decision.follow != "hold" else None,
            proposal=self._describe(index, decided),
            baselines=tuple(baselines),
            elasticity=interval_of(elasticity_at(fitted, current_price)),
            raising=would_raising_pay(counted, current_price),
            break_even=find_break_even(fitted, current_price),
            asked_price=None if gated.asked is None else money(gated.asked),
            guardrails=gated.edits,
            days=day_rows(dynamics, index, path, gated.prices, forecast, self.formatter),
            off_policy={
                name: estimate_off_policy(history, counted, price, np.random.default_rng(seeds))
                for name, price in (("settled", settled), ("current", current_price))
            },
            sensitivity=find_sensitivity(shop, settled, decided.causes),
            planner_gap=_planner_gap(dynamics, counted, baselines, index, decided),
            backtest=skill,
            costs=fitted.cost.describe(),
            data_quality=report.to_dict(self.config.min_days),
            data_lines=tuple(report.lines(self.config.min_days)),
            effective_days=float(np.interp(np.log(recommended), fitted.log_grid, fitted.units.effective_days)),
            reason="",
            cost_means=_cost_means(fitted),
            stop_rule=stop_rule_of(dynamics, index, gated.prices, forecast),
            account=decided.account,
            random_prices=decided.drawn,
            offered_explore_share=decided.offered,
            details=gather_details(dynamics, index, path.price.cpu().double().numpy(), self._plan_test(index, decided)),
        )
        return replace(advice, reason=explain(advice, self.formatter))

    def _decide(self, index: int) -> DecidedPath:
        """Return the decision on the path proposed for a product."""
        speaker, proposed, failed = self.proposer.propose(index, self.horizon)
        past = self.past.get(self.dynamics.market.preprocessor.products[index].product, FIRST)
        about = speaker, failed, past, self.seed
        return decide_path(proposed, self.dynamics, index, self.config, *about)

    def _plan_test(self, index: int, decided: DecidedPath) -> PriceTest | None:
        """Return the price test of a change that only the uncertainty of its gain prevents."""
        if not decided.decision.unsure:
            return None
        planned = plan_price_test(self.dynamics, index, seed=self.seed, current=self.current)
        return None if planned is None else planned.test

    def _describe(self, index: int, decided: DecidedPath) -> ProposedPath:
        """Return the record of the path proposed for a product."""
        prices, own = tuple(map(money, decided.proposed.price.tolist())), decided.proposal
        uplifts = own.over(decided.keep), own.over(decided.log)
        return ProposedPath(prices, own.outcome(), *uplifts, self.proposer.over_plan(index))


def stop_rule_of(
    dynamics: Dynamics, index: int, prices: Sequence[float], forecast: PathForecast | None
) -> StopRule | None:
    """Return the stop rule of a product's path, money, one price per day; None without a forecast."""
    if forecast is None:
        return None
    history, opens = dynamics.market.preprocessor.products[index], dynamics.market.products[index].trades_on
    first = int(history.dates[-1].astype("datetime64[D]").astype(np.int64)) + history.step_days
    trades = [bool(opens[int(weekday_of(first + history.step_days * day))]) for day in range(len(prices))]
    return find_stop_rule(forecast.sampled_units, prices, history.current_price, np.array(trades))


def _cost_means(fitted: ProductMarket) -> CostMeans | None:
    cost = fitted.cost
    return CostMeans(float(cost.share_kept.mean()), float(cost.unit_cost.mean())) if cost.known else None


def _planner_gap(
    dynamics: Dynamics, counted: ProductMarket, baselines: Sequence[BaselineRow], index: int, decided: DecidedPath
) -> float | None:
    if not counted.cost.known:
        return None
    price = decided.proposed.price[-1:]
    best = next(row.price for row in baselines if row.rule == BEST_FOR_OBJECTIVE)
    rows = torch.full_like(price, index, dtype=torch.long)
    draw = torch.full_like(rows, dynamics.market.mean_draw)
    return float(planner_gaps(dynamics, torch.full_like(price, best), rows, draw, price)[0])


def day_rows(
    dynamics: Dynamics,
    index: int,
    path: PricePath,
    prices: Sequence[float],
    forecast: PathForecast | None,
    formatter: Formatter = PLAIN,
) -> tuple[DayAdvice, ...]:
    """Return the rows of the next days; unknown values stay None, and all of them without a forecast."""
    history, fitted = dynamics.market.preprocessor.products[index], dynamics.market.products[index]
    first = history.dates[-1].astype("datetime64[D]") + history.step_days
    shown = {"units": True, "sales": True, "profit": fitted.cost.known}
    shown |= {"organic": fitted.organic is not None, "ad": fitted.ad is not None}
    rows, on_the_way = [], _walking_notes(dynamics, index, prices, formatter)
    for day, price in enumerate(prices):
        date = first + history.step_days * day
        weekday = int(weekday_of(date.astype(np.int64)))
        open_day = bool(fitted.trades_on[weekday])
        measures = {
            name: Interval(*getattr(forecast, name)[:, day].tolist()) if forecast and open_day and known else None
            for name, known in shown.items()
        }
        sd = None
        if forecast and open_day:
            units, sales, profit = forecast.market_sd[:, day].tolist()
            sd = units, sales, profit if fitted.cost.known else None
        rows.append(
            DayAdvice(
                date=str(date),
                recommended_price=money(price),
                price_low=money(float(path.low[day])),
                price_high=money(float(path.high[day])),
                **measures,
                note="; ".join(
                    filter(None, ["" if open_day else f"no {WEEKDAYS[weekday]} was ever recorded", on_the_way[day]])
                ),
                market_sd=sd,
            )
        )
    return tuple(rows)


def _walking_notes(dynamics: Dynamics, index: int, prices: Sequence[float], formatter: Formatter) -> list[str]:
    """Return a note for each day on which a path is on its way to a hard limit more than one step away."""
    today = today_of(dynamics, index)
    target = today.hard_limit if today.walks else today.now
    moves = any(abs(price - target) < abs(today.now - target) for price in prices)
    note = f"on the way to {formatter.price(target)} ({today.hard_rule})" if moves else ""
    inside = [today.same(price, target) or (price > target) != (today.now > target) for price in prices]
    return ["" if arrived else note for arrived in inside]


def money(value: float) -> float:
    """Round a float32 price to a hundredth of a cent, so that 12.00 is exactly 12.0."""
    return round(value, 4)
