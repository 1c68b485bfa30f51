"""What only the report shows: curves, outcomes, the edge of the tried prices, the price test."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest
import torch

from pricerl.advice.final_check import today_of
from pricerl.advice.price_path import approach_path, forecast_path
from pricerl.advice.price_test import HALVES_DOUBT, plan_price_test
from pricerl.advice.report.sentences import describe_limits
from pricerl.advice.report_data import Details, PriceCurves, draw_curves, find_beyond, gather_details
from pricerl.env import Dynamics, EnvConfig
from pricerl.formatting import Formatter
from pricerl.guardrails import GuardrailConfig
from pricerl.market import DemandConfig, Market, RewardConfig
from pricerl.simulation import SellerConfig

PRICES = np.repeat([9.0, 10.0, 11.0, 10.0], 15)


def _dynamics(market: Market, guardrails: GuardrailConfig | None = None) -> Dynamics:
    return Dynamics(market, RewardConfig(), guardrails or GuardrailConfig(), EnvConfig())


@pytest.fixture
def known(known_demand: Callable[..., Market]) -> Dynamics:
    """Units ``20 (p / 10)^-2`` at a unit cost of 6."""
    return _dynamics(known_demand(PRICES))


@pytest.fixture(scope="module")
def drawn(fitted: Callable[[SellerConfig, DemandConfig], Market]) -> Dynamics:
    return _dynamics(fitted(SellerConfig(), DemandConfig(num_draws=32)))


def _gather(dynamics: Dynamics, target: float) -> Details:
    path = approach_path(target, dynamics, 0, 7)
    now = path.price.new_full(path.price.shape, float(dynamics.market.preprocessor.products[0].price[-1]))
    return gather_details(
        dynamics, 0, path, forecast_path(dynamics, 0, path.price, 0), forecast_path(dynamics, 0, now, 0)
    )


def test_the_curves_are_the_markets_own(known: Dynamics) -> None:
    prices = np.array([9.0, 10.0, 12.0])
    curves = draw_curves(known, 0, prices)
    units = 20 * (prices / 10) ** -2
    np.testing.assert_allclose([row[0] for row in curves.units], units, rtol=1e-3)
    assert curves.profit is not None and curves.price == (9.0, 10.0, 12.0)
    np.testing.assert_allclose([row[0] for row in curves.profit], (prices - 6) * units, rtol=2e-3)


def test_limits_enclose_the_curves_and_their_prices_reach_beyond_those_tried(drawn: Dynamics) -> None:
    details = _gather(drawn, 1.03 * float(drawn.market.preprocessor.products[0].price[-1]))
    tried = drawn.market.preprocessor.products[0].price
    assert details.curves.price[0] < tried.min() and details.curves.price[-1] > tried.max()
    assert details.curves.profit is not None
    assert all(low < mean < high for mean, low, high in (*details.curves.units, *details.curves.profit))


def test_differences_are_paired_and_their_means_add_up(drawn: Dynamics) -> None:
    details = _gather(drawn, 1.03 * float(drawn.market.preprocessor.products[0].price[-1]))
    keep, new, between = details.keep, details.recommended, details.difference
    assert between.units[0] == pytest.approx(new.units[0] - keep.units[0])
    assert between.units[2] - between.units[1] < 0.5 * (keep.units[2] - keep.units[1])
    assert details.first_change is not None and details.change > 0


def test_a_price_that_is_kept_has_no_change_and_no_difference(known: Dynamics) -> None:
    details = _gather(known, 10.0)
    assert (details.first_change, details.change, details.difference.units) == (None, 0.0, (0.0, 0.0, 0.0))
    assert details.own_days.total == len(details.own_days.price) == 60
    assert (details.bounds.lowest, details.bounds.highest) == pytest.approx((9.5, 10.5))


@pytest.mark.parametrize(("profit", "side"), [((1, 2, 3), "above"), ((3, 2, 1), "below"), ((1, 3, 1), ""), (None, "")])
def test_the_best_may_lie_beyond_where_profit_rises_at_the_edge(profit: tuple[int, ...] | None, side: str) -> None:
    triples = None if profit is None else tuple((float(value), 0.0, 9.0) for value in profit)
    curves = PriceCurves((9.0, 10.0, 11.0), ((1.0, 1.0, 1.0),) * 3, triples)
    assert find_beyond(curves, 9.5, 10.5) == side


def test_the_price_test_takes_the_days_that_halve_the_doubt(drawn: Dynamics) -> None:
    test = plan_price_test(drawn, 0)
    assert test is not None and test.gain[1] < test.gain[0] < test.gain[2]
    now = float(drawn.market.preprocessor.products[0].price[-1])
    assert 0.01 <= abs(test.price / now - 1) <= 0.05 + 1e-6
    market, draw = drawn.market, torch.arange(drawn.market.num_draws)
    zero = torch.zeros_like(draw)
    profits, noise = [], 0.0
    for price in (now, test.price):
        response = drawn.constant_price(torch.full((len(draw),), price), zero, draw)[1]
        units = response.expected_units.double()
        margin = (market.share_kept[0, :-1] * price - market.unit_cost[0, :-1]).double()
        noise += float((margin**2 * (units + units**2 / float(market.size[0]))).mean())
        profits.append(response.profit.double().numpy())
    days = math.ceil(HALVES_DOUBT * noise / (profits[1] - profits[0]).var())
    assert test.days == (max(3, days) if days <= 365 else None)


def test_a_market_without_doubt_needs_no_test_that_ends_and_one_without_another_price_has_none(
    known_demand: Callable[..., Market],
) -> None:
    test = plan_price_test(_dynamics(known_demand(PRICES)), 0)
    assert test is not None and test.days is None
    shut = GuardrailConfig(floor=10.0, ceiling=10.0)
    assert plan_price_test(_dynamics(known_demand(PRICES), shut), 0) is None


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({}, "between 9.50 (max_change) and 10.50 (max_change). "),
        ({}, "A change is at most 5 % up or 5 % down, and 10 % against the price of 7 days before"),
        ({"products": {"product": {"max_change": 0.02}}}, "between 9.80 (max_change) and 10.20 (max_change)."),
        ({"products": {"product": {"max_change": 0.02}}}, "at most 2 % up or 2 % down"),
        ({"products": {"product": {"max_week_change": 0.03}}}, "9.70 (max_week_change) and 10.30 (max_week_change)."),
        ({"products": {"product": {"max_week_change": 0.03}}}, "and 3 % against the price of 7 days before"),
        ({"max_rise": 0.025}, "between 9.50 (max_change) and 10.25 (max_rise)."),
        ({"max_rise": 0.025}, "at most 2.5 % up or 5 % down"),
        ({"ceiling": 10.1, "min_hold_days": 1}, "10.10 (ceiling). "),
        ({"ceiling": 10.1, "min_hold_days": 1}, "stays at least 1 day."),
        ({"floor": 12.0}, "leave no price (floor asks for at least 12, max_change for at most 10.5)"),
        ({"pause": True}, "The product is paused: its price stays at 10.00."),
    ],
)
def test_the_page_states_the_limits_in_force(
    limits: dict[str, object], sentence: str, known_demand: Callable[..., Market]
) -> None:
    dynamics = _dynamics(known_demand(PRICES), GuardrailConfig(**limits))
    assert sentence in _limits_sentence(dynamics)


def test_a_current_price_beyond_the_prices_tried_may_stay_as_the_page_says(known_demand: Callable[..., Market]) -> None:
    prices = np.array([10.0] * 57 + [17.3] * 3)
    dynamics = _dynamics(known_demand(prices), GuardrailConfig(max_week_change=0.9))
    text = _limits_sentence(dynamics)
    assert text.startswith("The next price lies between 16.44 (max_change) and 17.30 (support_margin); ")
    assert "the current price lies beyond support_margin and may stay. " in text
    test = plan_price_test(dynamics, 0)
    assert test is not None and test.price == pytest.approx(16.44)


def _limits_sentence(dynamics: Dynamics) -> str:
    bounds = today_of(dynamics, 0).describe()
    current_price = float(dynamics.market.preprocessor.products[0].price[-1])
    return describe_limits({"current_price": current_price, "details": {"bounds": asdict(bounds)}}, Formatter())
