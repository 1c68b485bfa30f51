from __future__ import annotations

import calibration
import numpy as np
import pandas as pd
import pytest
from calibration import RANKS, draw_seller, rank

from pricerl.market.demand.priors import INFORMED, INFORMED_SD, NO_ROUND_PRICES, log_normal_prior, own_price_log_ratio

PRIOR = log_normal_prior(-2.2, 1.5)


def test_ranks_of_a_seller_are_shares_and_the_same_again():
    row = rank(1, INFORMED)
    assert row == rank(1, INFORMED) and row["days"] == 60 and row["units"] == 50.0
    assert all(0 < row[f"rank_{name}"] < 1 for name in RANKS) and row["true_elasticity"] < 0


def test_a_seller_from_the_prior_has_its_demand_in_the_history():
    seller = draw_seller(250, 500.0, INFORMED, np.random.default_rng(3))
    product = seller.history.products[0]
    assert (np.diff(seller.log_units[0]) <= 0).all() and 0 < seller.unit_cost < product.current_price
    assert len(product.units) == 250 and (product.sales == product.units * product.price).all()
    at_price = product.units[-28:][product.price[-28:] == product.current_price]
    assert at_price.mean() == pytest.approx(np.exp(seller.log_units[0, 1]), rel=0.5)


def test_curves_given_a_margin_are_distributed_as_the_model_takes_them():
    rng = np.random.default_rng(0)
    drawn = [calibration._draw_curve(PRIOR, NO_ROUND_PRICES, 0.8, rng) for _ in range(700)]
    grid = np.linspace(-3, 4, 2001)
    density = np.exp(PRIOR.log_density(grid))
    surprise = []
    for curve, margin in drawn:
        if curve.family[0] == 0:  # a constant elasticity is that at the current price
            given = density * np.exp(own_price_log_ratio(-np.log(margin), grid, PRIOR, INFORMED_SD, 0.8))
            surprise.append(np.log(-curve.elasticity[0]) - given @ grid / given.sum())
    margins = np.array([margin for _, margin in drawn])
    assert np.mean(surprise) == pytest.approx(0, abs=0.2) and np.std(surprise) < 0.55
    assert margins.min() > 0.03 and margins.max() < 0.95


def test_the_table_tells_uniform_ranks_from_those_of_a_posterior_too_narrow():
    uniform = np.random.default_rng(0).random(2000)
    narrow = np.random.default_rng(0).beta(0.7, 0.7, 2000)
    rows = pd.DataFrame({"rank_gain": uniform, "rank_level": narrow, "days": 60, "units": 5.5, "family": "linear"})
    rows = rows.assign(moves=False, remembers=True, kind="plain")
    fine, wrong = (next(iter(calibration._lines(rows, name))) for name in ("gain", "level"))
    assert float(fine["p"]) > 0.01 and float(fine["90 % covers"]) == pytest.approx(90, abs=2)
    assert float(wrong["p"]) < 0.001 and float(wrong["spread"].split()[0]) > 1.1
