"""Index of many products: what to do first, totals, what changed, and pages for those that need a look."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
from advice_outputs import Document
from browser import CHROMIUM, browse

from pricerl.advice.block import block_lines
from pricerl.advice.report.render import page_of, render_pages
from pricerl.advice.report.work_list import MOST_LISTED, MOST_PAGES, WorkList
from pricerl.advice.sentences.next_steps import Place
from pricerl.formatting import PLAIN


@pytest.fixture
def document(changed: Document, kept: Document) -> Document:
    """A change, a larger change, a price that stays, and a product whose alarm went off."""
    (change,), (stays,) = changed["products"], kept["products"]
    large = copy.deepcopy(change)
    large["uplift"]["profit"] = [90.0, 70.0, 110.0]
    change["uplift"]["profit"] = [30.0, -10.0, 60.0]
    alarm = {"days": 3, "first_day": "2025-03-01", "last_good_price": 10.0, "sales": 1.0, "low": 5.0}
    names = {"mug": stays, "Bowl": change, "plate": large, "jug": {**stays, "alarm": alarm}}
    return {**changed, "products": [{**item, "product": name} for name, item in names.items()]}


def names_of(document: Document, order: int) -> list[str]:
    return [task.name for task in WorkList(document["products"]).orders({}, PLAIN)[order][2]]


def test_exceptions_come_first_then_changes_by_gain_and_totals_sum_the_gains_with_their_limits(
    document: Document,
) -> None:
    assert names_of(document, 0) == ["jug", "plate", "Bowl", "mug"]
    assert names_of(document, 1) == ["Bowl", "jug", "mug", "plate"]
    totals = WorkList(document["products"]).totals(PLAIN)
    assert [value for value, _ in totals] == ["1", "2", "1", "+120.00"]
    assert totals[-1][1] == "profit per day (90 %: +60.00 to +170.00)"


def of_category(product: Document, name: str, together: list[float] | None) -> Document:
    found = {"category": "tea", "share": [0.4, 0.3, 0.5], "together": together}
    return {**copy.deepcopy(product), "product": name, "substitution": found}


def test_a_category_stands_together_and_counts_once(document: Document) -> None:
    stays, change, large, alarm = document["products"]
    teas = [of_category(item, f"tea {at}", [100.0, 40.0, 150.0]) for at, item in enumerate((stays, large, change))]
    work = WorkList([alarm, stays, *teas, {**change, "product": "cup"}])
    (_, _, tasks), (_, _, by_name) = work.orders({}, PLAIN)
    head = "tea: together +100.00 profit per day (90 %: +40.00 to +150.00)"
    assert [task.name for task in tasks] == ["jug", "tea 1", "tea 2", "tea 0", "cup", "mug"]
    assert [task.name for task in by_name] == ["cup", "jug", "mug", "tea 0", "tea 1", "tea 2"]
    assert [task.category for task in tasks] == ["", head, head, head, "", ""]
    assert work.sums(PLAIN) == [("profit per day", [130.0, 30.0, 210.0])], "not 90 + 30 + 30 for each product alone"
    index = dict(render_pages({**document, "products": [alarm, *teas]}))["report.html"]
    assert index.count("tea: together +100.00") == 2, "once in each order"
    lines = block_lines([alarm, *teas], PLAIN, Place())
    assert lines[4].strip() == head and lines[5].startswith(" tea 1 ")


def test_a_category_of_which_a_person_decided_otherwise_counts_by_product(document: Document) -> None:
    _, change, large, _ = document["products"]
    order = {"id": 1, "kind": "pause", "price": 10.0, "until": "2026-01-31", "status": "active", "schedule": []}
    teas = [of_category(item, f"tea {at}", [100.0, 40.0, 150.0]) for at, item in enumerate((large, change))]
    assert WorkList(teas).sums(PLAIN)[0][1] == [100.0, 40.0, 150.0]
    teas[0] |= {"orders": [{**order, **dict.fromkeys(("reason", "author", "recorded"), "x")}]}
    assert WorkList(teas).sums(PLAIN) == [("profit per day", [30.0, -10.0, 60.0])]
    assert WorkList([of_category(large, "tea", None)]).orders({}, PLAIN)[0][2][0].category == "tea"


def test_a_small_gain_shows_its_possible_loss_in_list_total_and_page(document: Document) -> None:
    """Next to 150 per day without decimals, -0.33 to +1.00 would read 0 to +1."""
    product = document["products"][1]
    product["keep"]["profit"] = product["recommended"]["profit"] = [150.0, 140.0, 160.0]
    product["uplift"]["profit"] = [0.26, -0.33, 1.0]
    work = WorkList([product])
    ((_, _, (task,)), *_) = work.orders({}, PLAIN)
    assert (task.gain.value, *task.gain.notes) == ("+0.26", "−0.33 to +1.00")
    assert work.totals(PLAIN)[-1] == ("+0.26", "profit per day (90 %: −0.33 to +1.00)")
    assert PLAIN.compared_digits("profit", [2000.0], [0.26, -0.33, 1.0]) == 2
    assert PLAIN.compared_digits("profit", [2000.0], [26.0, -33.0, 1.0]) == 0


@pytest.mark.parametrize(
    ("previous", "words"),
    [
        (None, "new"),
        ((10.0, 9.5), "as before"),
        ((10.0, 10.0), "10.00 advised before"),
        ((10.6, 10.0), "followed: 10.60 to 10.00"),
        ((10.6, 11.0), "not followed (11.00): 10.60 to 10.00"),
    ],
)
def test_the_list_says_what_changed_since_the_last_advice(
    previous: tuple[float, float] | None, words: str, document: Document
) -> None:
    product = {**document["products"][1], "current_price": 10.0, "recommended_price": 9.5}
    product["previous"] = None
    if previous is not None:
        current, advised = previous
        grade = product["decision"]["grade"]
        product["previous"] = {"entry": 1, "current_price": current, "recommended_price": advised, "grade": grade}
    assert since(product) == words
    if previous is not None:
        product["previous"]["grade"] = "D"
        assert since(product) == f"{words}; grade D before"


def since(product: Document) -> str:
    (task,) = WorkList([product]).orders({}, PLAIN)[0][2]
    return task.since


def test_of_many_products_only_those_that_need_a_look_get_a_page_and_the_others_on_demand(
    document: Document,
) -> None:
    kept = document["products"][0]
    document["products"] += [{**kept, "product": f"kept {number}"} for number in range(MOST_PAGES)]
    pages = dict(render_pages(document))
    assert sorted(pages) == ["report.html", "report/002-bowl.html", "report/003-plate.html", "report/004-jug.html"]
    index = pages["report.html"]
    assert "pricerl report --product NAME" in index and "<script" not in index
    orders = [re.findall(r'href="([^"]+)"', order) for order in index.split("<tbody>")[1:]]
    assert [sorted(links) for links in orders] == 2 * [sorted(pages.keys() - {"report.html"})]
    name, page = page_of(document, "kept 3")
    assert name == "report/008-kept-3.html" and "<bdi>kept 3</bdi>" in page and 'href="../report.html"' in page
    assert page_of(document, "plate") == ("report/003-plate.html", pages["report/003-plate.html"])


def test_every_page_begins_with_a_note_on_the_whole_advice(document: Document) -> None:
    alone = {**document, "products": document["products"][:1]}
    for pages in (dict(render_pages(item, note="Not <charged>.")) for item in (document, alone)):
        assert all('<body><p class="lead">Not &lt;charged&gt;.</p>' in page for page in pages.values())


def with_stakes(document: Document, number: int) -> Document:
    """As many changes, of which later ones gain more, after the four products."""
    change = document["products"][1]
    more = [
        {**change, "product": f"change {gain}", "uplift": {**change["uplift"], "profit": [gain / 100, 0.0, gain / 50]}}
        for gain in range(number)
    ]
    return {**document, "products": [*document["products"], *more]}


def test_the_hundred_products_that_matter_most_are_listed_and_the_others_counted_on_page_and_terminal(
    document: Document,
) -> None:
    many = with_stakes(document, 4 * MOST_LISTED)
    names = names_of(many, 0)
    assert names == ["jug", "plate", "Bowl", *(f"change {gain}" for gain in range(399, 302, -1))]
    assert {*names} == {*names_of(many, 1)} and len(names) == MOST_LISTED
    work = WorkList(many["products"])
    assert len(work) == 404
    assert [value for value, _ in work.totals(PLAIN)][:3] == ["1", "402", "1"]
    pages = dict(render_pages(many))
    assert len(pages) == 1 + MOST_LISTED and "report/404-change-399.html" in pages
    assert "Less is at stake in the other 304 products" in pages["report.html"]
    assert "decide on: 404 products" in pages["report.html"]
    assert "in the other" not in dict(render_pages(document))["report.html"]
    lines = block_lines(many["products"], PLAIN, Place(Path("report.html")))
    assert " … and 90 more on the page, 304 others in advice.csv" in lines
    assert lines[0].startswith(" 404 products · 0 to raise, 402 to lower, 2 to keep")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
def test_filter_and_order_work_in_a_browser_under_the_pages_own_policy(document: Document) -> None:
    index = dict(render_pages(document))["report.html"]
    shown = """
    const seen = () => [...document.querySelectorAll('.index tbody tr')].filter(row => row.offsetParent)
      .map(row => row.querySelector('bdi').textContent);
    const found = {all: seen()};
    for (const name of ['show-change', 'show-exception', 'show-all', 'order-name']) {
      document.getElementById(name).click(); found[name] = seen();
    }
    document.body.insertAdjacentHTML('beforeend', `<pre id="seen">${JSON.stringify(found)}</pre>`);"""
    assert browse(index)[1] == []
    scripted = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", index)
    dom, _ = browse(scripted.replace("</body>", f"<script>{shown}</script></body>"))
    found = json.loads(re.findall(r'<pre id="seen">(.*?)</pre>', dom)[-1])
    assert found["all"] == found["show-all"] == ["jug", "plate", "Bowl", "mug"]
    assert (found["show-change"], found["show-exception"]) == (["plate", "Bowl"], ["jug"])
    assert found["order-name"] == ["Bowl", "jug", "mug", "plate"]
