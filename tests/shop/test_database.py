"""The database of a shop: all of a transaction or nothing, in a file and on a server alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from decision_logs import record

from pricerl.errors import UsageError
from pricerl.operations.log.decision_log import read_log, stamp, verify
from pricerl.shop.database import ADDRESS, MIGRATIONS, backup, exists, reading, writing


def test_nothing_of_a_transaction_that_fails_is_kept(shop_path: Path) -> None:
    with writing(shop_path) as database:
        database.keep_fact("day", "one")
    with pytest.raises(ZeroDivisionError), writing(shop_path) as database:
        database.keep_fact("day", "two")
        _ = 1 / 0
    with reading(shop_path) as database:
        assert (database.fact("day"), database.fact("week"), database.version) == ("one", "", len(MIGRATIONS))


def test_a_shop_exists_from_its_first_transaction_on(shop_path: Path) -> None:
    assert not exists(shop_path)
    with writing(shop_path):
        pass
    assert exists(shop_path)


def test_a_reader_sees_one_state_while_others_write(shop_path: Path) -> None:
    with writing(shop_path) as database:
        database.keep_fact("price", "9")
    with reading(shop_path) as before:
        assert before.fact("price") == "9"
        with writing(shop_path) as database:
            database.keep_fact("price", "10")
        assert before.fact("price") == "9"
    with reading(shop_path) as after:
        assert after.fact("price") == "10"


def test_writers_come_one_after_the_other(shop_path: Path) -> None:
    def count(_: int) -> None:
        with writing(shop_path) as database:
            database.keep_fact("count", str(int(database.fact("count") or 0) + 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(24)))
    with reading(shop_path) as database:
        assert database.fact("count") == "24"


def test_a_log_is_the_same_in_a_file_and_on_a_server(shop_path: Path) -> None:
    draft = {**stamp("pause", "änna", "x\x00'\\\"\n"), "product": "Mug ☕", "until": "2025-04-30"}
    record(shop_path, [draft, draft])
    record(shop_path, [{**draft, "reason": "after 2"}])
    log = verify(shop_path)
    assert [entry["reason"] for entry in log.entries] == ["x\x00'\\\"\n", "x\x00'\\\"\n", "after 2"]
    assert read_log(shop_path, standing=True) == log


def test_a_backup_is_a_copy_that_can_be_verified(tmp_path: Path) -> None:
    path, copy = tmp_path / "shop.db", tmp_path / "copy.db"
    record(path, [{**stamp("pause", "anna", "x"), "product": "Mug", "until": "2025-04-30"}])
    backup(path, copy)
    assert verify(copy) == verify(path)


def test_a_shop_that_may_only_be_read_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "shop.db"
    record(path, [{**stamp("pause", "anna", "x"), "product": "Mug", "until": "2025-04-30"}])
    before = {item.name: item.read_bytes() for item in tmp_path.iterdir()}
    monkeypatch.setattr("os.access", lambda *_: False)
    assert len(read_log(path).entries) == 1
    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == before


def test_a_locked_database_is_told_in_one_sentence(shop_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pricerl.shop.database.PATIENCE", 0.0)
    told = pytest.raises(UsageError, match="another command is writing it; try again; nothing was changed")
    with writing(shop_path), told:
        record(shop_path, [])


@pytest.mark.postgres
def test_a_server_that_does_not_answer_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setenv(ADDRESS, "postgresql://127.0.0.1:1/none?connect_timeout=1")
    with pytest.raises(UsageError, match=f"{ADDRESS}: .*; nothing was changed"):
        exists(tmp_path / "shop.db")
