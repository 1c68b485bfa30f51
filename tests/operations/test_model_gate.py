"""Gate of a retraining: when a challenger passes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from pricerl.errors import UsageError
from pricerl.operations.model_gate import Comparison, GateConfig, Verdict, compare_scores, lower_bound


def test_the_lower_end_is_that_of_a_one_sided_t_test() -> None:
    values = np.random.default_rng(1).normal(0.3, 1.0, 9)
    found = lower_bound(values, 0.95, 0.0)
    expected = ttest_1samp(values, 0.0, alternative="greater").confidence_interval(0.95).low
    assert found.low == pytest.approx(expected) and found.mean == pytest.approx(values.mean())


def test_days_count_in_whole_weeks_from_the_end_and_unobserved_ones_do_not() -> None:
    difference = np.concatenate([[99.0, 99.0], np.repeat([1.0, 2.0, 3.0, 4.0], 7)])
    difference[4] = np.nan
    assert compare_scores(difference, 7, 0.95).mean == pytest.approx(2.5)


def test_a_challenger_that_is_equal_or_cannot_be_compared_does_not_pass() -> None:
    rng = np.random.default_rng(2)
    passed = [compare_scores(rng.normal(0.0, 1.0, 28), 7, 0.95).passed for _ in range(2000)]
    assert 0.015 < np.mean(passed) < 0.05  # weeks that are alike would bring it to 5 %
    assert not compare_scores(np.full(28, np.nan), 7, 0.95).passed
    assert not compare_scores(np.ones(21), 7, 0.95).passed  # three weeks only
    assert not lower_bound(np.array([1.0, 2.0, np.nan, 1.0]), 0.95, 0.0).passed


def test_a_verdict_needs_both_comparisons_and_names_the_one_that_failed() -> None:
    good, bad = Comparison(0.5, 0.2, 0.0), Comparison(-0.1, -0.3, -0.001)
    assert Verdict(good, good, 28, 0.95).promoted
    verdict = Verdict(good, bad, 28, 0.95)
    assert not verdict.promoted
    assert "policy earns" in verdict.reason() and "forecasts" not in verdict.reason()
    content = json.loads(Verdict(good, Comparison(0.0, -np.inf, 0.0), 28, 0.95).to_json())
    assert content["promoted"] is False and content["profit"]["low"] is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((21, 0.95, 0.001), "--holdout_days: must be a multiple of 7 of at least 28, found 21"),
        ((30, 0.95, 0.001), "--holdout_days"),
        ((28, 1.0, 0.001), "--confidence: must be above 0.5 and below 1, found 1"),
        ((28, 0.95, -1.0), "--profit_tolerance"),
    ],
)
def test_settings_outside_their_range_are_refused(settings: tuple[int, float, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        GateConfig(*settings)
