"""The decision log: what was recorded stays, whatever was changed or lost is named, and a crash is no forgery."""

from __future__ import annotations

import contextlib
import hashlib
import json
import operator
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from decision_logs import record

from pricerl.errors import DataError, UsageError
from pricerl.operations.log.decision_log import (
    BEFORE_THE_FIRST,
    LOG_FILE,
    NOTHING,
    Head,
    Log,
    append,
    canonical,
    load,
    read_log,
    stamp,
    verify,
)
from pricerl.operations.log.takeover import take_over
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder
from pricerl.shop.database import reading, writing

NASTY = {
    "line breaks": "one\ntwo\r\nthree\u2028four\u0085five",
    "long": "x" * 5000,
    "right to left": "\u202eabc\u202c \u200f\u05d0\u05d1 \u2067x\u2069",
    "a lone surrogate": "caf\udce9",
    "a null and quotes": '\x00"\\"}\n{"id": 7}',
    "an emoji": "\U0001f600",
}


def note(actor: str = "anna", reason: str = "x", product: str = "Mug") -> dict[str, Any]:
    """Draft of a valid entry."""
    return {**stamp("pause", actor, reason), "product": product, "until": "2025-04-30"}


def edit(path: Path, *statements: str) -> None:
    """Change a database behind the back of the program."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of four entries."""
    path = tmp_path / LOG_FILE
    record(path, [note(reason=f"reason {number}") for number in range(1, 5)])
    return path


def forge(path: Path) -> None:
    """Write all entries again with another reason and a chain that fits."""
    previous = BEFORE_THE_FIRST
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for number, line in connection.execute("SELECT id, line FROM entry ORDER BY id").fetchall():
            entry = {**json.loads(line), "reason": "forged", "previous": previous}
            entry.pop("hash")
            previous = entry["hash"] = hashlib.sha256(canonical(entry).encode()).hexdigest()
            connection.execute("UPDATE entry SET line = ?, hash = ? WHERE id = ?", (canonical(entry), previous, number))


def test_an_entry_carries_the_hash_of_the_one_before_and_its_own(log: Path) -> None:
    first, second, *_ = (dict(entry) for entry in read_log(log).entries)
    assert first["previous"] == BEFORE_THE_FIRST and second["previous"] == first["hash"]
    claimed = second.pop("hash")
    text = json.dumps(second, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == claimed


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_nothing_typed_breaks_an_entry(text: str, tmp_path: Path) -> None:
    path = tmp_path / LOG_FILE
    record(path, [note(text, text, text), note(reason="after")])
    first, second = verify(path).entries
    assert first["reason"] == first["actor"] == first["product"] == text and second["reason"] == "after"


CHANGES = {
    "a changed word": ("UPDATE entry SET line = replace(line, 'anna', 'ben') WHERE id = 3", "entry 3: was changed"),
    "another spelling": ("UPDATE entry SET line = replace(line, ',\"', ', \"') WHERE id = 2", "entry 2: was changed"),
    "a changed hash": (f"UPDATE entry SET hash = '{'a' * 64}' WHERE id = 2", "entry 2: was changed"),
    "another text": ("UPDATE entry SET line = 'hello' WHERE id = 4", "entry 4: was changed"),
    "an entry taken out": ("DELETE FROM entry WHERE id = 2", "was cut or rewritten: it has 3 entries"),
    "an entry cut off": ("DELETE FROM entry WHERE id = 4", "was cut or rewritten: it has 3 entries"),
    "all entries": ("DELETE FROM entry", "was cut or rewritten: it has 0 entries"),
    "another head": (f"UPDATE fact SET value = '{'a' * 64}' WHERE name = 'hash'", "was cut or rewritten"),
    "no head": ("DELETE FROM fact WHERE name IN ('entries', 'hash')", "was cut or rewritten"),
    "an entry moved": ("UPDATE entry SET id = 9 WHERE id = 2", "is another entry|was cut or rewritten"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_first_broken_entry_is_named_and_nothing_is_added_to_it(name: str, log: Path) -> None:
    statement, words = CHANGES[name]
    edit(log, statement)
    for use in (verify, read_log, lambda path: record(path, [note()])):
        with pytest.raises(DataError, match=words) as caught:
            use(log)
        assert "restore it from a copy" in str(caught.value) and "\n" not in str(caught.value)


def test_a_log_that_was_rewritten_whole_does_not_have_its_head(log: Path) -> None:
    forge(log)
    with pytest.raises(DataError, match="was cut or rewritten"):
        read_log(log)


def test_of_a_known_log_only_what_follows_is_read_unless_another_log_has_taken_its_place(log: Path) -> None:
    known = read_log(log)
    record(log, [note(reason="later")])
    with reading(log) as database:
        found = load(database, log, known=known)
    assert found == read_log(log) and all(map(operator.is_, found.entries, known.entries))
    forge(log)
    edit(log, "UPDATE fact SET value = (SELECT hash FROM entry ORDER BY id DESC) WHERE name = 'hash'")
    with reading(log) as database:
        assert load(database, log, known=known) == read_log(log) and read_log(log).entries[0]["reason"] == "forged"


@pytest.mark.parametrize("cuts", [(1,), (3, 4), range(1, 7)], ids=str)
def test_what_follows_from_a_log_is_the_same_however_it_grew_and_untouched_products_are_the_same_objects(
    cuts: Sequence[int],
) -> None:
    kinds = [("advice", "Mug"), ("advice", "Cup"), ("pause", "Mug"), ("publishing", None), ("advice", "Mug")]
    entries = [{"id": at, "kind": kind, "product": name} for at, (kind, name) in enumerate([*kinds, *kinds[:2]], 1)]
    whole, grown = NOTHING.extended(entries, Head(7)), NOTHING
    for first, last in pairwise((0, *cuts, 7)):
        before, grown = grown, grown.extended(entries[first:last], Head(last))
        touched = {entry["product"] for entry in entries[first:last]}
        assert all(grown.own[name] is own for name, own in before.own.items() if name not in touched)
    assert grown == whole and [*grown.newest] == [*whole.newest] == ["Mug", "Cup"]
    assert {name: [entry["id"] for entry in own] for name, own in grown.own.items()} == {
        "Mug": [1, 3, 5, 6],
        "Cup": [2, 7],
        None: [4],
    }


def test_a_forged_entry_with_a_fitting_hash_of_its_own_breaks_the_chain(log: Path) -> None:
    forged = {**read_log(log).entries[1], "reason": "forged"}
    forged.pop("hash")
    forged["hash"] = hashlib.sha256(canonical(forged).encode()).hexdigest()
    edit(log, f"UPDATE entry SET line = '{canonical(forged)}', hash = '{forged['hash']}' WHERE id = 2")
    with pytest.raises(DataError, match="entry 3: does not follow"):
        verify(log)


@pytest.mark.parametrize("content", [b"hello, I am no database" * 99, b"SQLite format 3\x00" + b"x" * 8000])
def test_a_file_that_is_no_database_is_told(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / LOG_FILE
    path.write_bytes(content)
    for use in (read_log, lambda path: record(path, [note()])):
        with pytest.raises(DataError, match="is damaged"):
            use(path)
    assert path.read_bytes() == content


def test_a_database_of_a_newer_version_is_left_alone(log: Path) -> None:
    edit(log, "UPDATE fact SET value = '999' WHERE name = 'schema'")
    for use in (read_log, lambda path: record(path, [note()])):
        with pytest.raises(UsageError, match="newer version"):
            use(log)


def test_an_interrupted_first_write_leaves_an_empty_log(tmp_path: Path) -> None:
    path = tmp_path / LOG_FILE
    path.touch()
    assert read_log(path) == Log([])
    record(path, [note()])
    assert len(verify(path).entries) == 1


def test_a_failure_inside_the_transaction_leaves_everything_as_it_was(log: Path) -> None:
    with pytest.raises(OSError, match="No space"), writing(log) as database:
        append(database, load(database, log), [note()])
        raise OSError(28, "No space left on device")
    assert len(verify(log).entries) == 4


def test_the_standing_log_lacks_older_advice_on_products_that_nobody_decided_on(log: Path) -> None:
    known = read_log(log)
    assert read_log(log, standing=True) == known and known.head == Head(4, known.entries[-1]["hash"])


def test_drafts_are_made_from_the_log_inside_the_transaction(log: Path) -> None:
    shop = Shop.read(RunFolder(log.parent))
    record(log, [note()])
    (entry,), after = shop.record(lambda now: [note(reason=f"after {now.log.head.entries}")])
    assert (entry["id"], entry["reason"]) == (6, "after 5") and after.log.head.entries == 6


def test_concurrent_writers_lose_and_break_nothing(tmp_path: Path) -> None:
    path = tmp_path / LOG_FILE

    def write(writer: int) -> None:
        for number in range(6):
            record(path, [note(f"writer {writer}", str(number)), note(f"writer {writer}", "pair")])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    entries = verify(path).entries
    assert len(entries) == 4 * 6 * 2
    for first, second in zip(entries[::2], entries[1::2], strict=True):
        assert first["actor"] == second["actor"] and second["reason"] == "pair"


def test_the_entries_of_a_shop_end_with_its_state_while_others_write(log: Path) -> None:
    shop = Shop.read(RunFolder(log.parent))
    record(log, [note()])
    assert [entry["id"] for entry in shop.entries()] == [1, 2, 3, 4]


def test_a_log_that_is_a_folder_or_absent_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        verify(tmp_path / LOG_FILE)
    assert read_log(tmp_path / LOG_FILE) == Log([])
    with pytest.raises(UsageError, match="cannot be used"):
        record(tmp_path, [note()])


def older_log(log: Path, folder: Path) -> Path:
    """Write the entries of a log as pricerl 1.0 kept them."""
    known = read_log(log)
    folder.mkdir()
    (folder / "decisions.jsonl").write_text("".join(f"{canonical(entry)}\n" for entry in known.entries))
    (folder / "decisions.head").write_text(json.dumps({"entries": 4, "hash": known.head.hash}))
    return folder / LOG_FILE


def test_an_older_log_is_taken_over_once_and_stays(log: Path, tmp_path: Path) -> None:
    path = older_log(log, tmp_path / "run")
    before = path.with_name("decisions.jsonl").read_bytes()
    take_over(path)
    assert verify(path) == read_log(log)
    record(path, [note(reason="after")])
    take_over(path)
    assert verify(path).head.entries == 5 and path.with_name("decisions.jsonl").read_bytes() == before


SPOILED: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "a changed word": ("jsonl", lambda text: text.replace(b"anna", b"ben", 1), "entry 1: was changed"),
    "a line taken out": (
        "jsonl",
        lambda text: text[text.index(b"\n") + 1 :],
        "entry 1: is another entry",
    ),
    "the last line cut": ("jsonl", lambda text: text[:-5], "was cut or rewritten: it has 3 entries"),
    "another head": ("head", lambda text: text.replace(b"4", b"3", 1), "was cut or rewritten"),
    "no head": ("head", lambda text: b"", "was cut or rewritten"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_broken_older_log_is_not_taken_over(name: str, log: Path, tmp_path: Path) -> None:
    ending, change, words = SPOILED[name]
    path = older_log(log, tmp_path / "run")
    file = path.with_name(f"decisions.{ending}")
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(DataError, match=words):
        take_over(path)
    assert read_log(path) == Log([])


WRITER = """
import sys
from pathlib import Path
from pricerl.operations.log.decision_log import append, load, stamp
from pricerl.shop.database import reading, writing
path = Path(sys.argv[1])
for _ in range(40):  # each numbers its entry by those that it finds
    with writing(path) as database:
        log = load(database, path)
        draft = {**stamp("pause", sys.argv[2], str(log.head.entries)), "product": "Mug", "until": "2025-04-30"}
        append(database, log, [draft])
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
    path = tmp_path / LOG_FILE
    calls = [[READER], [WRITER, "anna"], [WRITER, "ben"], [READER]]
    started = [subprocess.Popen([sys.executable, "-c", code, str(path), *name]) for code, *name in calls]
    assert [process.wait(60) for process in started] == [0, 0, 0, 0]
    assert [entry["reason"] for entry in verify(path).entries] == [str(number) for number in range(80)]
