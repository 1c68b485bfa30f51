"""The state of a process: the segments of its buffer that saves need stay, others go, and a save is restored whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pricerl.errors import CheckpointError
from pricerl.runs.folder import Generation
from pricerl.runs.rank_state import RankState, verify_save
from pricerl.sac.replay import ReplayBuffer, Transition


class Collecting:
    """Collector without an env."""

    def __init__(self) -> None:
        self.buffer = ReplayBuffer(6, 2, 1, seed=0)

    def add(self, first: int, count: int) -> None:
        """Add transitions whose reward is their number."""
        numbers = torch.arange(first, first + count, dtype=torch.float32)
        observation = torch.zeros(count, 2)
        self.buffer.add(Transition(observation, torch.zeros(count, 1), numbers, numbers, observation))

    def state_dict(self) -> dict[str, Any]:
        buffer = {"added": self.buffer.added, "size": len(self.buffer), "generator_state": self.buffer.generator_state}
        return {"buffer": buffer}

    def load_state_dict(self, state: dict[str, Any]) -> bool:
        return True


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Generation, RankState]:
    """Three saves of a process with two new transitions each; the buffer holds six."""
    generation = Generation(tmp_path / "gen-0001")
    state = RankState(generation.path, 1)
    collector = Collecting()
    for update in (10, 20, 30, 40):
        collector.add(update, 2)
        with generation.saving(update) as folder:
            state.write(folder, collector, 2)
    return generation, state


def segments(generation: Generation) -> list[str]:
    return sorted(path.name for path in (generation.path / "replay").iterdir())


@pytest.mark.parametrize(("best", "kept"), [(10, [0, 2, 4, 6]), (40, [2, 4, 6]), (None, [2, 4, 6]), (5, [2, 4, 6])])
def test_segments_of_the_newest_and_the_best_save_stay(saved, best, kept):
    generation, state = saved
    (generation.path / "replay" / "0-000000000000.rows").touch()  # of another process
    state.keep(best)
    assert segments(generation) == ["0-000000000000.rows", *(f"1-{first:012d}.rows" for first in kept)]


def test_a_save_is_restored_with_the_transitions_that_the_buffer_held(saved):
    generation, _ = saved
    collector = Collecting()
    assert RankState(generation.path, 1).restore(generation.save_folder(30), collector, 2) == ""
    assert collector.buffer.rows(0, 6)[:, 3].tolist() == [10, 11, 20, 21, 30, 31]
    assert "goes on with 3" in RankState(generation.path, 1).restore(generation.save_folder(30), collector, 3)
    assert "outside its generation" in RankState(generation.path, 0).restore(generation.save_folder(30), collector, 2)


def test_a_missing_segment_is_noticed_and_a_save_with_all_is_whole(saved):
    generation, _ = saved
    (generation.save_folder(40) / "rank-1.state").rename(generation.save_folder(40) / "rank-0.state")
    verify_save(generation.save_folder(40))
    (generation.path / "replay" / "1-000000000006.rows").unlink()
    with pytest.raises(CheckpointError, match="rows cannot be read"):
        verify_save(generation.save_folder(40))


def test_a_generation_takes_a_save_over_with_its_buffer(saved, tmp_path):
    generation, _ = saved
    made = Generation(tmp_path / "gen-0002")
    made.adopt([generation.save_folder(30), generation.save_folder(40)])
    collector = Collecting()
    assert RankState(made.path, 1).restore(made.save_folder(40), collector, 2) == ""
    assert collector.buffer.added == 8
