"""Drift of demand: observed units against the market's predictive distribution, in two one-sided CUSUMs.

A level, the ratio of demand to the market's expectation, is tracked from day to day next to the market's shocks, which
fade, by a Kalman filter in logs (West and Harrison 1997), so that slow changes, such as a season's, are followed. Every
day's units become a normal score of their one-day-ahead prediction, on which the CUSUM of Page (1954, Biometrika 41)
sums log likelihood ratios of a drop, or a rise, against no change.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import betainc, ndtr, ndtri

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.market.level import NO_SHOCK, Shock

CHANGE = 0.20
"""Change of demand for which the CUSUMs are designed: a drop to 80 %, and a rise to 125 %, which undoes it."""

LEVEL_SD = 0.006
"""Sd of the daily change of the level, in logs: a fifth of a mild season's steepest slope per month, and small enough
for a drop to stay visible for weeks. Chosen with ``FALSE_ALARM_DAYS`` on other seeds than the benchmark's."""

FALSE_ALARM_DAYS = {-1: 700.0, 1: 10_000.0}
"""Days between two false alarms of a drop and of a rise for which the thresholds are calculated, if the model of the
units holds. A rise is less urgent. They are multiplied by the squared shift, in sds per day, where that exceeds 1: many
units find a drop in days anyway, and slow changes as well."""

MOST_SDS = 3.0
"""Largest normal score that counts: one bulk order, or one day out of stock, is no change of demand."""

RELEARNED_DAYS = 28
"""Most days from which the level is learned again after an alarm: those since the evidence began."""


LARGEST_FALL = -0.9
"""Largest fall of level and shock by one day, as a share of them."""


class DriftDays(NamedTuple):
    """Results of ``D`` days in ``R`` rows, ``(R, D)`` each."""

    alarm: IntArray
    """-1 on days on which a drop is reported, 1 for a rise, else 0."""
    level: FloatArray
    """Level before the day: demand over the market's expectation."""
    level_sd: FloatArray
    """Its sd, as a share of it."""
    evidence: FloatArray
    """Larger of both CUSUMs over its threshold; 1 and more is an alarm."""
    start: FloatArray
    """First day of the evidence: the one after which that CUSUM has not been 0."""


def find_drift(
    units: FloatArray,
    expected: FloatArray,
    observed: BoolArray,
    size: FloatArray,
    level_sd: FloatArray,
    response_sd: FloatArray,
    shock: Shock = NO_SHOCK,
) -> DriftDays:
    """Compare units with the market's expectation, day by day.

    Args:
        units: ``(R, D)`` units sold.
        expected: ``(R, D)`` the market's expectation at the prices charged, units.
        observed: ``(R, D)`` whether the day counts.
        size: ``(R,)`` negative-binomial size of a day's units.
        level_sd: ``(R,)`` sd of the market's mean expectation over the posterior draws, in logs.
        response_sd: ``(R, D)`` sd of each day's expectation around that mean, in logs, by doubt about the response.
        shock: shocks of demand, of which ``size`` holds the variance.
    """
    rows, days = units.shape
    found = DriftDays(np.zeros(units.shape, np.int64), *(np.full(units.shape, np.nan) for _ in range(4)))
    noise_share = 1 / size - shock.variance
    state = np.zeros((2, rows))  # logs of level and shock, and their covariance
    covariance = np.diag([1.0, 0.0])[..., None] * np.maximum(level_sd, LEVEL_SD) ** 2
    fade = np.array([1.0, shock.memory])[:, None]
    moved = np.diag([LEVEL_SD**2, shock.variance * (1 - shock.memory**2)])[..., None]
    sums, starts = np.zeros((2, len(FALSE_ALARM_DAYS), rows))
    information, seen = np.zeros((2, rows))
    for day in range(days):
        counts = observed[:, day]
        sold = np.where(counts, units[:, day], 0.0)
        state *= fade
        covariance = covariance * fade[:, None] * fade + moved
        found.level[:, day] = np.exp(state[0])
        found.level_sd[:, day] = np.sqrt(covariance[0, 0])
        mean = expected[:, day] * np.exp(state.sum(0))
        doubt = covariance.sum((0, 1))
        spread = noise_share + doubt + response_sd[:, day] ** 2
        score = np.clip(normal_scores(sold, mean, 1 / spread), -MOST_SDS, MOST_SDS)
        shift = CHANGE * mean / np.sqrt(mean + mean**2 * spread)
        seen += counts
        information += np.where(counts, (shift**2 - information) / np.maximum(seen, 1), 0.0)
        sums, share = _add(sums, np.where(counts, score, 0.0), np.where(counts, shift, 0.0), information)
        found.alarm[:, day] = alarm = np.select([*(share >= 1)], [*FALSE_ALARM_DAYS])
        found.evidence[:, day] = share.max(axis=0)
        found.start[:, day] = np.where(alarm < 0, *starts)
        sums = np.where(alarm != 0, 0.0, sums)  # both start again after an alarm
        starts = np.where(sums > 0, starts, day + 1.0)
        reach = MOST_SDS * np.sqrt(mean + mean**2 * spread)
        surprise = np.clip(sold, mean - reach, mean + reach) / mean - 1
        gain = np.where(counts, covariance.sum(1) / (doubt + 1 / mean + noise_share), 0.0)
        state += np.log1p(np.maximum(gain * surprise, LARGEST_FALL))
        covariance -= gain[:, None] * covariance.sum(0)
        if (alarm != 0).any():
            last = np.s_[:, max(0, day + 1 - RELEARNED_DAYS) : day + 1]
            since = observed[last] & (np.arange(last[1].start, day + 1) >= found.start[:, day, None])
            again = _relearn(units[last], expected[last], since, size)
            state, covariance = (np.where(alarm != 0, *both) for both in zip(again, (state, covariance), strict=True))
    return found


def _relearn(
    units: FloatArray, expected: FloatArray, counted: BoolArray, size: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return log level and shock ``(2, R)`` by the days counted and one without a change, and their covariance."""
    noises = 1 + expected / size[:, None]
    sold, due = (np.where(counted, part / noises, 0.0).sum(1) + 1.0 for part in (units, expected))
    return np.stack([np.log(sold / due), 0 * due]), np.diag([1.0, 0.0])[..., None] / sold


def normal_scores(units: FloatArray, mean: FloatArray, size: FloatArray) -> FloatArray:
    """Return the normal scores of units under negative binomials, from probabilities in the middle of their steps."""
    at = size / (size + mean)
    below = np.where(units > 0, betainc(size, np.maximum(units, 1.0), at), 0.0)
    middle = (below + betainc(size, units + 1.0, at)) / 2
    return np.asarray(ndtri(np.clip(middle, ndtr(-8.0), ndtr(8.0))))


def threshold(information: FloatArray, days: float | FloatArray) -> FloatArray:
    """Return the threshold of a CUSUM of log likelihood ratios with a mean time between false alarms, ``(R,)``.

    Siegmund (1985, Sequential Analysis, equation 2.57), for normal scores: with the shift ``d`` in sds and the
    threshold ``h``, the time is ``2 (exp(y) - 1 - y) / d^2`` with ``y = h + 1.166 d``. The information ``(R,)`` is
    ``d^2``.
    """
    wanted = days * information / 2
    y = np.log1p(wanted)
    for _ in range(30):  # a contraction, as y / (1 + y) < 1
        y = np.log(wanted + 1 + y)
    return np.asarray(np.maximum(y - 1.166 * np.sqrt(information), 0.1))


def _add(
    sums: FloatArray, score: FloatArray, shift: FloatArray, information: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Add a day to the CUSUMs of a drop and a rise ``(2, R)``; return them, and their shares of the thresholds."""
    way, days = (np.array(part)[:, None] for part in zip(*FALSE_ALARM_DAYS.items(), strict=True))
    scale = np.where(way < 0, 1.0, 1 / (1 - CHANGE))
    sums = np.maximum(0.0, sums + way * scale * shift * score - (scale * shift) ** 2 / 2)
    return sums, sums / threshold(scale**2 * information, days * np.maximum(information, 1.0))
