"""The cores that other processes leave to this one, from made counters of the kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pricerl.cores import SHORTEST_WATCH, Watch, usable_cores


class Machine:
    """Counters of a machine with two usable cores and of this process, which advance together."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.wall, self.own, self.busy = folder, 100.0, 0.0, [50.0, 60.0, 70.0]
        patch.setattr("pricerl.cores.usable_cores", lambda: {0, 1})
        patch.setattr("pricerl.cores.time.monotonic", lambda: self.wall)
        patch.setattr("pricerl.cores.time.process_time", lambda: self.own)
        self.pass_time(0.0)

    def pass_time(self, seconds: float, own: float = 0.0, others: float = 0.0, elsewhere: float = 0.0) -> None:
        """Let this process, others and those on a third core compute for so many seconds."""
        self.wall += seconds
        self.own += own
        for core, more in enumerate((own, others, elsewhere)):
            self.busy[core] += more
        ticks = os.sysconf("SC_CLK_TCK")
        rows = [f"cpu{core} {round(busy * ticks)} 0 0 9 0 0 0 0 0 0" for core, busy in enumerate(self.busy)]
        (self.folder / "stat").write_text("\n".join(["cpu 1 2 3", *rows, "intr 0"]), encoding="ascii")

    def watch(self) -> Watch:
        return Watch(self.folder, self.folder)

    def limit(self, quota: str, used: float) -> None:
        """Give this process's control group a quota, of which so many seconds are used."""
        (self.folder / "self").mkdir(exist_ok=True)
        (self.folder / "self" / "cgroup").write_text("1:cpu:/old\n0::/shop\n", encoding="ascii")
        group = self.folder / "shop"
        group.mkdir(exist_ok=True)
        (group / "cpu.max").write_text(f"{quota} 100000\n", encoding="ascii")
        (group / "cpu.stat").write_text(f"usage_usec {round(used * 1e6)}\nnr_periods 0\n", encoding="ascii")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_a_process_alone_on_two_cores_has_room_for_one_more_thread(machine: Machine) -> None:
    watch = machine.watch()
    machine.pass_time(2.0, own=2.0, elsewhere=2.0)
    assert watch.cores_left() == pytest.approx(2.0)
    assert watch.has_room(1) and not watch.has_room(2)


def test_a_second_core_that_others_use_leaves_no_room(machine: Machine) -> None:
    watch = machine.watch()
    machine.pass_time(2.0, own=2.0, others=1.0)
    assert watch.cores_left() == pytest.approx(1.5) and not watch.has_room(1)


def test_a_process_that_waits_for_the_disk_does_not_take_the_work_of_others_for_idle(machine: Machine) -> None:
    watch = machine.watch()
    machine.pass_time(2.0, own=0.1, others=2.0)
    assert watch.cores_left() == pytest.approx(1.0) and not watch.has_room(1)


@pytest.mark.parametrize(("quota", "used", "left"), [("max", 2.0, 2.0), ("150000", 2.0, 1.5), ("200000", 3.0, 1.5)])
def test_a_quota_limits_the_cores_and_counts_what_its_group_uses(
    quota: str, used: float, left: float, machine: Machine
) -> None:
    machine.limit(quota, 0.0)
    watch = machine.watch()
    machine.pass_time(2.0, own=2.0)
    machine.limit(quota, used)
    assert watch.cores_left() == pytest.approx(left)


def test_no_room_is_seen_without_counters_or_after_too_short_a_watch(machine: Machine) -> None:
    watch = machine.watch()
    machine.pass_time(0.9 * SHORTEST_WATCH)
    assert watch.cores_left() == 0.0
    machine.pass_time(SHORTEST_WATCH)
    assert watch.cores_left() == 2.0
    (machine.folder / "stat").write_text("cpu0 x\n", encoding="ascii")
    assert watch.cores_left() == 0.0
    (machine.folder / "stat").unlink()
    assert watch.cores_left() == 0.0 and machine.watch().cores_left() == 0.0


def test_the_usable_cores_are_some_of_the_machines() -> None:
    assert 1 <= len(usable_cores()) <= (os.cpu_count() or 1)
