"""The report in a real browser: silent console, nothing overlaps, nothing is cut off, no sideways scrolling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, PRINTED_WIDTH, SMALLEST, browse, count_sheets, measure

from pricerl.advice.report.render import render_pages

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no chromium")]

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
WIDTHS = {"desktop": 1280, "small phone": 320, "phone": 375, "large phone": 414, "printed": PRINTED_WIDTH}

PAGE = '<!DOCTYPE html><html><head><meta name="viewport" content="width=device-width"></head><body>{}</body></html>'


def pages_of(folder: Path, *names: str) -> dict[str, str]:
    """Pages of an advice; with names, of as many products that are called so."""
    document = json.loads((folder / "advice.json").read_text(encoding="utf-8"))
    if names:
        document["products"] = [{**document["products"][0], "product": name} for name in names]
    return dict(render_pages(document))


@pytest.mark.parametrize("advice", ["kept", "changed", "several", "long name"])
def test_a_page_is_laid_out_at_every_width_without_overlaps_or_cuts(advice: str, trained: Path, moved: Path) -> None:
    if advice in ("kept", "changed"):
        html = pages_of(trained if advice == "kept" else moved)["report.html"]
    elif advice == "several":
        html = pages_of(moved, "Mug", "x" * 5000, "<b>Bowl</b>", "🧼 سلام \u202e")["report.html"]
    else:
        html = pages_of(moved, "W" * 5000)["report.html"]
    measured = measure(html, WIDTHS)
    assert set(measured) == set(WIDTHS)
    for name, found in measured.items():
        assert found["width"] == WIDTHS[name] and found["texts"] > 20, name
        assert found["scroll"] <= found["width"], (name, found["cut"])
        assert (found["met"], found["cut"], found["outside"], found["squeezed"]) == ([], [], [], []), name
    assert measured["printed"]["smallest"][0] >= SMALLEST, measured["printed"]["smallest"]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 37.0, 3e4])
@pytest.mark.parametrize("locale", ["en_US", "de_DE", "hi_IN"])
def test_no_label_leaves_its_chart_whatever_the_size_of_the_numbers(scale: float, locale: str, moved: Path) -> None:
    document = json.loads((moved / "advice.json").read_text(encoding="utf-8"))
    html = dict(render_pages(enlarged({**document, "locale": locale}, scale)))["report.html"]
    for name, found in measure(html, {"desktop": 1280, "printed": PRINTED_WIDTH}).items():
        assert (found["outside"], found["met"]) == ([], []), name


def enlarged(document: dict[str, Any], scale: float) -> dict[str, Any]:
    """The advice with all prices and amounts of its charts multiplied."""
    product = document["products"][0]
    details, quality = product["details"], product["data_quality"]
    for name in ("price", "profit"):
        for part in (details["curves"], details["own_days"]):
            part[name] = times(part[name], scale)
    for record, names in ((product, ("current_price", "recommended_price")), (quality, ("price_min", "price_max"))):
        record.update({name: times(record[name], scale) for name in names})
    for day in product["days"]:
        day.update({name: times(day[name], scale) for name in ("recommended_price", "price_low", "price_high")})
    return document


def times(value: Any, scale: float) -> Any:
    if isinstance(value, list):
        return [times(item, scale) for item in value]
    return None if value is None else value * scale


def test_the_console_stays_silent(trained: Path, moved: Path) -> None:
    for html in (*pages_of(trained).values(), *pages_of(moved, "<img src=x onerror=alert(1)>", "Mug").values()):
        document, said = browse(html)
        assert said == [] and "</html>" in document


def test_the_style_sheet_is_in_force_under_the_pages_own_policy(moved: Path) -> None:
    html = pages_of(moved)["report.html"]
    assert browse(html.replace("color-scheme: light dark", "color-scheme: dark"))[1] != []


def test_two_weeks_of_a_product_print_on_two_sheets(trained: Path) -> None:
    documents = [trained / "advice.json", *sorted(EXAMPLES.glob("*.json"))]
    for path in documents:
        assert count_sheets(dict(render_pages(json.loads(path.read_bytes())))["report.html"]) == 2, path
    assert len(documents) > 2
    assert count_sheets(PAGE.format("<p>line</p>" * 200)) > 1


def test_what_a_page_must_not_do_is_found() -> None:
    wide = measure(PAGE.format('<p style="width:2000px">wide</p>' + "<p>text</p>" * 30), {"phone": 390})["phone"]
    assert wide["scroll"] == 2008
    over = '<p>below</p><p style="position:absolute;top:0;left:8px">above</p>'
    assert measure(PAGE.format(over), {"desktop": 1280})["desktop"]["met"] == [["below", "above"]]
    cut = '<p style="position:absolute;left:380px;white-space:nowrap">a text that runs off</p>'
    assert measure(PAGE.format(cut), {"phone": 390})["phone"]["cut"] == ["a text that runs off"]
    thin = '<p style="width:1ch;overflow-wrap:anywhere">letters</p>'
    assert measure(PAGE.format(thin), {"phone": 390})["phone"]["squeezed"] == ["letters"]
