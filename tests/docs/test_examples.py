"""The examples run as scripts, and are notebooks in percent cells."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "examples"
PRINTED = {
    "quarter": r"advice: [\d.]+ per day",
    "catalogue": r"product-40",
    "price_test": r"proven",
    "demand_model": r"faithful: ",
    "gymnasium_run": r"return -\d+; the video is in videos/",
}
"""What each example prints at its end."""
NEEDED = {"catalogue": ("distributed",), "gymnasium_run": ("pygame", "moviepy")}
"""Packages that an example needs in addition to those of pricerl."""


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_is_a_notebook_of_texts_and_code(name: str) -> None:
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    cells = re.split(r"^# %%", text, flags=re.MULTILINE)[1:]
    texts = [cell for cell in cells if cell.startswith(" [markdown]")]
    assert len(texts) >= 2 and len(cells) > len(texts)
    assert all(ast.parse(cell.partition("\n")[2]) for cell in cells if cell not in texts)
    assert all(re.fullmatch(r" \[markdown\]\n(#[^\n]*\n)+\n*", cell) for cell in texts)


@pytest.mark.slow
@pytest.mark.parametrize("name", PRINTED)
def test_an_example_runs(name: str, tmp_path: Path) -> None:
    if lacking := [package for package in NEEDED.get(name, ()) if importlib.util.find_spec(package) is None]:
        pytest.skip(f"needs {', '.join(lacking)}")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "SDL_VIDEODRIVER": "dummy"}
    command = [sys.executable, str(FOLDER / f"{name}.py")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    assert re.search(PRINTED[name], done.stdout), done.stdout
