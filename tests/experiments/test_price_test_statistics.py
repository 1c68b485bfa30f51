"""Statistics of price tests against hand counts, independent formulas and simulated truth."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm, permutation_test

from pricerl.experiments.analysis import (
    BETS,
    SURE,
    StopRule,
    analyse_pairs,
    check_carry_over,
    confidence_sequence,
    decide_many,
    list_turns,
    log_wealth,
    pair_differences,
    randomisation_limits,
    randomisation_p,
)
from pricerl.experiments.design import Sales, draw_differences, expect_gains, measure_drift, simulate_tests
from pricerl.experiments.schedule import Switchback, draw_arms

RNG = np.random.default_rng


def test_each_pair_has_one_block_of_either_arm_and_both_orders_occur() -> None:
    arms = draw_arms(200, RNG(0)).reshape(-1, 2)
    assert (arms.sum(axis=1) == 1).all() and 70 < arms[:, 0].sum() < 130
    assert (draw_arms(9, RNG(3)) == draw_arms(9, RNG(3))).all()
    assert pair_differences(np.array([5.0, 3.0, 2.0, 7.0]), np.array([1, 0, 0, 1])).tolist() == [2.0, 5.0]


def test_the_p_value_is_that_of_all_turned_signs() -> None:
    found = np.array([3.0, -1.0, 2.0, 0.5, 4.0, 1.0, 2.5])
    sums = [float(np.dot(found, signs)) for signs in product((1, -1), repeat=len(found))]
    expected = np.mean([abs(total) >= abs(found.sum()) - 1e-9 for total in sums])
    assert randomisation_p(found[None], list_turns(7, RNG(0)))[0] == pytest.approx(expected)
    other = permutation_test((found,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert expected == pytest.approx(other.pvalue)


def test_random_orders_of_many_pairs_approximate_all_of_them() -> None:
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


def test_the_sequence_dominates_the_sub_gaussian_mixture_of_howard_et_al() -> None:
    """For one bet: ``exp(b x) / cosh(b x) >= exp(b x - b^2 x^2 / 2)``; the mixture over normal bets has a closed form,
    Howard, Ramdas, McAuliffe and Sekhon 2021, equation 14, checked here by quadrature."""
    found = RNG(4).normal(0.4, 1, 12)
    total, variance, rho = found.sum(), float((found**2).sum()), 2.0
    closed = np.sqrt(rho / (rho + variance)) * np.exp(total**2 / (2 * (rho + variance)))
    weight = np.sqrt(rho / (2 * np.pi))
    mixed = quad(lambda b: weight * np.exp(-rho * b * b / 2 + b * total - b * b * variance / 2), -8, 8)[0]
    assert mixed == pytest.approx(closed)
    betting = quad(
        lambda b: weight * np.exp(-rho * b * b / 2) * np.prod(2 / (1 + np.exp(-2 * b * found))), -8, 8, limit=200
    )[0]
    assert betting > closed


def test_looking_after_every_pair_raises_a_false_alarm_rarely_whatever_the_noise() -> None:
    rng, tests, pairs = RNG(5), 2000, 30
    for noise in (rng.normal(size=(tests, pairs)), rng.standard_t(2, (tests, pairs)), rng.laplace(size=(tests, pairs))):
        signs = rng.choice([-1.0, 1.0], (tests, pairs))
        differences = (np.abs(noise) + 0.2) * signs
        up, down = (log_wealth(sign * differences, 1.0) >= np.log(2 / 0.05) for sign in (1, -1))
        assert (up | down).any(axis=1).mean() <= 0.05


@pytest.mark.slow
def test_the_limits_narrow_and_contain_the_effect_at_all_looks() -> None:
    rng, missed = RNG(6), 0
    for _ in range(150):
        ends = confidence_sequence(rng.normal(2.0, 1.0, 14), 1.0, 0.05)
        assert (np.diff(ends[:, 0][np.isfinite(ends[:, 0])]) >= 0).all()
        missed += bool((ends[:, 0] > 2).any() or (ends[:, 1] < 2).any())
    assert missed <= 12 and 1 < ends[-1, 0] < ends[-1, 1] < 4
    assert not np.isfinite(ends[3]).any()


RULE = StopRule(spread=1.0, loss=4.0, year=364, block=7)


@pytest.mark.parametrize("rule", [None, RULE])
def test_single_and_many_judgements_agree(rule: StopRule | None) -> None:
    found = RNG(7).normal(0.6, 1.0, (30, 10))
    words = {1.0: "higher", -1.0: "lower", 0.0: "undecided"}
    for row, verdict, stop in zip(found, *decide_many(found, 1.0, list_turns(10, RNG(0)), rule), strict=True):
        looks = [analyse_pairs(row[:pairs], 10, 1.0, RNG(0), rule=rule).verdict for pairs in range(11)]
        first = next(at for at, look in enumerate(looks) if look != "running")
        assert (looks[first], first) == (words[verdict], int(stop))
    assert analyse_pairs(found[0][:0], 10, 1.0, RNG(0)).verdict == "running"
    assert analyse_pairs(found[0][:0], 10, 1.0, RNG(0), ended=True).verdict == "undecided"


def test_the_expected_loss_of_a_choice_is_that_of_the_posterior() -> None:
    """Prior N(0, 1), differences of sd 1.5 with mean 0.5 after four pairs; 364 - 4 * 14 = 308 rows are left."""
    found = np.array([0.5 - 1.0, 0.5 + 1.0, 0.5 - 1.0, 0.5 + 1.0])
    losses, sure = RULE.choose(found, 1.5)
    weight = 1 / (1 + 1.5**2 / 4)
    posterior = norm(0.5 * weight, np.sqrt(1 - weight))
    lost = quad(lambda effect: max(0.0, -effect) * posterior.pdf(effect), -8, 8)[0]
    assert losses[3] == pytest.approx(308 * lost, rel=1e-4)
    assert bool(sure[3]) == (posterior.sf(0) >= SURE)
    assert np.isinf(losses[:2]).all() and not sure[:2].any(), "two pairs do not show how noisy sales are"
    noisier, _ = RULE.choose(20 * found, 1.5)
    assert noisier[3] > losses[3], "sales noisier than planned count as noisy as they are"


def _sales(effects: Any) -> Sales:
    units = np.full(len(effects), 20.0)
    return Sales((units, units * (1 + np.asarray(effects))), (10.0, 10.0), 20.0, 0.02)


def _prove(design: Switchback, effects: Any) -> float:
    """Share of tests that reach a verdict by proof alone."""
    sales = _sales(effects)
    differences = draw_differences(design, sales, np.tile(np.arange(200), 10), RNG(9))
    turns = list_turns(design.pairs, RNG(9))
    return float((decide_many(differences, sales.difference_sd(design.kept), turns)[0] != 0).mean())


def test_money_decides_more_often_than_proof_and_is_rarely_wrong_whatever_the_history_believed() -> None:
    """The rule knows the size of effects, not their sign: a history that believes in a gain turns no verdict."""
    design = Switchback(6, 14, 4)
    effects = RNG(8).normal(0, 0.08, 200)
    rule = StopRule(_sales(effects).spread, 0.001 * 200 * 364, 364, 14)
    money = simulate_tests(design, _sales(effects), rule, RNG(9))
    assert money.decided > 1.5 * _prove(design, effects) and money.wrong <= 0.10 and money.pairs < 6
    harmful = simulate_tests(design, _sales(-np.abs(effects)), rule, RNG(10))
    assert harmful.wrong <= 0.10
    assert _prove(design, np.zeros(200)) <= 0.05, "nothing is proven where there is nothing"


def test_the_expected_gain_of_a_test_is_that_of_its_simulation() -> None:
    sales = _sales(RNG(12).normal(-0.01, 0.1, 400))
    rule = StopRule(sales.spread, 0.0, 364, 7)  # no early end
    (expected,) = expect_gains(sales, sales.effects, 6, rule, np.array([10]))
    simulated = simulate_tests(Switchback(10, 7, 1), sales, rule, RNG(13))
    cost = sales.effects.mean() * simulated.pairs * 7
    assert cost < 0 < expected
    assert float((sales.effects * simulated.chosen).mean()) + cost == pytest.approx(expected, rel=0.1)
    (earning,) = expect_gains(sales, sales.effects + 5.0, 6, rule, np.array([10]))
    after = simulate_tests(Switchback(10, 7, 1), sales, rule, RNG(13)).chosen
    assert earning == pytest.approx(float(((sales.effects + 5.0) * after).mean()), rel=0.1), "no test is run to earn"
    useless = replace(sales, units=(sales.units[0], sales.units[0] * 0.9))
    assert expect_gains(useless, useless.effects, 6, rule, np.array([3]))[0] < 0, "a test that can only lose costs"


@pytest.mark.parametrize(("drift", "low", "high"), [(0.0, 0.0, 0.05), (0.15, 0.07, 0.17)])
def test_drift_between_blocks_is_found_where_there_is_some(drift: float, low: float, high: float) -> None:
    rng, found = RNG(11), []
    for _ in range(20):
        level = np.repeat(np.exp(drift / np.sqrt(2) * rng.standard_normal(60)), 7)
        units = rng.poisson(80 * level * rng.gamma(30, 1 / 30, 420)).astype(float)
        found.append(measure_drift(units, np.full(420, 40.0), np.ones(420, dtype=bool), 30.0, 7, 1))
    assert low <= np.mean(found) <= high


def test_carry_over_is_the_difference_of_first_and_later_days() -> None:
    first, later = np.array([5.0, 6, 5, 7, 6, 5]), np.array([1.0, 2, 1, 2, 2, 1])
    gap, p_value = check_carry_over(first, later, RNG(0))
    assert gap == pytest.approx((first - later).mean()) and p_value == pytest.approx(2 / 64)
    assert check_carry_over(first, first, RNG(0)) == (0.0, 1.0)
