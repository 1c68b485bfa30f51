"""Round prices, and sellers who price just below them."""

from __future__ import annotations

import numpy as np
import pytest

from pricerl.guardrails.round_prices import (
    charms_between,
    ends_below_whole,
    next_round_price,
    rounds_between,
    whole_unit,
)


def test_round_prices_are_sparser_the_higher_they_are():
    np.testing.assert_allclose(rounds_between(7, 27), [7, 7.5, 8, 9, 10, 15, 20, 25])
    np.testing.assert_allclose(rounds_between(0.85, 1.6), [0.9, 1.0, 1.5])
    assert len(rounds_between(10.2, 14.9)) == 0


@pytest.mark.parametrize(("price", "above"), [(19.99, 20), (20, 25), (0.95, 1), (9.2, 10), (99, 100), (1250, 1500)])
def test_the_next_round_price_is_above_the_price(price, above):
    assert next_round_price(price) == pytest.approx(above)


@pytest.mark.parametrize(("price", "above"), [(11.99, 12), (17.9, 18), (0.69, 0.7), (129, 130), (11.85, 15), (12, 15)])
def test_a_whole_price_is_the_next_round_one_for_a_price_that_ends_just_below_it(price, above):
    assert next_round_price(price) == pytest.approx(above)


def test_endings_just_below_a_whole_price_are_found_at_every_size():
    prices = np.array([9.99, 9.5, 14.95, 14.87, 129, 124, 0.79, 1990])
    assert ends_below_whole(prices).tolist() == [True, False, True, False, True, False, True, True]
    np.testing.assert_allclose(whole_unit(prices), [1, 1, 1, 1, 10, 10, 0.1, 100])


def test_charm_prices_in_reach_end_like_the_current_one():
    assert charms_between(9.99, 10.49) == pytest.approx([9.99, 10.49])
    assert charms_between(11.9, 12.49) == pytest.approx([11.9, 12.4])
    assert charms_between(17.1, 17.99) == pytest.approx([17.49, 17.99])
    assert charms_between(17.2, 18.06) == pytest.approx([17.49, 17.99]), "no ending of its own"
    assert charms_between(139.0, 146.0) == pytest.approx([139, 144])
