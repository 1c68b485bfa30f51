"""The command watch and its alerts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from command_line import run, seller_lines, write_lines
from saying import says

from pricerl.operations.watching.alerts import ADDRESSES, ALERT_FILE, Alert, Message, read_alerts, send_alerts
from pricerl.operations.watching.monitor_document import MONITOR_FILE, Monitor

SCHEMA_FILE = Path(__file__).parents[2] / "pricerl/operations/watching/monitor.schema.json"
NOW = datetime(2026, 1, 5, 6, 0, tzinfo=timezone.utc)
SECRET = "hunter2secret"


@pytest.fixture
def shop(shop: Path) -> Path:
    """A folder with a run and a file of 60 more days."""
    write_lines(shop / "fresh.csv", seller_lines(150))
    return shop


def dropped(lines: list[str], first: int, share: float) -> list[str]:
    """Lines with fewer sales from a row on, and without profits, which would contradict them."""
    cells = [line.split(",") for line in lines]
    for row in cells[first:]:
        price = float(row[1])
        row[2] = f"{price * int(share * round(float(row[2]) / price)):.2f}"
        row[3] = ""
    return [",".join(row) for row in cells]


def document(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "checkpoints/seller" / MONITOR_FILE).read_text(encoding="utf-8"))
    jsonschema.validate(content, json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    return content


def alerts(folder: Path) -> list[Any]:
    return read_alerts(folder / "checkpoints/seller" / ALERT_FILE)


def findings(folder: Path) -> dict[str, str]:
    content = document(folder)
    items = [*content["findings"], *(item for product in content["products"] for item in product["findings"])]
    return {item["kind"]: item["severity"] for item in items if item["severity"] not in ("ok", "unknown")}


def test_a_stable_shop_is_fine_and_a_lasting_drop_is_an_alarm_once(shop: Path) -> None:
    write_lines(shop / "fresh.csv", seller_lines(139))
    says(shop, "watch seller --data.path fresh.csv --today 2025-05-20", code=0)
    content = document(shop)
    assert content["severity"] == "ok" and content["products"][0]["new_days"] == 49
    assert not (shop / "checkpoints/seller" / ALERT_FILE).exists()
    write_lines(shop / "fresh.csv", dropped(seller_lines(150), 140, 0.4))
    words = "watch --data.path fresh.csv --today 2025-05-31"
    result = says(shop, words, code=7)
    first, step, command = result.splitlines()[:3]
    assert first.startswith("Demand fell by about") and "Ask for new advice" in step
    assert command.startswith("  pricerl predict --run_name=seller --data.path=fresh.csv")
    assert findings(shop)["drift"] == "alarm"
    assert result.splitlines()[-1].endswith(f"written to checkpoints/seller/{ALERT_FILE} (addresses: 0)")
    sent = alerts(shop)
    assert ("drift", "alarm") in [(line.kind, line.severity) for line in sent]
    says(shop, words, code=7)
    assert alerts(shop) == sent  # the cool-down


def test_late_data_are_reported(shop: Path) -> None:
    printed = says(shop, "watch seller --data.path fresh.csv --today 2025-09-01 --format json", code=7)
    assert json.loads(printed) == document(shop)
    assert findings(shop) == {"data": "alarm"}


def test_a_file_that_cannot_be_read_is_an_alarm_in_the_document_and_exit_code_3(shop: Path) -> None:
    write_lines(shop / "bad.csv", ["Report Date,Product Price", "yesterday,1"])
    result = run(shop, "watch", "seller", "--data.path", "bad.csv")
    assert result.code == 3 and result.err.startswith("error: bad.csv")
    assert findings(shop) == {"data": "alarm"} and document(shop)["generation"] is None
    assert [line.kind for line in alerts(shop)] == ["data"]


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Address of a local server that takes two messages and refuses others, and the JSON that it receives."""
    pytest.importorskip("apprise")
    bodies: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200 if len(bodies) < 3 else 500)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"json://127.0.0.1:{server.server_address[1]}/{SECRET}", bodies
        server.shutdown()
        thread.join()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # apprise imports a module that Python 3.13 has removed
def test_alerts_arrive_at_a_webhook_and_a_refusal_is_noted_and_no_address_is_written_anywhere(
    shop: Path, webhook: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, bodies = webhook
    write_lines(shop / "addresses.txt", ["# our chat", address])
    given = "watch seller --alert_file addresses.txt"
    late = f"{given} --data.path fresh.csv --today 2025-09-01 --cool_down 0"
    printed = says(shop, f"{given} --test-alert", code=0) + says(shop, late, code=7)
    first, second = ({key: body[key] for key in ("title", "message", "type")} for body in bodies)
    test = {"title": "pricerl ok: seller", "message": "ok: test: this is a test: alerts arrive here", "type": "info"}
    assert first == test and (second["title"], second["type"]) == ("pricerl alarm: seller", "failure")
    assert second["message"].startswith("alarm: data: the file ends on 2025-05-30, 94 days ago")
    refused = run(shop, *late.split())
    assert (
        refused.code == 7 and "alert address 1 did not take the message" in refused.err and alerts(shop)[-1].sent == 0
    )
    monkeypatch.setenv(ADDRESSES, f"nonsense://{SECRET}")
    printed += says(shop, "watch seller --test-alert", "alert address 1 is not one that apprise knows", code=2)
    assert SECRET not in printed + refused.out + refused.err
    written = b"".join(path.read_bytes() for path in (shop / "checkpoints").rglob("*") if path.is_file())
    assert SECRET.encode() not in written and b"nonsense" not in written


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # as above
def test_an_advice_is_sent_with_its_page(
    shop: Path, webhook: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = run(shop, "report", "seller", "--send")
    assert lacking.code == 2 and "--send: there is no address; name a file by --alert_file" in lacking.err
    address, bodies = webhook
    monkeypatch.setenv(ADDRESSES, address)
    assert says(shop, "report seller --send", code=0).splitlines()[-1] == "sent to 1 address"
    (body,) = bodies
    assert body["title"] == "pricerl: seller"
    assert "days, last day" in body["message"] and "profit per day" in body["message"]
    assert [item["filename"] for item in body["attachments"]] == ["report.html"]


def test_an_alert_waits_for_its_cool_down_unless_it_gets_worse_or_did_not_arrive(tmp_path: Path) -> None:
    sent: list[Message] = []

    def works(message: Message) -> str:
        sent.append(message)
        return ""

    warning = Alert("data", "", "warning", "old")
    assert send_alerts(tmp_path, [warning], [lambda _: "failed"], 7, NOW) == ([warning], ["failed"])
    assert send_alerts(tmp_path, [warning], [works], 7, NOW) == ([warning], [])
    assert send_alerts(tmp_path, [warning], [works], 7, NOW + timedelta(days=6.9)) == ([], [])
    worse = warning._replace(severity="alarm")
    assert send_alerts(tmp_path, [warning, worse], [works], 7, NOW + timedelta(days=1)) == ([worse], [])
    other = warning._replace(product="mug")
    later = NOW + timedelta(days=9)
    assert send_alerts(tmp_path, [worse, other], [works], 7, later)[0] == [worse, other]
    assert sent[-1] == Message(f"pricerl alarm: {tmp_path.name}", "alarm: data: old\nwarning: mug, data: old", "alarm")
    before = read_alerts(tmp_path / ALERT_FILE)
    assert [line.sent for line in before] == [0, 1, 1, 1, 1]
    with (tmp_path / ALERT_FILE).open("ab") as file:
        file.write(b'{"kind": "age"}\n[1]\n{"kind": "dr')  # cut off
    assert read_alerts(tmp_path / ALERT_FILE) == before


def test_the_schema_of_the_document_is_that_of_the_code() -> None:
    """A stale file is written anew, and the test fails once."""
    _, parts = msgspec.json.schema_components([Monitor], ref_template="#/$defs/{name}")
    start = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": MONITOR_FILE}
    schema = {**start, "$ref": "#/$defs/Monitor", "$defs": parts}
    stale = json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) != schema
    if stale:
        SCHEMA_FILE.write_text(json.dumps(schema, indent=1) + "\n", encoding="utf-8")
    assert not stale
