"""The report's files: pages of earlier products go."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from pricerl.advice.files import About, AdviceFiles, render_files
from pricerl.formatting import Formatter
from pricerl.writing import show_set, stage_set

MODULE = importlib.import_module("pricerl.advice.files")
ABOUT = About("sales.csv", "balanced")


def _pages(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(MODULE, "render_pages", lambda *_: iter([(name, f"page {name}") for name in names]))


def test_pages_of_earlier_products_go_and_files_of_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _pages(monkeypatch, "report/001-mug.html", "report/002-bowl.html", "report.html")
    show_set(tmp_path, stage_set(tmp_path, render_files([], ABOUT, Formatter())))
    for name in ("notes.html", "1-x.html", "001-x.txt"):
        (tmp_path / "report" / name).touch()
    _pages(monkeypatch, "report/001-mug.html", "report/002-plate.html", "report.html")
    show_set(tmp_path, stage_set(tmp_path, render_files([], ABOUT, Formatter())))
    assert AdviceFiles.of(tmp_path).report.read_text() == "page report.html"
    left = sorted(path.name for path in (tmp_path / "report").iterdir())
    assert left == ["001-mug.html", "001-x.txt", "002-plate.html", "1-x.html", "notes.html"]
