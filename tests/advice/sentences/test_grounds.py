"""Sentences on the grounds of an advice: no better than its numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from pricerl.advice.sentences.grounds import (
    bias_words,
    describe_limits,
    judge_backtest,
    judge_backtests,
    season_words,
)
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.backtest import HorizonScore
from pricerl.formatting import PLAIN
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.market import Market

PRICES = np.repeat([9.0, 10.0, 11.0, 10.0], 15)


def backtest_of(*errors: float, coverage: float = 0.9) -> dict[str, Any]:
    """A backtest whose 7-day mean is off by half the units at every horizon."""
    scores = [
        HorizonScore(ahead, 10, error, 0.5, coverage, None, None, 1 - error / 0.5)._asdict()
        for ahead, error in zip((1, 7, 14), errors, strict=False)
    ]
    return {"origins": 10, "scores": scores}


@pytest.mark.parametrize(
    ("errors", "won"),
    [((0.4, 0.4, 0.4), "3 of 3 horizons"), ((0.5, 0.4, 0.4), "2 of 3 horizons"), ((0.6,), "0 of 1 horizon")],
)
def test_a_forecast_no_better_than_the_mean_is_judged_so(errors: tuple[float, ...], won: str) -> None:
    days = 10 * len(errors)
    said = f"The forecast beat the 7-day mean at {won}; its 90 % intervals contained {days * 9 // 10} of {days} days."
    assert judge_backtest(backtest_of(*errors), PLAIN) == said


def test_narrow_intervals_show_their_coverage_and_the_work_list_on_how_many_products_forecasts_were_tested() -> None:
    assert judge_backtest(backtest_of(0.4, 0.4, coverage=0.5), PLAIN).endswith(
        "its 90 % intervals contained 10 of 20 days."
    )
    tested = [backtest_of(0.4, 0.4, 0.4)["scores"], backtest_of(0.6, coverage=0.8)["scores"]]
    assert judge_backtests(tested, 2000, PLAIN) == (
        "The forecast was tested on 2 of 2,000 products, a random sample; its 90 % intervals contained 35 of 40 days."
    )
    assert judge_backtests(tested, 2, PLAIN) == "" == judge_backtests([], 2, PLAIN)


@pytest.mark.parametrize(
    ("probability", "source", "words"),
    [
        (None, None, "No season is foreseen: the history is shorter than a year."),
        (0.1, "product", "The forecast does not follow the yearly season of the history (probability 10 %)."),
        (0.97, "product", "The forecast follows the yearly season of the history (probability 97 %)."),
        (0.9, "catalogue", "The forecast follows the yearly season of your other products (probability 90 %)."),
        (0.2, "catalogue", "The forecast does not follow the yearly season of your other products (probability 20 %)."),
    ],
)
def test_the_page_says_whether_a_season_is_foreseen_and_whose(
    probability: float | None, source: str | None, words: str
) -> None:
    assert season_words({"yearly_season": probability, "season_of": source}, PLAIN) == words


@pytest.mark.parametrize(
    ("bias", "verb", "allowed"),
    [
        ((-0.1, 0.25), "overstate", "+0.1 (90 %: −0.3 to +0.5)"),
        ((1.0, 2.0), "understate", "−1.0 (90 %: −4.3 to +2.3)"),
        ((0.0, 2.0), "misstate", "0.0 (90 %: −3.3 to +3.3)"),
    ],
)
def test_the_bias_of_a_history_is_stated(bias: tuple[float, float], verb: str, allowed: str) -> None:
    (said,) = bias_words({"bias": bias}, PLAIN)
    assert said.startswith(f"Your history may {verb} buyers' reaction") and said.endswith(f"corrected by {allowed}.")
    assert bias_words({"bias": None}, PLAIN) == []


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({}, "between 9.50 (largest change) and 10.50 (largest change). "),
        ({}, "A change is at most 5 % up or 5 % down, and 10 % against the price of 7 days before"),
        ({"products": {"product": {"max_change": 0.02}}}, "between 9.80 (largest change) and 10.20 (largest change)."),
        ({"products": {"product": {"max_change": 0.02}}}, "at most 2 % up or 2 % down"),
        (
            {"products": {"product": {"max_week_change": 0.03}}},
            "9.70 (largest week change) and 10.30 (largest week change).",
        ),
        ({"products": {"product": {"max_week_change": 0.03}}}, "and 3 % against the price of 7 days before"),
        ({"max_rise": 0.025}, "between 9.50 (largest change) and 10.25 (largest rise)."),
        ({"max_rise": 0.025}, "at most 2.5 % up or 5 % down"),
        ({"ceiling": 10.1, "min_hold_days": 1}, "10.10 (ceiling). "),
        ({"ceiling": 10.1, "min_hold_days": 1}, "stays at least 1 day."),
        ({"floor": 12.0}, "10.00, lies beyond a hard limit (floor). It moves to 12.00 in the largest steps"),
        ({"floor": 12.0, "max_rise": 0.0}, "leave no price (floor asks for at least 12, max_rise for at most 10)"),
        ({"pause": True}, "The product is paused: its price stays at 10.00."),
    ],
)
def test_the_page_states_the_limits_in_force(
    limits: dict[str, object], sentence: str, known_demand: Callable[..., Market]
) -> None:
    assert sentence in _limits_sentence(known_demand(PRICES), **limits)


def test_a_current_price_beyond_the_prices_tried_may_stay_as_the_page_says(known_demand: Callable[..., Market]) -> None:
    prices = np.array([10.0] * 57 + [17.3] * 3)
    text = _limits_sentence(known_demand(prices), max_week_change=0.9)
    assert text.startswith(
        "The next price lies between 16.44 (largest change) and 17.30 (the edge of the prices you tried); "
    )
    assert "the current price lies beyond the edge of the prices you tried and may stay. " in text


def _limits_sentence(market: Market, **limits: object) -> str:
    product = Product(Dynamics(market, guardrails=GuardrailConfig(**limits)), 0)
    return describe_limits(
        {"current_price": product.current_price, "details": {"bounds": asdict(product.today.describe())}}, PLAIN
    )
