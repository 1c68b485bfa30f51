import numpy as np
import panels
import pytest
from panels import CHAINS, DAYS, STORES, simulate_chain


@pytest.mark.slow
def test_the_panel_recovers_the_response_to_regular_prices_despite_the_chains_deals():
    for kind in ("plain", "promotions", "campaigns"):
        chain = simulate_chain(kind, 1)
        found = panels.estimate(panels.as_panel(chain.rows))
        assert found.mean == pytest.approx(chain.elasticity.mean(), abs=0.4)


def test_a_store_alone_mistakes_deals_for_the_response_to_its_price_and_every_chain_has_its_own():
    chain = simulate_chain("promotions", 1)
    price = np.log(chain.rows["price"]).to_numpy().reshape(STORES, DAYS)
    units = np.log(chain.rows["units"].to_numpy().reshape(STORES, DAYS) + 0.5)
    own = [np.polyfit(x, y, 1)[0] for x, y in zip(price, units, strict=True)]
    assert chain.elasticity.mean() - np.mean(own) > 1
    prices = [simulate_chain(kind, 0).rows["price"].to_numpy() for kind in CHAINS]
    assert len({price.tobytes() for price in prices}) == len(CHAINS)


def test_the_reference_of_a_store_lies_between_its_slope_and_the_mean():
    slope = np.array([-3.0, -2.0, -1.0, -2.2])
    found = panels._shrink(list("abcd"), slope, np.array([0.04, 0.04, 0.04, 4.0]))
    assert found.spread == pytest.approx(1.0, abs=0.2)
    assert ((found.elasticity - slope) * (found.mean - slope) >= 0).all()
    assert found.error[3] > 0.8 * found.spread and (found.error[:3] < 0.21).all()
