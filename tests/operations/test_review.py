"""Review of past advice: gains over the kept price in a market whose demand is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from browser import CHROMIUM, PRINTED_WIDTH, browse, measure
from shops.known_market import known_market

from pricerl.arrays import Interval
from pricerl.data.costs import CostConfig
from pricerl.data.days import DAY
from pricerl.data.history import ProductHistory
from pricerl.formatting import PLAIN
from pricerl.market.market import Market
from pricerl.operations.review import (
    find_news,
    lay_out_review,
    render_review,
    review_lines,
)
from pricerl.operations.track_record import find_predictions, keep_record, review_products, total_of
from pricerl.operations.watching.news import find_cause, find_stop

COST, SOLD = 6.0, 2000.0
WIDTHS = {"desktop": 1280, "phone": 390, "printed": PRINTED_WIDTH}


@pytest.fixture
def market(make_product: Callable[..., ProductHistory], prepare: Callable[..., Any]) -> Market:
    """30 days at 10.00, from 2025-02-05 on 20 days at 12.00 and 5 at 11.00; demand has elasticity -2."""
    price = np.array([10.0] * 30 + [12.0] * 20 + [11.0] * 5)
    units = SOLD * (price / 10.0) ** -2.0
    history = make_product(price, units, profit=(price - COST) * units, profit_known=np.ones(55, dtype=bool))
    return known_market(prepare(history), lambda at: SOLD * (at / 10.0) ** -2.0, CostConfig(unit_cost=COST))


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
    assert total is not None and total.gain.mean == pytest.approx(other, rel=0.02)
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
    units = SOLD * (price / 10.0) ** -2.0
    known = {"profit": (price - COST) * units, "profit_known": np.ones(70, dtype=bool)}
    mugs, cups = (make_product(price, units, product=name, **known) for name in ("mug", "cup"))
    market = known_market(prepare(mugs, cups), lambda at: SOLD * (at / 10.0) ** -2.0, CostConfig(unit_cost=COST))
    entries = [entry(number) | {"product": name} for number, name in enumerate(("mug", "cup"), 1)]
    rows = review_products(market, entries, seed=0)
    record = keep_record(find_predictions(entries, mugs), mugs)
    own = [row for row in rows if row.product == "mug"]
    total, both = total_of(own, "mug"), total_of(rows)
    assert len(own) == 2 and record is not None and total is not None and both is not None
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
    history = make_product(price, SOLD * (price / 10.0) ** -2.0)
    market = known_market(prepare(history), lambda at: SOLD * (at / 10.0) ** -2.0, CostConfig(unit_cost=COST))
    advised = entry()
    advised["days"] = [{**day, "price": price} for day, price in zip(advised["days"], prices, strict=True)]
    page = lay_out_review(review_products(market, [advised], 0), "profit", PLAIN)
    assert page.headline == headline


def test_without_advice_there_is_nothing_to_review(market: Market) -> None:
    assert review_products(market, [], seed=0) == []
    assert total_of([]) is None


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
@pytest.mark.parametrize("scale", [pytest.param(1.0, marks=pytest.mark.slow), 3e4])
def test_a_browser_lays_the_page_out_without_overlaps_cuts_and_messages(market: Market, scale: float) -> None:
    name = "W" * 5000
    (history,) = market.preprocessor.products
    named = replace(history, product=name)
    market = replace(market, preprocessor=replace(market.preprocessor, products=(named,)))
    rows = review_products(market, [entry() | {"product": name}], 0)
    rows = [row._replace(gain=Interval(*(scale * end for end in row.gain))) for row in rows]
    for found in (rows, []):
        html = render_review(lay_out_review(found, "profit", PLAIN), "sales.csv", PLAIN)
        document, said = browse(html)
        assert said == [] and "</html>" in document and ("<table" in document) == bool(found)
        for width, measured in measure(html, WIDTHS).items():
            assert measured["width"] == WIDTHS[width] and measured["texts"] > (30 if found else 3), width
            assert measured["scroll"] <= measured["width"], (width, measured["cut"])
            assert (measured["met"], measured["cut"], measured["outside"]) == ([], [], []), width


def test_the_page_separates_days_at_another_price_and_contains_no_markup_of_a_name(market: Market) -> None:
    (history,) = market.preprocessor.products
    named = replace(history, product="<b>mug</b>")
    market = replace(market, preprocessor=replace(market.preprocessor, products=(named,)))
    page = lay_out_review(review_products(market, [entry() | {"product": "<b>mug</b>"}], 0), "profit", PLAIN)
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
    (news,) = find_news([steady], [{**advised, "current_price": 12.0}], None, "shop", PLAIN)
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
    news = find_stop({"products": [advice, {"product": "other"}]}, few, "shop", PLAIN)
    assert news is not None
    assert news.words == "the stop rule has triggered, fewer than 15 units on 3 days running until 24 Feb 2025"
    assert news.step.startswith("Charge 10.00 again in your shop")
    command = "pricerl override 10.00 --reason 'stop rule' --until 2025-03-16 --run_name shop --product product"
    assert news.step.endswith(command), "it names the product among several, and a day that is still to come"
    interrupted = _history(make_product, [14.0, 14.0, 18.0] * 4 + [18.0] * 2, price=changed)
    taken_back = _history(make_product, [14.0] * 14)
    for history in (interrupted, taken_back):
        assert find_stop({"products": [advice]}, history, "shop", PLAIN) is None
    assert find_stop({"products": [{**advice, "stop_rule": None}]}, few, "shop", PLAIN) is None
    assert find_stop(None, few, "shop", PLAIN) is None
