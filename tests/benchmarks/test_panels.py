from __future__ import annotations

from pathlib import Path

import numpy as np
import panels
import pytest
from shops.panels import CHAINS, DAYS, STORES, simulate_chain


@pytest.mark.slow
def test_the_panel_recovers_the_response_to_regular_prices_despite_the_chains_deals():
    for kind in ("plain", "promotions", "campaigns"):
        chain = simulate_chain(kind, 1)
        found = panels.estimate(panels.as_panel(chain.rows))
        assert found.mean == pytest.approx(chain.elasticity.mean(), abs=0.4)


def test_a_store_alone_mistakes_deals_and_a_repricer_for_the_response_to_its_price():
    excess = {}
    for kind in ("promotions", "repricer"):
        chain = simulate_chain(kind, 1)
        price = np.log(chain.rows["price"]).to_numpy().reshape(STORES, DAYS)
        units = np.log(chain.rows["units"].to_numpy().reshape(STORES, DAYS) + 0.5)
        own = [np.polyfit(x, y, 1)[0] for x, y in zip(price, units, strict=True)]
        excess[kind] = chain.elasticity.mean() - np.mean(own)
    assert excess["promotions"] > 1 and excess["repricer"] < -0.5


def test_every_kind_of_chain_has_its_own_prices():
    prices = [simulate_chain(kind, 0).rows["price"].to_numpy() for kind in CHAINS]
    assert len({price.tobytes() for price in prices}) == len(CHAINS)


def test_an_absent_panel_or_column_is_named_in_one_line(tmp_path: Path):
    with pytest.raises(SystemExit, match=r"absent.csv: no such panel; give the path of a CSV file"):
        panels.read_panel(tmp_path / "absent.csv")
    (tmp_path / "panel.csv").write_text("shop,week,price,units\n1,0,2,3\n")
    with pytest.raises(SystemExit, match=r"panel.csv: no column store; found shop, week, price, units; rename yours"):
        panels.read_panel(tmp_path / "panel.csv")


def test_the_reference_of_a_store_lies_between_its_slope_and_the_mean():
    slope = np.array([-3.0, -2.0, -1.0, -2.2])
    found = panels._shrink(list("abcd"), slope, np.array([0.04, 0.04, 0.04, 4.0]))
    assert found.spread == pytest.approx(1.0, abs=0.2)
    assert ((found.elasticity - slope) * (found.mean - slope) >= 0).all()
    assert found.error[3] > 0.8 * found.spread and (found.error[:3] < 0.21).all()
