"""Who may set a price: publishing and limits of a shop in a browser, by role."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from advice_outputs import lowering_policy
from command_line import run, seller_lines, write_lines
from fastapi.testclient import TestClient
from served_shop import entries, program_of

from pricerl.shop.database import writing

LIMITS = "/api/shops/seller/limits"
PUBLISHING = "/api/shops/seller/publishing"


@pytest.fixture(scope="module")
def moving(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an auto shop whose newest advice lowers the price from 10.00 to 9.50; its ceiling is 20."""
    folder = tmp_path_factory.mktemp("moving")
    shutil.copytree(trained_once, folder / "checkpoints/seller", symlinks=True)
    shutil.copy(trained_once.parents[1] / "seller.csv", folder)
    limits = ("--data.guardrails.ceiling", "20", "--data.guardrails.price_ladder", "[9.5,10,10.5,11,12,30,33]")
    with lowering_policy():
        done = run(folder, "predict", "--run_name", "seller", "--decision.min_chance", "0", *limits)
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def folder(moving: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(moving, tmp_path / "shops", symlinks=True)
    monkeypatch.chdir(tmp_path / "shops")
    return tmp_path / "shops"


@pytest.fixture
def approver(folder: Path) -> TestClient:
    return program_of(folder, "approver")


def charged(client: TestClient) -> tuple[list[float], str]:
    box = client.get("/api/shops/seller/outbox").json()
    return [row["price"] for row in box["rows"]], " ".join(box["notes"])


def refused(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["detail"])


def test_an_editor_tightens_publishing_and_only_an_approver_loosens_it(folder: Path) -> None:
    editor, approver = program_of(folder, "editor"), program_of(folder, "approver")
    assert charged(editor)[0] == [9.5]
    assert editor.post(PUBLISHING, json={"mode": "manual", "reason": "week off"}).json()["instead_of"] == "auto"
    assert charged(editor) == ([], "seller: no price, the change to 9.5 waits for your approval")
    assert "only an approver" in refused(editor.post(PUBLISHING, json={"mode": "auto"}), 403)
    assert "already: manual" in refused(approver.post(PUBLISHING, json={"mode": "manual"}), 400)
    assert "mode: " in refused(approver.post(PUBLISHING, json={"mode": "loose"}), 422)
    assert approver.post(PUBLISHING, json={"mode": "auto"}).status_code == 200
    assert charged(editor)[0] == [9.5]
    assert [entry["kind"] for entry in entries(folder)[2:]] == ["publishing", "publishing"]
    assert "publishing: auto → manual" in run(folder, "history").out


WAY = r'<option value="(shadow|manual|auto)">'


def test_the_page_names_the_way_of_publishing_and_offers_what_the_role_may_choose(folder: Path) -> None:
    for role, offered in (("viewer", []), ("editor", ["shadow", "manual"]), ("approver", ["shadow", "manual"])):
        page = program_of(folder, role).get("/shops/seller/settings").text
        assert "Advised prices: at once, within the limits" in page
        assert re.findall(WAY, page) == offered
        assert ('name="force"> Set it though' in page) == (role == "approver")
    program_of(folder, "editor").post(PUBLISHING, json={"mode": "manual"})
    assert re.findall(WAY, program_of(folder, "editor").get("/shops/seller/settings").text) == ["shadow"]


def test_a_typed_limit_changes_that_limit_alone_and_binds_at_once(approver: TestClient, folder: Path) -> None:
    before = approver.get(LIMITS).json()
    assert (before["floor"], before["ceiling"], before["price_ladder"][:2]) == (None, 20, [9.5, 10])
    made = approver.put(LIMITS, json={"limits": {"floor": 9.8}, "reason": "brand", "by": "anna"}).json()
    assert (made["limits"], made["instead_of"], made["actor"]) == ({"floor": 9.8}, {"floor": None}, "anna")
    assert approver.get(LIMITS).json() == {**before, "floor": 9.8}
    rows, notes = charged(approver)
    assert rows == [] and "the price of 9.5 is below the floor of 9.8" in notes
    order = {"price": 9.6, "until": "2025-04-05", "reason": "x"}
    assert "below the floor of 9.8" in refused(approver.post("/api/shops/seller/override", json=order), 400)
    assert "below the floor of 9.8" in refused(approver.post("/api/shops/seller/approve", json={}), 400)
    assert approver.put(LIMITS, json={"limits": {"floor": None}}).status_code == 200
    assert charged(approver)[0] == [9.5]
    assert not (folder / "guardrails.yaml").exists()
    assert "floor 9.8 instead of none" in run(folder, "history").out


WIDER = ({"ceiling": 21}, {"ceiling": None}, {"max_change": 0.06}, {"min_hold_days": 1}, {"max_week_change": 0.2})
WIDER += ({"price_step": 0.001}, {"floor": 9, "max_change": 0.5})


def test_an_editor_may_not_widen_a_limit(folder: Path) -> None:
    editor = program_of(folder, "editor")
    for limits in WIDER:
        assert "an approver's decision" in refused(editor.put(LIMITS, json={"limits": limits}), 403), limits
    assert len(entries(folder)) == 2


def test_a_limit_that_the_current_price_breaks_needs_an_approver_who_confirms_it(folder: Path) -> None:
    editor, approver = program_of(folder, "editor"), program_of(folder, "approver")
    pinned = {"limits": {"floor": 12, "ceiling": 12}, "force": True}
    words = "seller: your floor of 12.00 is above the current price 10.00"
    assert words in refused(editor.put(LIMITS, json=pinned), 403)
    assert words in refused(approver.put(LIMITS, json={**pinned, "force": False}), 400)
    assert charged(approver)[0] == [9.5]
    made = approver.put(LIMITS, json=pinned).json()
    assert made["confirmed"] == {"seller": 12.0}
    for limits, found in (({"floor": 12}, "in force already"), ({"floor": 13}, "floor 13"), ({"flor": 1}, "none of")):
        assert found in refused(approver.put(LIMITS, json={"limits": limits}), 400)
    assert "no price leaves" in refused(approver.put(LIMITS, json={"limits": {"min_margin": 0.9}, "force": True}), 400)


def test_an_approver_approves_all_changes_of_a_group_and_an_editor_none(folder: Path, approver: TestClient) -> None:
    assert approver.post(PUBLISHING, json={"mode": "manual"}).status_code == 200
    approve = "/api/shops/seller/approve"
    assert "is unknown" in refused(approver.post(approve, json={"group": "tea"}), 400)
    with writing(folder / "checkpoints/seller/shop.db") as database:
        database.run("UPDATE product SET category = 'tea'")
    assert "only an approver" in refused(program_of(folder, "editor").post(approve, json={"group": "tea"}), 403)
    assert "no change of entry 1 waits" in refused(approver.post(approve, json={"group": "tea", "number": 1}), 400)
    assert charged(approver)[0] == []
    made = approver.post(approve, json={"group": "tea", "reason": "agreed"}).json()
    assert (made["kind"], made["product"], made["price"]) == ("approval", "seller", 9.5)
    assert charged(approver)[0] == [9.5]


def test_changed_values_are_taken_by_every_step_of_a_week_that_accepts_them(
    folder: Path, started: list[list[str]]
) -> None:
    body = {"files": ["seller.csv"], "accept": "changed"}
    client = program_of(folder, "approver")
    assert client.post("/api/shops/seller/week", json=body).status_code == 200
    assert started and all("--accept=changed" in words for words in started)
    assert client.post("/api/shops/seller/week", json={**body, "accept": "all"}).status_code == 422
    assert client.post("/api/shops/seller/week", json={**body, "accept": "changed,renamed"}).status_code == 200
    assert "--accept=changed,renamed" in started[-1]
    page = client.get("/shops/seller").text
    assert 'name="accept" value="changed"' in page and page.count('<option value="renamed">') == 1


def test_what_an_editor_starts_waits_and_first_limits_hold_in_a_new_shop(
    folder: Path, started: list[list[str]]
) -> None:
    write_lines(folder / "new.csv", seller_lines(seed=2))
    (folder / "guardrails.yaml").write_text("data:\n  guardrails:\n    floor: 33\n", encoding="utf-8")
    body = {"files": ["new.csv"], "limits": {"floor": 8}}
    for role, waits in (("editor", True), ("approver", False)):
        client = program_of(folder, role)
        started.clear()
        assert client.post("/api/advise", json=body).status_code == 200
        assert client.post("/api/shops/seller/week", json={"files": ["seller.csv"]}).status_code == 200
        assert [words[0] for words in started if "--waits=editor" in words] == ["advise", "predict"] * waits
        assert "--data.guardrails.floor=8" in started[0]
        assert not any(word.startswith("--config") or "33" in word for words in started for word in words)
        assert "is a shop" in refused(client.post("/api/advise", json={**body, "files": ["seller.csv"]}), 400)
        assert "limits: 'pause'" in refused(client.post("/api/advise", json={**body, "limits": {"pause": 1}}), 400)
        assert "Limits: at most 5\N{NO-BREAK SPACE}% per change" in client.get("/files?name=new.csv").text
        known = client.get("/files?name=seller.csv").text
        assert 'href="/shops/seller/settings"' in known and 'data-api="/api/shops/seller/week"' in known
