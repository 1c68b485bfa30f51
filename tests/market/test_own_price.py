"""The seller's own price is evidence on the elasticity, which a history can overrule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from elasticities import elasticities
from scipy.special import ndtr, ndtri

from pricerl.data.costs import CostConfig
from pricerl.market.cost import CostPosterior
from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.priors import (
    DAILY_ELASTICITY,
    INFORMED,
    INFORMED_SD,
    USUAL_ELASTICITY_SD,
    Tabulated,
    find_own_price,
    log_normal_prior,
    own_price_log_ratio,
)
from pricerl.market.fitting import fit_market

STEADY = np.full(100, 10.0)
COST = CostConfig(unit_cost=7.8, share_kept=1.0)
"""A price of 13 is the best at an elasticity of -2.5."""


def known_costs(unit_cost, share_kept=1.0, known=True):
    draws = np.ones(8)
    return CostPosterior(share_kept * draws, unit_cost * draws, 0 * draws, known, 100)


def fitted_elasticities(prepare, product, informed, cost=COST):
    market = fit_market(prepare(product), DemandConfig(prior_informed=informed), cost, conversions=False)
    return elasticities(market.products[0], product.current_price)


@pytest.fixture
def untried(make_product):
    """History of a price that never varied."""
    return make_product(13.0, np.random.default_rng(0).poisson(20, 120))


def test_without_a_varied_price_draws_move_to_the_elasticity_that_makes_it_the_best(prepare, untried):
    for unit_cost, best in ((3.9, 1 / 0.7), (9.75, 4.0)):
        cost = CostConfig(unit_cost=unit_cost, share_kept=1.0)
        errors = [
            np.abs(np.log(-fitted_elasticities(prepare, untried, informed, cost)) - np.log(best)).mean()
            for informed in (0.0, 0.5, 0.95)
        ]
        assert errors[0] > errors[1] > errors[2]


def test_a_history_of_many_prices_overrules_it(prepare, make_product):
    rng = np.random.default_rng(1)
    price = np.repeat(rng.choice([9.0, 9.5, 10.0, 10.5, 11.0], 60), 7)
    price[-28:] = 10.0
    history = make_product(price, rng.poisson(200 * (price / 10) ** -1.3))
    cost = CostConfig(unit_cost=8.0, share_kept=1.0)
    without, with_it = (fitted_elasticities(prepare, history, informed, cost).mean() for informed in (0.0, 0.95))
    assert abs(without + 1.3) < 0.3
    assert abs(with_it - without) < 0.1


def test_the_posterior_is_that_of_the_mixture_on_a_grid(prepare, untried):
    """Importance weights on draws without the evidence give the same mean log elasticity."""
    prior = -fitted_elasticities(prepare, untried, 0.0)
    general = log_normal_prior(DAILY_ELASTICITY, USUAL_ELASTICITY_SD)
    weight = np.exp(own_price_log_ratio(np.log(2.5), np.log(prior), general, INFORMED_SD, 0.8))
    expected = (weight @ np.log(prior)) / weight.sum()
    assert np.log(-fitted_elasticities(prepare, untried, 0.8)).mean() == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("best", [np.log(2.2), np.log(4.0), np.log(25.0)])
def test_the_density_with_the_evidence_sums_to_1_and_is_alike_for_priors_of_any_form(best):
    grid = np.linspace(-4, 6, 4001)
    table = ndtr(np.linspace(-6, 6, 400))
    tabulated = Tabulated(np.log(2.2), 0.5, ndtri(table), np.log(2.2) + 0.5 * ndtri(table))
    moved = []
    for prior in (log_normal_prior(-2.2, 1.5), tabulated):
        density = np.exp(prior.log_density(grid) + own_price_log_ratio(best, grid, prior, INFORMED_SD, 0.5))
        total = density.sum() * (grid[1] - grid[0])
        assert total == pytest.approx(1.0, abs=0.02)
        near = np.abs(grid - best) < INFORMED_SD
        moved.append((density[near].sum() - np.exp(prior.log_density(grid))[near].sum()) * (grid[1] - grid[0]))
    assert moved[0] == pytest.approx(moved[1], abs=0.02, rel=0.1) and moved[0] > 0.05


def test_a_margin_that_most_shops_have_says_less_than_a_thin_one():
    prior = log_normal_prior(DAILY_ELASTICITY, USUAL_ELASTICITY_SD)

    def gain(margin):
        """Return the log density of the elasticity at which the price is the best, over that without the evidence."""
        best = -np.log(margin)
        return own_price_log_ratio(best, best, prior, INFORMED_SD, INFORMED)

    assert 0 < gain(0.45) < 0.3 and gain(0.45) < gain(0.25) < gain(0.1) < gain(0.04)


@pytest.fixture
def find(make_product):
    """Return the evidence of the seller's own prices, each with 5 units a day."""

    def find(price, cost=None, informed=0.5, **changes):
        product = make_product(price, np.full(len(price), 5.0), **changes)
        return find_own_price(product, cost or known_costs(6.0), informed)

    return find


def test_days_that_pricerl_priced_are_no_choice_of_the_seller(find):
    later = np.arange(100) >= 60
    price = np.where(later, 14.0, 10.0)
    assert find(price).price == pytest.approx(14.0)
    found = find(price, own_price=later)
    assert (found.price, found.log_elasticity) == (pytest.approx(10.0), pytest.approx(np.log(2.5)))


def test_the_regular_price_is_the_choice_not_a_deal_and_not_a_repricer(find):
    assert find(np.where(np.arange(140) % 28 >= 22, 8.0, 10.0)).price == pytest.approx(10.0)
    assert find(10.0 + np.round(np.random.default_rng(0).normal(0, 0.5, 140), 2)) is None


def test_fees_lower_the_margin_and_uncertain_costs_widen_it(find):
    assert find(STEADY, known_costs(4.0, share_kept=0.8)).log_elasticity == pytest.approx(np.log(2.0))
    vague = replace(known_costs(6.0), unit_cost=6 + np.random.default_rng(0).normal(size=8))
    assert find(STEADY, vague).sd > find(STEADY).sd


@pytest.mark.parametrize(
    ("cost", "informed"), [(known_costs(6.0, known=False), 0.5), (known_costs(9.9), 0.5), (known_costs(6.0), 0.0)]
)
def test_unknown_costs_prices_without_a_margin_and_a_setting_of_0_are_no_evidence(find, cost, informed):
    assert find(STEADY, cost, informed) is None
