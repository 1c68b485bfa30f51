"""Entries of the log: their schema is the one that is shipped, a line that breaks it is named, and hashes tell."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import pytest
import torch
from decision_logs import record

from pricerl.entry_parts import FORMAT
from pricerl.errors import DataError
from pricerl.operations.log.decision_log import (
    BEFORE_THE_FIRST,
    LOG_FILE,
    Entry,
    canonical,
    check_row,
    read_log,
    stamp,
    verify,
)
from pricerl.operations.log.log_entries import AnyEntry, parse_entry
from pricerl.operations.log.provenance import combine, differing, hash_settings, hash_weights

SCHEMA_FILE = Path(__file__).parents[2] / "pricerl/operations/log/decisions.schema.json"
SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
ORDER = {"product": "Mug", "until": "2025-04-30"}


def make_schema() -> dict[str, Any]:
    """Return the JSON schema of an entry, the content of ``decisions.schema.json``."""
    kinds = get_args(AnyEntry)
    _, parts = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Line of decisions.jsonl",
        "oneOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in kinds],
        "$defs": parts,
    }


def _seal(draft: Entry) -> str:
    """First line of a log with a hash that fits, whatever it contains."""
    entry = {"format": FORMAT, **draft, "id": 1, "previous": BEFORE_THE_FIRST}
    entry.pop("hash", None)
    digest = hashlib.sha256(json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return json.dumps({**entry, "hash": digest}, sort_keys=True, separators=(",", ":"))


VALID: dict[str, Entry] = {
    "advice": parse_entry((Path(__file__).parent / "decisions.jsonl").read_text(encoding="utf-8").splitlines()[0]),
    "override": {**stamp("override", "anna", "x"), **ORDER, "price": 9.5, "currency": ""},
    "pause": {**stamp("pause", "anna", "x"), **ORDER},
    "clear": {**stamp("clear", "anna", ""), **ORDER},
    "approval": {**stamp("approval", "anna", ""), "product": "Mug", "approves": 1, "date": "2025-04-01", "price": 9.5},
    "repair": {**stamp("repair", "pricerl", "x"), "torn": "{"},
}

HASHES = dict.fromkeys(("data", "file", "config", "model", "code"), "x")

INVALID: dict[str, tuple[str, dict[str, Any], str]] = {
    "another kind": ("pause", {"kind": "note"}, "`$.kind`"),
    "a kind that is no text": ("pause", {"kind": 5}, "`$.kind`"),
    "a key too many": ("pause", {"prize": 5}, "unknown field `prize`"),
    "a key too few": ("override", {"price": None}, "`$.price`"),
    "a price that is none": ("override", {"price": -1.0}, "`$.price`"),
    "a price as text": ("override", {"price": "9.5"}, "`$.price`"),
    "a day that is none": ("pause", {"until": "2025-02-30"}, "`$.until`"),
    "a time that is none": ("pause", {"time": "noon"}, "`$.time`"),
    "an actor that is none": ("pause", {"actor": ["anna"]}, "`$.actor`"),
    "a hash that is none": ("advice", {"hashes": HASHES}, "`$.hashes."),
    "no day": ("advice", {"days": []}, "`$.days`"),
    "a day without price": ("advice", {"days": [{"date": "2025-04-01"}]}, "`$.days[0]`"),
    "another decision": ("advice", {"follow": "dream"}, "`$.follow`"),
    "a negative number": ("advice", {"seen": -1}, "`$.seen`"),
    "a newer format": ("pause", {"format": 99}, "`$.format`"),
    "an older format": ("pause", {"format": 1}, "`$.format`"),
}


@pytest.mark.parametrize("kind", VALID)
def test_entries_of_every_kind_obey_the_shipped_schema(kind: str) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(_seal(VALID[kind])))


def test_the_account_of_an_entry_may_lack_budget_and_weight() -> None:
    interval = [1.0, -2.0, 4.0]
    opened = {"opened": "2025-01-01", "price": 10.0}
    account: Entry = {"account": opened, "target": 10.5, "proposed": True, "so_far": interval, "at_end": interval}
    account |= {"budget": 5.0, "probability_loss": 0.1, "days_left": 60}
    for known in (account, {**account, "inside_budget": False, "loss_weight": None}):
        parse_entry(_seal({**VALID["advice"], "account": known}))
    with pytest.raises(ValueError, match="budget"):
        parse_entry(_seal({**VALID["advice"], "account": {**account, "budget": "5"}}))


@pytest.mark.parametrize("name", INVALID)
def test_an_entry_that_breaks_the_schema_is_named_though_its_hash_fits(name: str) -> None:
    kind, change, where = INVALID[name]
    line = _seal({**VALID[kind], **change})
    with pytest.raises(DataError, match="entry 1: is not a valid entry: ") as caught:
        check_row(Path("shop.db"), json.loads(line)["id"], json.loads(line)["hash"], line)
    assert where in str(caught.value) and "restore it from a copy" in str(caught.value)
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    if name != "a time that is none":  # the checker of times is an extra package
        assert not jsonschema.Draft202012Validator(SCHEMA, format_checker=checker).is_valid(json.loads(line))


def test_the_shipped_schema_is_the_one_of_the_types() -> None:
    """A stale file is written anew, and the test fails once."""
    stale = make_schema() != SCHEMA
    if stale:
        SCHEMA_FILE.write_text(json.dumps(make_schema(), indent=1) + "\n", encoding="utf-8")
    assert not stale


def test_what_would_break_the_schema_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / LOG_FILE
    record(path, [VALID["pause"]])
    with pytest.raises(ValueError, match="prize"):
        record(path, [{**VALID["pause"], "prize": 5}])
    assert len(read_log(path).entries) == 1


def test_file_names_that_are_no_text_are_read() -> None:
    line = canonical({**json.loads(_seal(VALID["advice"])), "path": "caf\udce9.csv"})
    found = parse_entry(line)
    assert found["path"] == "caf\udce9.csv"


@pytest.mark.parametrize("line", ["", "{", "[]", "5", "[" * 100_000, '{"kind":' * 100_000, "\ud800"])
def test_a_line_that_is_no_entry_is_a_value_error(line: str) -> None:
    with pytest.raises(ValueError):  # any message
        parse_entry(line)


def test_hashes_distinguish_weights_and_settings_in_any_order() -> None:
    weights = {"layer": torch.ones(3, 2)}
    before = hash_weights(weights)
    assert before == hash_weights({"layer": torch.ones(3, 2)}) and len(before) == 64
    assert hash_weights({"layer": weights["layer"] + 1e-6}) != before
    assert hash_settings({"floor": 1.0, "seed": 0}) == hash_settings({"seed": 0, "floor": 1.0})
    assert hash_settings({"floor": 1.0, "seed": 0}) != hash_settings({"floor": None, "seed": 0})


def test_differences_and_their_combination_are_inverse() -> None:
    stored = {"seed_everything": 0, "data": {"floor": None, "step": 0.01}}
    now = {"seed_everything": 1, "data": {"floor": 9.0, "step": 0.01}}
    assert differing(now, stored) == {"seed_everything": 1, "data": {"floor": 9.0}}
    assert combine(stored, differing(now, stored)) == now and stored["seed_everything"] == 0


@pytest.mark.slow
def test_20_000_advices_of_14_days_are_read_whole(tmp_path: Path) -> None:
    path = tmp_path / LOG_FILE
    draft = {key: value for key, value in VALID["advice"].items() if key not in ("id", "previous", "hash")}
    record(path, [draft] * 20_000)
    log = verify(path)
    assert len(log.entries) == 20_000 and log.entries[-1]["previous"] == log.entries[-2]["hash"]
