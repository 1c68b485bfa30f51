"""PriceBench: rules in shops whose truth is known, and twins of these shops without their confounder."""

import loop_product
import numpy as np
import pandas as pd
import pytest
from shops.known_market import known_market
from shops.pricebench import (
    CLEAN,
    HORIZON,
    TWINNED,
    Cell,
    ShopPath,
    approach,
    compare_twins,
    open_shop_set,
    price_errors,
    price_shop_set,
    summarise,
)
from shops.sellers import ShopConfig, _with_mean

from pricerl.data.costs import CostConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.pricing_rules import RULES
from pricerl.market.demand.config import DemandConfig
from pricerl.simulation.seller import simulate
from pricerl.simulation.true_demand import expected_units

MIXTURE = DemandConfig()
PATH_RULES = {"keep the price": approach(lambda shop: shop.current_price)}
PATH_RULES |= {name: approach(rule) for name, rule in RULES.items()}


def price(cell, seed, rules=PATH_RULES):
    return pd.DataFrame(price_shop_set(open_shop_set([(cell, seed)], MIXTURE), rules)).set_index("rule")


def row(**changes):
    shop = {"truth": "constant", "days": 130, "units": 5.5, "seed": 0, "rule": "advice", "price": 11.0, "keep": 0.5}
    found = {"gain": 0.02, "best_gain": 0.04, "oracle_share": 0.98, "wrong": False}
    return {**shop, **found, **dict.fromkeys(("moved", "claim", "up", "covered"), True), **changes}


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


def test_the_share_is_a_ratio_of_sums_where_anything_can_be_gained():
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
    line = summarise(pd.DataFrame([row(best_gain=1e-9, gain=-0.001)])).iloc[0]
    assert np.isnan(line["share"]) and line["gain"] == pytest.approx(-0.2)


def test_a_shop_is_the_same_whoever_its_neighbours_are():
    one, other = (Cell("logit", 130, 50.0), 4), (Cell("linear", 130, 50.0), 4)
    alone = pd.DataFrame(price_shop_set(open_shop_set([one], MIXTURE), PATH_RULES))
    among = pd.DataFrame(price_shop_set(open_shop_set([other, one], MIXTURE), PATH_RULES))
    pd.testing.assert_frame_equal(alone, among[among["truth"] == "logit"].reset_index(drop=True))


def pair(kind, seed=0):
    return [simulate(ShopConfig(kind, 365, 50.0, seed, clean=clean)) for clean in (False, True)]


@pytest.mark.parametrize("kind", TWINNED)
def test_a_twin_has_the_same_truth_dates_and_prices_and_other_sales(kind):
    (frame, truth), (clean, clean_truth) = pair(kind)
    assert clean_truth == {**truth, "family": "constant"}
    assert list(clean.columns) == list(frame.columns) and (clean["Report Date"] == frame["Report Date"]).all()
    if kind != "averages":
        assert (clean["Product Price"] == frame["Product Price"]).all()
    assert (clean["Total Sales"] != frame["Total Sales"]).mean() > 0.2


@pytest.mark.parametrize("kind", ["repricer", "two_competitors", "stockpiling", "seasonal"])
def test_demand_of_a_twin_follows_the_price_alone(kind):
    excess = []
    for seed in range(10):
        clean, truth = pair(kind, seed)[1]
        x, units = np.log(clean["Product Price"]), clean["Total Sales"] / clean["Product Price"]
        expected = expected_units(truth, clean["Product Price"])
        excess.append(np.polyfit(x, units / expected, 1)[0])
    assert np.mean(excess) == pytest.approx(0, abs=0.25)


def test_a_twin_has_stock_and_the_same_luck_and_pays_the_posted_price():
    (frame, _), (clean, _) = pair("late_stockouts")
    short = frame["Total Sales"] < clean["Total Sales"]
    assert 0.05 < short.mean() < 0.6 and (frame["Total Sales"] == clean["Total Sales"])[~short].all()
    (_, truth), (clean, _) = pair("averages")
    cents = clean["Product Price"] * 100
    assert np.abs(cents - cents.round()).max() < 1e-6 and clean["Product Price"].iloc[-1] == truth["current_price"]


def test_units_keep_their_luck_around_another_mean():
    drawn = np.random.default_rng(0).negative_binomial(10, 10 / (10 + 4.0), 20_000).astype(float)
    usual, rng = np.full(20_000, 4.0), np.random.default_rng(1)
    same, more = (_with_mean(factor * usual, drawn, usual, 10.0, rng) for factor in (1.0, 2.0))
    assert (same == drawn).all() and (more >= drawn).all()
    assert more.mean() == pytest.approx(8, abs=0.15) and more.var() == pytest.approx(8 + 6.4, rel=0.05)


def test_a_market_that_is_exactly_right_has_no_error_and_one_that_is_half_as_elastic_has_one(simulated):
    seller = ShopConfig("constant", 60, 50.0, 1)
    truth, cost = simulate(seller)[1], CostConfig(unit_cost=5.0)

    def errors(power):
        market = known_market(simulated(seller), lambda price: expected_units(truth, price) ** power, cost)
        return price_errors(market.products[0], Product(Dynamics(market), 0), truth)

    assert errors(1.0) == pytest.approx({"elasticity_error": 0, "response_error": 0}, abs=1e-3)
    half = errors(0.5)
    assert half["elasticity_error"] == pytest.approx(np.log(2), abs=1e-3)
    elasticity = truth["parameters"]["elasticity"]
    wrong = [abs(ratio ** (-0.5 * elasticity) - 1) for ratio in (0.9, 1.1)]
    assert half["response_error"] == pytest.approx(np.mean(wrong), abs=1e-3)


def test_the_excess_is_the_ratio_of_mean_errors_of_pairs():
    usual = {"days": 130, "units": 5.5, "rule": "advice", "keep": 1.0}
    rows = [
        {**usual, "truth": f"ads{end}", "seed": seed, "gain": gain, "grade": grade}
        | {"elasticity_error": error, "response_error": error / 10}
        for end, seed, gain, grade, error in [
            ("", 0, -0.02, "B", 0.4),
            ("", 1, 0.0, "C", 0.2),
            (CLEAN, 1, 0.01, "C", 0.3),
            (CLEAN, 0, -0.005, "C", 0.2),
            (CLEAN, 2, -0.02, "C", 9.0),
        ]
    ]
    line = compare_twins(pd.DataFrame(rows)).loc[(130, 5.5, "ads")]
    found = line[["shops", "elasticity", "clean response", "excess", "excess response"]].tolist()
    assert found == pytest.approx([2, 30, 2.5, 20, 20])
    assert line["se"] == pytest.approx(100 * np.hypot(0.4 - 1.2 * 0.2, 0.2 - 1.2 * 0.3) / 0.5)
    assert line["harmed"] == 50 and line["clean harmed"] == 0
    assert line["grades"] == "B 1 C 1" and line["clean grades"] == "C 2"


def test_a_loss_of_two_percent_counts_three_times_beyond_one():
    table = pd.DataFrame({"gain": [0.01, -0.02, 0.02]})
    assert loop_product.net_of(table).tolist() == [0.01, -0.05, 0.02]
