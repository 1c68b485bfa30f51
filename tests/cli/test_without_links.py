"""A shop works where there are neither symbolic links nor POSIX locks, and its folder can be copied as it is."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from command_line import FAST, run, seller_lines, write_lines

COMMANDS = (
    ("fit", "--data.path", "seller.csv", "--run_name", "seller", *FAST),
    ("pause", "--until", "2025-04-09", "--reason", "x"),
    ("predict", "--trainer.enable_progress_bar=false"),
    ("resume",),
    ("prices",),
)


def refuse(*_: object, **__: object) -> None:
    raise OSError("no hard links")


def test_a_shop_needs_no_links_and_no_posix_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "symlink")
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setitem(sys.modules, "fcntl", None)
    write_lines(tmp_path / "seller.csv", seller_lines())
    for words in COMMANDS:
        result = run(tmp_path, *words)
        assert result.code in (0, 4), result.err
    shutil.copytree(tmp_path / "checkpoints", tmp_path / "copy" / "checkpoints")
    for words in (("audit", "verify"), ("history",), ("pause", "--until", "2025-04-09", "--reason", "x")):
        assert run(tmp_path / "copy", *words).code == 0, words
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
