import numpy as np
import pytest
from shops.sellers import ShopConfig
from shops.shocks import KINDS, MEMORIES, SHOCK_SDS, draw_shocks, fading, stepping, wandering

from pricerl.simulation.seller import simulate


def seeds_of(kind, count=40):
    return [seed for seed in range(8 * count) if KINDS[seed % 8] is kind][:count]


def test_half_of_all_shops_have_shocks_that_fade_and_are_1_on_average():
    assert KINDS.count(fading) == len(KINDS) / 2
    drawn = np.stack([draw_shocks(4000, 0, seed) for seed in seeds_of(fading)])
    assert drawn.mean() == pytest.approx(1, abs=0.02)
    log = np.log(drawn) - np.log(drawn).mean(1, keepdims=True)
    memory = (log[:, 1:] * log[:, :-1]).mean(1) / log.var(1)
    assert MEMORIES[0] - 0.1 < memory.min() < 0.6 and 0.8 < memory.max() < MEMORIES[1] + 0.1
    assert SHOCK_SDS[0] * 0.8 < log.std(1).min() and log.std(1).max() < 1.2 * SHOCK_SDS[1]


@pytest.mark.parametrize("kind", [fading, wandering, stepping])
def test_a_history_does_not_depend_on_the_days_ahead(kind):
    for seed in seeds_of(kind, 5):
        assert draw_shocks(100, 30, seed)[:100] == pytest.approx(draw_shocks(100, 0, seed))


def test_a_level_that_wanders_or_steps_ends_at_1():
    for seed in seeds_of(wandering, 5) + seeds_of(stepping, 5):
        assert draw_shocks(200, 10, seed)[199] == 1.0


def test_a_shop_with_shocks_has_the_same_truth_and_prices_and_other_sales():
    (plain, truth), (shocked, same) = (
        simulate(ShopConfig("linear", 130, 50.0, 10, shocked=shocked)) for shocked in (False, True)
    )
    assert truth == same and (plain["Product Price"] == shocked["Product Price"]).all()
    assert (plain["Total Sales"] != shocked["Total Sales"]).mean() > 0.5
