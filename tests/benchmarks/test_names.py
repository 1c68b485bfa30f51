"""The benchmarks use only names that the package has: most of them run once in a while, and would break unseen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRONG = re.compile(r"^benchmarks/.*\[(?:attr-defined|import-not-found|name-defined)\]$", re.MULTILINE)


@pytest.mark.slow
def test_a_benchmark_uses_only_names_that_exist(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    words = ("--config-file=", "--explicit-package-bases", "--ignore-missing-imports", "--cache-dir", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words, "benchmarks"],
        cwd=ROOT,
        env=os.environ | {"MYPYPATH": "benchmarks"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert "checked" in done.stdout, done.stdout + done.stderr
    assert not WRONG.findall(done.stdout)
