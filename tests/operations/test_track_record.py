"""The track record: which days test a forecast, and what the test says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from pricerl.advice.sentences.grounds import track_lines
from pricerl.data.days import DAY
from pricerl.data.history import ProductHistory
from pricerl.decide.standing import TrackRecord
from pricerl.formatting import PLAIN
from pricerl.operations.log.decision_log import by_product
from pricerl.operations.track_record import advised_low, find_own_prices, find_predictions, keep_record

Z = 1.6449


@pytest.fixture
def history(make_product: Callable[..., ProductHistory]) -> ProductHistory:
    """30 days from 2025-01-06 on at 10.00, then 5 at 11.00; 20 units a day, profit 60 known."""
    price = np.array([10.0] * 30 + [11.0] * 5)
    known = np.ones(35, dtype=bool)
    return make_product(price, np.full(35, 20.0), profit=np.full(35, 60.0), profit_known=known)


def _day(date: str, price: float, **changes: Any) -> dict[str, Any]:
    day = {"date": date, "price": price, "units": [22.0, 15.0, 29.0], "sales": [220.0, 150.0, 290.0]}
    return {**day, "profit": [70.0, 30.0, 110.0], "sd": [1.0, 10.0, 5.0], **changes}


def _entry(number: int, end: str, *days: dict[str, Any], **changes: Any) -> dict[str, Any]:
    entry = {"id": number, "kind": "advice", "product": "product", "history_end": end, "current_price": 10.0}
    return {**entry, "source": "policy", "days": list(days), **changes}


COMING = [_day(f"2025-02-{day:02d}", 11.0) for day in (5, 6, 7, 8, 9, 10, 11)]


def _record(history: ProductHistory, *entries: dict[str, Any]) -> TrackRecord:
    record = keep_record(find_predictions(entries, history), history)
    assert record is not None
    return record


def test_days_at_the_advised_price_are_held_against_their_limits(history: ProductHistory) -> None:
    record = _record(history, _entry(1, "2025-02-04", *COMING))
    assert len(record.days) == 5 and record.followed == 5  # the file ends on 2025-02-09
    assert record.inside == {"units": (5, 5), "sales": (5, 5), "profit": (5, 5)}
    first = record.days[0]
    assert (first.date, first.advised_price, first.charged_price) == ("2025-02-05", 11.0, 11.0)
    assert first.units is not None and (first.units.predicted, first.units.actual) == (22.0, 20.0)


@pytest.mark.parametrize(("limits", "inside"), [([22.0, 20.0, 29.0], 5), ([22.0, 20.5, 29.0], 0), ([1.0, 0.0, 19], 0)])
def test_a_day_outside_its_limits_is_counted(limits: list[float], inside: int, history: ProductHistory) -> None:
    record = _record(history, _entry(1, "2025-02-04", *(dict(day, units=limits) for day in COMING)))
    assert record.inside["units"] == (inside, 5) and record.inside["sales"] == (5, 5)


def test_a_day_at_another_price_is_no_test(history: ProductHistory) -> None:
    days = [dict(COMING[0], price=10.0), *COMING[1:]]
    record = _record(history, _entry(1, "2025-02-04", *days))
    assert record.days[0].outcome == "not followed" and record.days[0].units is None
    assert record.followed == 4 and record.inside["units"] == (4, 4)
    assert "Not followed, so no test of the forecast: 5 Feb 2025 (10.00 advised, 11.00 charged)." in track_lines(
        asdict(record), PLAIN
    )


def test_whoever_stays_at_the_published_step_has_followed_without_a_forecast(history: ProductHistory) -> None:
    steps = [*COMING[:3], *(dict(day, price=12.0) for day in COMING[3:])]
    record = _record(history, _entry(1, "2025-02-04", *steps))
    assert record.followed == 5 and record.inside["units"] == (3, 3)
    assert {day.advised_price for day in record.days} == {11.0}
    tested = [dict(steps[0], price=10.5), *steps[1:3], *(dict(day, price=10.5) for day in steps[3:])]
    scheduled = _record(history, _entry(1, "2025-02-04", *tested, source="price test"))
    assert scheduled.followed == 2, "a schedule is followed day by day"


def test_in_shadow_mode_the_advice_is_compared_with_what_was_charged(history: ProductHistory) -> None:
    days = [dict(COMING[0], price=10.0), *COMING[1:]]
    record = _record(history, {**_entry(1, "2025-02-04", *days), "terms": {"approval": "shadow"}})
    assert record.overruled is not None and record.overruled.days == 1
    assert (record.overruled.model_price, record.overruled.charged_price) == (10.0, 11.0)


def test_a_day_without_recorded_sales_is_no_test(history: ProductHistory) -> None:
    observed = history.observed.copy()
    observed[30] = False
    record = _record(replace(history, observed=observed), _entry(1, "2025-02-04", *COMING))
    assert record.days[0].outcome == "not observed" and record.followed == 4


def test_the_last_advice_before_a_day_counts(history: ProductHistory) -> None:
    late = _entry(2, "2025-02-06", *(dict(day, units=[20.0, 18.0, 22.0]) for day in COMING[2:]), current_price=11.0)
    for entries in ([_entry(1, "2025-02-04", *COMING), late], [late, _entry(3, "2025-02-04", *COMING)]):
        record = _record(history, *entries)
        units = [day.units.predicted for day in record.days if day.units is not None]
        assert units == [22.0, 22.0, 20.0, 20.0, 20.0]


def test_the_total_adds_what_the_markets_share_and_noise_in_squares(history: ProductHistory) -> None:
    days = [dict(day, units=[22.0, 22.0 - 5 * Z, 22.0 + 5 * Z], sd=[3.0, 10.0, 5.0]) for day in COMING]
    total = _record(history, _entry(1, "2025-02-04", *days)).total["units"]
    assert total is not None
    sd = np.sqrt((5 * 3.0) ** 2 + 5 * (5.0**2 - 3.0**2))
    assert (total.predicted, total.actual) == (110.0, 100.0)
    assert total.low == pytest.approx(110 - Z * sd, rel=1e-6) and total.high == pytest.approx(110 + Z * sd, rel=1e-6)
    assert total.inside


def test_a_total_far_from_its_prediction_lies_outside(history: ProductHistory) -> None:
    days = [dict(day, units=[26.0, 19.0, 33.0], sd=[0.0, 0.0, 0.0]) for day in COMING]
    record = _record(history, _entry(1, "2025-02-04", *days))
    assert record.inside["units"] == (5, 5)
    assert record.total["units"] is not None and not record.total["units"].inside
    assert "actual 20.0, outside." in "\n".join(track_lines(asdict(record), PLAIN))


def test_unknown_profit_is_not_invented(history: ProductHistory) -> None:
    days = [dict(day, profit=None, sd=[1.0, 10.0, None]) for day in COMING]
    record = _record(history, _entry(1, "2025-02-04", *days))
    assert record.inside["profit"] == (0, 0) and record.total["profit"] is None
    unknown = replace(history, profit_known=np.zeros(35, dtype=bool))
    assert _record(unknown, _entry(1, "2025-02-04", *COMING)).total["profit"] is None


@pytest.mark.parametrize(
    "entry",
    [
        _entry(1, "2025-02-04", *COMING, product="other"),
        _entry(1, "2025-02-04", *COMING, current_price=12.0),
        _entry(1, "2024-02-04", *COMING),
        _entry(1, "2025-02-04", _day("2026-01-01", 11.0)),
        {"id": 1, "kind": "override", "product": "product", "until": "2025-02-09", "price": 11.0},
    ],
    ids=["another product", "other data", "another time", "days to come", "an order"],
)
def test_what_says_nothing_about_these_days_makes_no_record(entry: dict[str, Any], history: ProductHistory) -> None:
    assert keep_record(find_predictions([entry], history), history) is None


def test_an_override_is_scored_against_what_the_model_wanted(history: ProductHistory) -> None:
    model = [dict(day, price=10.5, profit=[75.0, 30.0, 110.0]) for day in COMING]
    record = _record(history, _entry(1, "2025-02-04", *COMING, source="override", model_days=model))
    overruled = record.overruled
    assert overruled is not None and overruled.days == 5
    assert (overruled.model_price, overruled.charged_price) == (10.5, 11.0)
    assert (overruled.model_profit, overruled.actual_profit) == (75.0, 60.0)
    lines = "\n".join(track_lines(asdict(record), PLAIN))
    assert "it wanted 10.50 on average, 11.00 was charged." in lines and "(−15.00)" in lines
    assert record.followed == 5  # the forecast was made for the ordered price


def test_limits_of_sales_are_those_of_the_advice_where_its_price_was_charged(history: ProductHistory) -> None:
    days = [dict(COMING[0], price=10.0), *COMING[1:4], dict(COMING[4], sales=None), *COMING[5:]]
    entry = _entry(1, "2025-02-04", *days)
    low = advised_low(find_predictions([entry], history), history)
    np.testing.assert_array_equal(low[-6:], [np.nan, np.nan, 150.0, 150.0, 150.0, np.nan])
    assert np.isnan(low[:-5]).all()
    assert np.isnan(advised_low(find_predictions([{**entry, "order": 2}], history), history)).all()


@pytest.fixture
def followed(make_product: Callable[..., ProductHistory]) -> ProductHistory:
    """30 days from 2025-01-06 on at 10.00, 8 at 11.00, one at 11.50, 6 at 11.00."""
    return make_product(np.array([10.0] * 30 + [11.0] * 8 + [11.5] + [11.0] * 6), np.full(45, 20.0))


ADVISED = [_day(str(np.datetime64("2025-02-05") + day * DAY), 11.0) for day in range(20)]


def test_a_week_or_more_at_advised_prices_is_the_models_doing(followed: ProductHistory) -> None:
    own = find_own_prices(by_product([_entry(1, "2025-02-04", *ADVISED)]), followed)
    assert own is not None
    np.testing.assert_array_equal(np.flatnonzero(own), np.arange(30, 38))  # after the price of 11.50, six days only


def test_days_without_sales_on_record_are_not_own_and_end_no_run(followed: ProductHistory) -> None:
    observed = followed.observed.copy()
    observed[33] = False
    own = find_own_prices(by_product([_entry(1, "2025-02-04", *ADVISED)]), replace(followed, observed=observed))
    assert own is not None
    np.testing.assert_array_equal(np.flatnonzero(own), [30, 31, 32, 34, 35, 36, 37])


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [_entry(1, "2025-02-04", *ADVISED, order=2)],
        [_entry(1, "2025-02-04", *ADVISED, product="other")],
        [_entry(1, "2025-02-04", *(dict(day, price=11.01) for day in ADVISED))],
        [_entry(1, "2025-02-04", *ADVISED[:6])],
    ],
    ids=["no log", "a person's order", "another product", "another price", "six days"],
)
def test_other_prices_are_not_the_models(entries: list[dict[str, Any]], followed: ProductHistory) -> None:
    assert find_own_prices(by_product(entries), followed) is None
