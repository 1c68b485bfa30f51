"""The report in a real browser: silent console, nothing overlaps, nothing is cut off, no sideways scrolling."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from advice_outputs import Document, mapped
from browser import CHROMIUM, PRINTED_WIDTH, SMALLEST, browse_all, count_sheets, measure_all

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
    "changed": (),
    "several": ("Mug", "x" * 5000, "<b>Bowl</b>", "🧼 سلام \u202e"),
    "long name": ("W" * 5000,),
}


def test_a_page_is_laid_out_at_every_width_without_overlaps_or_cuts(kept: Document, changed: Document) -> None:
    pages = {"kept": pages_of(kept)} | {name: pages_of(changed, *products) for name, products in NAMES.items()}
    found = measure_all([page["report.html"] for page in pages.values()], WIDTHS)
    for advice, measured in zip(pages, found, strict=True):
        for name, page in measured.items():
            assert page["width"] == WIDTHS[name] and page["texts"] > 20, (advice, name)
            assert page["scroll"] <= page["width"], (advice, name, page["cut"])
            faults = (page["met"], page["cut"], page["outside"], page["squeezed"])
            assert faults == ([], [], [], []), (advice, name)
        assert measured["printed"]["smallest"][0] >= SMALLEST, (advice, measured["printed"]["smallest"])


AMOUNTS = {"price", "profit", "current_price", "recommended_price", "price_min", "price_max", "price_low", "price_high"}


LOCALES = ("en_US", "de_DE", "hi_IN")
SCALES = (1e-3, 1.0, 37.0, 3e4)


def test_no_label_leaves_its_chart_whatever_the_size_of_the_numbers(changed: Document) -> None:
    def enlarged(scale: float) -> Document:
        return mapped(changed, lambda key, leaf: leaf * scale if isinstance(leaf, float) and key in AMOUNTS else leaf)

    cases = list(product(LOCALES, SCALES))
    pages = [pages_of({**enlarged(scale), "locale": locale})["report.html"] for locale, scale in cases]
    widths = {"desktop": 1280, "printed": PRINTED_WIDTH}
    for case, measured in zip(cases, measure_all(pages, widths), strict=True):
        for name, found in measured.items():
            assert (found["outside"], found["met"]) == ([], []) and found["texts"] > 20, (case, name)


def test_the_console_stays_silent_unless_the_style_sheet_is_not_the_one_that_the_pages_own_policy_allows(
    kept: Document, changed: Document
) -> None:
    pages = [*pages_of(kept).values(), *pages_of(changed, "<img src=x onerror=alert(1)>", "Mug").values()]
    documents, said = browse_all(pages)
    assert said == [] and len(documents) == len(pages) and all("</table>" in item for item in documents)
    html = pages_of(changed)["report.html"]
    assert browse_all([html.replace("color-scheme: light dark", "color-scheme: dark")])[1] != []


def test_two_weeks_of_a_product_print_on_two_sheets(kept: Document) -> None:
    documents = [kept, *(json.loads(path.read_bytes()) for path in EXAMPLES.glob("*.json"))]
    assert [count_sheets(pages_of(document)["report.html"]) for document in documents] == [2] * len(documents)
    assert len(documents) > 2
    assert count_sheets(PAGE.format("<p>line</p>" * 200)) > 1


FAULTS: dict[str, tuple[int, str, Any]] = {
    "scroll": (390, '<p style="width:2000px">wide</p>' + "<p>text</p>" * 30, 2008),
    "met": (1280, '<p>below</p><p style="position:absolute;top:0;left:8px">above</p>', [["below", "above"]]),
    "cut": (390, '<p style="position:absolute;left:380px;white-space:nowrap">too long</p>', ["too long"]),
    "squeezed": (390, '<p style="width:1ch;overflow-wrap:anywhere">letters</p>', ["letters"]),
}


def test_what_a_page_must_not_do_is_found() -> None:
    widths = {str(width): width for width, *_ in FAULTS.values()}
    measured = measure_all([PAGE.format(body) for _, body, _ in FAULTS.values()], widths)
    found = {fault: page[str(FAULTS[fault][0])][fault] for fault, page in zip(FAULTS, measured, strict=True)}
    assert found == {fault: found for fault, (_, _, found) in FAULTS.items()}
