"""The start file asks before it downloads, installs only locked packages, and then serves."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import pricerl

START = Path(__file__).parents[1] / "start"


class Computer:
    """Answers of a person, and the commands that the start file ran."""

    def __init__(self, start: ModuleType, patch: Callable[..., None], system: str) -> None:
        self.start = start
        self.commands: list[list[str]] = []
        self.answers: list[str] = []
        self.fails_at = ""
        processor = {"Windows": "AMD64", "Darwin": "arm64"}.get(system, "x86_64")
        patch(platform, "system", lambda: system)
        patch(platform, "machine", lambda: processor)
        patch(sys, "version_info", (3, 11, 7))
        patch(subprocess, "run", self.run)
        patch(shutil, "disk_usage", lambda _: SimpleNamespace(free=4e9))
        patch(start.venv, "create", lambda folder, **_: Path(folder).mkdir(parents=True))
        patch("builtins.input", lambda _: self.answers.pop())

    def run(self, words: list[object], check: bool) -> Any:
        self.commands.append([str(word) for word in words])
        failed = bool(self.fails_at) and any(self.fails_at in word for word in self.commands[-1])
        return SimpleNamespace(returncode=int(failed))

    def begin(self, answer: str = "") -> int:
        self.commands, self.answers = [], [answer] if answer else []
        code = self.start.main()
        assert not self.answers
        return int(code)


@pytest.fixture(params=["Windows", "Darwin", "Linux"])
def computer(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Computer:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    spec = importlib.util.spec_from_file_location("start", START / "start.py")
    assert spec is not None and spec.loader is not None
    start = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(start)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr(start, "PORT", free.getsockname()[1])
    return Computer(start, monkeypatch.setattr, request.param)


def test_nothing_is_made_before_a_person_agrees(
    computer: Computer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert computer.begin("n") == 1
    said = capsys.readouterr().out
    download, disk = computer.start.MEASURED[platform.system(), platform.machine()]
    assert f"downloads about {download} MB" in said and f"takes about {disk / 1000:.1f} GB" in said
    assert str(tmp_path / "pricerl/environment") in said and "Nothing was downloaded" in said
    assert not computer.commands and [*tmp_path.iterdir()] == []


def test_it_installs_locked_packages_once_and_serves(computer: Computer, tmp_path: Path) -> None:
    assert computer.begin("y") == 0
    *installs, own, serve = computer.commands
    torch = "cpu" if platform.system() == "Linux" else "torch"
    assert [Path(words[-1]).name for words in installs] == ["light.lock", "serve.lock", f"{torch}.lock"]
    assert all(Path(words[-1]).exists() and {"--require-hashes", "--no-deps"} <= {*words} for words in installs)
    assert own[-1] == str(START.parent) and {"--no-deps", "--no-index"} <= {*own}
    folder = tmp_path / "pricerl/shops"
    program = Path(serve[0]).relative_to(tmp_path / "pricerl/environment").as_posix()
    assert program == ("Scripts/pricerl.exe" if platform.system() == "Windows" else "bin/pricerl")
    assert serve[1:3] == ["serve", str(folder)] and folder.is_dir()
    assert computer.begin() == 0 and computer.commands == [serve]
    assert computer.start.MARK.read_text(encoding="utf-8") == pricerl.__version__
    computer.start.MARK.write_text("0.9", encoding="utf-8")
    assert computer.begin("n") == 1 and not computer.commands


@pytest.mark.parametrize("part", ["light.lock", "serve.lock", "--no-index"])
def test_an_installation_that_fails_begins_anew(
    computer: Computer, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    computer.fails_at = part
    assert computer.begin("y") == 1 and part in " ".join(computer.commands[-1])
    assert "Run this file again" in capsys.readouterr().out and not computer.start.MARK.exists()
    computer.fails_at = ""
    shutil.rmtree(computer.start.ENVIRONMENT)
    assert computer.begin("y") == 0


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("platform.machine", lambda: "i386", "PyTorch has no build for this Python"),
        ("sys.version_info", (3, 9, 6), "is needed, this is Python"),
        ("shutil.disk_usage", lambda _: SimpleNamespace(free=1e9), "MB are needed on the disk"),
    ],
)
def test_a_computer_that_cannot_run_it_is_told_why(
    computer: Computer, name: str, value: object, said: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(name, value)
    assert computer.begin() == 1 and not computer.commands
    assert said in capsys.readouterr().out


def test_a_second_start_names_the_first(computer: Computer, capsys: pytest.CaptureFixture[str]) -> None:
    assert computer.begin("y") == 0
    with socket.socket() as first:
        first.bind(("127.0.0.1", computer.start.PORT))
        first.listen()
        assert computer.begin() == 1 and not computer.commands
    assert "runs already" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
@pytest.mark.parametrize("good", ["python3.12", "python3", ""])
def test_the_file_for_macos_runs_the_newest_python_that_is_new_enough(good: str, tmp_path: Path) -> None:
    folder = tmp_path / "a folder (1)"
    folder.mkdir()
    shutil.copy(START / "macos.command", folder)
    for name in ("python3.13", "python3.12", "python3"):
        script = f'#!/bin/sh\n[ "$1" = -c ] && exit {int(name != good)}\necho "{name} $1"\n'
        (tmp_path / name).write_text(script, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "dirname").symlink_to(shutil.which("dirname") or "")
    done = subprocess.run(
        ["/bin/sh", str(folder / "macos.command")],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == bool(good)
    assert done.stdout == (f"{good} {folder}/start.py\n" if good else done.stdout)
    assert good or "3.10 or newer is needed" in done.stdout
    assert os.access(START / "macos.command", os.X_OK)


def test_the_file_for_windows_runs_the_same_with_lines_that_end_as_there() -> None:
    lines = (START / "windows.cmd").read_bytes().split(b"\r\n")
    assert not any(b"\n" in line for line in lines)
    assert b'%RUN% "%~dp0start.py"' in lines
