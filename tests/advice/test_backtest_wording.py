"""What a seller reads of the backtest: no better than its numbers."""

from __future__ import annotations

import pytest

from pricerl.advice.reasons import judge_backtest, line_up_backtest
from pricerl.evaluation import Backtest, HorizonScore


def backtest_of(*errors: float, coverage: float = 0.9) -> Backtest:
    """A backtest whose 7-day mean is off by half the units at every horizon."""
    scores = [
        HorizonScore(ahead, 10, error, 0.5, coverage, None, None)
        for ahead, error in zip((1, 7, 14), errors, strict=False)
    ]
    return Backtest("Mug", 10, tuple(scores))


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        ((0.4, 0.4, 0.4), "The market forecast every horizon better than the 7-day mean"),
        ((0.5, 0.4, 0.4), "The market did not beat the 7-day mean 1 day ahead"),
        ((0.4, 0.6, 0.7), "The market did not beat the 7-day mean 7 and 14 days ahead"),
        ((0.6, 0.6, 0.7), "The market did not beat the 7-day mean 1, 7 and 14 days ahead"),
        ((0.6,), "The market did not beat the 7-day mean 1 day ahead"),
    ],
)
def test_a_market_that_is_no_better_than_the_mean_is_said_to_be(errors: tuple[float, ...], verdict: str) -> None:
    days = 10 * len(errors)
    assert (
        judge_backtest(backtest_of(*errors)) == f"{verdict}; its 90 % intervals held {days * 9 // 10} of {days} days."
    )


def test_the_summary_lines_up_both_errors() -> None:
    assert line_up_backtest(backtest_of(0.4, 0.6, 1.523)) == (
        "backtest, days ahead 1, 7, 14: error 40.0%, 60.0%, 152.3% of units, 7-day mean 50.0%, 50.0%, 50.0%"
    )


def test_intervals_that_are_too_narrow_are_told() -> None:
    assert judge_backtest(backtest_of(0.4, 0.4, coverage=0.5)).endswith("its 90 % intervals held 10 of 20 days.")
