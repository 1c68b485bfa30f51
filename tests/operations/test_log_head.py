"""Head of the log: entries that disappear at the end are noticed, and a crash is not taken for a forgery."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pricerl.errors import DataError, UsageError
from pricerl.operations.log.decision_log import (
    BEFORE_THE_FIRST,
    Entry,
    Head,
    append,
    canonical,
    head_path,
    moving_head,
    read_head,
    read_log,
    stamp,
    verify,
)


def pause(reason: str = "x") -> Entry:
    """Draft of a valid entry."""
    return {**stamp("pause", "anna", reason), "product": "Mug", "until": "2025-04-30"}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of four entries."""
    path = tmp_path / "decisions.jsonl"
    append(path, [pause(str(number)) for number in range(4)])
    return path


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def _set_head(path: Path, entries: int) -> None:
    """Set the head to an earlier entry, as if the process had died before it moved the head."""
    hashes = [BEFORE_THE_FIRST, *(json.loads(line)["hash"] for line in _lines(path))]
    with moving_head(path, Head(entries, hashes[entries])):
        pass


def _forge(path: Path) -> None:
    """Write all entries again with another reason and a chain that fits."""
    previous, lines = BEFORE_THE_FIRST, []
    for line in _lines(path):
        entry = {**json.loads(line), "reason": "forged", "previous": previous}
        entry.pop("hash")
        previous = entry["hash"] = hashlib.sha256(canonical(entry).encode()).hexdigest()
        lines.append(f"{canonical(entry)}\n")
    path.write_text("".join(lines))


def _cut_bytes(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


LOSSES: dict[str, tuple[Callable[[Path], object], str]] = {
    "deleted": (Path.unlink, "is missing; decisions.head names 4 entries"),
    "emptied": (lambda path: path.write_bytes(b""), "was emptied; decisions.head names 4 entries"),
    "cut": (lambda path: path.write_bytes(b"".join(_lines(path)[:3])), "was cut after entry 3; decisions.head names 4"),
    "cut in a line": (_cut_bytes, "was cut after entry 3; decisions.head names 4"),
    "rewritten": (_forge, "was rewritten; entry 4 is not the one that decisions.head names"),
    "without head": (lambda path: head_path(path).unlink(), "decisions.head is missing"),
    "damaged head": (lambda path: head_path(path).write_text("{"), "is not the head of a decision log"),
    "head of another kind": (lambda path: head_path(path).write_text("[]"), "is not the head of a decision log"),
    "head without number": (
        lambda path: head_path(path).write_text('{"entries": "4", "hash": ""}'),
        "is not the head of a decision log",
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_lost_or_rewritten_log_is_noticed_by_reader_and_writer_alike_with_a_remedy(loss: str, log: Path) -> None:
    spoil, words = LOSSES[loss]
    spoil(log)
    before = {path.name: path.read_bytes() for path in log.parent.iterdir()}
    for use in (read_log, verify, lambda path: append(path, [pause()])):
        with pytest.raises(DataError, match=words) as caught:
            use(log)
        assert "from a copy, or move both away to start a new log" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in log.parent.iterdir()} == before


@pytest.mark.parametrize("entries", [0, 2, 3])
def test_a_crash_before_the_head_was_moved_is_no_loss(entries: int, log: Path) -> None:
    _set_head(log, entries)
    assert len(verify(log).entries) == 4
    append(log, [pause()])
    assert read_head(log) == verify(log).head and verify(log).head.entries == 5


def test_a_crash_in_a_line_that_the_head_does_not_name_is_no_loss(log: Path) -> None:
    _set_head(log, 3)
    _cut_bytes(log)
    assert len(read_log(log).entries) == 3
    append(log, [pause()])
    assert [entry["kind"] for entry in verify(log).entries[3:]] == ["repair", "pause"]


def test_a_crash_before_the_first_entry_is_no_loss(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    with moving_head(path, Head(0, BEFORE_THE_FIRST)):
        pass
    assert read_log(path).head == Head(0, BEFORE_THE_FIRST)
    with pytest.raises(UsageError, match="does not exist"):
        verify(path)
    append(path, [pause()])
    assert read_head(path) == verify(path).head == Head(1, verify(path).entries[0]["hash"])


def test_moving_log_and_head_away_starts_a_new_log(log: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    for path in (log, head_path(log)):
        path.rename(tmp_path / "kept" / path.name)
    append(log, [pause()])
    assert len(verify(log).entries) == 1 and len(verify(tmp_path / "kept" / log.name).entries) == 4


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_write_leaves_log_and_head_as_they_were(
    failing: str, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in log.parent.iterdir()}

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if failing == "fsync" else (Path, "replace")), fail)
    with pytest.raises(OSError, match="No space"):
        append(log, [pause()])
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in log.parent.iterdir()} == before and verify(log)


def test_drafts_are_made_from_the_entries_inside_the_transaction(log: Path) -> None:
    (entry,) = append(log, lambda entries: [pause(f"after {len(entries)}")])
    assert (entry["id"], entry["reason"]) == (5, "after 4")


def test_drafts_that_are_refused_make_no_file(tmp_path: Path) -> None:
    def refuse(entries: object) -> list[Entry]:
        raise UsageError("no")

    with pytest.raises(UsageError, match="no"):
        append(tmp_path / "decisions.jsonl", refuse)
    assert list(tmp_path.iterdir()) == []


WRITER = """
import sys
from pathlib import Path
from pricerl.operations.log.decision_log import append, stamp
draft = {"product": "Mug", "until": "2025-04-30"}
for _ in range(40):  # each numbers its entry by those that it finds
    append(Path(sys.argv[1]), lambda known: [{**stamp("pause", sys.argv[2], str(len(known))), **draft}])
"""
READER = """
import sys
from pathlib import Path
from pricerl.operations.log.decision_log import read_log
last, path = 0, Path(sys.argv[1])
while last < 80:
    found = read_log(path).head.entries
    assert found >= last
    last = found
"""


@pytest.mark.slow
def test_processes_that_write_and_read_at_once_lose_nothing_and_see_no_loss(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    calls = [[READER], [WRITER, "anna"], [WRITER, "ben"], [READER]]
    started = [subprocess.Popen([sys.executable, "-c", code, str(path), *name]) for code, *name in calls]
    assert [process.wait(60) for process in started] == [0, 0, 0, 0]
    entries = verify(path).entries
    assert [entry["reason"] for entry in entries] == [str(number) for number in range(80)]
    assert read_head(path) == verify(path).head
