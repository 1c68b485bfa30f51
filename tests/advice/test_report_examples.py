"""Example pages: made by the present templates from the advice next to them, and in short sentences."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import jsonschema
import pytest

from pricerl.advice.report.render import render_pages

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
