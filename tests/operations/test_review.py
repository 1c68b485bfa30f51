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
from pricerl.data.history import ProductHistory
from pricerl.formatting import PLAIN
from pricerl.market.cost import CostConfig
from pricerl.market.market import Market
from pricerl.operations.review import lay_out_review, render_review, review_lines, review_products, total_of

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
            "date": str(np.datetime64("2025-02-05") + day),
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
        assert said == [] and "</html>" in document and ("<svg" in document) == bool(found)
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
