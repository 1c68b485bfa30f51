"""The report in a real browser: silent console, nothing overlaps, nothing is cut off, no sideways scrolling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from advice_outputs import Document, mapped
from browser import CHROMIUM, PRINTED_WIDTH, SMALLEST, browse, count_sheets, measure

from pricerl.advice.report.render import render_pages

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no chromium")]

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
WIDTHS = {"desktop": 1280, "small phone": 320, "phone": 375, "large phone": 414, "printed": PRINTED_WIDTH}

PAGE = '<!DOCTYPE html><html><head><meta name="viewport" content="width=device-width"></head><body>{}</body></html>'


def pages_of(document: Document, *names: str) -> dict[str, str]:
    """Pages of an advice; with names, of as many products that are called so."""
    products = [{**document["products"][0], "product": name} for name in names] or document["products"]
    return dict(render_pages({**document, "products": products}))


NAMES: dict[str, tuple[str, ...]] = {
    "kept": (),
    "changed": (),
    "several": ("Mug", "x" * 5000, "<b>Bowl</b>", "🧼 سلام \u202e"),
    "long name": ("W" * 5000,),
}


@pytest.mark.parametrize("advice", NAMES)
def test_a_page_is_laid_out_at_every_width_without_overlaps_or_cuts(
    advice: str, kept: Document, changed: Document
) -> None:
    html = pages_of(kept if advice == "kept" else changed, *NAMES[advice])["report.html"]
    measured = measure(html, WIDTHS)
    assert set(measured) == set(WIDTHS)
    for name, found in measured.items():
        assert found["width"] == WIDTHS[name] and found["texts"] > 20, name
        assert found["scroll"] <= found["width"], (name, found["cut"])
        assert (found["met"], found["cut"], found["outside"], found["squeezed"]) == ([], [], [], []), name
    assert measured["printed"]["smallest"][0] >= SMALLEST, measured["printed"]["smallest"]


AMOUNTS = {"price", "profit", "current_price", "recommended_price", "price_min", "price_max", "price_low", "price_high"}


@pytest.mark.parametrize("scale", [1e-3, 1.0, 37.0, 3e4])
@pytest.mark.parametrize("locale", ["en_US", "de_DE", "hi_IN"])
def test_no_label_leaves_its_chart_whatever_the_size_of_the_numbers(
    scale: float, locale: str, changed: Document
) -> None:
    def enlarged(key: str, leaf: Any) -> Any:
        return leaf * scale if isinstance(leaf, float) and key in AMOUNTS else leaf

    html = pages_of({**mapped(changed, enlarged), "locale": locale})["report.html"]
    for name, found in measure(html, {"desktop": 1280, "printed": PRINTED_WIDTH}).items():
        assert (found["outside"], found["met"]) == ([], []), name


def test_the_console_stays_silent_unless_the_style_sheet_is_not_the_one_that_the_pages_own_policy_allows(
    kept: Document, changed: Document
) -> None:
    for html in (*pages_of(kept).values(), *pages_of(changed, "<img src=x onerror=alert(1)>", "Mug").values()):
        document, said = browse(html)
        assert said == [] and "</html>" in document
    html = pages_of(changed)["report.html"]
    assert browse(html.replace("color-scheme: light dark", "color-scheme: dark"))[1] != []


def test_two_weeks_of_a_product_print_on_two_sheets(kept: Document) -> None:
    documents = [kept, *(json.loads(path.read_bytes()) for path in EXAMPLES.glob("*.json"))]
    assert [count_sheets(pages_of(document)["report.html"]) for document in documents] == [2] * len(documents)
    assert len(documents) > 2
    assert count_sheets(PAGE.format("<p>line</p>" * 200)) > 1


@pytest.mark.parametrize(
    ("fault", "width", "body", "found"),
    [
        ("scroll", 390, '<p style="width:2000px">wide</p>' + "<p>text</p>" * 30, 2008),
        ("met", 1280, '<p>below</p><p style="position:absolute;top:0;left:8px">above</p>', [["below", "above"]]),
        ("cut", 390, '<p style="position:absolute;left:380px;white-space:nowrap">too long</p>', ["too long"]),
        ("squeezed", 390, '<p style="width:1ch;overflow-wrap:anywhere">letters</p>', ["letters"]),
    ],
)
def test_what_a_page_must_not_do_is_found(fault: str, width: int, body: str, found: Any) -> None:
    assert measure(PAGE.format(body), {"one": width})["one"][fault] == found
