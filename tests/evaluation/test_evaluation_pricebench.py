from __future__ import annotations

import pandas as pd
import pytest

from pricerl.evaluation.pricebench import ALL_CELLS, Cell, open_shop_set, price_shop_set, summarise
from pricerl.evaluation.pricing_rules import RULES


def row(**changes):
    usual = {"truth": "constant", "days": 130, "units": 5.5, "seed": 0, "demand": "mixture", "rule": "gated"}
    found = {
        "price": 11.0,
        "moved": True,
        "oracle_share": 0.98,
        "gain": 0.05,
        "probability": 0.99,
        "fragile": False,
        "covered": True,
    }
    return {**usual, **found, **changes}


def test_a_shop_is_priced_by_every_rule_and_held_against_the_truth():
    rows = pd.DataFrame(price_shop_set(open_shop_set([(Cell("linear", 130, 50.0), 3)], "mixture"))).set_index("rule")
    assert set(rows.index) == set(RULES)
    assert (rows["oracle_share"] <= 1 + 1e-9).all()
    assert rows.loc["keep the price", "gain"] == 0 and not rows.loc["keep the price", "moved"]
    assert rows["covered"].nunique() == 1


def test_keeping_the_price_is_optimal_where_it_is():
    rows = pd.DataFrame(price_shop_set(open_shop_set([(Cell("optimal", 130, 5.5), 1)], "similar"))).set_index("rule")
    assert rows.loc["keep the price", "oracle_share"] == pytest.approx(1, abs=1e-6)
    assert (rows["gain"] <= 1e-9).all()


def test_shares_are_counted_in_percent():
    rows = [
        row(),
        row(seed=1, gain=-0.02, oracle_share=0.90, fragile=True, covered=False),
        row(seed=2, moved=False, gain=0.0, probability=0.0, oracle_share=0.94),
        row(seed=3, gain=0.01, probability=0.92, oracle_share=0.94),
    ]
    line = summarise(pd.DataFrame(rows)).iloc[0]
    assert line["oracle"] == pytest.approx(94.0)
    assert line["harmed"] == 25 and line["moved"] == 75 and line["cover"] == 75
    assert line["claims"] == 50 and line["true"] == 50 and line["stand"] == 50 and line["shops"] == 4


def test_there_are_81_cells():
    assert len(set(ALL_CELLS)) == 81


def test_a_shop_is_the_same_whoever_its_neighbours_are():
    one, other = (Cell("logit", 130, 50.0), 4), (Cell("linear", 130, 50.0), 4)
    alone = pd.DataFrame(price_shop_set(open_shop_set([one], "mixture")))
    among = pd.DataFrame(price_shop_set(open_shop_set([other, one], "mixture")))
    pd.testing.assert_frame_equal(alone, among[among["truth"] == "logit"].reset_index(drop=True))
