"""The benchmarks work on the smallest sizes: most of them run once in a while, and would break unseen."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRONG = re.compile(r"^benchmarks/.*\[(?:attr-defined|import-not-found|name-defined)\]$", re.MULTILINE)
SMALLEST = (
    "calibration mixed --sellers 1 --truths constant --out {folder}/mixed.csv",
    "calibration run --sellers 2 --out {folder}/ranks.csv",
    "catalogue --products 4 --days 120 --updates 5 --cores 1",
    "categories --shelves --categories 1 --kinds logit --days 130 --units 20",
    "category_shelves --shops 1 --sizes 2 --kinds nested --paths 2",
    "clearance --count 1 --futures 1",
    "command_times --repeats 1",
    "loop_product --sellers 1 --units 8 --weeks 1 --rules gate account tests greedy",
    "mutation_reading --files 20",
    "night --products 2 --nights 1",
    "panels --simulated --chains 1",
    "pooling --full 2 --thin 1 --seeds 61",
    "price_and_stock --count 1 --futures 1",
    "price_tests --tests 20 --histories 1 --pairs 5",
    "receipt --shops 2 --nulls 2 --products 12",
    "pricebench run --no-sac --rules all --truths constant --days 130 --units 50 --shops 1 --out {folder}/rows.csv",
    "reading_speed --rows 2000",
    "relations --lines 2",
    "sac_speed --repeats 1 --updates 5 --only 'pricerl eager'",
    "survival kills --count 1",
    "unseen_products --help",
    "watching --sellers 1 --futures 2 --units 20 --noises Poisson",
)


@pytest.mark.slow
@pytest.mark.parametrize("words", SMALLEST, ids=lambda words: words.split(" --")[0])
def test_a_benchmark_ends_well_on_the_smallest_sizes(words: str, tmp_path: Path) -> None:
    name, *rest = shlex.split(words.format(folder=tmp_path))
    command = [sys.executable, f"benchmarks/{name}.py", *rest]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0 and done.stdout, done.stderr[-2000:]


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
