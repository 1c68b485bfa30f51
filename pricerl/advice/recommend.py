"""The advice on each product: decision, next days, checks and reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pricerl.advice.decision import Decision, DecisionConfig, Evidence, decide, fall_back
from pricerl.advice.final_check import confirm, gate_path
from pricerl.advice.price_path import PricePath, approach_path, propose_path
from pricerl.advice.reasons import explain
from pricerl.advice.report_data import gather_details
from pricerl.advice.result import DayAdvice, PolicyPath, ProductAdvice
from pricerl.arrays import Interval, interval_of
from pricerl.data import unlikely_zeros, weekday_of
from pricerl.env import Dynamics
from pricerl.errors import UsageError
from pricerl.evaluation import (
    Backtest,
    BaselineRow,
    Causes,
    Policy,
    Shop,
    estimate_off_policy,
    find_sensitivity,
    observe_causes,
    open_shop,
)
from pricerl.evaluation.forecast import PathForecast, forecast_path
from pricerl.evaluation.planner import compare_baselines, planner_gaps
from pricerl.evaluation.pricing_rules import lower_bound
from pricerl.evaluation.rule_names import BEST_FOR_OBJECTIVE
from pricerl.evaluation.scores import with_rivals
from pricerl.evaluation.valuation import PathValue, elasticity_at, value_paths, would_raising_pay
from pricerl.formatting import PLAIN, Formatter
from pricerl.guardrails.price_grid import FLOAT32_SLACK

MAX_HORIZON = 365
"""Longest horizon in days, well inside the calendar."""

FAMILIAR = 1.10
"""Largest factor by which the current price may exceed or undercut the prices of training."""

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
) -> list[ProductAdvice]:
    """Advise on every product of the market.

    Args:
        policy: deterministic policy.
        dynamics: market of the fresh history, with reward and guardrails.
        config: required evidence.
        horizon: days to plan.
        backtests: forecast skill by product.
        seed: of the daily noise.
        most: number of products, the first ones; all if absent.
        formatter: of the reasons.

    Raises:
        UsageError: if the horizon is not between 1 and 365 days.
    """
    check_horizon(horizon)
    adviser = _Adviser(policy, dynamics, config, horizon, seed, formatter)
    names = [item.product for item in dynamics.market.preprocessor.products]
    return [adviser.advise_product(index, backtests.get(name)) for index, name in enumerate(names[:most])]


def check_horizon(horizon: int) -> None:
    """Refuse a horizon that is not between 1 and 365 days with a ``UsageError``."""
    if not 1 <= horizon <= MAX_HORIZON:
        raise UsageError(f"--horizon: must be 1 to {MAX_HORIZON} days, found {horizon}")


@dataclass(frozen=True)
class _Adviser:
    """Constants of all products of one advice."""

    policy: Policy
    dynamics: Dynamics
    config: DecisionConfig
    horizon: int
    seed: int
    formatter: Formatter

    def advise_product(self, index: int, skill: Backtest | None) -> ProductAdvice:
        """Return the advice on one product: proposal, forecast, decision and reasons."""
        dynamics, market = self.dynamics, self.dynamics.market
        prepared, fitted = market.preprocessor, market.products[index]
        history, report = prepared.products[index], prepared.reports[index]
        proposed = propose_path(self.policy, dynamics, index, self.horizon)
        current_price = float(history.price[-1])
        own, keep, log = value_paths(market, index, with_rivals(dynamics, index, proposed.price))
        shop, causes = open_shop(dynamics, index, self.config.min_chance), observe_causes(history)
        decision, aim = decide(self._evidence(index, proposed, own.beats(keep), shop, causes), self.config), proposed
        if decision.unsure:
            decision, aim = self._fall_back(index, decision, proposed, keep, shop, causes)
        followed = _followed(aim, torch.full_like(aim.price, current_price), decision)
        gated = gate_path(dynamics, index, followed)
        path, decision = gated.onto(followed), confirm(decision, gated, current_price)
        forecast = forecast_path(market, index, path.price, self.seed)
        recommended = next((price for price in gated.prices if price != current_price), current_price)
        settled = float(aim.price[-1])
        baselines = compare_baselines(dynamics, index, shop, keep, self.horizon)
        advice = ProductAdvice(
            product=history.product,
            current_price=money(current_price),
            recommended_price=money(recommended),
            settled_price=money(settled),
            decision=decision,
            num_draws=market.num_draws,
            keep=keep.outcome(),
            recommended=forecast.value.outcome(),
            uplift=forecast.value.over(keep) if decision.follow != "hold" else None,
            policy=PolicyPath(tuple(map(money, proposed.price.tolist())), own.outcome(), own.over(keep), own.over(log)),
            baselines=tuple(baselines),
            elasticity=interval_of(elasticity_at(fitted, current_price)),
            raising=would_raising_pay(fitted, current_price),
            asked_price=None if gated.asked is None else money(gated.asked),
            guardrails=gated.edits,
            days=day_rows(dynamics, index, path, gated.prices, forecast),
            off_policy={
                name: estimate_off_policy(history, fitted, price, np.random.default_rng([self.seed, index]))
                for name, price in (("settled", settled), ("current", current_price))
            },
            sensitivity=find_sensitivity(shop, settled, causes),
            planner_gap=_planner_gap(dynamics, baselines, index, proposed.price[-1:]) if fitted.cost.known else None,
            backtest=skill,
            costs=fitted.cost.describe(),
            data_quality=report.to_dict(self.config.min_days),
            data_lines=tuple(report.lines(self.config.min_days)),
            effective_days=float(np.interp(np.log(recommended), fitted.log_grid, fitted.units.effective_days)),
            reason="",
            details=gather_details(dynamics, index, path.price.cpu().double().numpy()),
        )
        return replace(advice, reason=explain(advice, self.formatter))

    def _fall_back(
        self, index: int, decision: Decision, proposed: PricePath, keep: PathValue, shop: Shop, causes: Causes
    ) -> tuple[Decision, PricePath]:
        """Return the decision and its path after considering the lower bound's price."""
        path = approach_path(lower_bound(shop), self.dynamics, index, self.horizon)
        (value,) = value_paths(self.dynamics.market, index, path.price[None])
        cautious = fall_back(decision, self._evidence(index, path, value.beats(keep), shop, causes), self.config)
        return cautious, (proposed if cautious is decision else path)

    def _evidence(
        self, index: int, proposed: PricePath, probability_better: float, shop: Shop, causes: Causes
    ) -> Evidence:
        history, limits = shop.history, proposed.limits
        tried, now = history.price[history.observed], shop.current_price
        path, slack = proposed.price.cpu().double().numpy(), FLOAT32_SLACK * float(tried.max())
        lowest, highest = self.dynamics.market.preprocessor.scaler.bounds(index, "price")
        sensitivity = find_sensitivity(shop, float(path[-1]), causes)
        return Evidence(
            proposes_change=bool((np.abs(path - now) > slack).any()),
            probability_better=probability_better,
            inside_tried_prices=bool((path >= tried.min() - slack).all() and (path <= tried.max() + slack).all()),
            usable_days=int(history.observed.sum()),
            distinct_prices=len(np.unique(tried)),
            costs_known=shop.market.cost.known,
            feasible=limits.feasible,
            keep_allowed=limits.keep_allowed,
            movable=limits.movable,
            hold_lasts=limits.wait >= len(path),
            paused=shop.guardrails.pause,
            overturned_by="" if sensitivity is None else sensitivity.overturned_by(self.config.hidden_strength),
            familiar=lowest / FAMILIAR <= now <= highest * FAMILIAR,
            entangled_with=causes.entangled,
            unlikely_zeros=unlikely_zeros(history),
        )


def _planner_gap(dynamics: Dynamics, baselines: Sequence[BaselineRow], index: int, price: Tensor) -> float:
    best = next(row.price for row in baselines if row.rule == BEST_FOR_OBJECTIVE)
    rows = torch.full_like(price, index, dtype=torch.long)
    draw = torch.full_like(rows, dynamics.market.mean_draw)
    return float(planner_gaps(dynamics, torch.full_like(price, best), rows, draw, price)[0])


def _followed(proposed: PricePath, now: Tensor, decision: Decision) -> PricePath:
    """Return the part of the proposed path that the decision follows."""
    if decision.follow == "path":
        return proposed
    if decision.follow == "hold":
        return proposed._replace(price=now, low=now, high=now, asked=now)
    limit = decision.follow == "limit"
    first = proposed.limits.nearest if limit else first_change(proposed.price, float(now[0]))
    reached = (proposed.price != now).cumsum(0) > 0
    price = now.where(~reached, first)
    asked = price.where(reached.cumsum(0) != 1, now if limit else proposed.asked)
    return proposed._replace(
        price=price, low=proposed.low.minimum(price), high=proposed.high.maximum(price), asked=asked
    )


def first_change(price: Tensor, now: float) -> float:
    """Return the first price of a path that differs from the current price, else the current price."""
    changed = price[price != now]
    return float(changed[0]) if len(changed) else now


def day_rows(
    dynamics: Dynamics, index: int, path: PricePath, prices: Sequence[float], forecast: PathForecast
) -> tuple[DayAdvice, ...]:
    """Return the rows of the next days; unknown values stay None."""
    history, fitted = dynamics.market.preprocessor.products[index], dynamics.market.products[index]
    first = history.dates[-1].astype("datetime64[D]") + 1
    shown = {"units": True, "sales": True, "profit": fitted.cost.known}
    shown |= {"organic": fitted.organic is not None, "ad": fitted.ad is not None}
    rows = []
    for day, price in enumerate(prices):
        date = first + day
        weekday = int(weekday_of(date.astype(np.int64)))
        open_day = bool(fitted.trades_on[weekday])
        measures = {
            name: Interval(*getattr(forecast, name)[:, day].tolist()) if open_day and known else None
            for name, known in shown.items()
        }
        units, sales, profit = forecast.market_sd[:, day].tolist()
        rows.append(
            DayAdvice(
                date=str(date),
                recommended_price=money(price),
                price_low=money(float(path.low[day])),
                price_high=money(float(path.high[day])),
                **measures,
                note="" if open_day else f"no {WEEKDAYS[weekday]} was ever recorded",
                market_sd=(units, sales, profit if fitted.cost.known else None) if open_day else None,
            )
        )
    return tuple(rows)


def money(value: float) -> float:
    """Round a float32 price to a hundredth of a cent, so that 12.00 is exactly 12.0."""
    return round(value, 4)
