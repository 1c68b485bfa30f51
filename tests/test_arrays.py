"""Summaries over posterior draws."""

import numpy as np
import pytest
import torch

from pricerl.arrays import LIMITS, interval_of, intervals_of, limits_of


def test_an_interval_holds_the_mean_and_the_middle_ninety_percent_in_double_precision() -> None:
    assert interval_of(np.arange(101.0)) == (50.0, 5.0, 95.0)
    draws = torch.full((64,), 0.1)
    assert interval_of(draws).mean == pytest.approx(float(torch.tensor(0.1)), abs=0)


def test_intervals_are_taken_over_the_draws_of_every_day() -> None:
    draws = np.random.default_rng(0).normal(size=(200, 3))
    rows = intervals_of(draws)
    np.testing.assert_array_equal(rows[1:], limits_of(draws))
    for day in range(3):
        np.testing.assert_allclose(rows[:, day], interval_of(draws[:, day]))


@pytest.mark.parametrize("shape", [(1,), (2,), (20,), (257,), (64, 3), (3, 2, 4)])
def test_limits_are_numpys_quantiles(shape) -> None:
    draws = np.random.default_rng(1).normal(size=shape)
    np.testing.assert_allclose(limits_of(draws), np.quantile(draws, LIMITS, axis=0), rtol=1e-12)


def test_the_median_stands_in_for_a_mean_outside_its_limits() -> None:
    tail = np.append(np.arange(100.0), 1e6)
    assert interval_of(tail).mean == 50.0
    np.testing.assert_allclose(intervals_of(np.column_stack([tail, np.arange(101.0)]))[0], [50.0, 50.0])
