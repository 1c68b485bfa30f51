"""A PostgreSQL server of its own, where the system has one."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pricerl.shop.database import ADDRESS


def _as_other_user() -> dict[str, int]:
    """Arguments that run a process as another user than root, whom the server refuses."""
    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid} if os.getuid() == 0 else {}


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Address of a server that runs for these tests alone; without one in the system they are skipped."""
    pytest.importorskip("psycopg")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found and shutil.which("initdb") is None:
        pytest.skip("no PostgreSQL server is installed")
    tools = found[-1] if found else Path(str(shutil.which("initdb"))).parent
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o777)
        data = f"{folder}/data"
        other = _as_other_user()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": {"LC_ALL": "C.UTF-8"}}
        subprocess.run([tools / "initdb", "-D", data, "-U", "shop", "-A", "trust"], check=True, **quiet, **other)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        words = ["-D", data, "-p", str(port), "-k", folder, "-c", "fsync=off"]
        process = subprocess.Popen([tools / "postgres", *words], **quiet, **other)
        ready = [tools / "pg_isready", "-h", folder, "-p", str(port), "-q"]
        for _ in range(100):
            if subprocess.run(ready, check=False).returncode == 0:
                break
        yield f"postgresql:///postgres?host={folder}&port={port}&user=shop"
        process.terminate()
        process.wait()


@pytest.fixture(params=["file", pytest.param("server", marks=pytest.mark.postgres)])
def shop_path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Path of a shop that does not exist yet, in a file and on a server."""
    if request.param == "server":
        monkeypatch.setenv(ADDRESS, request.getfixturevalue("server"))
    return tmp_path / tmp_path.name / "shop.db"
