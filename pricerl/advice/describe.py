"""Advice on every product: its price, decided by the chain, and the record of that course, built once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from babel.dates import get_day_names

from pricerl.advice.result import (
    CostMeans,
    DayAdvice,
    Details,
    MarketFacts,
    ProductAdvice,
    ProposalChecks,
    ProposedPath,
    Recommendation,
    Substitution,
)
from pricerl.advice.sentences.answers import say, say_all
from pricerl.advice.sentences.verdict import explain
from pricerl.arrays import FloatArray, Interval, interval_of
from pricerl.data.days import steps_in
from pricerl.decide.case import Case, Course
from pricerl.decide.category import claim_of
from pricerl.decide.chain import Proposer, decide_price
from pricerl.decide.decision import DecisionConfig
from pricerl.decide.objections import object_along
from pricerl.decide.overruled import orders_after
from pricerl.decide.standing import FIRST, Standing
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.errors import refuse
from pricerl.evaluation.backtest import Backtest
from pricerl.evaluation.card.evidence_card import PRIOR_QUESTION
from pricerl.evaluation.card.prior_share import PriorPart
from pricerl.evaluation.forecast import PathForecast, forecast_path
from pricerl.evaluation.price_curves import draw_curves, list_own_days, spread_shown
from pricerl.evaluation.pricing_rules import compare_baselines
from pricerl.evaluation.stock.plan import plan_half_years
from pricerl.evaluation.stop_rule import find_stop_rule
from pricerl.evaluation.valuation import find_break_even, would_raising_pay
from pricerl.experiments.plan import PriceTest, plan_price_test
from pricerl.formatting import PLAIN, Formatter
from pricerl.guardrails.today import DIGITS
from pricerl.market.market import elasticity_at, lost_at
from pricerl.planner.plan_benchmark import PlanBenchmark
from pricerl.planner.rollout import Policy
from pricerl.reasons import Reason, read_reason
from pricerl.training.saved_policy import act_on_shelves

MAX_HORIZON = 365
"""Longest horizon in days, well inside the calendar."""


def advise(
    policy: Policy,
    dynamics: Dynamics,
    config: DecisionConfig,
    horizon: int,
    backtests: Mapping[str, Backtest],
    seed: int = 0,
    formatter: Formatter = PLAIN,
    benchmark: PlanBenchmark | None = None,
    standings: Mapping[str, Standing] = MappingProxyType({}),
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
        formatter: of the reasons.
        benchmark: plan that proposes where the policy earns less; the policy always proposes if absent.
        standings: facts of log and shop by product.
        current: current prices of related products of other markets, by name, in money.

    Raises:
        UsageError: if the horizon is not between 1 and 365 days.
    """
    check_horizon(horizon)
    steps = steps_in(horizon, dynamics.market.step_days)
    proposer = Proposer(policy, dynamics, benchmark, config.policy_margin)
    stocked = plan_half_years(dynamics, act_on_shelves)
    cases = (
        Case(
            product=Product(dynamics, index),
            propose=proposer.propose,
            config=config,
            horizon=steps,
            standing=standings.get(name, FIRST),
            seed=seed,
            stocked=stocked.get(index),
        )
        for index, name in enumerate(dynamics.market.preprocessor.names)
    )
    advice = []
    for case in cases:
        course = decide_price(case)
        advice.append(_describe(case, course, backtests.get(case.product.name), current, formatter))
        if case.stocked is not None:
            case.stocked.charge(course.path.price)
    for row, half_year in stocked.items():
        if (claim := advice[row].claim) is not None:
            advice[row] = replace(advice[row], claim=claim._replace(gain=half_year.add_up()))
    return advice


def check_horizon(horizon: int) -> None:
    """Refuse a horizon that is not between 1 and 365 days with a ``UsageError``."""
    refuse({f"--horizon: must be 1 to {MAX_HORIZON} days, found {horizon}": not 1 <= horizon <= MAX_HORIZON})


def _describe(
    case: Case, course: Course, skill: Backtest | None, current: Mapping[str, float] | None, f: Formatter
) -> ProductAdvice:
    """Return the record of a product's decided course; other arguments are as in `advise`, for one product."""
    product = case.product
    model = course.own
    path = model.proposed.path.price
    own = case.value(path)
    forecast = _forecast(case, course)
    trades = np.array([product.fitted.trades_on[day.weekday()] for day in case.days], bool)
    asked = course.gated.asked
    advice = ProductAdvice(
        product=product.name,
        current_price=money(product.current_price),
        recommendation=_recommend(case, course, forecast, f),
        reason="",
        keep=case.keep.outcome(),
        proposal=ProposedPath(
            prices=tuple(map(money, path.tolist())),
            outcome=own.outcome(),
            over_keep=own.over(case.keep),
            policy_over_plan=model.proposed.over_plan,
        ),
        market=_market_facts(case, course),
        checks=ProposalChecks(
            baselines=tuple(compare_baselines(product, case.config.min_chance, case.horizon, case.value_all)),
            backtest=skill,
            prior=_prior_part(case),
            card=case.card,
        ),
        data_quality=_judge_data(case, f),
        stop_rule=None
        if forecast is None
        else find_stop_rule(forecast.sampled_units, course.prices, product.current_price, trades),
        account=course.account,
        tests=case.standing.tests,
        asked_price=None if asked is None else money(asked),
        guardrails=course.gated.edits,
        orders=orders_after(case, course),
        alarm=course.alarm,
        model=None if course.model is None else _recommend(case, course.model, _forecast(case, course.model), f),
        previous=case.standing.previous,
        track_record=case.standing.track_record,
        stock=None if case.stocked is None else case.stocked.look_ahead(course.path.price),
        lowest_prices=tuple(product.history.lowest_prices),
        claim=claim_of(product, case.keep, case.value(course.path.price) if course.known else case.keep),
    )
    planned = plan_price_test(product, current=current, config=case.config) if model.decision.unsure else None
    shown = model.path.price.cpu().double().numpy()
    details = gather_details(product, shown, None if planned is None else planned.test, current)
    return replace(advice, reason=explain(advice.to_dict(), f), details=details)


def _prior_part(case: Case) -> PriorPart | None:
    """Return the prior's part in the estimate, if a prior is stated."""
    share = case.prior_share
    prior = case.product.fitted.prior
    alone = any(line.question == PRIOR_QUESTION and line.verdict == "FAIL" for line in case.card)
    return None if share is None or prior is None else PriorPart(share, alone, prior.pooled)


def _judge_data(case: Case, f: Formatter) -> dict[str, Any]:
    """Return the data report with its reasons in words, and a doubt if stock is left out."""
    product = case.product
    report = product.market.preprocessor.reports[product.index]
    if product.fitted.stock is not None and case.stocked is None:
        report = replace(report, doubts=(*report.doubts, Reason("stock_without_cost")))
    found = report.to_dict(case.config.min_days)
    del found["doubts"]  # they are among the findings
    return {**found, "reasons": [say(read_reason(item), f) for item in found["findings"]]}


def _market_facts(case: Case, course: Course) -> MarketFacts:
    product = case.product
    now = product.current_price
    fitted = product.fitted
    lost = fitted.diversion
    whole = fitted.whole_above(course.recommends(now))
    return MarketFacts(
        num_draws=product.market.num_draws,
        measure=product.market.measure,
        objective=product.dynamics.reward.objective,
        elasticity=interval_of(elasticity_at(fitted, now)),
        raising=would_raising_pay(product.counted, now),
        break_even=find_break_even(fitted, now),
        costs=fitted.cost.describe(),
        fixed_known=fitted.cost.fixed_known,
        price_setting=fitted.price_setting,
        bias=fitted.bias,
        yearly_season=fitted.ahead.yearly_season,
        season_of=fitted.ahead.season_of,
        substitution=None if lost is None else Substitution(product.history.group, interval_of(lost.share), lost.data),
        cost_means=CostMeans(*fitted.cost.means) if fitted.cost.known else None,
        next_whole=None if whole is None else (whole, lost_at(fitted, whole)),
    )


def _forecast(case: Case, course: Course) -> PathForecast | None:
    return forecast_path(case.product, course.path.price, case.seed) if course.known else None


def _recommend(case: Case, course: Course, forecast: PathForecast | None, f: Formatter) -> Recommendation:
    held = course.decision.follow == "hold"
    value = case.value(course.path.price)
    return Recommendation(
        recommended_price=money(course.recommends(case.product.current_price)),
        settled_price=money(float(course.aim.price[-1])),
        decision=replace(course.decision, why=say_all(course.decision.reasons, f)),
        recommended=None if forecast is None else value.outcome(),
        uplift=None if forecast is None or held else value.over(case.keep),
        days=tuple(_day_rows(case, course, forecast, f)),
        weighed=case.value(course.aim.price).over(case.keep) if held and course.decision.unsure else None,
    )


def _day_rows(case: Case, course: Course, forecast: PathForecast | None, f: Formatter) -> Iterator[DayAdvice]:
    """Yield the rows of the next days; unknown values stay None, and all of them without a forecast."""
    fitted = case.product.fitted
    order = course.order
    conversions = [name for name in ("organic", "ad") if getattr(fitted, name) is not None]
    known = ["units", "sales", *(["profit"] if fitted.cost.known else []), *conversions]
    way = _way_to_limit(case.product, course.prices, f)
    for row, (day, price) in enumerate(zip(case.days, course.prices, strict=True)):
        trades = fitted.trades_on[day.weekday()]
        values: dict[str, Interval | None] = dict.fromkeys(("units", "sales", "profit", "organic", "ad"))
        sd = None
        if trades and forecast is not None:
            values |= {name: Interval(*getattr(forecast, name)[:, row].tolist()) for name in known}
            units, sales, profit = forecast.market_sd[:, row].tolist()
            sd = units, sales, profit if fitted.cost.known else None
        ended = order is not None and day.isoformat() > order.until
        notes = [
            "" if trades else f"no {get_day_names(locale='en')[day.weekday()]} was ever recorded",
            way.get(price, ""),
            "" if course.known else "not forecast: outside tried prices",
            f"after the {order.kind.replace('_', ' ')} ends on {f.date(order.until)}" if order and ended else "",
        ]
        low, high = (money(float(limits[row])) for limits in (course.path.low, course.path.high))
        note = "; ".join(filter(None, notes))
        yield DayAdvice(day.isoformat(), money(price), low, high, **values, note=note, market_sd=sd)


def _way_to_limit(product: Product, prices: Sequence[float], formatter: Formatter) -> dict[float, str]:
    """Return a note for each price on the way of a path to a hard limit more than one step away."""
    today = product.today
    target = today.hard_limit if today.walks else today.now
    if not any(abs(price - target) < abs(today.now - target) for price in prices):
        return {}
    note = f"on the way to {formatter.price(target)} ({today.hard_rule})"
    return {
        price: note for price in prices if not today.same(price, target) and (price > target) == (today.now > target)
    }


def gather_details(
    product: Product,
    path: FloatArray,
    price_test: PriceTest | None = None,
    current: Mapping[str, float] | None = None,
) -> Details:
    """Return the data of one product, whose recommended prices are ``path (H,)``, in money; ``current`` as in `ask`."""
    curves = draw_curves(product, spread_shown(product, path), len(path))
    return Details(
        curves=curves,
        own_days=list_own_days(product, curves),
        bounds=product.today.describe(),
        beyond=curves.beyond(product.market.measure, *product.history.tried_prices),
        price_test=price_test,
        objections=object_along(
            curves.price, product, {**product.market.preprocessor.current_prices, **(current or {})}
        ),
    )


def money(value: float) -> float:
    """Round a float32 price to a hundredth of a cent, so that 12.00 is exactly 12.0."""
    return round(value, DIGITS)
