"""Calibration of the posterior, on sellers from the prior and on the shops of the benchmark."""

from __future__ import annotations

import calibration
import numpy as np
import pandas as pd
import pytest
from calibration import RANKS, draw_seller, known_sd, rank, rank_shop
from shops.pricebench import Cell
from shops.sellers import ShopConfig
from shops.shocks import KINDS, covariance_of_shocks, draw_shocks, fading, stepping, wandering

from pricerl.data.config import DataConfig
from pricerl.market.demand.priors import INFORMED, INFORMED_SD, NO_ROUND_PRICES, log_normal_prior, own_price_log_ratio
from pricerl.simulation.seller import simulate, simulated_history

PRIOR = log_normal_prior(-2.2, 1.5)


def test_ranks_are_shares_and_the_same_again_and_a_shop_has_the_sd_of_one_who_knows_its_kind():
    row = rank(1, INFORMED)
    assert row == rank(1, INFORMED) and row["days"] == 60 and row["units"] == 50.0
    assert all(0 < row[f"rank_{name}"] < 1 for name in RANKS) and row["true_elasticity"] < 0
    shop = rank_shop(Cell("constant", 130, 50.0), 3)
    assert -2.6 <= shop["true_elasticity"] <= -1.8 and 0 < shop["rank_elasticity"] < 1
    assert 0 < shop["sd_known"] < shop["sd"]


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


def test_the_tables_show_posteriors_that_are_too_narrow_or_too_wide():
    uniform = np.random.default_rng(0).random(2000)
    narrow = np.random.default_rng(0).beta(0.7, 0.7, 2000)
    rows = pd.DataFrame({"rank_gain": uniform, "rank_level": narrow, "days": 60, "units": 5.5, "family": "linear"})
    rows = rows.assign(moves=False, remembers=True, kind="plain")
    fine, wrong = (next(iter(calibration._lines(rows, name))) for name in ("gain", "level"))
    assert float(fine["p"]) > 0.01 and float(fine["90 % covers"]) == pytest.approx(90, abs=2)
    assert float(wrong["p"]) < 0.001 and float(wrong["spread"].split()[0]) > 1.1
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"units": 5.5, "rank_elasticity": rng.beta(4, 4, 400), "error": rng.normal(0, 0.5, 400)})
    line = calibration.compare(rows.assign(sd=1.0, sd_known=0.5), "units").loc[5.5]
    assert line["covers"] > 98 and line["ratio"] == 2 and line["z sd"] == pytest.approx(0.5, abs=0.05)
    counts = [int(count) for count in line["ranks"].split()]
    assert sum(counts) == 400 and counts[0] < 5 and counts[5] > 60


def test_who_knows_the_kind_is_surer_with_more_units_and_less_sure_with_shocks():
    def sd(units: float, seed: int) -> float:
        seller = ShopConfig("constant", 130, units, 3)
        (product,) = simulated_history(seller, DataConfig()).products
        return known_sd(simulate(seller)[1], product, covariance_of_shocks(130, seed))

    none, fades = KINDS.index(None), KINDS.index(fading)
    assert sd(500.0, none) < 0.7 * sd(5.5, none) and sd(500.0, fades) > 1.2 * sd(500.0, none)


@pytest.mark.parametrize(("kind", "share"), [(fading, 0.35), (wandering, 0.25), (stepping, 0.35)])
def test_the_covariance_of_shocks_is_that_of_the_levels_drawn(kind, share):
    seeds = range(KINDS.index(kind), 8 * 400, 8)
    drawn = np.stack([np.log(draw_shocks(60, 0, seed)) for seed in seeds])
    known = np.stack([covariance_of_shocks(60, seed) for seed in seeds])
    drawn -= drawn.mean(0)
    for at, other in ((0, 0), (0, 3), (30, 31)):
        assert (drawn[:, at] * drawn[:, other]).mean() == pytest.approx(known[:, at, other].mean(), rel=share)
