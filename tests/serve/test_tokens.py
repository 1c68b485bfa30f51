"""Tokens and their files, the name that the log takes, uploads, and processes in a folder of a stranger."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
import uvicorn
from fastapi.testclient import TestClient
from served_shop import BASE, TODAY, TOKEN, entries, program_of

from pricerl.cli.main import main
from pricerl.errors import UsageError
from pricerl.serve.guard import OPEN, SAFE, read_keys
from pricerl.serve.jobs import Job, Jobs
from pricerl.serve.server import create_app, serve


def run_server(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[socket.socket], None], *words: str) -> None:
    """Let a server listen while a function looks at its socket, and end."""

    def look(_: uvicorn.Server, sockets: list[socket.socket]) -> None:
        with sockets[0] as listening:
            meanwhile(listening)

    monkeypatch.chdir(Path.cwd())  # which the command changes
    monkeypatch.setattr(uvicorn.Server, "run", look)
    serve([*words, "--port", "0", "--today", TODAY])


def write_tokens(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    path.chmod(0o600)
    return path


def test_a_line_of_a_token_file_has_role_name_and_token(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    path = write_tokens(tmp_path / "tokens", f"editor ed  the second {TOKEN}1", f"viewer {TOKEN}2", "", f"{TOKEN}3")
    keys = read_keys("0.0.0.0", path, folder, "approver")
    assert keys.roles == {f"{TOKEN}1": "editor", f"{TOKEN}2": "viewer", f"{TOKEN}3": "approver"}
    assert [*keys.names.values()] == ["ed the second", "viewer", "approver"]
    for line in ("short", f"owner anna {TOKEN}"):
        write_tokens(path, line)
        with pytest.raises(UsageError, match=r"token 1: must be ROLE NAME TOKEN, .* agent and at least 16 characters"):
            read_keys("127.0.0.1", path, folder, "approver")


@pytest.mark.parametrize("place", ["shop/tokens.txt", "shop/below/tokens", "link to it", "link in it"])
def test_a_token_file_in_the_served_folder_is_refused(place: str, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    (folder / "below").mkdir(parents=True)
    inside = write_tokens(folder / "tokens.txt", f"approver {TOKEN}")
    outside = write_tokens(tmp_path / "tokens.txt", f"approver {TOKEN}")
    (folder / "link.txt").symlink_to(outside)
    (tmp_path / "link.txt").symlink_to(inside)
    (folder / "below/tokens").symlink_to(outside)
    path = {"link to it": tmp_path / "link.txt", "link in it": folder / "link.txt"}.get(place, tmp_path / place)
    with pytest.raises(UsageError, match="lies in the folder that is served; move it out of"):
        serve([str(folder), "--token_file", str(path), "--no-browser"])
    assert read_keys("127.0.0.1", outside, folder, "approver").roles


def test_a_token_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = write_tokens(tmp_path / "tokens.txt", f"approver {TOKEN}")
    (tmp_path / "shop").mkdir()
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(UsageError, match=rf"open to other users of this computer; run: chmod 600 {path}"):
            read_keys("127.0.0.1", path, tmp_path / "shop", "approver")


def test_the_browser_gets_the_token_by_a_page_for_this_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    pages: list[tuple[str, int]] = []

    def look(_: socket.socket) -> None:
        until = time.monotonic() + 5
        while not opened and time.monotonic() < until:
            time.sleep(0.01)
        page = Path(urlparse(opened[0]).path)
        pages.append((page.read_text(encoding="utf-8"), stat.S_IMODE(page.parent.stat().st_mode)))

    run_server(monkeypatch, look, str(tmp_path))
    (token,) = re.findall(r"\?token=(\S+)", capsys.readouterr().err)
    ((text, mode),) = pages
    assert f"?token={token}" in text and mode == 0o700 and token not in opened[0]
    assert [*tmp_path.iterdir()] == []


def printed_token(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    run_server(monkeypatch, lambda _: None, str(folder), "--no-browser")
    return re.findall(r"\?token=(\S+)", capsys.readouterr().err)[0]


def test_a_token_survives_a_restart_for_its_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    (tmp_path / "shops").mkdir()
    tokens = [printed_token(tmp_path / "shops", monkeypatch, capsys) for _ in range(2)]
    kept = tmp_path / "settings/pricerl/approver.token"
    assert tokens == 2 * [kept.read_text(encoding="utf-8")] and len(tokens[0]) == 43
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert [*kept.parent.iterdir()] == [kept] and [*(tmp_path / "shops").iterdir()] == []
    for spoil in (lambda: kept.chmod(0o644), lambda: kept.write_text("short"), lambda: kept.write_bytes(b"\xff" * 40)):
        spoil()
        tokens.append(printed_token(tmp_path / "shops", monkeypatch, capsys))
        assert kept.read_text(encoding="utf-8") == tokens[-1] and stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert len({*tokens}) == 4
    monkeypatch.setenv("XDG_CONFIG_HOME", str(kept))  # a file, in which no folder can be made
    assert printed_token(tmp_path / "shops", monkeypatch, capsys) not in tokens


def test_a_session_survives_a_restart_until_the_token_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    (tmp_path / "shops").mkdir()
    apps: list[Any] = []
    made = lambda *given: apps.append(create_app(*given)) or apps[-1]  # noqa: E731
    monkeypatch.setattr("pricerl.serve.server.create_app", made)

    def restarted() -> TestClient:
        run_server(monkeypatch, lambda _: None, str(tmp_path / "shops"), "--no-browser")
        return TestClient(apps[-1], base_url=BASE, follow_redirects=False)

    kept = tmp_path / "settings/pricerl/approver.token"
    first = restarted()
    entered = first.post("/login", json={"token": kept.read_text(encoding="utf-8")})
    assert entered.status_code == 200 and "Max-Age=2592000" in entered.headers["set-cookie"]
    bookmark = {"cookie": entered.headers["set-cookie"].partition(";")[0]}
    assert restarted().get("/api/shops", headers=bookmark).status_code == 200
    kept.unlink()
    last = restarted()
    assert last.get("/", headers=bookmark).headers["location"] == "/login"
    refused = last.post("/login", json={"token": "an-earlier-one-that-was-replaced"})
    assert refused.status_code == 403 and "open the address that it prints when it starts" in refused.json()["detail"]


def test_a_port_has_one_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On Windows an option keeps others from sharing it, which takes the place of that for a port used before."""
    said: list[str] = []

    def start_another(listening: socket.socket) -> None:
        for port in (listening.getsockname()[1], 70_000):
            with pytest.raises(UsageError, match=f"127.0.0.1, port {port}, cannot be used; choose another"):
                serve([str(tmp_path), "--no-browser", "--port", str(port)])
        said.append(capsys.readouterr().err)

    run_server(monkeypatch, start_another, str(tmp_path), "--no-browser")
    assert said[0].count("is served at") == 1
    options: list[int] = []
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_KEEPALIVE, raising=False)
    at = (socket.SOL_SOCKET, socket.SO_KEEPALIVE), (socket.SOL_SOCKET, socket.SO_REUSEADDR)
    look = lambda listening: options.extend(map(bool, (listening.getsockopt(*option) for option in at)))  # noqa: E731
    run_server(monkeypatch, look, str(tmp_path), "--no-browser")
    assert options == [True, False]


def test_an_answer_does_not_wait_for_an_acknowledgement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection takes the option from the socket that listens; without it each kept one waits 40 ms per answer."""

    def look(listening: socket.socket) -> None:
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    run_server(monkeypatch, look, str(tmp_path), "--no-browser")


@pytest.fixture
def named(folder: Path) -> TestClient:
    """A program with a token that has a name."""
    return program_of(folder, "approver", {TOKEN: "anna"})


def test_the_author_of_a_decision_is_the_name_of_the_token(
    named: TestClient, folder: Path, started: list[list[str]]
) -> None:
    order = {"price": 10.5, "until": "2025-04-05", "reason": "clearance"}
    assert named.post("/api/shops/seller/override", json=order).json()["actor"] == "anna"
    for path, body in (("override", order), ("resume", {})):
        refused = named.post(f"/api/shops/seller/{path}", json={**body, "by": "ben"})
        assert refused.status_code == 400 and "name of your token, anna; leave it out" in refused.json()["detail"]
    for page in ("/shops/seller/products/seller", "/shops/seller/settings"):
        assert 'name="reason"' in named.get(page).text and 'name="by"' not in named.get(page).text
    for step in ("plan", "start"):
        named.post("/api/shops/seller/price-test", json={"step": step})
    assert [command[-1] for command in started] == [f"--today={TODAY}", "--by=anna"]
    assert len(entries(folder)) == 2


def test_an_upload_replaces_uploads_alone(named: TestClient, folder: Path) -> None:
    before = (folder / "seller.csv").read_bytes()

    def upload(name: str, content: bytes) -> tuple[int, Any]:
        answer = named.post("/api/files", files=[("files", (name, content))])
        return answer.status_code, answer.json()

    for name in ("seller.csv", "Seller.CSV"):
        status, answer = upload(name, b"x")
        assert status == 400 and f"{name} is in the folder, and no upload brought it there" in answer["detail"]
    assert (folder / "seller.csv").read_bytes() == before and not (folder / "Seller.CSV").exists()
    for content in (b"first", b"second"):
        assert upload("week.csv", content) == (200, ["week.csv"])
        assert (folder / "week.csv").read_bytes() == content
    assert upload("Week.csv", b"third")[0] == 400
    (folder / "week.csv").unlink()
    assert upload("other.csv", b"x")[0] == 200
    (folder / "week.csv").write_bytes(b"by hand")
    assert upload("week.csv", b"fourth")[0] == 400 and (folder / "week.csv").read_bytes() == b"by hand"
    assert ".uploads" not in named.get("/api/files").json()


PREPARE = Jobs.prepare


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules leave a file if they are imported, for processes whose import path does not name it."""
    named = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if Path(place).is_absolute()]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(named))
    for name in ("json", "numpy", "runpy", "joblib"):
        (tmp_path / f"{name}.py").write_text("open('imported', 'w')\n", encoding="utf-8")
    return tmp_path


def test_a_job_imports_nothing_from_its_folder(strange: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    job = Job(1, [["check", "none.csv"]], "")
    jobs = Jobs(strange)
    PREPARE(jobs)
    spare = jobs._spare
    job.run(jobs.begin)
    assert job.process is not None and job.process is spare
    assert any("none.csv" in line for line in job.lines) and not (strange / "imported").exists()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 always imports from the folder")
def test_a_process_that_a_command_starts_imports_nothing_from_its_folder(
    strange: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of joblib and multiprocessing start as this one does."""
    monkeypatch.setattr(sys, "argv", ["pricerl", "--version"])
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    assert main() == 0
    words = [sys.executable, "-m", "json.tool", "--help"]
    assert subprocess.run(words, cwd=strange, capture_output=True, check=False).returncode == 0
    assert not (strange / "imported").exists()


def test_the_token_of_an_agent_opens_no_page_and_no_path_of_the_interface(
    folder: Path, started: list[list[str]]
) -> None:
    client = program_of(folder, "agent")
    before = len(entries(folder))
    walked = 0
    for path, methods in routes_of(client.app):
        place = re.sub(r"{\w+(:\w+)?}", "seller", path)
        if place not in OPEN:
            for method in methods:
                answer = client.request(method, place, json={} if method not in SAFE else None)
                assert answer.status_code == 403, (method, path)
                walked += 1
    assert walked > 20 and not started and len(entries(folder)) == before


def routes_of(app: Any) -> list[tuple[str, set[str]]]:
    """Return path and methods of every route of an application, those of its routers included."""
    found, left = [], list(app.routes)
    while left:
        route = left.pop()
        left += getattr(route, "routes", None) or getattr(getattr(route, "original_router", None), "routes", [])
        if getattr(route, "methods", None):
            found.append((route.path, route.methods))
    return found
