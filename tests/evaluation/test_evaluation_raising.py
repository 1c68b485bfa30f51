from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pricerl.evaluation.raising import would_raising_pay


def market(known_demand, elasticity):
    return known_demand(price=np.repeat([8.0, 10.0, 14.0], 20), elasticity=elasticity).products[0]


def in_two(product, factor):
    """The product in its own market and in one whose elasticity is ``factor`` times that."""
    logs = product.units.log_value
    cost = product.cost
    twice = {name: np.repeat(getattr(cost, name), 2) for name in ("share_kept", "unit_cost", "fixed_cost")}
    units = replace(product.units, log_value=np.concatenate([logs, factor * logs]))
    return replace(product, units=units, cost=replace(cost, **twice))


@pytest.mark.parametrize(("price", "chance"), [(11.0, 1.0), (13.0, 0.0)])
def test_raising_pays_below_the_best_price_and_not_above_it(known_demand, price, chance):
    assert would_raising_pay(market(known_demand, -2.0), price).chance == chance


def test_the_break_even_is_the_price_over_the_margin(known_demand):
    assert would_raising_pay(market(known_demand, -2.0), 10.0).break_even == pytest.approx(10 / (10 - 6))


def test_markets_are_counted(known_demand):
    assert would_raising_pay(in_two(market(known_demand, -2.0), 1.5), 10.0).chance == 0.5
    assert would_raising_pay(in_two(market(known_demand, -2.0), 1.2), 10.0).chance == 1.0


def test_a_unit_sold_at_a_loss_should_cost_more(known_demand):
    found = would_raising_pay(market(known_demand, -9.0), 5.5)
    assert found.chance == 1.0 and found.break_even is None


def test_without_costs_nothing_is_said(known_demand):
    product = market(known_demand, -2.0)
    assert would_raising_pay(replace(product, cost=replace(product.cost, known=False)), 10.0) is None
