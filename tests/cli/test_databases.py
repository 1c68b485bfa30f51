"""Databases: opened for reading, asked only what the user typed, and no password is written anywhere."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from command_line import FAST, entries_of, listing, run, seller_lines, write_lines
from saying import QUICK, says

from pricerl.runs.checkpoint import read_saved, save

pytest.importorskip("sqlalchemy")

QUERY = 'select * from sales order by "Report Date"'
URL = "sqlite:///shop.db"
BEST = Path("checkpoints", "shop", "best.ckpt")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database of one seller, and a run trained on it."""
    folder = tmp_path_factory.mktemp("shop")
    header, *rows = [line.split(",") for line in seller_lines()]
    with closing(sqlite3.connect(folder / "shop.db")) as database, database:
        database.execute(f"create table sales ({', '.join(json.dumps(name) for name in header)})")
        database.executemany(f"insert into sales values ({', '.join('?' * len(header))})", rows)
    fitted = run(folder, "fit", "--data.path", URL, "--data.reading.query", QUERY, "--run_name", "shop", *FAST)
    assert fitted.code in (0, 4), fitted.err
    return folder


def entry_of(shop: Path, number: int) -> dict[str, Any]:
    return entries_of(shop, "shop")[number - 1]


def test_the_query_is_in_the_log_and_in_no_checkpoint(shop: Path) -> None:
    stored = read_saved(shop / BEST)["pricerl"]["settings"]["data"]["reading"]
    assert stored["query"] is None and stored["window"] == 7
    assert not [path for path in shop.rglob("*.ckpt") if b"from sales" in path.read_bytes()]
    assert entry_of(shop, 1)["settings"] == {"data": {"reading": {"query": QUERY}}}


def test_every_command_needs_the_query_again(shop: Path) -> None:
    says(shop, f"predict --data.path {URL}", "needs its query in every command", "set --data.reading.query", code=2)
    again = run(shop, "predict", "--data.path", URL, "--data.reading.query", QUERY)
    assert again.code in (0, 4) and "nothing is new for 1 of 1 product" in again.err


def test_a_run_on_a_database_is_resumed_with_a_query_of_rows_that_the_shop_knows(shop: Path) -> None:
    more = f"{QUICK} --trainer.max_steps 40 --run_name shop --ckpt_path last --data.path {URL}"
    says(shop, f"fit {more} --data.reading.query '{QUERY} limit 80'")


STRANGE = {
    "plain": {"data": {"reading": {"query": QUERY}, "path": URL}},
    "dotted": {"data": {"reading.query": QUERY, "path": URL}},
    "class": {
        "data": {
            "class_path": "pricerl.training.pricing_data.PricingDataModule",
            "init_args": {"reading": {"query": QUERY}, "path": URL},
        }
    },
    "dotted arguments": {"data": {"init_args.reading.query": QUERY, "init_args.path": URL}},
    "file": {"data": {"reading": "reading.yaml", "path": URL}},
    "beside": {"data.reading.query": QUERY, "data.path": URL, "config": "all.yaml", "out": "elsewhere"},
}


@pytest.mark.parametrize("form", STRANGE)
def test_a_query_in_a_checkpoint_of_a_stranger_is_not_run(form: str, shop: Path) -> None:
    write_lines(shop / "reading.yaml", [f"query: {QUERY}"])
    write_lines(shop / "all.yaml", ["data:", f"  path: {URL}", "  reading:", f"    query: {QUERY}"])
    content = read_saved(shop / BEST)
    settings = content["pricerl"]["settings"]
    content["pricerl"]["settings"] = {**settings, **STRANGE[form], "data": STRANGE[form].get("data", settings["data"])}
    (shop / "stranger").mkdir(exist_ok=True)
    save(shop / "stranger" / "best.ckpt", content)
    asked = run(shop, "predict", "--ckpt_path", "stranger/best.ckpt", "--data.path", URL)
    own = run(shop, "predict", "--ckpt_path", "stranger/best.ckpt")
    if form in ("dotted", "dotted arguments", "file"):
        assert asked.code == own.code == 5
        return
    assert asked.code == 2 and any(words in asked.err for words in ("a database needs its query", "not imported"))
    assert own.code in (0, 4), own.err
    assert entries_of(shop, "../stranger")[-1]["path"] is None
    assert not (shop / "elsewhere").exists()


SECRET = "ge-heim7"


SECRET_URLS = (
    f"postgresql://anna:{SECRET}@host/shop",
    *(
        f"postgresql://anna@host/shop?{name}={SECRET}"
        for name in ("password", "passwd", "token", "sslpassword", "pass%77ord", "sslmode=require&access_key")
    ),
    f"duckdb:///md:shop?motherduck_token={SECRET}",
    f"mssql+pyodbc:///?odbc_connect=Server%3Dhost%3BUID%3Danna%3BPWD%3D{SECRET}",
)


@pytest.mark.parametrize("url", SECRET_URLS)
def test_a_secret_in_a_url_is_refused(url: str, tmp_path: Path) -> None:
    assert SECRET not in says(
        tmp_path, f"check '{url}' --query 'select 1'", "must not hold a password or token", code=2
    )


@pytest.mark.parametrize("url", [SECRET_URLS[0], SECRET_URLS[-1]])
def test_no_command_takes_a_secret_in_a_url_or_writes_it_anywhere(url: str, shop: Path) -> None:
    before = listing(shop)
    data = f"--data.path '{url}' --data.reading.query 'select 1'"
    for words in (
        f"check '{url}' --query 'select 1'",
        f"fit {data} {QUICK}",
        f"fit {data} {QUICK} --run_name shop",
        f"advise '{url}' --data.reading.query 'select 1' {QUICK}",
        f"predict {data}",
        f"predict {data} --run_name shop",
        f"watch shop {data}",
        f"retrain shop {data}",
        f"what-if 10 {data}",
    ):
        assert SECRET not in says(shop, words, "must not hold a password or token", "PGPASSWORD", code=2)
    after = listing(shop)
    assert {*after} == {*before}
    assert not [name for name, content in after.items() if SECRET in name or SECRET.encode() in content]


def test_a_driver_keeps_its_own_password_file(tmp_path: Path) -> None:
    url = "postgresql://anna@localhost:1/shop?passfile=%2Fhome%2Fanna%2F.pgpass"
    found = run(tmp_path, "check", url, "--query", "select 1")
    assert "must not hold a password" not in found.err
