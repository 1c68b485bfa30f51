"""The example pages are what today's templates make of the advice beside them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from pricerl.advice.report.render import render_pages

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "docs/examples").glob("*.json"))


def test_there_is_an_example_of_a_change_and_one_of_a_price_that_is_kept() -> None:
    first_changes = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))["products"][0]["details"]["first_change"]
        for path in EXAMPLES
    }
    assert first_changes["clear"] is not None and first_changes["unsure"] is None


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_page_is_what_its_advice_renders_to(path: Path) -> None:
    """After a change of the page run ``python docs/examples/make.py --pages``."""
    document = json.loads(path.read_text(encoding="utf-8"))
    schema = json.loads((ROOT / "pricerl/advice/advice.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, schema)
    assert dict(render_pages(document))["report.html"] == path.with_suffix(".html").read_text(encoding="utf-8")
