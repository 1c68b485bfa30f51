"""Statistics of price tests against hand counts, independent formulas and simulated truth."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm, permutation_test

from pricerl.decide.account import weigh_losses
from pricerl.experiments.analysis import (
    BETS,
    confidence_sequence,
    list_turns,
    log_wealth,
    pair_differences,
    randomisation_limits,
    randomisation_p,
)
from pricerl.experiments.design import Rule, Sales, decide_after, measure_drift
from pricerl.experiments.schedule import Switchback, draw_arms

RNG = np.random.default_rng


def test_each_pair_has_one_block_of_either_arm_and_both_orders_occur() -> None:
    arms = draw_arms(200, RNG(0)).reshape(-1, 2)
    assert (arms.sum(axis=1) == 1).all() and 70 < arms[:, 0].sum() < 130
    assert (draw_arms(9, RNG(3)) == draw_arms(9, RNG(3))).all()
    assert pair_differences(np.array([5.0, 3.0, 2.0, 7.0]), np.array([1, 0, 0, 1])).tolist() == [2.0, 5.0]


def test_the_p_value_is_that_of_all_turned_signs_which_random_orders_approximate() -> None:
    found = np.array([3.0, -1.0, 2.0, 0.5, 4.0, 1.0, 2.5])
    sums = [float(np.dot(found, signs)) for signs in product((1, -1), repeat=len(found))]
    expected = np.mean([abs(total) >= abs(found.sum()) - 1e-9 for total in sums])
    assert randomisation_p(found[None], list_turns(7, RNG(0)))[0] == pytest.approx(expected)
    other = permutation_test((found,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert expected == pytest.approx(other.pvalue)
    found = RNG(1).normal(0.5, 1, 14)
    exact = randomisation_p(found[None], list_turns(14, RNG(0)))[0]
    assert randomisation_p(found[None], list_turns(14, RNG(0), exact=5))[0] == pytest.approx(exact, abs=0.01)


def test_the_limits_are_the_effects_that_the_test_does_not_reject() -> None:
    found, turns = RNG(2).normal(1, 2, 9), list_turns(9, RNG(0))
    low, high = randomisation_limits(found, turns, 0.05)
    step = 1e-6
    for inside, outside in ((low + step, low - step), (high - step, high + step)):
        assert randomisation_p((found - inside)[None], turns)[0] > 0.05
        assert randomisation_p((found - outside)[None], turns)[0] <= 0.05
    assert randomisation_limits(found[:5], list_turns(5, RNG(0)), 0.05) == (-np.inf, np.inf)


def test_the_wealth_is_the_mean_product_of_fair_bets() -> None:
    found, scale = np.array([1.0, -0.5, 2.0]), 1.5
    bets = BETS / scale
    products = [np.prod([np.exp(bet * one) / np.cosh(bet * one) for one in found]) for bet in bets]
    assert log_wealth(found, scale)[-1] == pytest.approx(np.log(np.mean(products)))
    # fair: over both signs of the last difference the wealth keeps its mean, whatever its size
    ends = [np.exp(log_wealth(np.array([1.0, -0.5, sign * 7.3]), scale)[-1]) for sign in (1, -1)]
    assert np.mean(ends) == pytest.approx(np.exp(log_wealth(found[:2], scale)[-1]))


def test_looking_after_every_pair_raises_a_false_alarm_rarely_whatever_the_noise() -> None:
    rng, tests, pairs = RNG(5), 2000, 30
    for noise in (rng.normal(size=(tests, pairs)), rng.standard_t(2, (tests, pairs)), rng.laplace(size=(tests, pairs))):
        signs = rng.choice([-1.0, 1.0], (tests, pairs))
        differences = (np.abs(noise) + 0.2) * signs
        up, down = (log_wealth(sign * differences, 1.0) >= np.log(2 / 0.05) for sign in (1, -1))
        assert (up | down).any(axis=1).mean() <= 0.05


def test_the_limits_narrow_and_contain_the_effect_at_all_looks() -> None:
    rng = RNG(6)
    ends = np.stack([confidence_sequence(rng.normal(2.0, 1.0, 14), 1.0, 0.05) for _ in range(40)])
    finite = np.isfinite(ends).all(axis=(0, 2))
    assert (np.diff(ends[:, finite], axis=1) * (1, -1) >= 0).all() and not finite[:4].any() and finite[-1]
    assert ((ends[..., 0] > 2) | (ends[..., 1] < 2)).any(axis=1).sum() <= 4
    assert 1 < ends[-1, -1, 0] < ends[-1, -1, 1] < 4


def _sales(effects: Any) -> Sales:
    units = np.full(len(effects), 20.0)
    return Sales((units, units * (1 + np.asarray(effects))), (10.0, 10.0), 20.0, 0.02)


def test_a_test_that_shows_nothing_changes_nothing_and_one_that_shows_all_decides_as_if_the_truth_were_known() -> None:
    """Two choices, keep and a price that gains or loses with the ratio of units, and a loss that counts twice."""
    ratio = RNG(8).normal(0, 0.1, 200)
    gain = np.stack([np.zeros(200), 50 * ratio])
    blind, sharp = (decide_after(ratio, sd, 0.0, gain, Rule(2.0, 0.0)) for sd in (1e3, 1e-3))
    assert blind.utility == pytest.approx(max(0.0, float(weigh_losses(gain[1], 2.0).mean()))) and not blind.chosen.any()
    assert sharp.utility == pytest.approx(float(np.maximum(gain[1], 0).mean()), rel=1e-3)
    assert (sharp.chosen == (ratio > 0)[:, None]).mean() > 0.99
    assert weigh_losses(np.array([3.0, -2.0]), 4.0).tolist() == [3.0, -8.0]
    unsure = decide_after(ratio, 1e3, 0.0, np.stack([np.zeros(200), ratio + 0.05]), Rule(1.0, 0.9))
    assert not unsure.chosen.any() and unsure.utility == 0.0


def test_the_value_of_a_test_is_that_of_normal_theory() -> None:
    """Prior N(m, s^2) of the gain, noise v: the preposterior mean is N(m, s^4 / (s^2 + v)), of which the positive part
    counts (Raiffa and Schlaifer 1961, section 5.5)."""
    m, s, v = -0.5, 1.0, 0.8
    ratio = norm.ppf((np.arange(400) + 0.5) / 400, m, s)
    found = decide_after(ratio, math.sqrt(v), 0.0, np.stack([np.zeros(400), ratio]), Rule(1.0, 0.0))
    spread = s**2 / math.sqrt(s**2 + v)
    assert found.utility == pytest.approx(spread * norm.pdf(m / spread) + m * norm.cdf(m / spread), rel=0.03)


def test_the_log_ratio_of_whole_simulated_tests_has_the_sd_that_the_value_assumes() -> None:
    rng, sales, design = RNG(13), replace(_sales([0.1]), drift=0.0), Switchback(2, 7, 1)
    size, shape = 6 * sales.size, (4000, 2)
    sold = [rng.poisson(6 * units[0] * rng.gamma(size, 1 / size, shape)) for units in sales.units]
    found = np.log(sold[1] / sold[0]).mean(axis=1)
    assert found.mean() == pytest.approx(sales.log_ratio[0], abs=0.01)
    assert found.std() == pytest.approx(sales.log_ratio_sd(design), rel=0.05)


@pytest.mark.parametrize(("drift", "low", "high"), [(0.0, 0.0, 0.05), (0.15, 0.07, 0.17)])
def test_drift_between_blocks_is_found_where_there_is_some(drift: float, low: float, high: float) -> None:
    rng, found = RNG(11), []
    for _ in range(20):
        level = np.repeat(np.exp(drift / np.sqrt(2) * rng.standard_normal(60)), 7)
        units = rng.poisson(80 * level * rng.gamma(30, 1 / 30, 420)).astype(float)
        found.append(measure_drift(units, np.full(420, 40.0), np.ones(420, dtype=bool), 30.0, 7, 1))
    assert low <= np.mean(found) <= high
