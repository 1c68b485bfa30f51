"""Advice on histories of weeks: dates, holds, limits, words, and the same direction as from days."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from pricerl.advice.describe import advise
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.days import DAY
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.reader import history_from_text
from pricerl.decide.case import Case, Proposed
from pricerl.decide.chain import decide_price
from pricerl.decide.decision import DecisionConfig
from pricerl.decide.price_path import approach_path
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.backtest import run_backtests, steps_ahead
from pricerl.evaluation.pricing_rules import Candidates, best_for_profit
from pricerl.formatting import Formatter
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.covariates import WEEKDAY, gather_covariates
from pricerl.market.demand.reference_price import reference_prices
from pricerl.market.fitting import fit_market


def daily_sales(elasticity: float, unit_cost: float, days: int = 728) -> pd.DataFrame:
    """A seller of 40 units per day at 10.00 who keeps each price for 4 to 12 days, and 10.00 for the last ones."""
    generator = np.random.default_rng(3)
    price = np.concatenate(
        [np.full(generator.integers(4, 13), round(generator.uniform(8.5, 11.5), 2)) for _ in range(days)]
    )[:days]
    price[-9:] = 10.0
    units = generator.poisson(40 * (price / 10) ** elasticity)
    dates = (np.datetime64("2024-01-01") + np.arange(days)).astype(str)
    profit = price * units - unit_cost * units
    return pd.DataFrame(
        {"Report Date": dates, "Product Price": price, "Total Sales": price * units, "Total Profit": profit}
    )


def weekly_text(daily: pd.DataFrame) -> str:
    """Sum a daily file to weeks, with the units-weighted price."""
    frame = daily.assign(Units=(daily["Total Sales"] / daily["Product Price"]).round())
    sums = frame.groupby(np.arange(len(frame)) // 7)
    weeks = sums[["Units", "Total Sales", "Total Profit"]].sum()
    weeks.insert(0, "Product Price", (weeks["Total Sales"] / weeks["Units"]).round(4))
    weeks.insert(0, "Report Date", sums["Report Date"].first())
    return str(weeks.to_csv(index=False))


def market_of(text: str) -> Dynamics:
    config = DataConfig(current_price="last")
    data = DataPreprocessor.fit(history_from_text(text, "file", config), config)
    return Dynamics(fit_market(data, DemandConfig(), conversions=False))


@pytest.fixture(scope="module")
def daily_and_weekly() -> tuple[Dynamics, Dynamics]:
    daily = daily_sales(-2.0, 4.0)
    return market_of(str(daily.to_csv(index=False))), market_of(weekly_text(daily))


def direction(dynamics: Dynamics, steps: int) -> int:
    """1 if a rise is decided, -1 if a drop is, 0 if the price is kept: for the path to the best price for profit."""
    product = Product(dynamics, 0)
    path = approach_path(best_for_profit(Candidates(product)), product, steps)
    course = decide_price(Case(product, lambda *asked: Proposed("policy", path), DecisionConfig(), steps))
    return int(np.sign(course.prices[-1] - product.current_price))


@pytest.mark.parametrize(
    ("elasticity", "unit_cost", "expected"), [(-1.3, 8.8, 1), pytest.param(-5.5, 3.0, -1, marks=pytest.mark.slow)]
)
def test_days_summed_to_weeks_lead_to_the_same_direction(elasticity: float, unit_cost: float, expected: int) -> None:
    daily = daily_sales(elasticity, unit_cost)
    of_days, of_weeks = market_of(str(daily.to_csv(index=False))), market_of(weekly_text(daily))
    assert (direction(of_days, 14), direction(of_weeks, 2)) == (expected, expected)


def test_a_week_sells_what_seven_days_sell(daily_and_weekly: tuple[Dynamics, Dynamics]) -> None:
    daily, weekly = (float(dynamics.references.sales[0, dynamics.market.mean_draw]) for dynamics in daily_and_weekly)
    assert weekly == pytest.approx(7 * daily, rel=0.15)
    costs = [dynamics.market.products[0].cost for dynamics in daily_and_weekly]
    assert "fixed cost per week" in costs[1].describe() and "fixed cost per day" in costs[0].describe()


def test_a_fixed_cost_per_day_is_charged_seven_times_per_week(daily_and_weekly: tuple[Dynamics, Dynamics]) -> None:
    data = daily_and_weekly[1].market.preprocessor
    market = fit_market(data, DemandConfig(num_draws=2), CostConfig(fixed_cost=5.0), conversions=False)
    assert (market.products[0].cost.fixed_cost == 35.0).all()


def test_advice_on_weeks_counts_weeks(daily_and_weekly: tuple[Dynamics, Dynamics]) -> None:
    dynamics = daily_and_weekly[1]
    backtests = run_backtests(dynamics.market.preprocessor, DemandConfig(num_draws=8), CostConfig())
    policy = lambda observation: observation.new_ones(len(observation), 1)  # noqa: E731
    (advice,) = advise(policy, dynamics, DecisionConfig(), 14, backtests, formatter=Formatter(step_days=7))
    last = dynamics.market.preprocessor.products[0].dates[-1]
    assert [day.date for day in advice.days] == [str(last + 7 * DAY), str(last + 14 * DAY)]
    assert "profit per week" in advice.reason
    assert "per day" not in advice.reason
    assert advice.checks.backtest is not None
    assert [score.days_ahead for score in advice.checks.backtest.scores] == [7, 14]
    assert advice.details is not None and advice.details.price_test is not None
    days = advice.details.price_test.days
    assert days is None or days % 7 == 0


def test_a_decision_lasts_at_least_a_week_and_the_hold_is_over_after_it(
    daily_and_weekly: tuple[Dynamics, Dynamics],
) -> None:
    market = daily_and_weekly[1].market
    holds = [GuardrailConfig(min_hold_days=days) for days in (1, 3, 7, 8, 15)]
    assert [Dynamics(market, guardrails=hold).days_per_step for hold in holds] == [1, 1, 1, 2, 3]
    today = Product(daily_and_weekly[1], 0).today
    assert today.too_young() == ""
    assert float(today.recent.week_ago) == today.now
    assert str(today.log.charge(10.0).dates[-1]) == str(today.log.dates[-1] + 7 * DAY)


def test_a_step_of_the_env_is_a_week_of_the_calendar(daily_and_weekly: tuple[Dynamics, Dynamics]) -> None:
    dynamics = daily_and_weekly[1]
    history, row = dynamics.market.preprocessor.products[0], torch.tensor([0])
    state = dynamics.start(row, dynamics.history.num_days - 1, row)
    months = dynamics._dates(state, 9)[2, :, 0]
    ahead = (history.dates[-1] + 7 * np.arange(1, 10)).astype("datetime64[M]").astype(int) % 12 + 1
    assert months.tolist() == ahead.tolist()


def test_weeks_have_no_weekdays(daily_and_weekly: tuple[Dynamics, Dynamics]) -> None:
    daily, weekly = (gather_covariates(item.market.preprocessor.products[0]).names for item in daily_and_weekly)
    assert daily.count(WEEKDAY) == 7 and weekly.count(WEEKDAY) == 0
    assert (daily_and_weekly[1].market.products[0].weekday == 1).all()


def test_buyers_forget_as_much_in_a_week_as_in_seven_days() -> None:
    prices = np.log(np.array([10.0, 12.0, 12.0, 12.0]))
    of_days = reference_prices(np.repeat(prices, 7))
    np.testing.assert_allclose(reference_prices(prices, 7), of_days[::7])


def test_forecasts_of_14_days_are_made_two_weeks_ahead() -> None:
    assert steps_ahead(1) == (1, 7, 14)
    assert steps_ahead(7) == (1, 2)
