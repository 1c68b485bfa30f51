from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from shops.pricebench import (
    HORIZON,
    Cell,
    ShopPath,
    approach,
    open_shop_set,
    price_shop_set,
    summarise,
)
from shops.sellers import ShopConfig

from pricerl.evaluation.pricing_rules import RULES
from pricerl.market.demand.config import DemandConfig
from pricerl.simulation.seller import simulate

MIXTURE = DemandConfig()
PATH_RULES = {"keep the price": approach(lambda shop: shop.current_price)}
PATH_RULES |= {name: approach(rule) for name, rule in RULES.items()}


def price(cell, seed, rules=PATH_RULES, demand=MIXTURE):
    return pd.DataFrame(price_shop_set(open_shop_set([(cell, seed)], demand), rules)).set_index("rule")


def row(**changes):
    usual = {"truth": "constant", "days": 130, "units": 5.5, "seed": 0, "rule": "advice"}
    found = {
        "price": 11.0,
        "keep": 0.5,
        "gain": 0.02,
        "best_gain": 0.04,
        "oracle_share": 0.98,
        "moved": True,
        "wrong": False,
        "claim": True,
        "up": True,
        "covered": True,
    }
    return {**usual, **found, **changes}


def test_a_shop_is_priced_by_every_rule_and_no_path_beats_the_best():
    rows = price(Cell("linear", 130, 50.0), 3)
    assert set(rows.index) == set(PATH_RULES)
    assert (rows["gain"] <= rows["best_gain"] + 1e-4).all() and (rows["best_gain"] > 0.001).all()
    keep = rows.loc["keep the price"]
    assert keep["gain"] == pytest.approx(0, abs=1e-6) and not keep["moved"] and not keep["wrong"]
    assert (rows["oracle_share"] < 1).all() and rows["covered"].nunique() == 1


def test_the_guardrails_limit_the_path_to_a_far_price():
    rows = price(Cell("linear", 130, 50.0), 3, {"double": approach(lambda shop: 2 * shop.current_price)})
    now = price(Cell("linear", 130, 50.0), 3, {"keep": PATH_RULES["keep the price"]})["price"].iloc[0]
    assert now * 1.1 < rows["price"].iloc[0] <= now * 1.1**2 * 1.001


def test_keeping_the_price_is_optimal_where_it_is():
    rows = price(Cell("optimal", 130, 5.5), 1)
    assert rows.loc["keep the price", "oracle_share"] == pytest.approx(1, abs=1e-6)
    assert (rows["gain"] <= 1e-9).all() and (rows["best_gain"] < 1e-6).all()


def test_a_move_against_the_best_path_is_wrong():
    def steps(factor):
        return lambda product, candidates: ShopPath(np.full(HORIZON, factor * product.current_price), True)

    rows = price(Cell("linear", 130, 50.0), 3, {"up": steps(1.03), "down": steps(0.97)})
    assert sorted(rows["wrong"]) == [False, True]
    assert rows["claim"].all() and (rows["gain"] > 0).tolist() == (~rows["wrong"]).tolist()


def test_buyers_who_remember_prices_punish_a_rise_within_two_weeks():
    rise = {"rise": approach(lambda shop: 1.1 * shop.current_price)}
    plain, remembered = (price(Cell(truth, 130, 50.0), 2, rise)["gain"].iloc[0] for truth in ("constant", "reference"))
    assert remembered < plain - 0.01


def test_a_file_of_averages_is_judged_from_its_true_price_however_the_last_average_turned_out():
    cell, rules = Cell("averages", 130, 5.5), {"keep": PATH_RULES["keep the price"]}
    truth = simulate(ShopConfig(market=cell.truth, days=cell.days, units=cell.units, seed=2))[1]
    found = price(cell, 2, rules).loc["keep"]
    assert abs(found["price"] / truth["current_price"] - 1) > 0.005
    true_profit = truth["current_profit"] + truth["fixed_cost"]
    assert found["keep"] == pytest.approx(true_profit / (cell.units * truth["current_price"]))
    assert found["gain"] == pytest.approx(0, abs=1e-6)


def test_the_share_is_a_ratio_of_sums():
    rows = [
        row(),
        row(seed=1, gain=-0.02, best_gain=0.01, covered=False),
        row(seed=2, moved=False, gain=0.0, claim=False),
        row(seed=3, gain=0.01, claim=False, up=False),
    ]
    line = summarise(pd.DataFrame(rows)).iloc[0]
    share = 0.01 / 0.13
    assert line["share"] == pytest.approx(100 * share) and line["gain"] == pytest.approx(0.5)
    residuals = [0.02 - share * 0.04, -0.02 - share * 0.01, -share * 0.04, 0.01 - share * 0.04]
    assert line["se"] == pytest.approx(100 * np.linalg.norm(residuals) / 0.13)
    assert line["harmed"] == 25 and line["moved"] == 75 and line["cover"] == 75 and line["up"] == 75
    assert line["claims"] == 50 and line["true"] == 50 and line["shops"] == 4


def test_there_is_no_share_where_nothing_can_be_gained():
    line = summarise(pd.DataFrame([row(best_gain=1e-9, gain=-0.001)])).iloc[0]
    assert np.isnan(line["share"]) and line["gain"] == pytest.approx(-0.2)


def test_a_shop_is_the_same_whoever_its_neighbours_are():
    one, other = (Cell("logit", 130, 50.0), 4), (Cell("linear", 130, 50.0), 4)
    alone = pd.DataFrame(price_shop_set(open_shop_set([one], MIXTURE), PATH_RULES))
    among = pd.DataFrame(price_shop_set(open_shop_set([other, one], MIXTURE), PATH_RULES))
    pd.testing.assert_frame_equal(alone, among[among["truth"] == "logit"].reset_index(drop=True))
