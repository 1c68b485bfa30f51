"""A shop holds its rules whatever commands come, and wherever they break; see ``simulation.py``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from faces import disagreements
from mutants import MUTANTS, ROOT
from simulation import COMMANDS, commands_of, run, shrink
from situations import SITUATIONS

from pricerl.shop.database import ADDRESS

SEEDS = (*range(60), 61, 64, 69, 94, 139, 144)
"""Seeds of the default run, of 40 commands each: they find as many of 69 planted faults as the first 150.

``benchmarks/shop_simulation.py`` runs a million commands.
"""
ALL_SEEDS = range(500)
"""Seeds that bring about every situation."""


@pytest.mark.parametrize("seeds", [SEEDS, pytest.param(ALL_SEEDS, marks=pytest.mark.slow)], ids=len)
def test_a_shop_holds_its_rules_whatever_commands_come_and_wherever_they_break(seeds: Sequence[int]) -> None:
    counts: Counter[str] = Counter()
    for seed in seeds:
        assert run(commands_of(seed), counts) == "", f"seed {seed}: {shrink(commands_of(seed))}"
    missing = [name for name in SITUATIONS if not counts[name]]
    assert len(missing) < len(SITUATIONS) / 2 if seeds is SEEDS else missing == []


@pytest.mark.postgres
def test_a_shop_on_a_server_holds_the_same_rules(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESS, server)
    for seed in range(3):
        assert run(commands_of(seed)) == "", f"seed {seed}"


def test_a_seed_is_the_same_commands_again() -> None:
    assert commands_of(7) == commands_of(7) != commands_of(8)
    assert len(commands_of(7)) == COMMANDS


def test_a_planted_fault_is_found_and_shrinks_to_few_commands() -> None:
    script = (
        "import sys; from mutants import MUTANTS, planted\n"
        "with planted(MUTANTS[1]):\n"
        "    from simulation import commands_of, run, shrink\n"
        "    seed = next(seed for seed in range(99) if run(commands_of(seed)))\n"
        "    few = shrink(commands_of(seed))\n"
        "    print(len(few), few[-1].kind)\n"
    )
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    words = [sys.executable, "-c", script]
    found = subprocess.run(words, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True)
    count, last = found.stdout.split()
    assert int(count) <= 8 and last


def test_every_planted_fault_is_a_line_of_the_code() -> None:
    texts = {item.file: (ROOT / "pricerl" / item.file).read_text(encoding="utf-8") for item in MUTANTS}
    assert [item for item in MUTANTS if texts[item.file].count(item.old) != 1] == []


@pytest.mark.slow
def test_in_200_seeds_the_command_line_writes_the_same_prices() -> None:
    assert [why for seed in range(200) if (why := disagreements(seed))] == []


@pytest.mark.slow
def test_the_simulation_finds_the_planted_faults() -> None:
    words = [sys.executable, str(ROOT / "benchmarks" / "shop_simulation.py"), "--mutants"]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
