"""A product's page: every number from ``advice.json``, verdicts that can also be no, and the same bytes again."""

from __future__ import annotations

import itertools
import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from advice_outputs import Document, mapped

from pricerl.advice.report.first_screen import lay_out
from pricerl.advice.report.render import MOST_SLUG, page_name, render_page, render_pages
from pricerl.advice.report.view import View, shorten
from pricerl.advice.sentences.grounds import judge_proposal
from pricerl.advice.sentences.next_steps import Place
from pricerl.formatting import PLAIN


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


def test_every_number_on_the_page_is_one_of_the_document(document: Document) -> None:
    shown = set(decimals_of(page_of(document).text))
    assert len(shown) > 40
    leaves: list[Any] = []
    mapped(document, lambda _, leaf: leaves.append(leaf))
    told = {found for leaf in leaves if isinstance(leaf, str) for found in decimals_of(leaf)}
    numbers = [leaf for leaf in leaves if isinstance(leaf, float)]
    (product,) = document["products"]
    weighed = product.get("weighed") or {}
    numbers += [product["keep"][name][0] + gain[0] for name, gain in weighed.items() if isinstance(gain, list)]
    known = {f"{abs(value) * scale:,.{digits}f}" for value in numbers for scale in (1, 100) for digits in (1, 2, 3)}
    assert shown - known - told == set()


def test_every_number_on_the_page_moves_when_the_documents_numbers_do(document: Document) -> None:
    wordless = poisoned(document, "words")
    products = mapped(wordless["products"], lambda _, leaf: leaf * 0.987 if isinstance(leaf, float) else leaf)
    moved = {**wordless, "products": products}
    pairs = list(zip(*(decimals_of(page_of(item).text) for item in (wordless, moved)), strict=True))
    long = [pair for pair in pairs if len(pair[0].replace(".", "").lstrip("0")) >= 3]
    assert len(long) > 40
    assert [one for one, other in long if one == other] == []


def test_the_sections_stand_in_the_order_of_what_a_seller_asks_and_the_first_screen_is_short(
    document: Document,
) -> None:
    text = page_of(document).text
    order = [
        "Per day, on average",
        *(["Why", "How certain", "What to do"] if document["products"][0]["uplift"] else ["Why", "What would decide"]),
        "Price, last weeks and next days",
        "Evidence",
        "The next",
        "Checked against simpler rules",
        "Limits and orders",
        "Forecasts of the past",
        "Data quality",
        "About this advice",
    ]
    places = [text.index(heading) for heading in order]
    assert places == sorted(places)
    html = render_page(document, document["products"][0])
    first = re.sub("<svg.*?</svg>", "", html[html.index("<main") : html.index("</main>")], flags=re.DOTALL)
    assert 100 < len(Page(first).text.split()) <= 400 and first.count("<h1>") == 1


def test_charts_have_a_text_alternative_headings_descend_by_one_level_and_tables_have_captions_and_scopes(
    document: Document,
) -> None:
    html = render_page(document, document["products"][0])
    names = re.findall(r'aria-labelledby="(\S+) (\S+)"', html)
    assert len(names) == 4
    identities = re.findall(r' id="([^"]+)"', html)
    assert len(identities) == len(set(identities))
    assert {name for pair in names for name in pair} <= set(identities)
    levels = [int(level) for level in re.findall(r"<h(\d)>", html)]
    assert levels[0] == 1 and levels.count(1) == 1 and max(levels) > 2
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
    tables = html.split("<table")[1:]
    assert len(tables) > 4 and all(table.lstrip().partition(">")[2].lstrip().startswith("<caption") for table in tables)
    assert not re.search(r"<th(?![^>]*scope=)[ >]", html)


def test_a_price_that_is_kept_for_lack_of_evidence_shows_the_weighed_change_and_what_would_change_the_answer(
    changed: Document,
) -> None:
    product = changed["products"][0]
    why = "going to 11.00 would earn more in only 57 % of plausible scenarios; a change is advised from 70 %"
    hold = {"follow": "hold", "lacks_evidence": True, "grade": "C", "source": "hold", "unsure": True, "why": why}
    product["decision"] |= {**hold, "reasons": [{"code": "chance_too_low", "numbers": {}}]}
    days = [{**day, "recommended_price": product["current_price"]} for day in product["days"]]
    product |= {"recommended_price": product["current_price"], "weighed": product["uplift"], "settled_price": 11.0}
    product |= {"days": days, "uplift": None, "stop_rule": None}
    test = {"price": 10.9, "regular_price": 9.2, "days": 28, "block": 7, "gain": 310.0, "cost": 21.0, "pays": True}
    product["details"]["price_test"] = test
    text = page_of(changed).text
    now = f"{product['current_price']:.2f}"
    for shown in (
        f"Keep the price at {now}",
        f"keep {now} go to 11.00 difference",
        "What would decide",
        "pricerl what-if 11.00",
        "Going to 11.00 would earn more in only 57 % of",
        "Test 10.90: 28 days, blocks of 7 days at 10.90 and at 9.20",
    ):
        assert shown in text
    assert text.count("to 11.00 would earn more in") == 1 and "310 profit more" in text.replace(".00", "")
    assert "pricerl approve" not in text and "Not convinced?" not in text


def test_no_interval_has_width_zero_and_no_column_is_empty(changed: Document) -> None:
    product = changed["products"][0]
    product["keep"]["units"] = [20.0, 20.0, 20.0]
    product["days"] = [{**day, "organic": None, "ad": [4.0, 4.0, 4.0]} for day in product["days"]]
    page = page_of(changed)
    zero = [pair for pair in re.findall(r"([−+]?[\d,.]+) to ([−+]?[\d,.]+)", page.text) if pair[0] == pair[1]]
    assert zero == [] and "Organic" not in page.text and "Ads" in page.text


def test_stop_rule_currency_and_locale_of_the_document_reach_the_page_and_no_folder_does(changed: Document) -> None:
    changed["products"][0]["stop_rule"] = {"price": 10.0, "units": 7, "days": 5, "false_alarm": 0.0312}
    changed["source"] = "/home/anna/shop/sales.csv"
    text = page_of(changed).text
    assert "Go back to 10.00 if fewer than 7 units are sold on five days running." in text
    assert "that happens with a probability of 3.1 %" in text.replace("\xa0", " ")
    assert "sales.csv" in text and "/home" not in text
    text = page_of({**changed, "currency": "EUR", "locale": "de_DE"}).text
    price = f"{changed['products'][0]['recommended_price']:.2f}".replace(".", ",")
    assert f"{price} €" in text and "Money is in the currency of your file" not in text
    assert "Money is in the currency of your file" in page_of(changed).text


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ((2.0, 1.0, 3.0, 1.0), "is better than keeping the price: +2.00 profit per day (90 %: +1.00 to +3.00). It"),
        ((2.0, -1.0, 3.0, 0.8), "is not shown to be better than keeping the price: +2.00 profit per day (90 %: −1.00"),
        ((-2.0, -3.0, 1.0, 0.1), "is not better than keeping the price: −2.00 profit per day (90 %: −3.00 to +1.00)"),
        ((0.0, 0.0, 0.0, 0.0), "is not better than keeping the price: 0.00 profit per day. It would earn more in 0"),
    ],
)
def test_that_the_policy_is_no_better_than_keeping_the_price_is_printed(
    value: tuple[float, ...], verdict: str, changed: Document
) -> None:
    *profit, better = value
    changed["products"][0]["proposal"]["over_keep"] |= {"profit": profit, "probability_better": better}
    assert verdict in judge_proposal(changed["products"][0], PLAIN)[0]
    assert verdict.replace(".00", "") in page_of(changed).text.replace(".00", ""), "a page has no cents from 100 on"


def test_one_quantity_has_one_value_on_a_page(document: Document) -> None:
    product = document["products"][0]
    view = View.of(product, PLAIN, Place())
    alternatives = {rule: {cell.label: cell for cell in cells} for rule, cells in view.baseline_rows()}
    first = {label: cells[0] for label, cells in lay_out(view)["rows"]}
    assert alternatives["keep the price"]["Profit"].value == first["Profit"].value
    assert [cell.value for cell in first.values()] == [view.cell(name.lower(), product["keep"]).value for name in first]
    better = alternatives["path of the learned policy"]["Beats keeping"].value
    moves = any(product["proposal"]["over_keep"]["profit"])
    assert not moves or f"It would earn more in {better} plausible scenarios" in judge_proposal(product, PLAIN)[0]
    assert len(alternatives) == len(view.baseline_rows())
    gain = product["uplift"]
    if gain is not None:
        shown = view.f.money(gain["profit"][0], plus="+")
        assert shown in page_of(document).text and lay_out(view)["lead"][1].startswith(shown.lstrip("+−"))


@pytest.mark.parametrize(("side", "words"), [("above", "the highest price you tried ("), ("below", "the lowest price")])
def test_at_the_edge_of_the_tried_prices_the_best_may_lie_beyond(side: str, words: str, changed: Document) -> None:
    changed["products"][0]["details"]["beyond"] = side
    text = page_of(changed).text
    assert words in text and f"The best price may lie {side} it, where your history contains nothing." in text
    changed["products"][0]["details"]["beyond"] = ""
    assert "may lie" not in page_of(changed).text


def test_unknown_costs_show_no_profit_and_say_what_helps(changed: Document) -> None:
    product = changed["products"][0]
    product |= {"raising": None, "cost_means": None}
    policy = product["proposal"]
    for outcome in (product["keep"], product["recommended"], policy["outcome"]):
        outcome["profit"] = None
    for uplift in (product["uplift"], policy["over_keep"]):
        uplift |= {"profit": None, "probability_better": None, "cvar": None}
    product["details"]["curves"]["profit"], product["details"]["price_test"] = None, None
    product["days"] = [{**day, "profit": None} for day in product["days"]]
    product["baselines"] = [
        {**row, "outcome": {**row["outcome"], "profit": None}, "probability_better": None}
        for row in product["baselines"]
    ]
    page = page_of(changed)
    assert "Profit " not in page.text.partition("How certain")[0] and "Units per day at each price" in page.text
    assert "Profit per day at each price" not in page.text and "None" not in page.text


@pytest.mark.parametrize(("verdict", "codes"), [("PASS", []), ("REVIEW", ["missing_rows"]), ("FAIL", ["too_few_days"])])
def test_the_data_pass_or_fail_or_ask_for_a_look(verdict: str, codes: list[str], changed: Document) -> None:
    findings = [{"code": code, "numbers": {}} for code in codes]
    changed["products"][0]["data_quality"] |= {"quality": verdict, "reasons": codes, "findings": findings}
    text = page_of(changed).text
    assert f"Data quality: {verdict}" in text
    assert ("Export every calendar day" in text) == (verdict == "REVIEW")


def test_optional_sections_appear_with_their_contents_and_only_then(changed: Document) -> None:
    product = changed["products"][0]
    product["guardrails"] = []
    titles = ("Guardrails that changed the price", "Your orders", "Track record", "before fixed costs")
    assert not [title for title in titles if title in page_of(changed).text]
    product["guardrails"] = [
        {"date": "2025-05-03", "rule": "max_change", "before": 20.01, "after": 17.82, "why": "at most 5 %"},
        {"date": "2025-05-06", "rule": "finite", "before": None, "after": 17.82, "why": "no number"},
    ]
    product["orders"] = [
        {"id": 4, "kind": "override", "price": 9.9, "until": "2025-05-03", "actor": "anna", "reason": "clearance"}
        | {"status": "refused", "refusal": "below the floor"}
    ]
    check = {"predicted": 180.0, "low": 90.0, "high": 260.0, "actual": 140.0, "inside": True}
    record = {"days": [], "followed": 1, "inside": {"profit": [1, 2]}, "overruled": None, "total": {"profit": check}}
    product |= {"track_record": record, "fixed_known": False}
    text = page_of(changed).text
    assert "Day Proposed Allowed Guardrail Sat 3 May 20.01 17.82 at most 5 %" in text
    assert "Tue 6 May – 17.82 no number" in text
    assert "Your orders Entry Order Price Until By Reason Status" in text
    assert "4 override 9.90 3 May 2025 anna clearance refused: below the floor" in text
    said = "Track record Inside the 90 % interval: profit 1 of 2. Profit per day: predicted 90 (90 %: 45 to 130)"
    assert f"{said}, actual 70, inside." in text.replace(".00", "") and "Profit before fixed costs" in text


def test_a_chart_says_at_which_level_its_days_are_drawn_and_why_the_line_need_not_follow_them(
    changed: Document,
) -> None:
    level = "Dots: your days, at today's season and level of demand. Line: the average day"
    assert level in page_of(changed).text and "need not follow" not in page_of(changed).text
    changed["products"][0]["price_setting"] = "averages"
    assert "The line need not follow the dots: their prices are averages" in page_of(changed).text
    del changed["products"][0]["details"]["own_days"]["level"]
    assert "Dots: your days. Line" in page_of(changed).text


def test_a_page_stays_small_with_a_year_of_days_and_a_long_horizon(changed: Document) -> None:
    product = changed["products"][0]
    own = product["details"]["own_days"]
    days = [f"2024-{1 + day // 30 % 12:02d}-{1 + day % 28:02d}" for day in range(365)]
    columns = {"price": 0.01, "units": 1.37, "profit": 3.3, "level": 0.001}
    own |= {"date": days} | {name: [1 + day * step for day in range(365)] for name, step in columns.items()}
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
SETTLED |= {"currency", "measure", "sales_measure", "today"}
"""Keys whose texts are ours and choose what is shown."""


def poisoned(value: Any, payload: str) -> Any:
    return mapped(value, lambda key, leaf: payload if isinstance(leaf, str) and key not in SETTLED else leaf)


def _with_sections(document: Document, words: str) -> Document:
    edit = {"date": "2025-05-03", "rule": words, "before": 1.0, "after": 2.0, "why": words}
    order = {"id": 1, "kind": "pause", "price": None, "until": "2025-05-03", "actor": words, "reason": words}
    document["products"][0] |= {"guardrails": [edit], "orders": [{**order, "status": "refused", "refusal": words}]}
    return document


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_texts_of_the_file_change_no_tag_and_no_attribute(payload: str, changed: Document) -> None:
    product = changed["products"][0]
    findings = [{"code": "as_written", "numbers": {"text": "reason"}}]
    product["data_quality"] |= {"reasons": ["reason"], "findings": findings, "notes": ["note"]}
    plain, page = (page_of(_with_sections(poisoned(changed, words), words)) for words in ("harmless", payload))
    assert page.tags == plain.tags
    assert not [value for value in page.values if "\u202e" in value]
    assert "\u202e" not in page.text and "\x00" not in page.text and "x" * 1001 not in page.text
    assert payload[:3] in page.text


def test_names_of_products_are_inert_in_the_index_and_in_the_names_of_pages(changed: Document) -> None:
    product = changed["products"][0]
    plain = Page(dict(render_pages({**changed, "products": [product, product]}))["report.html"]).tags
    for payload in PAYLOADS:
        both = {**changed, "products": [{**product, "product": name} for name in (payload, "Mug")]}
        pages = dict(render_pages(both))
        assert list(pages)[-1] == "report.html" and len(pages) == 3
        assert all(re.fullmatch(r"report\.html|report/[a-z0-9-]+\.html", name) for name in pages)
        assert Page(pages["report.html"]).tags == plain


def test_the_card_of_evidence_is_folded_on_the_page_and_absent_in_older_advice(document: Document) -> None:
    (product,) = document["products"]
    html = render_page(document, product)
    passed = sum(line["verdict"] == "PASS" for line in product["card"])
    assert f"<details><summary><strong>Evidence: {passed} of 7 checks passed" in html
    older = {key: value for key, value in product.items() if key not in ("card", "prior")}
    assert "<details>" not in render_page(document, older)


def test_long_names_are_cut_empty_ones_get_a_stand_in_and_pages_of_other_products_other_names() -> None:
    assert len(page_name(0, "long " * 1000)) <= MOST_SLUG + len("001-.html")
    assert page_name(0, "Mug") != page_name(1, "mug")
    assert len(shorten("x" * 5000)) == 120 and shorten("x" * 5000).endswith("…")
    assert shorten("\u202e \u200f") == "product without a readable name"


@pytest.mark.parametrize(
    ("product", "name"),
    [
        ("Soap & nuts, 250 g", "001-soap-nuts-250-g.html"),
        ("../../etc/passwd", "001-etc-passwd.html"),
        ("C:\\con\\nul", "001-c-con-nul.html"),
        ("<script>alert(1)</script>", "001-script-alert-1-script.html"),
        ("Crème brûlée", "001-creme-brulee.html"),
        ("\u202e🧼", "001-product.html"),
        ("", "001-product.html"),
    ],
)
def test_names_of_pages_hold_plain_letters_only(product: str, name: str) -> None:
    assert page_name(0, product) == name


ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "docs/examples").glob("*.json"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_page_is_what_its_advice_renders_to_in_sentences_of_at_most_thirty_words(path: Path) -> None:
    """After a change of the page run ``python docs/examples/make.py --pages``."""
    document = json.loads(path.read_text(encoding="utf-8"))
    assert {example.stem for example in EXAMPLES} >= {"clear", "unsure"}
    assert (document["products"][0]["uplift"] is None) == (path.stem == "unsure")
    jsonschema.validate(document, json.loads((ROOT / "pricerl/advice/advice.schema.json").read_text(encoding="utf-8")))
    page = path.with_suffix(".html").read_text(encoding="utf-8")
    assert dict(render_pages(document))["report.html"] == page
    blocks = re.findall(r"<(?:p|li|figcaption)\b[^>]*>(.*?)</(?:p|li|figcaption)>", page, re.DOTALL)
    texts = [unescape(re.sub(r"<[^>]+>", "", block)) for block in blocks]
    sentences = [part for text in texts if " · " not in text for part in re.split(r"(?<=[.!?])\s+", text)]
    assert len(sentences) > 30
    assert [part for part in sentences if len(part.split()) > 30] == []
