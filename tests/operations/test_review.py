"""Past advice: its gain over the kept price where demand is known, and the track record of its forecasts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from browser import CHROMIUM, PRINTED_WIDTH, browse_all, measure_all
from shops.known_market import known_market

from pricerl.advice.sentences.grounds import track_lines
from pricerl.arrays import Interval
from pricerl.data.costs import CostConfig
from pricerl.data.days import DAY
from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.decide.standing import TrackRecord
from pricerl.formatting import PLAIN
from pricerl.market.market import Market
from pricerl.operations.log.decision_log import by_product
from pricerl.operations.review import find_news, lay_out_review, render_review, review_lines
from pricerl.operations.track_record import (
    advised_low,
    find_own_prices,
    find_predictions,
    keep_record,
    review_products,
    total_of,
)
from pricerl.operations.watching.news import find_cause, find_stop

COST, SOLD = 6.0, 2000.0
Z = 1.6449
WIDTHS = {"desktop": 1280, "phone": 390, "printed": PRINTED_WIDTH}


def demand(price: Any) -> Any:
    """Units per day, with elasticity -2."""
    return SOLD * (price / 10.0) ** -2.0


def known(preprocessor: DataPreprocessor) -> Market:
    return known_market(preprocessor, demand, CostConfig(unit_cost=COST))


@pytest.fixture
def market(make_product: Callable[..., ProductHistory], prepare: Callable[..., Any]) -> Market:
    """30 days at 10.00, from 2025-02-05 on 20 days at 12.00 and 5 at 11.00."""
    price = np.array([10.0] * 30 + [12.0] * 20 + [11.0] * 5)
    units = demand(price)
    history = make_product(price, units, profit=(price - COST) * units, profit_known=np.ones(55, dtype=bool))
    return known(prepare(history))


def renamed(market: Market, name: str) -> Market:
    """The market, whose only product has another name."""
    (history,) = market.preprocessor.products
    named = replace(history, product=name)
    return replace(market, preprocessor=replace(market.preprocessor, products=(named,)))


def entry(number: int = 1) -> dict[str, Any]:
    """Advice of 4 February to charge 12.00 for 25 days."""
    days = [
        {
            "date": str(np.datetime64("2025-02-05") + day * DAY),
            "price": 12.0,
            **{name: [1.0, 0.0, 1e6] for name in ("units", "sales", "profit")},
            "sd": [1.0, 1.0, 1.0],
        }
        for day in range(25)
    ]
    about = {"id": number, "kind": "advice", "product": "product", "source": "policy", "days": days}
    return {**about, "history_end": "2025-02-04", "current_price": 10.0}


def test_the_gain_is_that_of_known_demand_over_the_price_before_the_first_advice(market: Market) -> None:
    assert review_products(market, [], seed=0) == [], "without advice there is none"
    rows = review_products(market, [entry()], seed=0)
    assert [(row.month, row.followed, row.days) for row in rows] == [
        ("2025-02", True, 20),
        ("2025-02", False, 4),
        ("2025-03", False, 1),
    ]
    truth = 20 * ((12 - COST) * SOLD / 1.44 - (10 - COST) * SOLD)
    assert rows[0].gain.mean == pytest.approx(truth, rel=0.01)
    assert rows[0].kept_price == 10.0
    assert rows[0].happened == pytest.approx(20 * (12 - COST) * SOLD / 1.44)
    other = 5 * ((11 - COST) * SOLD / 1.21 - (10 - COST) * SOLD)
    total = total_of(rows[1:], "product")
    assert total.gain.mean == pytest.approx(other, rel=0.02)
    lines = [row._replace(product=name) for row in rows for name in ("mug", "bowl", "cap", "pot")]
    page = lay_out_review(lines, "profit", PLAIN)
    assert page.lead[:2] == (
        "On 20 days at the advised price; the whole range is a gain.",
        "On 5 days another price was charged; they are counted apart.",
    )


def test_review_and_track_record_state_one_sum_of_the_same_days(
    make_product: Callable[..., ProductHistory], prepare: Callable[..., Any]
) -> None:
    """The advice of both months is followed; months of a product share errors, products do not."""
    price = np.array([10.0] * 30 + [12.0] * 40)
    units = demand(price)
    profit = {"profit": (price - COST) * units, "profit_known": np.ones(70, dtype=bool)}
    mugs, cups = (make_product(price, units, product=name, **profit) for name in ("mug", "cup"))
    market = known(prepare(mugs, cups))
    entries = [entry(number) | {"product": name} for number, name in enumerate(("mug", "cup"), 1)]
    rows = review_products(market, entries, seed=0)
    record = keep_record(find_predictions(entries, mugs), mugs)
    own = [row for row in rows if row.product == "mug"]
    total, both = total_of(own, "mug"), total_of(rows)
    assert len(own) == 2 and record is not None
    check, sums = record.total["profit"], both.predicted
    assert check is not None and sums is not None and total.predicted == check
    assert sums.predicted == pytest.approx(2 * check.predicted)
    assert sums.high - sums.predicted == pytest.approx(2**0.5 * (check.high - check.predicted))


@pytest.mark.parametrize(
    ("prices", "headline"),
    [
        ([10.0] * 15 + [12.0] * 10, "The advised change was not made"),
        ([10.0] * 25, "Until now the advice was to keep the price"),
    ],
)
def test_a_review_tells_a_change_that_was_not_made_from_advice_to_keep(
    make_product: Callable[..., ProductHistory],
    prepare: Callable[..., Any],
    prices: list[float],
    headline: str,
) -> None:
    price = np.array([10.0] * 50 + [9.5] * 5)
    market = known(prepare(make_product(price, demand(price))))
    advised = entry()
    advised["days"] = [{**day, "price": price} for day, price in zip(advised["days"], prices, strict=True)]
    page = lay_out_review(review_products(market, [advised], 0), "profit", PLAIN)
    assert page.headline == headline


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
@pytest.mark.parametrize("scale", [pytest.param(1.0, marks=pytest.mark.slow), 3e4])
def test_a_browser_lays_the_page_out_without_overlaps_cuts_and_messages(market: Market, scale: float) -> None:
    name = "W" * 5000
    rows = review_products(renamed(market, name), [entry() | {"product": name}], 0)
    rows = [row._replace(gain=Interval(*(scale * end for end in row.gain))) for row in rows]
    pages = [render_review(lay_out_review(found, "profit", PLAIN), "sales.csv", PLAIN) for found in (rows, [])]
    documents, said = browse_all(pages)
    assert said == [] and ["<table" in document for document in documents] == [True, False]
    for least, page in zip((30, 3), measure_all(pages, WIDTHS), strict=True):
        for width, measured in page.items():
            assert measured["width"] == WIDTHS[width] and measured["texts"] > least, width
            assert measured["scroll"] <= measured["width"], (width, measured["cut"])
            assert (measured["met"], measured["cut"], measured["outside"]) == ([], [], []), width


def test_the_page_separates_days_at_another_price_and_contains_no_markup_of_a_name(market: Market) -> None:
    rows = review_products(renamed(market, "<b>mug</b>"), [entry() | {"product": "<b>mug</b>"}], 0)
    page = lay_out_review(rows, "profit", PLAIN)
    assert [title for title, _, _ in page.tables] == ["At the advised price", "At another price"]
    html = render_review(page, "folder/sales.csv", PLAIN)
    assert "<b>mug" not in html and "&lt;b&gt;mug" in html and "<script" not in html and "folder" not in html
    assert page.headline in html.replace("\N{NO-BREAK SPACE}%", " %")
    (_, cells), _ = review_lines(page)
    assert cells[1][1:3] == ("2025-02", "20") and html == render_review(page, "sales.csv", PLAIN)


def test_a_review_leads_with_fewer_sales_their_cause_and_the_next_step(market: Market) -> None:
    (history,) = market.preprocessor.products
    due = [1.5 * SOLD / 1.44, 0.9 * 1.5 * SOLD / 1.44, 1.1 * 1.5 * SOLD / 1.44]
    advised = entry()
    advised["days"] = [{**day, "units": due, "sd": [20.0, 1.0, 1.0]} for day in advised["days"]]
    advised["history_end"] = str(history.dates[34])
    steady = replace(history, price=np.where(np.arange(55) < 30, 12.0, history.price))
    (news,) = find_news([steady], [{**advised, "current_price": 12.0}], lambda name: {}, "shop", PLAIN)
    assert news.words.startswith("33 % fewer units than forecast were sold in 9 days: ")
    assert news.step.startswith("Price and stock in the file do not explain it. Look at the listing")
    page = lay_out_review(review_products(market, [entry()], 0), "profit", PLAIN, [news])
    assert page.headline == news.words and page.lead[0] == news.step


def _history(make_product: Callable[..., ProductHistory], units: list[float], **changes: Any) -> ProductHistory:
    price = changes.pop("price", 10.0)
    return make_product(price, np.array([20.0] * 42 + units), **changes)


def test_the_cause_of_a_drop_is_the_first_that_the_file_shows(make_product: Callable[..., ProductHistory]) -> None:
    rows, low = np.arange(42, 56), [12.0] * 14

    def cause(history: ProductHistory) -> str:
        return find_cause(history, rows, -0.4, PLAIN).words

    assert cause(_history(make_product, low)) == "price and stock in the file do not explain it"
    empty = _history(make_product, [20.0] * 8 + [0.0] * 6)
    assert cause(empty) == "6 of 14 days had no stock or no sales"
    dearer = _history(make_product, low, price=np.array([10.0] * 42 + [11.0] * 14))
    reacts = "your price went from 10.00 to 11.00, and buyers may react more strongly than forecast"
    assert cause(dearer) == reacts
    little = _history(make_product, low, price=np.array([10.0] * 42 + [10.3] * 14))
    assert cause(little) == "price and stock in the file do not explain it", "3 % more never costs 40 % of units"
    rival = _history(make_product, low, competitor=np.array([10.0] * 42 + [8.0] * 14))
    assert cause(rival) == "the competitor's price went from 10.00 to 8.00"
    year = np.tile(np.array([20.0] * 350 + [12.0] * 14), 2)
    season = make_product(10.0, year)
    found = find_cause(season, np.arange(714, 728), -0.4, PLAIN)
    assert found.words == "the same days of last year changed by \N{MINUS SIGN}40 %, too"
    better = find_cause(_history(make_product, [28.0] * 14), rows, 0.4, PLAIN)
    assert better.step == "Ask for new advice with this file."


def test_a_stop_rule_that_has_triggered_says_what_to_charge(make_product: Callable[..., ProductHistory]) -> None:
    rule = {"price": 10.0, "units": 15, "days": 3, "false_alarm": 0.04}
    changed = np.array([10.0] * 42 + [11.0] * 14)
    advice = {
        "product": "product",
        "stop_rule": rule,
        "data_quality": {"last_day": "2025-02-16"},
        "days": [{"date": "2025-03-02"}],
    }
    few = _history(make_product, [18.0] * 5 + [14.0, 14.0, 13.0] + [18.0] * 6, price=changed)
    news = find_stop(advice, few, "shop", PLAIN, named=True)
    assert news is not None
    assert news.words == "the stop rule has triggered, fewer than 15 units on 3 days running until 24 Feb 2025"
    assert news.step.startswith("Charge 10.00 again in your shop")
    command = "pricerl override 10.00 --reason 'stop rule' --until 2025-03-16 --run_name shop --product product"
    assert news.step.endswith(command), "it names the product among several, and a day that is still to come"
    interrupted = _history(make_product, [14.0, 14.0, 18.0] * 4 + [18.0] * 2, price=changed)
    taken_back = _history(make_product, [14.0] * 14)
    for history in (interrupted, taken_back):
        assert find_stop(advice, history, "shop", PLAIN) is None
    assert find_stop({**advice, "stop_rule": None}, few, "shop", PLAIN) is None
    assert find_stop({}, few, "shop", PLAIN) is None


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


def test_a_day_at_another_price_or_without_recorded_sales_is_no_test(history: ProductHistory) -> None:
    observed = history.observed.copy()
    observed[31] = False
    days = [dict(COMING[0], price=10.0), *COMING[1:]]
    record = _record(replace(history, observed=observed), _entry(1, "2025-02-04", *days))
    assert [day.outcome for day in record.days[:2]] == ["not followed", "not observed"]
    assert record.days[0].units is None and record.days[1].units is None
    assert record.followed == 3 and record.inside["units"] == (3, 3)
    said = "Not followed, so no test of the forecast: 5 Feb 2025 (10.00 advised, 11.00 charged)."
    assert said in track_lines(asdict(record), PLAIN)


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


OWN_DAYS: dict[str, tuple[list[dict[str, Any]], list[int], list[int] | None]] = {
    "no week after 11.50": ([_entry(1, "2025-02-04", *ADVISED)], [], [*range(30, 38)]),
    "no sales on record": ([_entry(1, "2025-02-04", *ADVISED)], [33], [30, 31, 32, 34, 35, 36, 37]),
    "no log": ([], [], None),
    "a person's order": ([_entry(1, "2025-02-04", *ADVISED, order=2)], [], None),
    "another product": ([_entry(1, "2025-02-04", *ADVISED, product="other")], [], None),
    "another price": ([_entry(1, "2025-02-04", *(dict(day, price=11.01) for day in ADVISED))], [], None),
    "six days": ([_entry(1, "2025-02-04", *ADVISED[:6])], [], None),
}


@pytest.mark.parametrize("name", OWN_DAYS)
def test_a_week_or_more_at_advised_prices_is_the_models_doing(name: str, followed: ProductHistory) -> None:
    entries, unobserved, own = OWN_DAYS[name]
    observed = followed.observed.copy()
    observed[unobserved] = False
    found = find_own_prices(by_product(entries), replace(followed, observed=observed))
    assert (None if found is None else np.flatnonzero(found).tolist()) == own
