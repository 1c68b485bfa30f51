"""The counter in German: every word has an entry with the same placeholders, and every page of a shop has its words."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from gettext import GNUTranslations
from pathlib import Path
from string import Formatter as Fields
from typing import Any

import pytest
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po
from command_line import run, seller_lines, write_lines
from fastapi.testclient import TestClient
from served_shop import TODAY, program_of

from pricerl.advice.sentences import answers
from pricerl.advice.sentences.answers import ANSWERS, say
from pricerl.advice.translation import FOLDER, SCRIPT, choose_language, read_catalogue
from pricerl.formatting import CATALOGUE, PLAIN
from pricerl.reasons import Reason

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}
SERVE = Path(answers.__file__).parents[2] / "serve"
NUMBERS: dict[str, tuple[dict[str, Any], ...]] = {
    "price_differs": tuple({"last": 9.0, "in_force": 10.0, "deal": deal} for deal in (True, False)),
    "unlikely_zeros": ({"days": 3, "known": 90, "expected": 0},),
    "sales_off": tuple({"factor": factor, "reported": known} for factor in (0.9, 1.2) for known in (True, False)),
    "too_few_days": tuple({"usable": days, "needed": 60} for days in (1, 20)),
    "chance_too_low": tuple(
        {"percent": percent, "needed": needed, "price": 12.0, "objective": None}
        for percent, needed in ((57, 0.7), (0, 1))
    ),
    "model_stopped": ({"sales": 3.0, "low": 5.0, "days": 3, "first_day": "2026-01-01", "last_good_price": 9.0},),
    "back_does_not_pay": ({"gain": -1.0, "measure": "profit", "share": 0.4, "num_draws": 64},),
    "order": ({"kind": "pause", "actor": "anna", "until": "2026-01-01", "entry": 3, "text": "sale"},),
}
"""Numbers of the reasons whose words a function chooses."""


def fields(words: str) -> list[tuple[str, str]]:
    """Placeholders of a template of either form, in alphabetical order."""
    braces = [(name, spec or "") for _, name, spec, _ in Fields().parse(words) if name]
    return sorted([*braces, *((name, "%") for name in re.findall(r"%\((\w+)\)s", words))])


def known() -> set[str]:
    """English words that have German ones."""
    catalogue = read_po((FOLDER / "de.po").read_text(encoding="utf-8").splitlines(), "de")
    return {one for item in catalogue if item.id for one in (item.id if isinstance(item.id, tuple) else (item.id,))}


def _listening(said: Callable[..., str], found: set[str], german: set[str]) -> Callable[..., str]:
    def listen(own: GNUTranslations, *words: Any) -> str:
        found.update({words[0]} - german)
        return said(own, *words)

    return listen


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Words that were asked for in German and have none."""
    found: set[str] = set()
    german = known()
    for name in ("gettext", "ngettext"):
        monkeypatch.setattr(GNUTranslations, name, _listening(getattr(GNUTranslations, name), found, german))
    return found


def test_every_entry_is_complete_and_has_the_placeholders_of_the_english_words() -> None:
    for item in read_po((FOLDER / "de.po").read_text(encoding="utf-8").splitlines(), "de"):
        if not item.id:
            continue
        english, german = (words if isinstance(words, tuple) else (words,) for words in (item.id, item.string))
        assert len(english) == len(german) and not item.fuzzy
        for ours, theirs in zip(english, german, strict=True):
            assert theirs and fields(ours) == fields(theirs), ours
            assert (ours[0] == " ", ours[-1] == " ") in (
                (False, theirs[-1] == " "),
                (theirs[0] in " ,", theirs[-1] == " "),
            )


def test_every_reason_has_german_words(missing: set[str]) -> None:
    templates = {words for words in ANSWERS.values() if isinstance(words, str)}
    assert templates - known() == set()
    assert {code for code, words in ANSWERS.items() if callable(words)} == NUMBERS.keys()
    before = CATALOGUE.set(read_catalogue("de")[0])
    try:
        for code, cases in NUMBERS.items():
            for numbers in cases:
                said = say(Reason(code, numbers), PLAIN)  # type: ignore[arg-type]
                CATALOGUE.reset(before)
                english = say(Reason(code, numbers), PLAIN)  # type: ignore[arg-type]
                before = CATALOGUE.set(read_catalogue("de")[0])
                assert said != english, code
    finally:
        CATALOGUE.reset(before)
    assert missing == set()


def test_every_word_of_a_template_and_of_the_script_is_in_the_catalogue() -> None:
    options: Mapping[str, Any] = {"trimmed": "true"}
    found: set[str] = set()
    for path in [
        *SERVE.glob("*.html"),
        *(SERVE.parent / f"advice/report/{name}.html" for name in ("report", "review")),
    ]:
        for _, words, *_ in extract_from_file("jinja2.ext:babel_extract", path, {"_": None}, options=options):
            found.update(words if isinstance(words, tuple) else (words,))
    assert len(found) > 150 and found - known() == set()
    script = extract_from_file(
        "javascript", SERVE / "static/serve.js", {"say": None}, options={"template_string": "false"}
    )
    german = read_catalogue("de")[1]
    assert {str(words) for _, words, *_ in script} <= german.keys() and SCRIPT == "script"


REVIEWED = ("operations/review.py", "operations/watching/news.py", "advice/sentences/earned.py")


def test_every_sentence_of_a_review_is_in_the_catalogue() -> None:
    found: set[str] = set()
    for name in REVIEWED:
        tree = ast.parse((SERVE.parent / name).read_text(encoding="utf-8"))
        said = {node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        said -= {item.value for item in ast.walk(tree) if isinstance(item, ast.Expr)}  # docstrings
        found.update(node.value for node in said if " " in node.value.strip() and node.value[0] != "-")
    assert len(found) > 30 and found - known() == {"90 %: ", "stop rule"}


def test_a_review_is_stored_in_every_language(folder: Path) -> None:
    write_lines(folder / "seller.csv", seller_lines(days=97))
    assert run(folder, "review", "--run_name", "seller", "--data.path", "seller.csv", "--today", TODAY).code == 0
    client = program_of(folder, "approver")
    german, english = (client.get("/shops/seller/review", headers=given).text for given in (GERMAN, {}))
    for words, page in (("Wie das Mehr geschätzt wird", german), ("How the gain is estimated", english)):
        assert words in page and ("Niemand weiß" in page) == (page is german)


def test_the_pages_of_a_shop_are_german_for_a_german_browser(folder: Path, missing: set[str]) -> None:
    client: TestClient = program_of(folder, "approver")
    shop = "/shops/seller"
    pages = ("/", "/files?name=seller.csv", shop, f"{shop}/products/seller", f"{shop}/review", f"{shop}/history")
    for path in (*pages, f"{shop}/settings"):
        german, english = (client.get(path, headers=headers) for headers in (GERMAN, {"Accept-Language": "fr"}))
        assert german.status_code == 200 and '<html lang="de">' in german.text, path
        assert '<html lang="en">' in english.text and "Ihre" not in english.text, path
    assert missing == set()
    said = client.get(f"{shop}/products/seller", headers=GERMAN).text
    assert "Die größte Änderung" in client.get(f"{shop}/settings", headers=GERMAN).text
    for words in ("Warum", "Was als Nächstes geschieht", "Entscheiden", "Gewinn je Tag", "10,00"):
        assert words in said, words


def test_orders_and_prepared_decisions_are_said_in_german(folder: Path, missing: set[str]) -> None:
    client = program_of(folder, "approver")
    order = {"product": "seller", "price": 10.5, "until": "2025-04-05", "reason": "x", "by": "anna"}
    assert client.post("/api/shops/seller/override", json=order).status_code == 200
    page = client.get("/shops/seller/products/seller", headers=GERMAN).text
    assert "Sie verlangen " in page and "Preisvorgabe aufheben" in page
    assert "1 Preis ändert sich" in client.get("/shops/seller", headers=GERMAN).text
    assert missing == set()


@pytest.mark.parametrize(
    ("accepted", "language"), [("", "en"), ("de", "de"), ("de-CH, fr;q=0.5", "de"), ("fr, *", "en"), ("en-GB,de", "en")]
)
def test_the_language_is_the_first_of_the_browser_that_is_known(accepted: str, language: str) -> None:
    assert choose_language(accepted) == language
