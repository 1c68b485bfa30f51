"""Revenue as the objective: advice that needs no costs and compares revenue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from advising import advise_on, moving

from pricerl.advice.result import ProductAdvice
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.market import Market

PRICES = np.tile([9.0, 10.0, 11.0, 10.0, 9.5, 10.0, 10.5, 10.0, 9.0, 11.0, 10.0, 10.0], 10)
Known = Callable[..., Market]


@pytest.fixture
def shop(known_demand: Known) -> Known:
    """Return a market of known demand, whose costs may be unknown, around a price of 10.00."""

    def make(elasticity: float, costs_known: bool = False, scale: float = 1.0) -> Market:
        market = known_demand(scale * PRICES, elasticity=elasticity, num_days=120)
        product = market.products[0]
        units = replace(product.units, effective_days=np.full_like(product.log_grid, 30.0))
        cost = replace(product.cost, known=costs_known)
        return replace(market, products=(replace(product, units=units, cost=cost),))

    return make


def advised(market: Market, preset: Any, direction: float) -> ProductAdvice:
    """Return the advice of a policy that always raises (1) or always lowers (-1)."""
    return advise_on(market, moving(direction), preset=preset, limits=GuardrailConfig(min_hold_days=1))


@pytest.mark.parametrize(("elasticity", "direction", "word"), [(-2.0, -1.0, "Lower"), (-0.5, 1.0, "Raise")])
def test_the_change_that_brings_more_revenue_is_advised_without_costs(
    shop: Known, elasticity: float, direction: float, word: str
) -> None:
    advice = advised(shop(elasticity), "revenue", direction)
    assert advice.reason.startswith(f"{word} to") and advice.uplift is not None
    assert "revenue per day" in advice.reason and "profit" not in advice.reason
    assert advice.uplift.profit is None and advice.uplift.probability_better == 1.0
    assert advice.uplift.sales.mean > 0 and advice.uplift.cvar is not None


@pytest.mark.parametrize(("elasticity", "direction"), [(-2.0, 1.0), (-0.5, -1.0)])
def test_the_change_that_costs_revenue_is_not_followed(shop: Known, elasticity: float, direction: float) -> None:
    advice = advised(shop(elasticity), "revenue", direction)
    assert advice.proposal.over_keep.sales.mean < 0
    assert (advice.recommended_price - advice.current_price) * direction <= 0


def test_a_cut_that_brings_revenue_and_loses_profit_is_followed_for_revenue_alone(
    shop: Known,
) -> None:
    market = shop(-2.0, costs_known=True)  # best for profit at 12.00
    by_revenue, by_profit = (advised(market, preset, -1.0) for preset in ("revenue", "profit"))
    assert by_revenue.recommended_price < by_revenue.current_price <= by_profit.recommended_price
    assert by_revenue.uplift is not None and by_revenue.uplift.profit is not None
    assert by_revenue.uplift.profit.mean < 0 < by_revenue.uplift.sales.mean
    assert f"Effect on profit: −{-by_revenue.uplift.profit.mean:.2f} profit per day" in by_revenue.reason


def test_every_comparison_is_in_revenue(shop: Known) -> None:
    advice = advised(shop(-2.0), "revenue", -1.0)
    now = advice.current_price
    assert advice.market.measure == "sales" and advice.market.raising is not None
    assert advice.market.raising.probability_better == 0.0
    assert advice.details is not None and advice.details.curves.sales is not None
    assert advice.details.beyond == "below" and advice.details.curves.profit is None
    assert "planner, profit alone" not in {row.rule for row in advice.checks.baselines}
    for row in advice.checks.baselines:
        assert row.probability_better in ((1.0,) if row.price < now else (0.0, None))


def test_revenue_keeps_the_price_above_a_known_cost(shop: Known) -> None:
    market = shop(-4.0, costs_known=True, scale=0.62)  # 6.20 now, a unit costs 6.00
    assert advised(market, "revenue", -1.0).recommended_price >= 6.0
