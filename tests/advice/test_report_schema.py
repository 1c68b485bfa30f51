"""``advice.json`` against its schema: real advice fits, every key is described, and what is wrong is found."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from advice_outputs import Document
from record_schema import make_advice_schema

from pricerl.advice.files import FORMAT

SCHEMA_FILE = Path(__file__).parents[2] / "pricerl/advice/advice.schema.json"
SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


def faults(document: Any) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(document)]


def undescribed(schema: dict[str, Any], value: Any, place: str) -> Iterator[str]:
    """Keys of a document that its schema does not name."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    for choice in schema.get("anyOf", []):
        if value is not None and "$ref" in choice:
            yield from undescribed(choice, value, place)
    if isinstance(value, list) and "items" in schema and schema["items"]:
        for item in value:
            yield from undescribed(schema["items"], item, place)
    if isinstance(value, dict) and "anyOf" not in schema:
        for key, item in value.items():
            inner = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            if inner is None:
                yield f"{place}/{key}"
            else:
                yield from undescribed(inner, item, f"{place}/{key}")


def test_the_file_is_the_schema_of_the_records() -> None:
    """A stale file is written anew, and the test fails once."""
    text = json.dumps(make_advice_schema(), indent=1) + "\n"
    stale = SCHEMA_FILE.read_text(encoding="utf-8") != text
    if stale:
        SCHEMA_FILE.write_text(text, encoding="utf-8")
    assert not stale


def test_the_schema_is_one_names_the_format_and_describes_every_key() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["format"]["const"] == FORMAT

    def bare(schema: dict[str, Any], place: str) -> Iterator[str]:
        for key, inner in schema.get("properties", {}).items():
            if not inner.get("description"):
                yield f"{place}/{key}"
            yield from bare(inner, f"{place}/{key}")
        if isinstance(schema.get("items"), dict):
            yield from bare(schema["items"], place)

    found = [name for key, inner in SCHEMA["$defs"].items() for name in bare(inner, f"$defs/{key}")]
    assert [*bare(SCHEMA, ""), *found] == []


def test_real_advice_fits_the_schema_and_values_every_path_once(document: Document) -> None:
    assert faults(document) == []
    assert list(undescribed(SCHEMA, document, "")) == []
    assert len(document["model"]) == len(document["config"]) == 12
    (product,) = document["products"]
    rules = [row["rule"] for row in product["baselines"]]
    assert len(rules) == len(set(rules)) and not {"keep the price", "policy (SAC)"} & set(rules)
    keep, uplift = product["keep"], product["uplift"]
    if uplift is None:
        assert product["recommended"] == keep and product["decision"]["follow"] == "hold"
    else:
        for name in ("units", "sales", "profit"):
            mean = product["recommended"][name][0] - keep[name][0]
            assert uplift[name][0] == pytest.approx(mean, abs=1e-6 * abs(keep[name][0]))


def test_a_key_without_a_description_is_found(kept: Document) -> None:
    kept["products"][0]["details"]["curves"]["new"] = 1
    assert list(undescribed(SCHEMA, kept, "")) == ["/products/details/curves/new"]


BREAKERS: dict[str, Callable[[Document], Any]] = {
    "another format": lambda document: document.update(format=1),
    "no products": lambda document: document.update(products=[]),
    "an unknown grade": lambda document: document["products"][0]["decision"].update(grade="E"),
    "a number as text": lambda document: document["products"][0].update(current_price="12.00"),
    "a probability above 1": lambda document: document["products"][0]["baselines"][0].update(probability_better=1.1),
    "an interval without its limits": lambda document: document["products"][0]["keep"].update(units=[1.0]),
    "a day that is none": lambda document: document["products"][0]["days"][0].update(date="1 May"),
    "a reason that is missing": lambda document: document["products"][0].pop("reason"),
}


@pytest.mark.parametrize("wrong", BREAKERS)
def test_what_is_wrong_is_found(wrong: str, kept: Document) -> None:
    BREAKERS[wrong](kept)
    assert len(faults(kept)) == 1
