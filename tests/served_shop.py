"""Shops that a server shows: their folder, clients of the application in this process, and a server process."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from pricerl.operations.log.decision_log import verify
from pricerl.serve.guard import Keys
from pricerl.serve.jobs import Job, Jobs
from pricerl.serve.server import create_app
from pricerl.serve.workplace import Workplace

PROGRAM = "from pricerl.cli.main import main; raise SystemExit(main())"
TODAY = "2025-04-01"
TOKEN = "the-token-of-this-test"
PORT = 8321
BASE = f"http://127.0.0.1:{PORT}"


@pytest.fixture
def folder(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a trained shop, in which the server works."""
    monkeypatch.chdir(trained.parents[1])
    return trained.parents[1]


def client_of(folder: Path, keys: Keys) -> TestClient:
    """A browser without a session."""
    app = create_app(Workplace(folder, TODAY), keys, own=True)
    return TestClient(app, base_url=BASE, follow_redirects=False)


def program_of(folder: Path, role: str, names: dict[str, str] | None = None) -> TestClient:
    """A program with the token of a role."""
    client = client_of(folder, Keys({TOKEN: role}, names or {}))
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    return client


def entries(folder: Path) -> list[dict[str, Any]]:
    """Entries of the log of the shop ``seller``."""
    return list(verify(folder / "checkpoints/seller/shop.db").entries)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Words of the commands that would have been started."""
    found: list[list[str]] = []
    monkeypatch.setattr(Jobs, "start", lambda jobs, commands, leads_to: found.extend(commands) or Job(7, (), ""))
    return found


@contextmanager
def served(folder: Path, today: str) -> Iterator[str]:
    """Serve a folder and yield the address that is printed, with its token; the server ends with it."""
    words = [sys.executable, "-c", PROGRAM, "serve", str(folder), "--no-browser", "--port", "0", "--today", today]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield re.findall(r"http://\S+", process.stderr.readline())[0]
        finally:
            process.terminate()
        assert "Traceback" not in process.stderr.read()
