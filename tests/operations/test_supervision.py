"""The kill switch stops the model only for prices that were advised, and never steps to a loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from pricerl.advice.describe import advise
from pricerl.advice.result import ProductAdvice
from pricerl.data.costs import CostConfig
from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.decide.decision import DecisionConfig
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.reward import RewardConfig
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.log.provenance import describe_history
from pricerl.operations.standings import find_standings

HORIZON = 7
DEMAND, CONFIG = DemandConfig(num_draws=32), DecisionConfig()


def _keeping(observation: Tensor) -> Tensor:
    return observation.new_zeros(len(observation), 1)


def _shop(prepared: DataPreprocessor, unit_cost: float, **guardrails: Any) -> Dynamics:
    market = fit_market(prepared, DEMAND, CostConfig(unit_cost=unit_cost, share_kept=1.0), 0)
    return Dynamics(market, RewardConfig(), GuardrailConfig(**guardrails), EnvConfig())


def _supervised(dynamics: Dynamics, *entries: Entry) -> ProductAdvice:
    (advice,) = advise(_keeping, dynamics, CONFIG, HORIZON, {}, standings=find_standings(entries, dynamics))
    return advice


def _advised(history: ProductHistory, days: int, **changes: Any) -> Entry:
    """Log entry of an advice, made ``days`` days before the end, to charge what then was charged."""
    end = len(history.dates) - days
    prices, dates = history.price[end:], history.dates[end:]
    forecast = {"units": None, "profit": None, "sd": None}
    rows = [
        {**forecast, "date": str(date), "price": float(price), "sales": [20 * price, 12 * price, 30 * price]}
        for date, price in zip(dates, prices, strict=True)
    ]
    start = {"history_end": str(history.dates[end - 1]), "current_price": float(history.price[end - 1])}
    return {
        "id": 1,
        "kind": "advice",
        "product": "product",
        "source": "policy",
        "grade": "B",
        "days": rows,
        "known": describe_history(history.first_days(end)),
        **start,
        **changes,
    }


@pytest.fixture
def usual(make_product: Callable[..., ProductHistory]) -> Callable[..., ProductHistory]:
    """Return 90 days between 9.50 and 11.00 with elasticity -2, the last at 10.00, then days of other prices."""

    def build(prices: Sequence[float], units: Sequence[float]) -> ProductHistory:
        rng = np.random.default_rng(4)
        price = np.concatenate([np.repeat(rng.choice([9.5, 10.0, 10.5, 11.0], 12), 7), [10.0] * 6, prices])
        return make_product(price, np.concatenate([rng.poisson(20 * (price[:90] / 10) ** -2), units]))

    return build


def test_sales_after_the_end_of_a_promotion_stop_nothing_that_nobody_advised(
    usual: Callable[..., ProductHistory], prepare: Callable[..., DataPreprocessor]
) -> None:
    promotion = usual([8.0] * 14 + [10.0] * 5, [60.0] * 14 + [14.0] * 5)
    advice = _supervised(_shop(prepare(promotion), unit_cost=7.9))
    assert advice.alarm is None and advice.model is None
    assert min(day.recommended_price for day in advice.days) >= 10.0


RAISED = ([10.4] * 3, [2.0] * 3)
"""Three bad days after a rise from 10.00."""


def test_bad_days_at_an_advised_price_lead_back_where_that_pays(
    usual: Callable[..., ProductHistory], prepare: Callable[..., DataPreprocessor]
) -> None:
    history = usual(*RAISED)
    advice = _supervised(_shop(prepare(history), unit_cost=1.0), _advised(history, 3))
    assert advice.alarm is not None and (advice.alarm.days, advice.alarm.last_good_price) == (3, 10.0)
    assert (advice.recommended_price, advice.decision.follow, advice.decision.source) == (10.0, "path", "hold")
    assert advice.uplift is not None and advice.uplift.profit is not None and advice.uplift.profit.mean > 0
    assert advice.reason.startswith("Lower to 10.00") and "The last good price was 10.00." in advice.reason


@pytest.mark.parametrize(
    ("unit_cost", "code", "why"),
    [
        (9.0, "back_does_not_pay", "Going back does not pay: −"),
        (10.2, "sold_at_no_margin", "A unit sold at 10.20 would earn nothing."),
    ],
)
def test_the_price_is_kept_where_going_back_loses(
    unit_cost: float,
    code: str,
    why: str,
    usual: Callable[..., ProductHistory],
    prepare: Callable[..., DataPreprocessor],
) -> None:
    history = usual(*RAISED)
    advice = _supervised(_shop(prepare(history), unit_cost), _advised(history, 3))
    assert advice.alarm is not None and advice.decision.follow == "hold" and advice.decision.source == "hold"
    assert {day.recommended_price for day in advice.days} == {10.4} and advice.uplift is None
    assert [reason.code for reason in advice.decision.reasons] == ["model_stopped", code]
    assert advice.reason.startswith("Keep 10.40: sales at the advised price were below") and why in advice.reason


def test_a_price_that_was_charged_before_the_bad_days_is_kept(
    usual: Callable[..., ProductHistory], prepare: Callable[..., DataPreprocessor]
) -> None:
    history = usual([10.0] * 3, [2.0] * 3)
    advice = _supervised(_shop(prepare(history), 4.0), _advised(history, 3))
    assert advice.alarm is not None and advice.decision.follow == "hold"
    assert "The current price is the last good one." in advice.reason


@pytest.mark.parametrize("change", [{"order": 7}, {"product": "other"}])
def test_bad_days_at_the_price_of_a_person_or_another_product_stop_nothing(
    change: dict[str, Any], usual: Callable[..., ProductHistory], prepare: Callable[..., DataPreprocessor]
) -> None:
    history = usual(*RAISED)
    assert _supervised(_shop(prepare(history), 4.0), _advised(history, 3, **change)).alarm is None


def test_a_last_day_at_a_price_of_the_sellers_own_stops_nothing(
    usual: Callable[..., ProductHistory], prepare: Callable[..., DataPreprocessor]
) -> None:
    history = usual([10.4] * 4, [2.0] * 4)
    entry = _advised(history, 4)
    assert _supervised(_shop(prepare(history), 4.0), entry).alarm is not None
    entry["days"][-1]["price"] = 10.6
    assert _supervised(_shop(prepare(history), 4.0), entry).alarm is not None, "the next step was not taken"
    entry["days"][-1]["price"] = 10.4
    moved = usual([10.4, 10.4, 10.4, 10.5], [2.0] * 4)
    assert _supervised(_shop(prepare(moved), 4.0), entry).alarm is None


def test_a_stopped_model_still_leaves_a_price_that_the_limits_forbid(
    usual: Callable[..., ProductHistory], prepare: Callable[..., DataPreprocessor]
) -> None:
    history = usual(*RAISED)
    advice = _supervised(_shop(prepare(history), 9.0, floor=10.6), _advised(history, 3))
    assert advice.alarm is not None and (advice.decision.follow, advice.decision.source) == ("limit", "limits")
    assert advice.recommended_price == 10.6 and "do not allow the current price" in advice.reason
