from __future__ import annotations

import calibration
import numpy as np
import pandas as pd
import pytest
from calibration import known_sd, rank_shop
from shops.pricebench import Cell
from shops.sellers import ShopConfig
from shops.shocks import KINDS, covariance_of_shocks, draw_shocks, fading, stepping, wandering

from pricerl.data.config import DataConfig
from pricerl.simulation.seller import simulate, simulated_history


def test_a_shop_has_the_rank_of_its_elasticity_and_the_sd_of_one_who_knows_the_kind():
    row = rank_shop(Cell("constant", 130, 50.0), 3)
    assert -2.6 <= row["true_elasticity"] <= -1.8 and 0 < row["rank_elasticity"] < 1
    assert 0 < row["sd_known"] < row["sd"]


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


def test_the_table_shows_widths_that_are_too_large():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"units": 5.5, "rank_elasticity": rng.beta(4, 4, 400), "error": rng.normal(0, 0.5, 400)})
    line = calibration.compare(rows.assign(sd=1.0, sd_known=0.5), "units").loc[5.5]
    assert line["covers"] > 98 and line["ratio"] == 2 and line["z sd"] == pytest.approx(0.5, abs=0.05)
    counts = [int(count) for count in line["ranks"].split()]
    assert sum(counts) == 400 and counts[0] < 5 and counts[5] > 60
