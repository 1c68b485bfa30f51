"""A product's page: every number from ``advice.json``, verdicts that can also be no, and the same bytes again."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pricerl.advice.report.render import render_page, render_pages
from pricerl.advice.report.sentences import judge_proposal
from pricerl.advice.report.view import View
from pricerl.formatting import PLAIN

Document = dict[str, Any]


@pytest.fixture(params=["kept", "changed"])
def document(request: pytest.FixtureRequest, trained: Path, moved: Path) -> Document:
    folder = trained if request.param == "kept" else moved
    found: Document = json.loads((folder / "advice.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture
def changed(moved: Path) -> Document:
    found: Document = json.loads((moved / "advice.json").read_text(encoding="utf-8"))
    return found


class Page(HTMLParser):
    """Tags with their attributes, and the visible text without the ticks of axes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.values: list[str] = []
        self.parts: list[str] = []
        self.silent = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.values += [value or "" for _, value in attrs]
        self.silent = tag == "style" or ("class", "tick") in attrs

    def handle_endtag(self, tag: str) -> None:
        self.silent = False

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.parts).split())


def page_of(document: Document) -> Page:
    return Page(render_page(document, document["products"][0]))


def decimals_of(text: str) -> list[str]:
    """Numbers with digits after the point, in order."""
    return re.findall(r"\d[\d,]*\.\d+", text)


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def with_floats(value: Any, factor: float) -> Any:
    """The same with every float moved."""
    if isinstance(value, dict):
        return {key: with_floats(item, factor) for key, item in value.items()}
    if isinstance(value, list):
        return [with_floats(item, factor) for item in value]
    return value * factor if isinstance(value, float) else value


def test_every_number_on_the_page_is_one_of_the_document(document: Document) -> None:
    shown = set(decimals_of(page_of(document).text))
    assert len(shown) > 100
    told = {found for leaf in leaves(document) if isinstance(leaf, str) for found in decimals_of(leaf)}
    numbers = [leaf for leaf in leaves(document) if isinstance(leaf, float)]
    known = {f"{abs(value) * scale:,.{digits}f}" for value in numbers for scale in (1, 100) for digits in (1, 2, 3)}
    assert shown - known - told == set()


def test_every_number_on_the_page_moves_when_the_documents_numbers_do(document: Document) -> None:
    wordless = poisoned(document, "words")
    moved = {**wordless, "products": with_floats(wordless["products"], 0.913)}
    pairs = list(zip(*(decimals_of(page_of(item).text) for item in (wordless, moved)), strict=True))
    long = [pair for pair in pairs if len(pair[0].replace(".", "").lstrip("0")) >= 3]
    assert len(long) > 100
    assert [one for one, other in long if one == other] == []


def test_the_same_document_gives_the_same_bytes(document: Document) -> None:
    again = json.loads(json.dumps(document))
    assert list(render_pages(document)) == list(render_pages(again))


def test_the_sections_stand_in_the_order_of_what_a_seller_asks(document: Document) -> None:
    text = page_of(document).text
    order = [
        "Recommended price",
        "Why.",
        "Your data",
        "The next",
        "Keep the price",
        "Limits and orders",
    ]
    order += [
        "Checked against simpler rules",
        "Forecasts of the past",
        "Data quality",
        "What would help",
        "Approve or",
    ]
    places = [text.index(heading) for heading in order]
    assert places == sorted(places)


def test_every_chart_has_a_text_alternative_and_every_reference_its_target(document: Document) -> None:
    html = render_page(document, document["products"][0])
    names = re.findall(r'aria-labelledby="(\S+) (\S+)"', html)
    assert len(names) == 4
    identities = re.findall(r' id="([^"]+)"', html)
    assert len(identities) == len(set(identities))
    assert {name for pair in names for name in pair} <= set(identities)


def test_a_price_that_is_kept_for_want_of_evidence_is_a_normal_page(changed: Document) -> None:
    product = changed["products"][0]
    product["decision"] |= {"follow": "hold", "lacks_evidence": True, "grade": "C", "source": "hold"}
    kept = {"recommended_price": product["current_price"]}
    product |= {**kept, "uplift": None, "days": [{**day, **kept} for day in product["days"]]}
    text = page_of(changed).text
    assert f"Keep {product['current_price']:.2f} cannot say yet: the price is kept" in text
    assert "Probability of a gain – nothing changes the policy's own path:" in text


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (
            (2.0, 1.0, 3.0, 1.0),
            "is better than keeping the price: +2.00 profit per day (90 %: +1.00 to +3.00). It earns more in 64",
        ),
        (
            (2.0, -1.0, 3.0, 0.8),
            "is not shown to be better than keeping the price: +2.00 profit per day (90 %: −1.00 to +3.00)",
        ),
        ((-2.0, -3.0, 1.0, 0.1), "is not better than keeping the price: −2.00 profit per day (90 %: −3.00 to +1.00)"),
        ((0.0, 0.0, 0.0, 0.0), "it is not better than keeping the price."),
    ],
)
def test_that_the_policy_is_no_better_than_keeping_the_price_is_printed(
    value: tuple[float, float, float, float], verdict: str, changed: Document
) -> None:
    *profit, better = value
    changed["products"][0]["proposal"]["over_keep"] |= {"profit": profit, "probability_better": better}
    changed["products"][0]["num_draws"] = 64
    assert verdict in judge_proposal(changed["products"][0], PLAIN)[0]
    assert verdict in page_of(changed).text


def test_one_quantity_has_one_value_on_a_page(document: Document) -> None:
    product = document["products"][0]
    view = View.of(product, PLAIN)
    alternatives = {rule: {cell.label: cell for cell in cells} for rule, cells in view.baseline_rows()}
    outcomes = {name: {cell.label: cell for cell in cells} for name, cells in view.comparison_rows()}
    assert alternatives["keep the price"]["Profit"] == outcomes["Keep the price"]["Profit"]
    kept = next(tile for tile in View.of({**product, "uplift": None}, PLAIN).tiles() if tile.label == "Profit per day")
    assert kept.value == outcomes["Keep the price"]["Profit"].value
    better = alternatives["policy (SAC)"]["Beats keeping"].value
    moves = any(product["proposal"]["over_keep"]["profit"])
    assert not moves or f"It earns more in {better} plausible scenarios" in judge_proposal(product, PLAIN)[0]
    assert len(alternatives) == len(view.baseline_rows())


@pytest.mark.parametrize(("side", "words"), [("above", "the highest price you tried ("), ("below", "the lowest price")])
def test_at_the_edge_of_the_tried_prices_the_best_may_lie_beyond(side: str, words: str, changed: Document) -> None:
    changed["products"][0]["details"]["beyond"] = side
    text = page_of(changed).text
    assert words in text and f"The best price may lie {side} it, where your history contains nothing." in text
    changed["products"][0]["details"]["beyond"] = ""
    assert "may lie" not in page_of(changed).text


def test_unknown_costs_show_no_profit_and_say_what_helps(changed: Document) -> None:
    product = changed["products"][0]
    product |= {"raising": None, "sensitivity": None}
    policy = product["proposal"]
    for outcome in (product["keep"], product["recommended"], policy["outcome"]):
        outcome["profit"] = None
    for uplift in (product["uplift"], policy["over_keep"], policy["over_log"]):
        uplift |= {"profit": None, "probability_better": None, "cvar": None}
    product["details"]["curves"]["profit"], product["details"]["price_test"] = None, None
    product["days"] = [{**day, "profit": None} for day in product["days"]]
    product["baselines"] = [
        {**row, "outcome": {**row["outcome"], "profit": None}, "probability_better": None}
        for row in product["baselines"]
    ]
    page = page_of(changed)
    assert "Profit per day unknown costs are not known" in page.text and "set data.cost.unit_cost" in page.text
    assert "Profit per day at each price" not in page.text and "None" not in page.text


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"quality": "PASS"}, "PASS"),
        ({"quality": "REVIEW", "reasons": ["30% of 90 calendar days have no row"]}, "REVIEW"),
        ({"quality": "FAIL", "reasons": ["only 365 usable days; at least 500 are needed"]}, "FAIL"),
    ],
)
def test_the_data_pass_or_fail_or_ask_for_a_look(changes: dict[str, Any], verdict: str, changed: Document) -> None:
    changed["products"][0]["data_quality"] |= changes
    text = page_of(changed).text
    assert f"Data quality: {verdict}" in text
    assert ("Export every calendar day" in text) == (verdict == "REVIEW")


def _check(actual: float) -> dict[str, Any]:
    return {"predicted": 180.0, "low": 90.0, "high": 260.0, "actual": actual, "inside": True}


def test_optional_sections_appear_with_their_contents_and_only_then(changed: Document) -> None:
    product = changed["products"][0]
    product["guardrails"] = []
    titles = ("Guardrails that changed the price", "Your orders", "Track record")
    assert not [title for title in titles if title in page_of(changed).text]
    product["guardrails"] = [
        {"date": "2025-05-03", "rule": "max_change", "before": 20.01, "after": 17.82, "why": "at most 5 %"},
        {"date": "2025-05-06", "rule": "finite", "before": None, "after": 17.82, "why": "no number"},
    ]
    product["orders"] = [
        {"id": 4, "kind": "override", "price": 9.9, "until": "2025-05-03", "actor": "anna", "reason": "clearance"}
        | {"status": "refused", "refusal": "below the floor"}
    ]
    product["track_record"] = {"days": [], "followed": 1, "inside": {"profit": [1, 2]}, "overruled": None}
    product["track_record"]["total"] = {"profit": _check(140.0)}
    text = page_of(changed).text
    assert "Day Proposed Allowed Guardrail Sat 3 May 20.01 17.82 at most 5 % (max_change)" in text
    assert "Tue 6 May – 17.82 no number (finite)" in text
    assert "Your orders Entry Order Price Until By Reason Status" in text
    assert "4 override 9.90 3 May 2025 anna clearance refused: below the floor" in text
    assert "Track record Inside the 90 % interval: profit 1 of 2. Profit in total: predicted 180.00 (90 %:" in text
    assert "Profit per day: predicted 90.00 (90 %: 45.00 to 130.00), actual 70.00, inside." in text


def test_currency_and_locale_of_the_document_reach_every_amount(changed: Document) -> None:
    text = page_of({**changed, "currency": "EUR", "locale": "de_DE"}).text
    price = f"{changed['products'][0]['recommended_price']:.2f}".replace(".", ",")
    assert f"{price} €" in text and "Money is in the currency of your file" not in text
    assert "Money is in the currency of your file" in page_of(changed).text


def test_a_page_stays_small_with_a_year_of_days_and_a_long_horizon(changed: Document) -> None:
    product = changed["products"][0]
    own = product["details"]["own_days"]
    days = [f"2024-{1 + day // 30 % 12:02d}-{1 + day % 28:02d}" for day in range(365)]
    own |= {
        "date": days,
        "price": [9.5 + day * 0.01 for day in range(365)],
        "units": [day * 1.37 for day in range(365)],
    }
    own |= {"profit": [day * 3.3 for day in range(365)]}
    product["days"] = [product["days"][0]] * 365
    page = render_page(changed, product)
    assert len(page.encode()) < 150_000 and "Further days are in advice.csv." in page


PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "$\\frac{1}{0}$ $x^2$",
    '=HYPERLINK("http://x")',
    "../../etc/passwd\x00",
    "abc\u202edef\u2066\u200f",
    "🧼👩\u200d🔧",
    "&lt;b&gt; &#60;script&#62;",
    "]]><!-- -->",
    "x" * 5000,
)
SETTLED = {"date", "first_day", "last_day", "grade", "follow", "beyond", "quality", "locale"}
SETTLED |= {"currency", "sales_measure"}
"""Keys whose texts are ours and choose what is shown."""


def poisoned(value: Any, payload: str, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: poisoned(item, payload, name) for name, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, payload, key) for item in value]
    return payload if isinstance(value, str) and key not in SETTLED else value


def _with_sections(document: Document, words: str) -> Document:
    edit = {"date": "2025-05-03", "rule": words, "before": 1.0, "after": 2.0, "why": words}
    order = {"id": 1, "kind": "pause", "price": None, "until": "2025-05-03", "actor": words, "reason": words}
    document["products"][0] |= {
        "guardrails": [edit],
        "orders": [{**order, "status": "refused", "refusal": words}],
    }
    return document


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_texts_of_the_file_change_no_tag_and_no_attribute(payload: str, changed: Document) -> None:
    product = changed["products"][0]
    product["data_quality"] |= {"reasons": ["reason"], "notes": ["note"]}
    plain, page = (page_of(_with_sections(poisoned(changed, words), words)) for words in ("harmless", payload))
    assert page.tags == plain.tags
    assert not [value for value in page.values if "\u202e" in value]
    assert "\u202e" not in page.text and "\x00" not in page.text and "x" * 1001 not in page.text
    assert payload[:3] in page.text


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_names_of_products_are_inert_in_the_index_and_in_the_names_of_pages(payload: str, changed: Document) -> None:
    product = changed["products"][0]
    both = {**changed, "products": [{**copy.deepcopy(product), "product": name} for name in (payload, "Mug")]}
    pages = dict(render_pages(both))
    assert list(pages)[-1] == "report.html" and len(pages) == 3
    assert all(re.fullmatch(r"report\.html|report/[a-z0-9-]+\.html", name) for name in pages)
    plain = {**changed, "products": [product, product]}
    assert Page(pages["report.html"]).tags == Page(dict(render_pages(plain))["report.html"]).tags
