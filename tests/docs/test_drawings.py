"""The drawings of docs/concepts.md and the table of biases in docs/method.md show what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pricerl.decide.chain import DECIDERS
from pricerl.market.demand.averaging import BIASES

DOCS = Path(__file__).parents[2] / "docs"
CONCEPTS = (DOCS / "concepts.md").read_text(encoding="utf-8")
DRAWINGS = re.findall(r"^!\[.+\]\((images/[a-z]+\.svg)\)$", CONCEPTS, re.MULTILINE)


def words_of(drawing: str, kind: str = "") -> list[str]:
    """Texts of a drawing in order, of one class or of all."""
    texts = ElementTree.parse(DOCS / drawing).iter("{http://www.w3.org/2000/svg}text")
    return [text.text or "" for text in texts if kind in text.get("class", "")]


def test_the_drawing_of_deciders_has_all_of_them_in_their_order() -> None:
    names = [decider.__name__ for decider in DECIDERS]
    assert words_of("images/deciders.svg", "name") == ["proposal", *names]


def test_every_concept_has_a_drawing() -> None:
    assert len(DRAWINGS) == len(re.findall("^## ", CONCEPTS, re.MULTILINE)) == 5


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_a_drawing_has_a_title_two_schemes_of_colours_and_no_colour_outside_of_them(drawing: str) -> None:
    text = (DOCS / drawing).read_text(encoding="utf-8")
    style, _, rest = text.partition("</style>")
    assert "<title>" in style and "@media (prefers-color-scheme: dark)" in style
    assert not re.search(r"#[0-9a-f]{3,6}\b", rest)
    assert words_of(drawing)


def test_the_table_of_biases_is_that_of_the_code() -> None:
    rows = re.findall(
        r"^\| `([a-z ]+)` \|.*\| (-?[\d.]+) \| ([\d.]+) \|$", (DOCS / "method.md").read_text("utf-8"), re.MULTILINE
    )
    assert {kind: (float(mean), float(sd)) for kind, mean, sd in rows} == BIASES
