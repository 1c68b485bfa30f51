"""CUSUM of demand: what it finds, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from watching import best_delay, draw_units, log_ratios, mean_time

from pricerl.arrays import FloatArray
from pricerl.market.level import NO_SHOCK, Shock
from pricerl.operations.watching.demand_drift import (
    FALSE_ALARM_DAYS,
    DriftDays,
    find_drift,
    normal_scores,
    threshold,
)

SIZE = 1000.0


def watched(units: FloatArray) -> DriftDays:
    due = np.full(units.shape, 20.0)
    rows = len(units)
    return find_drift(units, due, np.isfinite(units), np.full(rows, SIZE), np.full(rows, 0.03), np.zeros(due.shape))


def test_a_stable_market_has_at_most_the_false_alarms_that_the_thresholds_were_calculated_for() -> None:
    alarms = watched(np.random.default_rng(5).poisson(20.0, (200, 365)).astype(float)).alarm
    for way, days in FALSE_ALARM_DAYS.items():
        assert (alarms == way).sum() / len(alarms) <= 1.3 * 365 / days + 0.03


def test_shocks_that_fade_are_no_change_of_demand() -> None:
    rng = np.random.default_rng(9)
    shock = Shock(0.8, 0.03)
    log_level = np.zeros((40, 365))
    for day in range(1, 365):
        new = np.sqrt(shock.variance * (1 - shock.memory**2)) * rng.normal(size=40)
        log_level[:, day] = shock.memory * log_level[:, day - 1] + new
    units = rng.poisson(50.0 * np.exp(log_level - shock.variance / 2)).astype(float)
    due = np.full(units.shape, 50.0)
    given = np.full(40, 1 / shock.variance), np.full(40, 0.03), np.zeros(due.shape)
    unaware, aware = (find_drift(units, due, due > 0, *given, known) for known in (NO_SHOCK, shock))
    assert (unaware.alarm != 0).sum() / 40 > 4
    assert (aware.alarm != 0).sum() / 40 < 0.9, "0.56 per year are planned"


@pytest.mark.parametrize(("share", "way", "days"), [(0.8, -1, 14), (1.25, 1, 21)])
def test_a_lasting_change_is_found_within_weeks_in_most_cases(share: float, way: int, days: int) -> None:
    rng = np.random.default_rng(6)
    units = rng.poisson(20.0 * np.where(np.arange(120) < 60, 1.0, share), (200, 120)).astype(float)
    found = watched(units)
    quiet = ~(found.alarm[:, 20:60] != 0).any(1)
    fired = found.alarm[:, 60 : 60 + days] == way
    assert fired[quiet].any(1).mean() > 0.5
    row = int(np.flatnonzero(fired.any(1) & quiet)[0])
    day = 60 + int(np.argmax(fired[row]))
    assert 50 <= found.start[row, day] <= day


def test_a_drop_of_a_tenth_over_half_a_year_is_followed_without_an_alarm() -> None:
    rng = np.random.default_rng(7)
    units = rng.poisson(20.0 * np.linspace(1.0, 0.9, 180), (100, 180)).astype(float)
    found = watched(units)
    assert (found.alarm != 0).sum() / 100 < 0.6
    assert found.level[:, -1].mean() == pytest.approx(0.92, abs=0.03)


def test_a_bulk_order_and_days_that_were_not_observed_are_no_change_of_demand() -> None:
    units = np.full((2, 60), 20.0)
    units[0, 30], units[1, 10:20] = 5000.0, np.nan
    found = watched(units)
    assert not found.alarm.any()
    assert found.level[1, 20] == pytest.approx(found.level[1, 10])


def test_the_level_is_learned_again_after_an_alarm() -> None:
    units = np.where(np.arange(80) < 30, 20.0, 8.0)[None]
    found = watched(units)
    assert found.alarm[0].tolist().count(-1) == 1 and found.alarm[0].sum() == -1
    assert found.level[0, -1] == pytest.approx(0.4, abs=0.05)


def test_normal_scores_are_those_of_the_exact_distribution() -> None:
    from scipy.stats import nbinom, norm

    units = np.arange(6.0)
    size, mean = 4.0, 2.5
    middle = nbinom.cdf(units, size, size / (size + mean)) - nbinom.pmf(units, size, size / (size + mean)) / 2
    scores = normal_scores(units, np.full(6, mean), np.full(6, size))
    np.testing.assert_allclose(scores, norm.ppf(middle), rtol=1e-9)


def test_the_threshold_keeps_the_time_between_false_alarms_of_normal_scores() -> None:
    shift, days = 0.8, 200.0
    limit = float(threshold(np.array([shift**2]), days)[0])
    rng, lengths = np.random.default_rng(8), []
    sums, since = np.zeros(500), np.zeros(500)
    for _ in range(3000):
        sums = np.maximum(0.0, sums - shift * rng.normal(size=500) - shift**2 / 2)
        since += 1
        lengths += since[sums >= limit].tolist()
        since[sums >= limit], sums[sums >= limit] = 0.0, 0.0
    assert np.mean(lengths) == pytest.approx(days, rel=0.15)


@pytest.mark.parametrize("noise", ["Poisson", "log-normal days, sd 0.2", "negative binomial, size 10"])
def test_the_mean_time_of_a_cusum_is_that_of_simulated_sums(noise: str) -> None:
    ratio, before, after = log_ratios(20.0, noise)
    rng = np.random.default_rng(5)
    for mean, probability in ((20.0, before), (16.0, after)):
        sold = draw_units(np.full((4000, 400), mean), noise, rng).astype(int)
        step, total, time = ratio[np.minimum(sold, len(ratio) - 1)], np.zeros(4000), np.zeros(4000)
        for day in range(400):
            time += total < 2.0
            total = np.where(total < 2.0, np.maximum(total + step[:, day], 0.0), total)
        assert time.mean() == pytest.approx(mean_time(ratio, probability, 2.0), rel=0.06)


@pytest.mark.slow
def test_the_best_delay_grows_with_the_noise_and_the_time_between_alarms() -> None:
    poisson, wide = (best_delay(20.0, noise) for noise in ("Poisson", "variance 1.5 x mean"))
    assert poisson == pytest.approx(9.7, abs=0.1) and wide == pytest.approx(12.8, abs=0.1)
    assert best_delay(20.0, "Poisson", 90.0) < poisson
