"""Drift of demand: observed units against the market's predictive distribution, in two one-sided CUSUMs.

A level, the ratio of demand to the market's expectation, is tracked from day to day by a Poisson-gamma filter (West and
Harrison 1997, section 10.8), so that slow changes, such as a season's, are followed. Every day's units become a normal
score of their one-day-ahead prediction, on which the CUSUM of Page (1954, Biometrika 41) sums log likelihood ratios of
a drop, or a rise, against no change.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import betainc, ndtr, ndtri

from pricerl.arrays import BoolArray, FloatArray, IntArray

CHANGE = 0.20
"""Change of demand for which the CUSUMs are designed: a drop to 80 %, and a rise to 125 %, which undoes it."""

LEVEL_SD = 0.006
"""Sd of the daily change of the level, in logs: a fifth of a mild season's steepest slope per month, and small enough
for a drop to stay visible for weeks. Chosen with ``FALSE_ALARM_DAYS`` on other seeds than those of the benchmark."""

FALSE_ALARM_DAYS = {-1: 700.0, 1: 10_000.0}
"""Days between two false alarms of a drop and of a rise for which the thresholds are calculated, if the model of the
units holds. A rise is less urgent. They are multiplied by the squared shift, in sds per day, where that exceeds 1: many
units find a drop in days anyway, and slow changes as well."""

MOST_SDS = 3.0
"""Largest normal score that counts: one bulk order, or one day out of stock, is no change of demand."""

RELEARNED_DAYS = 28
"""Most days from which the level is learned again after an alarm: those since the evidence began."""


class DriftDays(NamedTuple):
    """Results of ``D`` days in ``R`` rows, ``(R, D)`` each."""

    alarm: IntArray
    """-1 on days on which a drop is reported, 1 for a rise, else 0."""
    score: FloatArray
    """Normal score of the units in their one-day-ahead prediction; NaN on days that were not observed."""
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
) -> DriftDays:
    """Compare units with the market's expectation, day by day.

    Args:
        units: ``(R, D)`` units sold.
        expected: ``(R, D)`` the market's expectation at the prices charged, units.
        observed: ``(R, D)`` whether the day counts.
        size: ``(R,)`` negative-binomial size of a day's units.
        level_sd: ``(R,)`` sd of the market's mean expectation over the posterior draws, in logs.
        response_sd: ``(R, D)`` sd of each day's expectation around that mean, in logs: the doubt about the price
            response.
    """
    rows, days = units.shape
    found = DriftDays(np.zeros((rows, days), np.int64), *(np.full((rows, days), np.nan) for _ in range(5)))
    shape = 1 / np.maximum(level_sd, LEVEL_SD) ** 2
    rate = shape.copy()
    sums = {way: np.zeros(rows) for way in FALSE_ALARM_DAYS}
    starts = {way: np.zeros(rows) for way in FALSE_ALARM_DAYS}
    information = np.zeros(rows)
    seen = np.zeros(rows)
    for day in range(days):
        counts = observed[:, day]
        due = expected[:, day]
        sold = units[:, day]
        kept = 1 / (1 + shape * LEVEL_SD**2)
        shape = kept * shape
        rate = kept * rate
        found.level[:, day] = shape / rate
        found.level_sd[:, day] = 1 / np.sqrt(shape)
        mean = due * shape / rate
        spread = 1 / size + 1 / shape + response_sd[:, day] ** 2
        score = np.clip(normal_scores(sold, mean, 1 / spread), -MOST_SDS, MOST_SDS)
        found.score[:, day] = np.where(counts, score, np.nan)
        shift = CHANGE * mean / np.sqrt(mean + mean**2 * spread)
        seen += counts
        information += np.where(counts, (shift**2 - information) / np.maximum(seen, 1), 0.0)
        alarm, evidence = _add(sums, np.where(counts, score, 0.0), np.where(counts, shift, 0.0), information)
        found.alarm[:, day] = alarm
        found.evidence[:, day] = evidence
        found.start[:, day] = np.where(alarm < 0, starts[-1], starts[1])
        starts = {way: np.where(total > 0, starts[way], day + 1.0) for way, total in sums.items()}
        noise = 1 + due / size
        reach = MOST_SDS * np.sqrt(mean + mean**2 * spread)
        shape = shape + np.where(counts, np.clip(sold, mean - reach, mean + reach) / noise, 0.0)
        rate = rate + np.where(counts, due / noise, 0.0)
        if (fired := alarm != 0).any():
            first = max(0, day + 1 - RELEARNED_DAYS)
            last = np.s_[:, first : day + 1]
            since = observed[last] & (np.arange(first, day + 1) >= found.start[:, day, None])
            noises = 1 + expected[last] / size[:, None]
            shape = np.where(fired, np.where(since, units[last] / noises, 0.0).sum(1) + 1.0, shape)
            rate = np.where(fired, np.where(since, expected[last] / noises, 0.0).sum(1) + 1.0, rate)
    return found


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
    sums: dict[int, FloatArray], score: FloatArray, shift: FloatArray, information: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Add a day to both CUSUMs; return alarms and the evidence. Both start again after an alarm."""
    alarm = np.zeros(len(score), np.int64)
    evidence = np.zeros(len(score))
    for way, days in FALSE_ALARM_DAYS.items():
        scale = 1.0 if way < 0 else 1 / (1 - CHANGE)
        sums[way] = np.maximum(0.0, sums[way] + way * scale * shift * score - (scale * shift) ** 2 / 2)
        share = sums[way] / threshold(scale**2 * information, days * np.maximum(information, 1.0))
        alarm = np.where((share >= 1) & (alarm == 0), way, alarm)
        evidence = np.maximum(evidence, share)
    for way in sums:
        sums[way] = np.where(alarm != 0, 0.0, sums[way])
    return alarm, evidence
