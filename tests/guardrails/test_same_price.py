"""Two prices are the same if rounding alone tells them apart, at any size of price and step."""

from __future__ import annotations

import numpy as np
import pytest

from pricerl.guardrails.price_grid import is_outside, same_price


@pytest.mark.parametrize(
    ("price", "other"),
    [(49.99, float(np.float32(49.99))), (12345.67, float(np.float32(12345.67))), (21.49996, 21.5), (0.05123, 0.0512)],
)
def test_rounding_in_single_precision_and_in_records_makes_no_other_price(price: float, other: float) -> None:
    assert same_price(price, other) and same_price(other, price)


@pytest.mark.parametrize(("price", "other"), [(0.0080, 0.0084), (0.051, 0.053), (49.99, 50.0), (21.499, 21.5)])
def test_a_change_of_a_price_is_one_however_small_the_price(price: float, other: float) -> None:
    assert not same_price(price, other) and not same_price(other, price)


def test_neighbours_on_a_fine_grid_are_two_prices() -> None:
    assert same_price(10.0004, 10.0) and not same_price(10.0004, 10.0, price_step=0.0002)


def test_a_price_at_an_end_but_for_rounding_is_not_outside() -> None:
    assert not is_outside(11.0002, 9.0, 11.0) and not is_outside(8.9999, 9.0, 11.0)
    assert is_outside(11.01, 9.0, 11.0) and is_outside(8.99, 9.0, 11.0)
