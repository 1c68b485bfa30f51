"""CPU cores that this process may use, and how many of them other processes leave to it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

SHORTEST_WATCH = 0.5
"""Seconds between two readings that suffice: the kernel counts in hundredths of a second, 2 % of this."""

SLACK = 0.25
"""Cores that other processes may use although they count as idle: system services take a few percent."""


class Reading(NamedTuple):
    """Seconds of computing since the machine started."""

    wall: float
    """Clock, in seconds."""
    own: float
    """Computed by this process, all threads together."""
    machine: float
    """Computed by all processes on the cores that this one may use."""
    group: float
    """Computed by the processes that share this one's quota; 0 without a quota."""


class Watch:
    """Observation of the cores from its creation on; it reads counters of Linux, without waiting.

    Args:
        proc: the kernel's files about processes.
        groups: the kernel's files about control groups.
    """

    def __init__(self, proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> None:
        self._proc, self._groups = proc, groups
        self._start = self._read()

    def cores_left(self) -> float:
        """Return the cores that other processes left to this one since the start; 0 if that is unknown."""
        before, now = self._start, self._read()
        if before is None or now is None or now.wall - before.wall < SHORTEST_WATCH:
            return 0.0
        wall, own, machine, group = (after - first for after, first in zip(now, before, strict=True))
        left = len(usable_cores()) - max(0.0, machine - own) / wall
        quota = self._quota()
        return left if quota is None else min(left, quota[0] - max(0.0, group - own) / wall)

    def has_room(self, threads: int) -> bool:
        """Return whether a second process with as many busy threads as this one, ``threads``, finds idle cores."""
        return self.cores_left() >= 2 * threads - SLACK

    def _read(self) -> Reading | None:
        try:
            lines = (self._proc / "stat").read_text(encoding="ascii").splitlines()
            wanted = {f"cpu{core}" for core in usable_cores()}
            rows = [line.split() for line in lines if line.partition(" ")[0] in wanted]
            # user, nice, system, idle, iowait, irq, softirq, steal; guests are counted as users
            ticks = sum(int(row[column]) for row in rows for column in (1, 2, 3, 6, 7, 8))
            quota = self._quota()
        except (OSError, ValueError, IndexError):  # another system, or a kernel that hides its counters
            return None
        busy = ticks / os.sysconf("SC_CLK_TCK")
        return Reading(time.monotonic(), time.process_time(), busy, 0.0 if quota is None else quota[1])

    def _quota(self) -> tuple[float, float] | None:
        """Return the tightest quota of this process's control groups in cores, and the seconds used of it."""
        line = next((line for line in _lines(self._proc / "self" / "cgroup") if line.startswith("0::/")), "0::/")
        own = self._groups / line.removeprefix("0::/")
        found = []
        for folder in (own, *own.parents):
            limit = (_lines(folder / "cpu.max") or [""])[0].split()
            if len(limit) == 2 and limit[0] != "max":
                used = dict(line.split() for line in _lines(folder / "cpu.stat"))
                found.append((int(limit[0]) / int(limit[1]), int(used["usage_usec"]) / 1e6))
        return min(found, default=None)


def usable_cores() -> set[int]:
    """Return the numbers of the cores on which this process may run."""
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
