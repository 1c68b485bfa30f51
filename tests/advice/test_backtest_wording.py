"""Words of the backtest: no better than its numbers."""

from __future__ import annotations

from typing import Any

import pytest

from pricerl.advice.sentences.grounds import judge_backtest, judge_backtests, season_words
from pricerl.evaluation.backtest import HorizonScore
from pricerl.formatting import PLAIN


def backtest_of(*errors: float, coverage: float = 0.9) -> dict[str, Any]:
    """A backtest whose 7-day mean is off by half the units at every horizon."""
    scores = [
        HorizonScore(ahead, 10, error, 0.5, coverage, None, None, 1 - error / 0.5)._asdict()
        for ahead, error in zip((1, 7, 14), errors, strict=False)
    ]
    return {"origins": 10, "scores": scores}


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        ((0.4, 0.4, 0.4), "The forecast beat the 7-day mean at every horizon"),
        ((0.5, 0.4, 0.4), "The forecast did not beat the 7-day mean 1 day ahead"),
        ((0.4, 0.6, 0.7), "The forecast did not beat the 7-day mean 7 and 14 days ahead"),
        ((0.6, 0.6, 0.7), "The forecast did not beat the 7-day mean 1, 7 and 14 days ahead"),
        ((0.6,), "The forecast did not beat the 7-day mean 1 day ahead"),
    ],
)
def test_a_forecast_no_better_than_the_mean_is_judged_so(errors: tuple[float, ...], verdict: str) -> None:
    days = 10 * len(errors)
    assert (
        judge_backtest(backtest_of(*errors), PLAIN)
        == f"{verdict}; its 90 % intervals contained {days * 9 // 10} of {days} days."
    )


def test_intervals_that_are_too_narrow_show_their_coverage() -> None:
    assert judge_backtest(backtest_of(0.4, 0.4, coverage=0.5), PLAIN).endswith(
        "its 90 % intervals contained 10 of 20 days."
    )


def test_the_work_list_says_on_how_many_products_forecasts_were_tested() -> None:
    tested = [backtest_of(0.4, 0.4, 0.4)["scores"], backtest_of(0.6, coverage=0.8)["scores"]]
    assert judge_backtests(tested, 2000, PLAIN) == (
        "The forecast was tested on 2 of 2,000 products, a random sample; its 90 % intervals contained 35 of 40 days."
    )
    assert judge_backtests(tested, 2, PLAIN) == "" == judge_backtests([], 2, PLAIN)


@pytest.mark.parametrize(
    ("probability", "source", "words"),
    [
        (None, None, "No season is foreseen: the history is shorter than a year."),
        (0.1, "product", "No yearly season is foreseen: the history shows none (probability 10 %)."),
        (0.97, "product", "The forecast follows the yearly season of the history (probability 97 %)."),
        (0.9, "catalogue", "The forecast follows the yearly season of your other products (probability 90 %)."),
        (0.2, "catalogue", "Sales so far do not share the yearly season of your other products (probability 20 %)."),
    ],
)
def test_the_page_says_whether_a_season_is_foreseen_and_whose(
    probability: float | None, source: str | None, words: str
) -> None:
    assert season_words({"yearly_season": probability, "season_of": source}, PLAIN) == words
