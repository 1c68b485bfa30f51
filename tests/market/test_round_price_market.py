"""A fall of demand at a round price, from the history to the fitted market."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pricerl.market.demand.priors import find_round_prices
from pricerl.market.fitting import _price_grids, fit_market
from pricerl.market.market import NO_EDGE, log_units_at


@pytest.fixture(scope="module")
def market(make_product, prepare):
    rng = np.random.default_rng(0)
    price = np.repeat(rng.permutation(np.tile([18.5, 19.2, 19.99, 20.4, 21.2], 8)), 5)
    price[-5:] = 19.99
    units = rng.poisson(60 * (price / 20) ** -2.0 * np.where(price >= 20, 0.7, 1.0))
    return fit_market(prepare(make_product(price, units.astype(float))), seed=0)


def test_a_fall_at_a_round_price_survives_into_the_market(market):
    price = torch.tensor([19.80, 19.99, 20.0, 20.20])
    zero = torch.zeros(4, dtype=torch.long)
    units = market.average_day(price, zero, zero + market.mean_draw).expected_units.numpy()
    below, across, above = np.diff(np.log(units))
    assert across == pytest.approx(np.log(0.7), abs=0.12)
    assert abs(below) < 0.05 and abs(above) < 0.05


def test_curves_are_read_alike_in_numpy_and_torch_on_both_sides_of_round_prices(market):
    product = market.products[0]
    np.testing.assert_allclose(product.edges, [20, NO_EDGE], rtol=1e-6)
    price = np.array([14.0, 14.99, 15.0, 18.123, 19.99, 19.9999, 20.0, 20.01, 25.0, 40.0])
    draw = torch.arange(market.num_draws)[:, None]
    batched = market.average_day(torch.as_tensor(price, dtype=torch.float32), torch.zeros_like(draw), draw)
    np.testing.assert_allclose(
        batched.expected_units.numpy(), np.exp(log_units_at(product, price)), rtol=2e-4, atol=1e-9
    )


@pytest.mark.parametrize("given", [[], [20.0], [15.0, 20.0], [19.9, 20.0]])
def test_a_grid_has_two_points_at_each_edge_and_covers_the_prices(given):
    edges, even, log_grid = _price_grids(12.0, 31.0, 97, np.array(given))
    kept = given[-1:] if given[:1] == [19.9] else given  # two that are too close are one
    np.testing.assert_allclose(edges, [*kept, NO_EDGE, NO_EDGE][:2], rtol=1e-6)
    assert len(log_grid) == 97 and (np.diff(log_grid) > 0).all()
    np.testing.assert_allclose(np.diff(even), even[1] - even[0])
    assert log_grid[0] <= np.log(12.0) + 1e-12 and log_grid[-1] >= np.log(31.0) - 1e-12
    for edge in np.log(kept):
        assert (np.abs(log_grid - edge) < 1e-8).sum() == 2


@pytest.mark.parametrize(
    ("price", "probabilities"),
    [
        ([18.4, 21.3, 22.4], {20: 0.06}),
        ([18.4, 21.3, 19.84], {20: 0.36}),  # stays just below 20
        ([12.99, 13.99, 13.4], {12: 0.0125, 13: 0.0125, 14: 0.0125, 15: 0.0725}),  # most prices end below a whole one
        ([12.4, 13.2, 13.95], {14: 0.05, 15: 0.06}),  # stays just below a whole price that is not round
        ([13.95, 13.2, 12.4], {15: 0.06}),  # one ending is no habit
        ([11.4, 12.2, 13.4], {}),
        ([12.3456, 13.4567, 13.9999], {}),  # averages of what buyers paid
    ],
)
def test_the_endings_of_a_file_decide_where_demand_may_fall(make_product, price, probabilities):
    found = find_round_prices(make_product(np.repeat(price, 20), np.full(60, 9.0)))
    assert dict(zip(found.price.tolist(), found.probability.tolist(), strict=True)) == pytest.approx(probabilities)
