"""Stop rule of a change: a threshold that good sales seldom reach, and that lost sales do."""

from __future__ import annotations

import numpy as np
import pytest

from pricerl.advice.sentences.next_steps import stop_rule_clause
from pricerl.evaluation.stop_rule import FALSE_ALARM, StopRule, find_stop_rule
from pricerl.formatting import PLAIN, Formatter

OPEN = np.ones(14, dtype=bool)


def sales(mean: float, seed: int = 0, paths: int = 20_000) -> np.ndarray:
    return np.random.default_rng(seed).poisson(mean, size=(paths, 14)).astype(np.float64)


def stopped(units: np.ndarray, rule: StopRule) -> float:
    """Share of the paths on which a run of days below the threshold occurs, counted day by day."""
    hits = 0
    for path in units:
        run = longest = 0
        for sold in path:
            run = run + 1 if sold < rule.units else 0
            longest = max(longest, run)
        hits += longest >= rule.days
    return hits / len(units)


@pytest.mark.parametrize("mean", [4.0, 43.0, 900.0])
def test_false_alarms_are_as_rare_as_stated_on_other_samples_and_one_unit_more_is_too_many(mean: float) -> None:
    rule = find_stop_rule(sales(mean), [11.0] * 14, 10.0, OPEN)
    assert rule is not None and rule.days == 3 and rule.price == 10.0
    fresh = sales(mean, seed=1, paths=4000)
    assert (
        rule.false_alarm > 0
        and stopped(fresh, rule) == pytest.approx(rule.false_alarm, abs=0.01)
        and rule.false_alarm <= FALSE_ALARM
    )
    larger = StopRule(rule.price, rule.units + 1, rule.days, 0.0)
    assert stopped(sales(mean)[:4000], larger) > FALSE_ALARM - 0.01
    assert stopped(sales(0.5 * mean, seed=2, paths=1000), rule) > 0.25


def test_few_sales_lengthen_the_run_and_almost_none_leave_no_rule() -> None:
    few = find_stop_rule(sales(0.8), [11.0] * 14, 10.0, OPEN)
    assert few is not None and few.days > 3 and few.units == 1
    assert find_stop_rule(sales(0.05), [11.0] * 14, 10.0, OPEN) is None


def test_days_before_the_change_and_closed_days_do_not_count() -> None:
    late, weekend = sales(30.0), np.arange(14) % 7 < 5
    late[:, :5] = 0.0
    late[:, ~weekend] = 0.0
    rule = find_stop_rule(late, [10.0] * 5 + [11.0] * 9, 10.0, weekend)
    assert rule is not None and rule.units > 15 and rule.days == 3
    assert find_stop_rule(late, [10.0] * 14, 10.0, OPEN) is None


def test_two_weekly_rows_make_a_run_of_two_and_the_words_name_price_units_and_days() -> None:
    rule = find_stop_rule(sales(200.0)[:, :2], [11.0] * 2, 10.0, OPEN[:2])
    assert rule is not None and rule.days == 2
    weekly = stop_rule_clause({"price": 10.0, "units": 170, "days": 2}, Formatter(step_days=7))
    assert weekly == "to 10.00 if fewer than 170 units are sold on two weeks running"
    words = stop_rule_clause({"price": 30.37, "units": 25, "days": 3}, PLAIN)
    assert words == "to 30.37 if fewer than 25 units are sold on three days running"
    none = stop_rule_clause({"price": 30.37, "units": 1, "days": 7}, PLAIN)
    assert none == "to 30.37 if no unit is sold on seven days running"
