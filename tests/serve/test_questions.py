"""Two readings of a file: the page asks with a button per reading, and the answer reaches the command."""

from __future__ import annotations

import html
import re
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest
from command_line import write_lines
from fastapi.testclient import TestClient
from served_shop import program_of

from pricerl.serve.jobs import Job, Jobs

HEAD = "Report Date,Product Price,Total Sales"
OPEN_DATES = [
    HEAD,
    *(f"{day}/{month}/2026,{10 + month % 2},{20 * day}" for month in range(1, 13) for day in range(1, 13)),
]
"""Days that the file writes so that day and month may both be first."""
START = date(2026, 1, 1)
PRICES = [8.0 if at % 30 in (27, 28, 29) else 10.0 for at in range(120)]
DEAL = [HEAD, *(f"{START + timedelta(at)},{price},{price * (30 - at % 5)}" for at, price in enumerate(PRICES))]
"""Days of which the last ones are a deal."""


@pytest.fixture
def client(folder: Path) -> TestClient:
    return program_of(folder, "approver")


def buttons(page: str) -> dict[str, str]:
    """Words and addresses of the answers on a page."""
    found = re.findall(r'<a class="button" href="(\?[^"]*)">([^<]*)</a>', page)
    return {words: f"/files{html.unescape(address)}" for address, words in found}


def test_an_open_order_of_day_and_month_is_a_question_with_a_button_per_reading(
    client: TestClient, folder: Path, started: list[list[str]]
) -> None:
    write_lines(folder / "open.csv", OPEN_DATES)
    page = client.get("/files?name=open.csv").text
    assert "date_format" not in page
    asked = buttons(page)
    assert len(asked) == 2 and all("2026" in words for words in asked)
    for order, address in zip(("day", "month"), asked.values(), strict=True):
        answered = client.get(address).text
        assert buttons(answered) == {} and f'?date_order={order}" data-kind="files"' in answered
    sent = client.post("/api/advise?date_order=month", json={"files": ["open.csv"], "shop": "Mugs"})
    assert sent.status_code == 200, sent.text
    assert started[-1][0] == "advise" and "--data.reading.date_order=month" in started[-1]
    assert "--trainer.enable_progress_bar=true" in started[-1], "the page ticks the steps that it prints"
    assert client.post("/api/advise?date_order=year", json={"files": ["open.csv"]}).status_code == 422


def test_a_last_price_that_may_be_a_deal_is_a_question_with_a_button_per_price(
    client: TestClient, folder: Path, started: list[list[str]]
) -> None:
    write_lines(folder / "deal.csv", DEAL)
    asked = buttons(client.get("/files?name=deal.csv").text)
    assert [*asked] == ["10.00, the regular price", "8.00, as in the last row"]
    regular, last = (client.get(address).text for address in asked.values())
    assert buttons(regular) == buttons(last) == {}
    assert 'data-label="Price">10.00' in regular and 'data-label="Price">8.00' in last
    assert client.post("/api/advise?current_price=regular", json={"files": ["deal.csv"], "shop": "Mugs"}).is_success
    assert "--data.reading.current_price=regular" in started[-1]


def test_a_file_that_shows_the_order_of_its_dates_is_read_without_a_question(client: TestClient, folder: Path) -> None:
    write_lines(folder / "clear.csv", [*OPEN_DATES, "13/12/2026,10,200"])
    page = client.get("/files?name=clear.csv").text
    assert buttons(page) == {} and "2026" in page


@pytest.mark.parametrize("order", ["day", "month"])
def test_a_week_with_two_readings_follows_the_earlier_files_of_its_shop(
    order: str, client: TestClient, folder: Path, started: list[list[str]]
) -> None:
    with closing(sqlite3.connect(folder / "checkpoints/seller/shop.db")) as database, database:
        database.execute("UPDATE file SET date_order = ?", [order])
    days = [f"0{day}/04/2025" if order == "day" else f"04/0{day}/2025" for day in range(1, 8)]
    write_lines(folder / "week.csv", [HEAD, *(f"{day},10,200" for day in days)])
    found = client.get("/api/reading?name=week.csv").json()
    assert (found["shop"], found["until"], found["adds"]) == ("seller", "2025-04-07", 7)
    assert (found["remembered"], found["dates"]) == (order, [])
    assert f"The {order} comes first in these dates, as in the shop" in client.get("/files?name=week.csv").text
    assert client.post("/api/shops/seller/week", json={"files": ["week.csv"]}).is_success
    assert any(f"--data.reading.date_order={order}" in command for command in started)
    other = "month" if order == "day" else "day"
    answered = client.get(f"/api/reading?name=week.csv&date_order={other}").json()
    assert answered["remembered"] == "" and answered["until"] != "2025-04-07", "an answer of a person comes first"


def test_the_output_of_a_job_begins_with_the_order_of_dates_that_it_was_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Job, "run", lambda *_: None)
    words = [["watch", "--run_name=seller"], ["predict", "--data.reading.date_order=month"]]
    assert Jobs(folder).start(words, "").lines == ["dates have the month first"]
    assert Jobs(folder).start(words[:1], "").lines == []
