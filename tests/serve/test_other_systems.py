"""The counter and commands where there is no fork, no link and no UTF-8, as on Windows (``tests/windows``)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from command_line import seller_lines
from served_shop import PROGRAM, TODAY
from test_first_visit import get, send, visited

WINDOWS = Path(__file__).parents[1] / "windows"
PRODUCT = 'Käse "groß": ½|Δ?'


@pytest.fixture
def windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for processes that have what Windows has."""
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(WINDOWS), before))))
    monkeypatch.setenv("PYTHONUTF8", "0")
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    return tmp_path


def python(folder: Path, program: str, *words: str) -> str:
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    assert done.returncode in (0, 4), done.stderr.decode("utf-8", "replace")
    return done.stdout.decode("utf-8")


def test_such_a_process_lacks_what_windows_lacks(windows: Path) -> None:
    (windows / "open").touch()
    program = (
        "import sys, os, locale; print(hasattr(os, 'fork'), hasattr(os, 'symlink'), sys.stdout.encoding, "
        "locale.getpreferredencoding(), open('open').encoding, sys.modules['fcntl'])"
    )
    assert python(windows, program).split() == ["False", "False", "cp1252", "cp1252", "cp1252", "None"]
    for fails in ("os.mkdir('a:b')", "open('nul.txt', 'w')", "file = open('open'); os.replace('open', 'other')"):
        with pytest.raises(AssertionError, match=r"OSError|PermissionError"):
            python(windows, f"import os; {fails}")


def test_the_counter_and_the_commands_work_there(windows: Path) -> None:
    quoted = PRODUCT.replace('"', '""')
    lines = seller_lines(product=f'"{quoted}"')
    with visited(windows, TODAY) as client:
        uploaded = send(client, "POST", "/api/files", files=[("files", ("öl.csv", "\n".join(lines).encode()))])
        send(client, "PUT", "/api/costs", json={"rows": [{"product": PRODUCT, "unit_cost": 4}]})
        job = send(client, "POST", "/api/advise", json={"files": uploaded, "shop": "Öl-Käse"})["job"]
        with client.stream("GET", f"/api/jobs/{job}/events") as events:
            said = "\n".join(events.iter_lines())
        assert '"answered": true' in said and "\\ufffd" not in said, said
        page = get(client, f"/shops/{quote('Öl-Käse')}/products/{quote(PRODUCT, safe='')}").text
        assert "Käse" in page and "Δ" in page and "�" not in page
        approved = send(client, "POST", f"/api/shops/{quote('Öl-Käse')}/override", json=ORDER)
        assert approved["price"] == ORDER["price"]
        assert "Δ" in get(client, f"/shops/{quote('Öl-Käse')}/prices.csv").text
    for word in ("history", "predict", "prices"):
        assert "�" not in python(windows, PROGRAM, word, "--today", TODAY)
    assert "Δ" in (windows / "checkpoints/Öl-Käse/report.html").read_text(encoding="utf-8")


ORDER = {"product": PRODUCT, "price": 10.5, "until": "2025-04-05", "reason": "Räumung → Lager", "by": "Jürgen"}
