"""Shared parts of the benchmarks: options, one quiet thread, appended rows, a server, and the cost of a command."""

from __future__ import annotations

import argparse
import csv
import logging
import os
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
MAIN = ROOT / "main.py"
RUNS = ROOT / "checkpoints"
INTERVAL = 0.1
"""Seconds between two looks at the processes of a command."""
TICKS = os.sysconf("SC_CLK_TCK")


class Option(NamedTuple):
    """An option that needs more than a default."""

    default: Any
    help: str = ""
    choices: Iterable[str] | None = None


def read_options(doc: str | None, commands: Sequence[str] = (), words: str = "", **options: Any) -> argparse.Namespace:
    """Return the options of a benchmark.

    Args:
        doc: its docstring, for ``--help``.
        commands: first words among which one is needed.
        words: name of further words, if it takes any.
        **options: default by name, or an `Option`. Lists take several values, a type stands for no default.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if commands:
        parser.add_argument("command", choices=commands)
    if words:
        parser.add_argument(words, nargs="*")
    for name, given in options.items():
        default, explained, choices = given if isinstance(given, Option) else Option(given)
        settings: dict[str, Any] = {"help": explained, "choices": choices}
        if isinstance(default, bool):
            settings = {"help": explained, "action": argparse.BooleanOptionalAction, "default": default}
        elif isinstance(default, type):
            settings |= {"type": default}
        elif isinstance(default, list):
            settings |= {"type": type(default[0]), "nargs": "+", "default": default}
        else:
            settings |= {"type": Path if isinstance(default, Path) else type(default), "default": default}
        parser.add_argument(f"--{name}", **settings)
    return parser.parse_args()


def own_cores() -> list[int]:
    """Return the numbers of the cores that this process may use."""
    return sorted(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1))


def compute_alone() -> None:
    """Compute on one thread, as processes side by side share the cores, and print no warnings."""
    from pricerl.runtime import claim_compute

    warnings.simplefilter("ignore")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    claim_compute(1)


def keys_in(path: Path, columns: Sequence[str]) -> set[tuple[Any, ...]]:
    """Return what the rows of a file hold in some columns; nothing if there is no file."""
    return set(pd.read_csv(path)[list(columns)].itertuples(index=False, name=None)) if path.exists() else set()


def append_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append rows to a file, each as soon as it is there, so that a stopped benchmark can go on."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a", newline="", encoding="utf-8") as file:
        for row in rows:
            writer = csv.DictWriter(file, list(row))
            if not file.tell():
                writer.writeheader()
            writer.writerow(row)
            file.flush()


@contextmanager
def served(folder: Path, today: str) -> Iterator[tuple[str, str]]:
    """Serve a folder on a day, and yield address and token; the server ends with it."""
    words = [str(MAIN), "serve", str(folder), "--port", "0", "--no-browser", "--today", today]
    with subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            yield re.findall(r"(http://\S+)\?token=(\S+)", server.stderr.readline())[0]
        finally:
            server.terminate()


class Cost(NamedTuple):
    """Time and memory of a command."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds, of all its processes."""
    memory: float
    """Largest sum over its processes at a time, in which shared pages count once, MB."""
    output: str


def measure(command: Sequence[str], folder: Path, accepted: Sequence[int] = (0, 4)) -> Cost:
    """Run a command of Python in a folder; exit code 4 means that no product has enough evidence.

    Raises:
        SystemExit: another exit code, with what the command printed.
    """
    started = time.perf_counter()
    log = folder / "command.log"
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, *command], cwd=folder, stdout=file, stderr=file).pid
    cpu: dict[int, float] = {}
    peak = 0.0
    while True:
        ended, status, used = os.wait4(process, os.WNOHANG)
        if ended:
            break
        memory = 0.0
        for one in _family(process):
            try:
                cells = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
                lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            except OSError:  # it has just ended
                continue
            cpu[one] = (int(cells[11]) + int(cells[12])) / TICKS
            memory += next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)
        peak = max(peak, memory)
        time.sleep(INTERVAL)
    output = log.read_text(encoding="utf-8", errors="replace")
    if os.waitstatus_to_exitcode(status) not in accepted:
        raise SystemExit(output)
    spent = max(sum(cpu.values()), used.ru_utime + used.ru_stime)
    return Cost(time.perf_counter() - started, spent, peak, output)


def _family(process: int) -> list[int]:
    """Return the ids of a process and of all that it started, directly or not."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        children = []
    return [process, *(other for child in children for other in _family(int(child)))]
