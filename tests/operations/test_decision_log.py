"""The log of decisions: what was written stays, and whatever was changed is named."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pricerl.errors import DataError, UsageError
from pricerl.operations.log.decision_log import BEFORE_THE_FIRST, Head, append, moving_head, read_log, stamp, verify

NASTY = {
    "line breaks": "one\ntwo\r\nthree\u2028four\u0085five",
    "long": "x" * 5000,
    "right to left": "\u202eabc\u202c \u200f\u05d0\u05d1 \u2067x\u2069",
    "a lone surrogate": "caf\udce9",
    "a null and quotes": '\x00"\\"}\n{"id": 7}',
    "an emoji": "\U0001f600",
}


def note(actor: str, reason: str) -> dict[str, Any]:
    """Draft of a valid entry."""
    return {**stamp("pause", actor, reason), "product": "Mug", "until": "2025-04-30"}


def _log(folder: Path, count: int = 4) -> Path:
    path = folder / "decisions.jsonl"
    append(path, [note("anna", f"reason {number}") for number in range(1, count + 1)])
    return path


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def _set_head(path: Path, entries: int) -> None:
    """Move the head back, as if the process had died before it moved the head."""
    hashes = [BEFORE_THE_FIRST, *(json.loads(line)["hash"] for line in _lines(path)[:entries])]
    with moving_head(path, Head(entries, hashes[-1])):
        pass


def _hash(line: bytes) -> bytes:
    return str(json.loads(line)["hash"]).encode()


def test_a_line_carries_the_hash_of_the_line_before_and_its_own(tmp_path: Path) -> None:
    first, second, *_ = (json.loads(line) for line in _lines(_log(tmp_path)))
    assert first["previous"] == BEFORE_THE_FIRST and second["previous"] == first["hash"]
    claimed = second.pop("hash")
    text = json.dumps(second, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == claimed


def test_entries_are_only_ever_added(tmp_path: Path) -> None:
    path = _log(tmp_path, 2)
    before = path.read_bytes()
    (entry,) = append(path, [note("ben", "more")])
    assert path.read_bytes().startswith(before) and entry["id"] == 3
    assert [item["actor"] for item in verify(path).entries] == ["anna", "anna", "ben"]


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_nothing_typed_breaks_a_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    append(path, [note(text, text), note("anna", "after")])
    assert len(_lines(path)) == 2 and path.read_bytes().isascii()
    first, second = verify(path).entries
    assert first["reason"] == first["actor"] == text and second["reason"] == "after"


CHANGES = {
    "a changed word": (lambda lines: [*lines[:2], lines[2].replace(b"anna", b"ben"), lines[3]], 3, "was changed"),
    "a changed first line": (lambda lines: [lines[0].replace(b"anna", b"ben"), *lines[1:]], 1, "was changed"),
    "a changed last line": (lambda lines: [*lines[:3], lines[3].replace(b"anna", b"ben")], 4, "was changed"),
    "another spelling": (lambda lines: [lines[0], lines[1].replace(b',"', b', "', 1), *lines[2:]], 2, "was changed"),
    "a line taken out": (lambda lines: [lines[0], *lines[2:]], 2, "does not follow"),
    "a first line taken out": (lambda lines: lines[1:], 1, "does not follow"),
    "two lines swapped": (lambda lines: [lines[0], lines[2], lines[1], lines[3]], 2, "does not follow"),
    "a line twice": (lambda lines: [*lines[:2], *lines[1:]], 3, "does not follow"),
    "a hash that is none": (lambda lines: [b'{"hash":5,"id":1}\n', *lines[1:]], 1, "was changed"),
    "a hash of another line": (
        lambda lines: [*lines[:2], lines[2].replace(_hash(lines[2]), _hash(lines[1])), lines[3]],
        3,
        "was changed",
    ),
    "a blank line": (lambda lines: [lines[0], b"\n", *lines[1:]], 2, "is not a log entry"),
    "another text": (lambda lines: [*lines[:3], b"hello\n"], 4, "is not a log entry"),
    "a list": (lambda lines: [b"[1]\n", *lines], 1, "is not a log entry"),
    "an object without hash": (lambda lines: [*lines, b"{}\n"], 5, "is not a log entry"),
    "bytes": (lambda lines: [*lines[:1], b"\xff\xfe\n", *lines[1:]], 2, "is not a log entry"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_first_broken_line_is_named_and_nothing_is_added_to_it(name: str, tmp_path: Path) -> None:
    path = _log(tmp_path)
    change, line, what = CHANGES[name]
    path.write_bytes(b"".join(change(_lines(path))))
    before = path.read_bytes()
    for use in (verify, read_log, lambda log: append(log, [note("anna", "x")])):
        with pytest.raises(DataError, match=rf"line {line}: {what}"):
            use(path)
    assert path.read_bytes() == before


def test_a_forged_line_with_a_fitting_hash_of_its_own_breaks_the_next(tmp_path: Path) -> None:
    path = _log(tmp_path)
    lines = _lines(path)
    forged = {**json.loads(lines[1]), "reason": "forged"}
    bare = {key: value for key, value in forged.items() if key != "hash"}
    text = json.dumps(bare, sort_keys=True, separators=(",", ":"))
    forged["hash"] = hashlib.sha256(text.encode()).hexdigest()
    lines[1] = json.dumps(forged, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(DataError, match="line 3: does not follow"):
        verify(path)


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_a_torn_last_line_is_told_and_set_aside_by_the_next_writer(cut: int, tmp_path: Path) -> None:
    path = _log(tmp_path)
    *whole, last = _lines(path)
    path.write_bytes(b"".join(whole) + last[:cut])
    _set_head(path, 3)
    with pytest.raises(DataError, match="line 4: is incomplete"):
        verify(path)
    assert len(read_log(path).entries) == 3
    append(path, [note("anna", "after")])
    entries = verify(path).entries
    assert [entry["kind"] for entry in entries] == ["pause", "pause", "pause", "repair", "pause"]
    assert entries[3]["torn"] == last[:cut].decode()


def test_concurrent_writers_lose_and_break_nothing(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"

    def write(writer: int) -> None:
        for number in range(12):
            append(path, [note(f"writer {writer}", str(number)), note(f"writer {writer}", "pair")])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    entries = verify(path).entries
    assert len(entries) == 6 * 12 * 2
    for first, second in zip(entries[::2], entries[1::2], strict=True):
        assert first["actor"] == second["actor"] and second["reason"] == "pair"


def test_a_write_that_fails_leaves_the_log_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _log(tmp_path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        append(path, [note("anna", "x")])
    assert path.read_bytes() == before and len(verify(path).entries) == 4


def test_a_log_that_is_a_folder_or_absent_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        verify(tmp_path / "decisions.jsonl")
    assert list(read_log(tmp_path / "decisions.jsonl").entries) == []
    with pytest.raises(UsageError, match="cannot be opened: Is a directory"):
        append(tmp_path, [note("anna", "x")])
