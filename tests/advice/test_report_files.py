"""The files of a report: names are harmless, examples are what is rendered today."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import jsonschema
import pytest

from pricerl.advice.report.render import MOST_SLUG, page_name, render_pages
from pricerl.advice.report.view import shorten


def test_long_names_are_cut_and_empty_ones_get_a_stand_in() -> None:
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


def test_names_of_pages_are_short_and_differ_where_products_do_not() -> None:
    assert len(page_name(0, "long " * 1000)) <= MOST_SLUG + len("001-.html")
    assert page_name(0, "Mug") != page_name(1, "mug")


ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "docs/examples").glob("*.json"))


def test_there_is_an_example_of_a_change_and_one_of_a_price_that_is_kept() -> None:
    uplifts = {path.stem: json.loads(path.read_text(encoding="utf-8"))["products"][0]["uplift"] for path in EXAMPLES}
    assert uplifts["clear"] is not None and uplifts["unsure"] is None


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_page_is_what_its_advice_renders_to(path: Path) -> None:
    """After a change of the page run ``python docs/examples/make.py --pages``."""
    document = json.loads(path.read_text(encoding="utf-8"))
    schema = json.loads((ROOT / "pricerl/advice/advice.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, schema)
    assert dict(render_pages(document))["report.html"] == path.with_suffix(".html").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_no_sentence_on_a_page_has_more_than_thirty_words(path: Path) -> None:
    page = path.with_suffix(".html").read_text(encoding="utf-8")
    blocks = re.findall(r"<(?:p|li|figcaption)\b[^>]*>(.*?)</(?:p|li|figcaption)>", page, re.DOTALL)
    texts = [unescape(re.sub(r"<[^>]+>", "", block)) for block in blocks]
    sentences = [part for text in texts if " · " not in text for part in re.split(r"(?<=[.!?])\s+", text)]
    assert len(sentences) > 30
    assert [part for part in sentences if len(part.split()) > 30] == []
