"""The kill switch: when it sounds, and where it goes back to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pricerl.data.history import ProductHistory
from pricerl.decide.overruled import find_alarm

LOW = np.full(30, 100.0)


@pytest.fixture
def history(make_product: Callable[..., ProductHistory]) -> ProductHistory:
    """30 days at 10.00, the last four at 11.00, 20 units each."""
    return make_product(np.array([10.0] * 26 + [11.0] * 4), np.full(30, 20.0))


def _with_sales(history: ProductHistory, *last: float) -> ProductHistory:
    sales = history.sales.copy()
    sales[-len(last) :] = last
    return replace(history, sales=sales)


def test_three_days_below_the_limit_sound_the_alarm_and_name_the_last_good_price(history: ProductHistory) -> None:
    alarm = find_alarm(_with_sales(history, 120.0, 90.0, 80.0, 70.0), LOW, 3)
    assert alarm is not None
    assert (alarm.days, alarm.first_day, alarm.last_good_price) == (3, "2025-02-02", 11.0)
    assert (alarm.sales, alarm.low) == (80.0, 100.0)


def test_a_run_is_followed_back_to_the_price_before_it(history: ProductHistory) -> None:
    alarm = find_alarm(_with_sales(history, 90.0, 90.0, 80.0, 70.0), LOW, 3)
    assert alarm is not None and (alarm.days, alarm.last_good_price) == (4, 10.0)


@pytest.mark.parametrize("last", [(120.0, 90.0, 80.0), (90.0, 80.0, 100.0), (90.0, 120.0, 90.0)])
def test_two_days_or_an_end_of_the_run_sound_nothing(last: tuple[float, ...], history: ProductHistory) -> None:
    assert find_alarm(_with_sales(history, *last), LOW, 3) is None


def test_the_number_of_days_is_a_setting_and_0_turns_it_off(history: ProductHistory) -> None:
    bad = _with_sales(history, 120.0, 90.0, 80.0)
    assert find_alarm(bad, LOW, 2) is not None
    assert find_alarm(bad, LOW, 0) is None


def test_days_out_of_stock_neither_count_nor_end_a_run(history: ProductHistory) -> None:
    bad = _with_sales(history, 90.0, 80.0, 0.0, 70.0)
    observed = bad.observed.copy()
    observed[-2] = False
    alarm = find_alarm(replace(bad, observed=observed), LOW, 3)
    assert alarm is not None and (alarm.days, alarm.sales) == (3, 80.0)
    observed[-1] = False
    assert find_alarm(replace(bad, observed=observed), LOW, 3) is None


def test_a_history_of_bad_days_goes_back_to_its_first_price(history: ProductHistory) -> None:
    alarm = find_alarm(_with_sales(history, *[50.0] * 30), LOW, 3)
    assert alarm is not None and (alarm.days, alarm.last_good_price) == (30, 10.0)


def test_a_day_without_a_prediction_at_another_price_ends_the_run(history: ProductHistory) -> None:
    bad, low = _with_sales(history, *[50.0] * 7), LOW.copy()
    low[-4] = np.nan
    assert find_alarm(bad, low, 3) is not None
    assert find_alarm(bad, low, 4) is None
    assert find_alarm(bad, np.full(30, np.nan), 1) is None


def test_whoever_does_not_take_the_next_step_keeps_the_alarm_until_sales_recover(
    make_product: Callable[..., ProductHistory],
) -> None:
    history = make_product(np.array([10.0] * 24 + [11.0] * 6), np.full(30, 20.0))
    low = np.where(np.arange(30) < 28, 100.0, np.nan)  # the advice was followed until another price was advised
    stayed = _with_sales(history, 120.0, 90.0, 80.0, 70.0, 60.0, 50.0)
    alarm = find_alarm(stayed, low, 3)
    assert alarm is not None and (alarm.days, alarm.sales, alarm.low) == (3, 80.0, 100.0)
    assert find_alarm(stayed, low, 4) is None
    assert find_alarm(_with_sales(stayed, 120.0), low, 3) is None
