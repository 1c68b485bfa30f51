"""Round prices, sellers who price just below them, and prices that rounding alone tells apart."""

from __future__ import annotations

import numpy as np
import pytest

from pricerl.guardrails.price_grid import is_outside, same_price
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


@pytest.mark.parametrize(
    ("price", "above"),
    [
        *((19.99, 20), (20, 25), (0.95, 1), (9.2, 10), (99, 100), (1250, 1500)),
        *((11.99, 12), (17.9, 18), (0.69, 0.7), (129, 130), (11.85, 15), (12, 15)),
    ],
)
def test_the_next_round_price_is_the_whole_one_above_a_price_that_ends_just_below_it(price, above):
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


@pytest.mark.parametrize(
    ("price", "other"),
    [(49.99, float(np.float32(49.99))), (12345.67, float(np.float32(12345.67))), (21.49996, 21.5), (0.05123, 0.0512)],
)
def test_rounding_in_single_precision_and_in_records_makes_no_other_price(price, other):
    assert same_price(price, other) and same_price(other, price)


@pytest.mark.parametrize(("price", "other"), [(0.0080, 0.0084), (0.051, 0.053), (49.99, 50.0), (21.499, 21.5)])
def test_a_change_of_a_price_is_one_however_small_the_price(price, other):
    assert not same_price(price, other) and not same_price(other, price)


def test_neighbours_on_a_fine_grid_are_two_prices():
    assert same_price(10.0004, 10.0) and not same_price(10.0006, 10.0)


def test_a_price_at_an_end_but_for_rounding_is_not_outside():
    assert not is_outside(11.0002, 9.0, 11.0) and not is_outside(8.9999, 9.0, 11.0)
    assert is_outside(11.01, 9.0, 11.0) and is_outside(8.99, 9.0, 11.0)
