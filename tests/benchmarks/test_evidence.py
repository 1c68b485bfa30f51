"""docs/evidence.md says what its stored rows say, and the benchmarks have its commands."""

from __future__ import annotations

import csv
import re
import runpy
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "evidence.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"`python\s+(benchmarks/\w+\.py)([^`]*)`", PAGE)


def rows_of(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((DOCS / name).read_text(encoding="utf-8").splitlines()))


def rounded(values: list[float]) -> str:
    return ", ".join(f"{value:.0f}".replace("-0", "0") for value in values)


def test_the_table_of_returns_is_that_of_the_stored_rows() -> None:
    ends = defaultdict(list)
    for row in rows_of("returns.csv"):
        if row["env_steps"] == "100000":
            ends[row["env"], row["preset"]].append((int(row["seed"]), float(row["return"])))
    for env in ("HalfCheetah-v4", "Hopper-v4", "Walker2d-v4"):
        cells = []
        for preset in ("sac", "fast"):
            found = [value for _, value in ends[env, preset]]
            assert len(found) == 3
            cells.append(f"{sum(found) / 3:.0f} ({min(found):.0f} to {max(found):.0f})")
        cells.append(f"{dict(ends[env, 'normalized'])[0]:.0f}")
        assert f"| {env} | {' | '.join(cells)} |" in PAGE


def test_the_table_of_pricebench_is_that_of_the_stored_rows() -> None:
    by_truth = defaultdict(list)
    for row in rows_of("pricebench.csv"):
        by_truth[row["truth"]].append((float(row["share"] or 0), float(row["harmed"])))
    lines = {re.match(r"\| `(\w+)`", line)[1]: line for line in PAGE.splitlines() if re.match(r"\| `\w+` \|", line)}
    checked = by_truth.keys() & lines.keys()
    assert len(checked) == 16
    for truth in checked:
        share, harmed = zip(*by_truth[truth], strict=True)
        assert lines[truth].endswith(f"| {rounded(share)} ({rounded(harmed)}) |")


@pytest.mark.parametrize(("benchmark", "words"), COMMANDS)
def test_a_command_of_the_page_has_a_benchmark_with_its_options(benchmark: str, words: str) -> None:
    text = (ROOT / benchmark).read_text(encoding="utf-8")
    names = [name.removeprefix("no-") for name in re.findall(r"--(\w[\w-]*)", words)]
    assert [name for name in names if not re.search(rf'"--{name}"|\b{name}=', text)] == []


def test_the_figures_are_drawn_from_the_rows(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    runpy.run_path(str(DOCS / "plots.py"))["main"](tmp_path)
    drawn = {path.name for path in tmp_path.glob("*.svg")}
    assert drawn == set(re.findall(r"\(images/(\w+\.svg)\)", PAGE))
    assert all((DOCS / "images" / name).exists() for name in drawn)
