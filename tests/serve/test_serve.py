"""The shop in a browser: what is refused, the first visit, decisions, and the next week."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from html import unescape
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from advice_outputs import lowering_policy
from command_line import edit, run, seller_lines, write_lines
from fastapi.testclient import TestClient
from served_shop import BASE, PORT, TODAY, TOKEN, client_of, entries, program_of

from pricerl.advice.report.work_list import WorkList
from pricerl.errors import UsageError
from pricerl.formatting import PLAIN
from pricerl.mcp.tools import AgentTools
from pricerl.operations.log.approved_costs import LOCK
from pricerl.operations.log.decision_log import LOG_FILE
from pricerl.operations.log.drafts import draft_pause
from pricerl.serve import workplace
from pricerl.serve.guard import Keys
from pricerl.serve.server import serve
from pricerl.serve.workplace import Workplace, address_of

PAGE = "/shops/seller/products/seller"
HOSTILE = "<img src=x onerror=alert(1)>\u202e ../../etc"


@pytest.fixture
def keys() -> Keys:
    return Keys({TOKEN: "approver", f"{TOKEN}-of-ed": "editor", f"{TOKEN}-of-vi": "viewer"})


@pytest.fixture
def stranger(folder: Path, keys: Keys) -> TestClient:
    return client_of(folder, keys)


def enter(client: TestClient, token: str) -> TestClient:
    """Open the printed address in a browser, which then sends what the script of the page sends."""
    answer = client.get(f"/?token={token}")
    assert (answer.status_code, answer.headers["refresh"]) == (200, "0; url=/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and token not in cookie
    (csrf,) = re.findall(r'name="csrf" content="(\w+)"', client.get("/").text)
    client.headers.update({"X-CSRF-Token": csrf, "Origin": BASE})
    return client


@pytest.fixture
def browser(stranger: TestClient) -> TestClient:
    """A browser of an approver."""
    return enter(stranger, TOKEN)


ORDER = {"price": 10.5, "until": "2025-04-05", "reason": "clearance", "by": "anna"}
WRITE = "/api/shops/seller/override"


def test_only_the_token_opens_pages_and_interface(stranger: TestClient) -> None:
    assert stranger.get("/").headers["location"] == "/login"
    for path in ("/?xtoken=1", "/?token=", "/shops/seller?token=the-token-of-this-test", "/static/serve.js/../x"):
        assert stranger.get(path).headers["location"] == "/login", path
    for path in ("/api/shops", "/api/openapi.json", "/api/shops/seller/history"):
        refused = stranger.get(path)
        assert refused.status_code == 401 and "token" in refused.json()["detail"]
    wrong = stranger.get("/?token=wrong")
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (403, False)
    assert "not the one that pricerl serve printed" in wrong.text
    for token in ("wrong", f"{TOKEN}x", TOKEN[:-1], TOKEN.upper(), "é".encode(), "x" * 10_000):
        bearer = b"Bearer " + (token if isinstance(token, bytes) else token.encode())
        assert stranger.get("/api/shops", headers={b"Authorization": bearer}).status_code == 401
    answer = stranger.post(WRITE, json=ORDER, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200 and answer.json()["kind"] == "override"
    assert stranger.get("/login").status_code == 200
    assert [stranger.post("/login", json={"token": token}).status_code for token in ("wrong", TOKEN)] == [403, 200]
    assert stranger.get("/").status_code == 200


def test_a_role_may_what_it_is_for_and_no_more(stranger: TestClient, folder: Path) -> None:
    rows = {"rows": [{"product": "seller", "unit_cost": 4}]}
    for role, may_type, may_decide in (("vi", 403, 403), ("ed", 200, 403)):
        bearer = {"Authorization": f"Bearer {TOKEN}-of-{role}"}
        assert stranger.get("/api/shops", headers=bearer).status_code == 200
        assert stranger.put("/api/costs", json=rows, headers=bearer).status_code == may_type
        refused = stranger.post(WRITE, json=ORDER, headers=bearer)
        assert refused.status_code == may_decide and "only an approver may do this" in refused.json()["detail"]
    assert len(entries(folder)) == 1
    viewed = enter(stranger, f"{TOKEN}-of-vi").put("/api/costs", json=rows)
    assert viewed.status_code == 403 and "the role viewer; only an editor" in viewed.json()["detail"]


def test_a_page_holds_only_the_forms_that_its_role_may_send(folder: Path, keys: Keys) -> None:
    edits = {"/api/columns", "/api/costs", "/api/advise", ""}
    edits |= {f"/api/shops/seller/{name}" for name in ("week", "limits", "publishing")}
    decides = {f"/api/shops/seller/{name}" for name in ("override", "pause", "price-test")}
    write_lines(folder / "new.csv", seller_lines(seed=2))
    pages = ("/", "/files?name=new.csv", "/shops/seller", "/shops/seller/settings", PAGE)
    for token, expected in (("-of-vi", set()), ("-of-ed", edits), ("", edits | decides)):
        client = enter(client_of(folder, keys), f"{TOKEN}{token}")
        texts = [client.get(path).text for path in pages]
        found = {target for text in texts for target in re.findall(r'<form[^>]* data-(?:api|upload)="([^"]*)"', text)}
        assert found == expected, token
        assert expected or not any("<button" in text for text in texts)
        assert 'id="slider"' in texts[-1]


FORGED = {
    "another origin": ({"Origin": "http://evil.example"}, 403, "another origin"),
    "an opaque origin": ({"Origin": "null"}, 403, "another origin"),
    "another site": ({"Sec-Fetch-Site": "cross-site"}, 403, "another site"),
    "no proof": ({"X-CSRF-Token": ""}, 403, "x-csrf-token"),
    "a wrong proof": ({"X-CSRF-Token": "é" * 64}, 403, "x-csrf-token"),
}


def test_a_forged_write_is_refused_with_a_sentence(browser: TestClient, folder: Path) -> None:
    for attack, (headers, status, words) in FORGED.items():
        encoded = {name: value.encode() for name, value in headers.items()}
        refused = browser.post(WRITE, json=ORDER, headers=encoded)
        assert refused.status_code == status and words in refused.json()["detail"], attack
    for host in ("evil.example", f"evil.example:{PORT}", "127.0.0.1.evil.example", "[::1", ""):
        refused = browser.get("/", headers={"Host": host})
        assert refused.status_code == 400 and refused.text.endswith(f"; open {BASE}/ instead\n"), host
    for host in (f"LOCALHOST:{PORT}", "localhost", f"[::1]:{PORT}", "127.0.0.1:9000"):
        assert browser.get("/login", headers={"Host": host}).status_code == 200, host
    assert len(entries(folder)) == 1


def test_every_answer_carries_a_strict_policy_and_no_page_an_inline_script(browser: TestClient) -> None:
    for path in ("/", "/shops/seller", "/shops/seller/history", "/files?name=seller.csv", "/nowhere", "/login"):
        answer = browser.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy and answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script(?! src=\"/static/serve\.js\")|\son\w+=|style=\"", answer.text), path
        (meta,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', answer.text)
        assert "default-src &#39;none&#39;" in meta and "script-src &#39;self&#39;" in meta


OUTSIDE = ("/shops/..%2f..%2fetc", "/shops/%2e%2e", "/shops/seller%2f..%2f..", "/files?name=..%2f..%2fetc%2fpasswd")
OUTSIDE += ("/files?name=%2fetc%2fpasswd", "/static/..%2fguard.py", "/static/guard.py", "/files?name=link.csv")
OUTSIDE += (
    "/api/shops/%2e%2e/history",
    "/api/reading?name=checkpoints",
    "/shops/outside",
    "/shops/seller/shop.db",
    "/files?name=sqlite:///x.db",
)


def test_no_file_outside_of_the_folder_is_reached(browser: TestClient, folder: Path, tmp_path: Path) -> None:
    write_lines(tmp_path / "secret.csv", ["secret"])
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    shutil.copytree(folder / "checkpoints/seller", tmp_path / "shop", symlinks=True)
    (folder / "checkpoints/outside").symlink_to(tmp_path / "shop")
    for path in OUTSIDE:
        refused = browser.get(path)
        assert refused.status_code in (400, 404, 422), path
        assert "secret" not in refused.text and "root:" not in refused.text, path


def test_an_upload_lands_in_the_folder_whatever_its_name_says(browser: TestClient, folder: Path) -> None:
    for name in ("../../x.csv", "C:\\x\\..\\x.csv", "/etc/x.csv"):
        assert browser.post("/api/files", files=[("files", (name, name.encode()))]).json() == ["x.csv"]
        assert (folder / "x.csv").read_bytes() == name.encode()


OTHER_NAMES = ("guardrails.yaml", "columns.yaml", ".hidden.csv", "x.py", "costs.csv", "COSTS.CSV", "prices.csv")
OTHER_NAMES += ("-x.csv", "a\nb.csv", f"{'x' * 300}.csv", "\u202evsc.x", "..", "con/../..csv", "guardrails.yaml.")
OTHER_NAMES += ("run.csv\u2028", "~.csv")


def test_an_upload_of_another_kind_is_refused(browser: TestClient, folder: Path) -> None:
    before = {path.name for path in folder.iterdir()}
    for name in OTHER_NAMES:
        refused = browser.post("/api/files", files=[("files", (name, b"x"))])
        assert refused.status_code in (400, 422), name
        assert "is not the name of a file that is read" in refused.text, name
    assert {path.name for path in folder.iterdir()} - {LOCK} == before


def test_a_large_upload_is_refused_with_and_without_its_length(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pricerl.serve.guard.MOST_BYTES", 2000)
    client = program_of(folder, "approver")
    whole = client.post("/api/files", files=[("files", ("big.csv", b"x" * 3000))])
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="big.csv"\r\n\r\n'
    parts = (part for part in (head, *[b"x" * 1000] * 3, b"\r\n--b--\r\n"))
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    chunked = client.post("/api/files", content=parts, headers=kind)
    for refused in (whole, chunked):
        assert refused.status_code == 413 and "larger than" in refused.json()["detail"]
    assert not (folder / "big.csv").exists()


def test_hostile_texts_of_a_file_are_shown_as_text(browser: TestClient, folder: Path) -> None:
    write_lines(folder / "hostile.csv", seller_lines(product=HOSTILE))
    page = browser.get("/files?name=hostile.csv")
    assert page.status_code == 200 and "&lt;img src=x onerror" in page.text
    assert "<img" not in page.text and "\u202e" not in page.text
    damaged = browser.post("/api/files", files=[("files", ("bomb.xlsx", os.urandom(5000)))])
    assert damaged.status_code == 200
    shown = browser.get("/files?name=bomb.xlsx")
    assert shown.status_code == 200 and 'role="alert"' in shown.text


def test_a_file_is_shown_as_it_was_read_before_anything_is_trained(browser: TestClient, folder: Path) -> None:
    reading = browser.get("/api/reading?name=seller.csv").json()
    (product,) = reading["products"]
    names = [column["name"] for column in reading["columns"]]
    assert reading["refusal"] == "" and names[:2] == ["Report Date", "Product Price"]
    checked = run(folder, "check", "seller.csv").out
    assert "\n".join(product["report"]) in checked and product["costs"] in checked
    assert f"{product['current_price']:g}" in browser.get("/files?name=seller.csv").text


def test_files_are_read_one_request_at_a_time_and_each_name_once(
    browser: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "/api/reading?name=seller.csv&name=seller.csv"
    assert browser.get(address).json()["files"] == ["seller.csv"]
    monkeypatch.setattr(workplace, "LONGEST_WAIT", 0.01)
    with workplace.READING:
        busy = browser.get(address)
        advised = browser.post("/api/advise", json={"files": ["seller.csv"]})
    for refused in (busy, advised):
        assert refused.status_code == 400 and "other files are being read" in refused.json()["detail"]
    assert browser.get(address).status_code == 200


NAMES = ("mug/blue", "/a//b/", "50 % off", "100%", "?q=1#x", "..", ".", "Käse ☕", "what-if", "\u202ecba", "1")


def test_a_product_of_any_name_keeps_its_address_whatever_stands_before_it(browser: TestClient, folder: Path) -> None:
    """Page, form, interface and slider name the product itself; its number in some file leads nowhere."""
    with contextlib.closing(sqlite3.connect(folder / "checkpoints/seller" / LOG_FILE)) as connection, connection:
        ((*kept, text),) = connection.execute(
            "SELECT entry, file, stands, summary, days, record FROM advice"
        ).fetchall()
        connection.execute("DELETE FROM advice")
        connection.execute("DELETE FROM fact WHERE name LIKE 'exported%'")
        records = [
            (name, at, *kept, json.dumps({**json.loads(text), "product": name})) for at, name in enumerate(NAMES)
        ]
        connection.executemany("INSERT INTO advice VALUES (?, ?, ?, ?, ?, ?, ?, ?)", records)
    listed = browser.get("/shops/seller").text
    for name in NAMES:
        address = f"/shops/seller/products/{address_of(name)}"
        assert f'href="{address}"' in listed, name
        page = browser.get(address).text
        (form,) = {unescape(found) for found in re.findall(r'name="product" value="([^"]*)"', page)}
        data, ask = re.findall(r'data-source="([^"]*)" data-ask="([^"]*)"', page)[0]
        assert (form, browser.get(data).json()["product"]) == (name, name)
        assert ask == data.replace("/products/", "/what-if/", 1)
        assert name in ("..", ".") or browser.get(f"/api/shops/seller/products/{quote(name, '')}").is_success
    more = {"products": [{"product": name} for name in (*NAMES, "%2F", "%2e", "two\nlines")]}
    for known in more["products"]:
        assert Workplace.product_of(more, unquote(address_of(known["product"]))) == known
    lost = browser.get("/api/shops/seller/products/2"), browser.get("/shops/seller/products/2")
    assert [answer.status_code for answer in lost] == [404, 404]
    assert all("the advice has no product &#39;2&#39;" in answer.text.replace("'", "&#39;") for answer in lost)


def test_a_wrong_mapping_is_corrected_and_remembered(browser: TestClient, folder: Path) -> None:
    lines = seller_lines(columns=3)
    write_lines(folder / "odd.csv", [lines[0].replace("Total Sales", "Betrag Q"), *lines[1:]])
    assert "Total Sales" in browser.get("/api/reading?name=odd.csv").json()["refusal"]
    assert browser.put("/api/columns", json={"columns": {"Betrag Q": "Totals"}}).status_code == 400
    kept = browser.put("/api/columns", json={"columns": {"Betrag Q": "Total Sales", "Report Date": ""}})
    assert kept.json() == {"Betrag Q": "Total Sales"}
    again = browser.get("/api/reading?name=odd.csv").json()
    column = {"name": "Betrag Q", "read_as": "Total Sales", "corrected": True}
    assert again["refusal"] == "" and column in again["columns"]
    corrected = ['--data.reading.columns={"Betrag Q": "Total Sales"}']
    for file, words in (("odd.csv", corrected), ("seller.csv", [])):
        assert Workplace(folder).typed_words([file], "", {}) == ("seller", words)


def test_costs_are_those_that_the_commands_read(browser: TestClient, folder: Path) -> None:
    wrong = browser.put("/api/costs", json={"rows": [{"product": "seller", "unit_cost": -1, "fees": 85}]})
    said = wrong.json()["detail"]
    assert wrong.status_code == 400 and "Unit Cost" in said and "Fees (% of the price)" in said
    rows = [{"product": "=cmd()", "unit_cost": 4.25, "from": None, "fees": 15}]
    expected = [{"product": "=cmd()", "unit_cost": 4.25, "fees": 15}]
    assert browser.put("/api/costs", json={"rows": rows}).json() == expected
    browser.put("/api/costs", json={"rows": [{"product": "seller", "unit_cost": 4.0}]})
    given = '--data.cost.products=[{"product": "seller", "unit_cost": 4.0}]'
    assert Workplace(folder).typed_words(["seller.csv"], "", {}) == ("seller", [given])
    assert "unit cost 4.00" in browser.get("/api/reading?name=seller.csv").json()["products"][0]["costs"]
    lines = seller_lines()
    write_lines(folder / "cups.csv", [f"{lines[0]},Product,Group", *(f"{line},Cup,Cups" for line in lines[1:])])
    browser.put("/api/costs", json={"rows": [{"product": "Cups", "unit_cost": 3.5}]})
    assert Workplace(folder).typed_words(["cups.csv"], "", {})[1] == [
        given.replace("seller", "Cups").replace("4.0", "3.5")
    ]
    assert "unit cost 3.50" in browser.get("/api/reading?name=cups.csv").json()["products"][0]["costs"]
    page = browser.get("/files?name=cups.csv").text
    assert (
        'aria-label="Unit Cost of Cups"' in page and 'value="3.5"' in page and 'aria-label="Unit Cost of Cup"' in page
    )


def test_every_write_returns_its_entry_and_an_order_is_undone(browser: TestClient, folder: Path) -> None:
    ordered = browser.post(WRITE, json=ORDER).json()
    assert ordered == entries(folder)[-1] and (ordered["price"], ordered["actor"]) == (10.5, "anna")
    assert "10.50" in browser.get("/shops/seller/prices.csv").text
    assert browser.get("/api/shops/seller/outbox").json()["rows"][0]["price"] == 10.5
    assert browser.get("/shops/seller/ebay.csv").text.endswith("Revise,seller,10.50\r\n")
    for link in ("prices.csv", "amazon.txt", "amazon.undo.txt"):
        assert f'href="/shops/seller/{link}" download' in browser.get("/shops/seller").text
        assert browser.get(f"/shops/seller/{link}").headers["content-disposition"].endswith(f'filename="{link}"')
    assert "Undo the override" in browser.get(PAGE).text
    undone = browser.post("/api/shops/seller/resume", json={"reason": "sold"}).json()
    assert (undone["kind"], undone["ends"]) == ("resume", ordered["id"])
    assert "Undo the override" not in browser.get(PAGE).text
    paused = browser.post("/api/shops/seller/pause", json={"until": "2025-04-09", "reason": "new supplier"}).json()
    assert browser.get("/api/shops/seller/history").json()[-1] == paused
    history = browser.get("/shops/seller/history").text
    assert "new supplier" in history and "the order of entry 2 has ended" in history


REFUSED = {
    "no reason": (WRITE, ORDER | {"reason": " "}, 400, "--reason: must be a text"),
    "a past day": (WRITE, ORDER | {"until": "2025-03-01"}, 400, "is before 2025-04-01"),
    "no day": (WRITE, ORDER | {"until": "soon"}, 400, "must be a day"),
    "no price": (WRITE, ORDER | {"price": -1}, 400, "must be a positive number"),
    "below the floor": (WRITE, ORDER | {"price": 1.0, "force": True}, 400, "is below the floor"),
    "far away": (WRITE, ORDER | {"price": 20.0}, 400, "add --force if you mean it"),
    "no number": (WRITE, ORDER | {"price": "x"}, 422, "price: "),
    "an unknown key": (WRITE, ORDER | {"floor": 0}, 422, "floor: "),
    "an unknown product": (WRITE, ORDER | {"product": HOSTILE}, 400, "is unknown"),
    "an unknown shop": (WRITE.replace("seller", "other"), ORDER, 400, "is not a folder of a run"),
    "nothing to undo": ("/api/shops/seller/resume", {}, 400, "no override, pause, price test, clearance or approval"),
    "nothing to approve": ("/api/shops/seller/approve", {}, 400, "nothing to approve"),
}


def test_a_wrong_decision_is_refused_as_by_the_command(browser: TestClient, folder: Path) -> None:
    for mistake, (path, body, status, words) in REFUSED.items():
        refused = browser.post(path, json=body)
        assert refused.status_code == status and words in refused.json()["detail"], (mistake, refused.text)
    assert len(entries(folder)) == 1


def shown_text(page: str) -> str:
    """Text of a page."""
    return " ".join(unescape(re.sub(r"<[^>]+>", "", page)).split())


ORDERS = {
    "override": ({"price": 10.5}, "You charge 10.50 until Sat 5 Apr; the advice was 10.00", "Set 10.50 in your shop"),
    "pause": ({}, "You keep 10.00 until Sat 5 Apr, as advised", "Keep 10.00 until Sat 5 Apr"),
}


@pytest.mark.parametrize("kind", ORDERS)
def test_an_order_leads_page_list_log_report_and_agents_answer(kind: str, browser: TestClient, folder: Path) -> None:
    """What a person decided is said before what was advised, at once and everywhere."""
    given, headline, step = ORDERS[kind]
    ordered = {"until": "2025-04-05", "reason": "clearance", "by": "anna", **given}
    assert browser.post(f"/api/shops/seller/{kind}", json=ordered).status_code == 200
    price = given.get("price", 10.0)
    page = shown_text(browser.get(PAGE).text)
    assert headline in page and step in page and "Keep the price at" not in page
    assert headline in shown_text(browser.get("/shops/seller").text)
    record = browser.get("/api/shops/seller").json()["products"][0]
    (task,) = WorkList([record]).orders({}, PLAIN)[0][2]
    assert (task.verdict, task.gain.value) == (headline, "–")
    log = shown_text(browser.get("/shops/seller/history").text)
    assert f"{price:.2f}{' kept' if kind == 'pause' else ''} until 2025-04-05, active" in log
    assert run(folder, "report", "--run_name", "seller").code == 0
    assert headline in shown_text((folder / "checkpoints/seller/report.html").read_text(encoding="utf-8"))
    answer = AgentTools(Workplace(folder, TODAY)).advice("seller")
    assert answer["decided"] == {"kind": kind, "price": price, "until": "2025-04-05"}
    assert browser.post("/api/shops/seller/resume", json={}).status_code == 200
    assert "Keep the price at 10.00" in shown_text(browser.get(PAGE).text)


def test_an_approval_approves_the_price_that_the_page_showed(browser: TestClient, folder: Path) -> None:
    """The form sends the number of the advice, and one that newer advice has replaced is refused with both prices."""

    def advise(limit: str) -> dict[str, str]:
        words = ("--data.guardrails.max_change", limit, "--decision.min_chance", "0", "--run_name", "seller")
        with lowering_policy():
            assert run(folder, "predict", *words, "--data.path", "seller.csv").code == 0
        page = browser.get(PAGE).text
        (form,) = re.findall(r'<form[^>]*/approve">(.*?)</form>', page, re.DOTALL)
        assert ">Approve 9." in form
        return dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))

    seen, newer = advise("0.05"), advise("0.03")
    refused = browser.post("/api/shops/seller/approve", json=seen)
    assert refused.status_code == 400 and refused.json()["detail"] == (
        "entry 2, which advises 9.50, is not the newest advice on seller; the newest is entry 3, which advises 9.70"
    )
    strange = browser.post("/api/shops/seller/approve", json={**newer, "product": "mug"}).json()
    assert strange["detail"] == "entry 3 advises on seller, not on mug"
    approved = browser.post("/api/shops/seller/approve", json=newer).json()
    assert (approved["approves"], approved["price"]) == (3, 9.7)
    said = "You charge 9.70 from Tue 1 Apr, as advised and approved"
    assert said in shown_text(browser.get(PAGE).text)
    with lowering_policy():
        done = run(folder, "predict", "--data.path", "seller.csv", "--run_name", "seller", "--horizon", "7")
    assert f" {said}\n" in done.out and "pricerl approve" not in done.out
    assert said in shown_text((folder / "checkpoints/seller/report.html").read_text(encoding="utf-8"))


def test_a_price_test_is_planned_and_started_by_the_command(browser: TestClient, started: list[list[str]]) -> None:
    options = ["--run_name=seller", "--product=seller", f"--today={TODAY}"]
    for step in ("plan", "start"):
        body = {"step": step, "product": "seller"}
        assert browser.post("/api/shops/seller/price-test", json=body).json() == {"job": 7}
        assert started.pop() == ["price-test", step, *options]
    assert browser.post("/api/shops/seller/price-test", json={"step": "read"}).status_code == 422


def test_openapi_names_every_path_of_the_interface(browser: TestClient) -> None:
    paths = browser.get("/api/openapi.json").json()["paths"]
    assert {"/api/reading", "/api/advise", "/api/shops/{name}/override", "/api/jobs/{number}/events"} <= set(paths)
    assert all(path.startswith("/api/") for path in paths)


def test_the_server_refuses_what_would_open_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="open to other computers: name tokens with --token_file"):
        serve([str(tmp_path), "--host", "0.0.0.0", "--no-browser"])
    with pytest.raises(UsageError, match="is not a folder"):
        serve([str(tmp_path / "none"), "--no-browser"])
    with pytest.raises(UsageError, match="--today: must be a day"):
        serve([str(tmp_path), "--no-browser", "--today", "soon"])


def test_home_list_and_next_week_show_the_receipt(browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = "Since 2 Apr 2025 the new prices have earned 412.00 more"
    workplace.read_receipt.cache_clear()
    monkeypatch.setattr(workplace, "receipt_lines", lambda shop: [sentence])
    for path in ("/", "/shops/seller", "/shops/seller/review"):
        assert sentence in browser.get(path).text, path
    workplace.read_receipt.cache_clear()


def test_a_shop_that_is_being_changed_is_shown_as_it_was_and_then_as_it_is(browser: TestClient, folder: Path) -> None:
    before = browser.get("/api/shops/seller/outbox").json()
    opened = next(shop for (path, _), (_, shop) in workplace.OPENED.items() if path.is_relative_to(folder))
    with workplace.BUSY[opened.folder.path.absolute(), str(opened.given_day)]:
        opened.record(lambda now: [draft_pause(now, until="2025-04-20", by="anna", reason="fair", product=None)])
        assert browser.get("/api/shops/seller/outbox").json() == before
    assert browser.get("/api/shops/seller/outbox").json() != before
    assert browser.post("/api/shops/seller/resume", json={}).status_code == 200


def test_a_sample_shop_is_made_by_the_simulation_and_read(browser: TestClient, folder: Path) -> None:
    assert browser.post("/api/samples", json={"name": "Bean Street"}).json() == ["Bean Street.csv"]
    reading = browser.get("/api/reading?name=Bean Street.csv").json()
    assert (reading["shop"], reading["currency"], reading["until"]) == ("Bean Street", "EUR", "2025-03-31")
    assert [item["product"] for item in reading["products"]] == [
        "House blend, 1 kg",
        "Espresso, 500 g",
        "Paper filters",
    ]
    assert len(reading["recent"][0]["units"]) == 90
    unknown = browser.post("/api/samples", json={"name": "../x"})
    assert unknown.status_code == 400 and "known are Oak and Linen" in unknown.json()["detail"]


def test_the_first_page_needs_no_torch() -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from pricerl.serve.server import create_app\nfrom pricerl.serve.guard import Keys\n"
        "from pricerl.serve.workplace import Workplace\n"
        "create_app(Workplace(Path('.')), Keys({}), own=False)\n"
        "assert not {'torch', 'lightning', 'gymnasium', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_shop_whose_files_are_lost_or_damaged_gets_one_sentence_and_the_others_go_on(
    folder: Path, browser: TestClient
) -> None:
    home = folder / "checkpoints"
    for name in ("broken", "cut", "deep", "overwritten"):
        shutil.copytree(home / "seller", home / name)
    forged = """UPDATE entry SET line = replace(line, '"actor"', '"actOr"') WHERE id = 1"""
    edit(home / "broken" / LOG_FILE, forged)
    edit(home / "cut" / LOG_FILE, "DELETE FROM advice", "DELETE FROM entry")
    (home / "overwritten" / LOG_FILE).write_bytes(b"x" * 5000)
    nested = b'{"format": 6, "products": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    (home / "deep" / "advice.json").write_bytes(nested)
    said = {
        "broken": "shop.db: entry 1: was changed after it was written",
        "cut": "shop.db: was cut or rewritten",
        "overwritten": "shop.db: is damaged",
    }
    assert browser.get("/api/shops").json() == sorted([*said, "deep", "seller"])
    assert browser.get("/shops/deep").status_code == 200, "a damaged document is written again"
    assert all(name in browser.get("/").text for name in said) and browser.get("/shops/seller").status_code == 200
    for name, sentence in said.items():
        shown = browser.get(f"/shops/{name}")
        assert shown.status_code == 400 and sentence in shown.text
        assert sentence in run(folder, "report", "--run_name", name).err
    shops = AgentTools(Workplace(folder, TODAY)).shops()["shops"]
    listed = {item["shop"]["quoted"]: item["products"] for item in shops}
    assert listed["seller"] == listed["deep"] == 1
    assert said["cut"] in listed["cut"]["reason"]["quoted"]
