import gc
import tempfile
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pricerl.errors import UsageError
from pricerl.sac import ReplayBuffer, Transition, replay

ROW_BYTES = 4 * (2 * 2 + 1 + 2)
"""Size of one transition of `numbered`."""

DiskUsage = namedtuple("DiskUsage", "total used free")


def numbered(first, count):
    """Transitions whose fields all contain their number."""
    number = torch.arange(first, first + count, dtype=torch.float32)
    return Transition(
        observation=torch.stack([number, -number], dim=1),
        action=number[:, None] / 100,
        reward=10 * number,
        discount=torch.full((count,), 0.97),
        next_observation=torch.stack([number + 1, -number - 1], dim=1),
    )


def filled(capacity, *counts, seed=0, folder=None, **storage):
    with pytest.MonkeyPatch.context() as patch:
        if folder is not None:
            patch.setattr(tempfile, "tempdir", str(folder))
        buffer = ReplayBuffer(capacity, observation_dim=2, action_dim=1, seed=seed, **storage)
    first = 0
    for count in counts:
        buffer.add(numbered(first, count))
        first += count
    return buffer


def stored_rewards(buffer):
    return buffer.state_dict()["reward"].tolist()


def test_rows_come_out_as_they_went_in():
    buffer = filled(100, 5)
    sample = buffer.sample(64)
    number = sample.reward / 10
    expected = Transition(*(field[number.long()] for field in numbered(0, 5)))
    assert all(torch.equal(field, other) for field, other in zip(sample, expected, strict=True))
    assert set(number.tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0}


def test_the_newest_overwrite_the_oldest_in_place():
    buffer = filled(5, 3, 4)
    assert stored_rewards(buffer) == [50.0, 60.0, 20.0, 30.0, 40.0]
    assert buffer.state_dict()["observation"][:, 1].tolist() == [-5.0, -6.0, -2.0, -3.0, -4.0]
    assert len(buffer) == 5


def test_of_more_rows_than_the_capacity_the_last_ones_stay():
    assert sorted(stored_rewards(filled(3, 8))) == [50.0, 60.0, 70.0]
    assert sorted(stored_rewards(filled(3, 2, 9))) == [80.0, 90.0, 100.0]


@settings(deadline=None, max_examples=60)
@given(capacity=st.integers(1, 7), counts=st.lists(st.integers(0, 20), max_size=5))
def test_adding_in_batches_equals_adding_one_by_one(capacity, counts):
    in_batches, one_by_one = filled(capacity, *counts), filled(capacity, *[1] * sum(counts))
    assert stored_rewards(in_batches) == stored_rewards(one_by_one)
    assert in_batches.state_dict()["position"] == one_by_one.state_dict()["position"]
    assert len(in_batches) == min(capacity, sum(counts))


def test_length_counts_up_to_the_capacity():
    buffer = filled(4)
    assert len(buffer) == 0
    buffer.add(numbered(0, 3))
    assert len(buffer) == 3
    buffer.add(numbered(3, 1))
    assert len(buffer) == 4


def test_a_buffer_keeps_copies():
    transition = numbered(0, 3)
    buffer = filled(4)
    buffer.add(transition)
    transition.reward.zero_()
    assert stored_rewards(buffer) == [0.0, 10.0, 20.0]
    saved = buffer.state_dict()
    buffer.add(numbered(7, 4))
    assert saved["reward"].tolist() == [0.0, 10.0, 20.0]


def test_sampling_is_uniform_over_what_is_held():
    rewards = filled(50, 10).sample(20_000).reward
    shares = torch.bincount((rewards / 10).long(), minlength=10) / 20_000
    assert len(shares) == 10
    assert (shares - 0.1).abs().max() < 0.01


def test_same_seed_gives_the_same_samples_whatever_else_draws():
    first, second, other = (filled(50, 50, seed=seed) for seed in (1, 1, 2))
    expected = first.sample(32).reward
    torch.rand(100)
    assert torch.equal(second.sample(32).reward, expected)
    assert not torch.equal(other.sample(32).reward, expected)


def test_several_batches_are_one_long_sample_cut():
    batches, long = filled(50, 50).sample_many(3, 4), filled(50, 50).sample(12)
    assert [batch.observation.shape for batch in batches] == [(4, 2)] * 3
    assert all(isinstance(batch, Transition) for batch in batches)
    assert torch.equal(torch.cat([batch.reward for batch in batches]), long.reward)


def test_an_empty_buffer_cannot_be_sampled():
    with pytest.raises(ValueError, match="the replay buffer is empty; add transitions before sampling"):
        filled(5).sample(1)


@pytest.mark.parametrize("numbers", [(0, 4), (4, 0), (-1, -4)])
def test_fewer_than_one_sample_is_refused(numbers):
    buffer = filled(5, 5)
    with pytest.raises(ValueError, match="1 or more"):
        buffer.sample_many(*numbers)
    with pytest.raises(ValueError, match="1 or more"):
        buffer.sample(0)


@pytest.mark.parametrize(
    ("field", "shape"),
    [
        ("observation", (3, 1)),
        ("observation", (2,)),
        ("action", (3,)),
        ("reward", (3, 1)),
        ("discount", (3, 1)),
        ("discount", (2,)),
        ("next_observation", (2, 2)),
    ],
)
def test_wrong_shapes_are_refused_and_store_nothing(field, shape):
    buffer = filled(5)
    with pytest.raises(ValueError, match=f"^{field} must have shape"):
        buffer.add(numbered(0, 3)._replace(**{field: torch.zeros(shape)}))
    assert len(buffer) == 0


@pytest.mark.parametrize("sizes", [(0, 2, 1), (5, 0, 1), (5, 2, 0)])
def test_sizes_below_one_are_refused(sizes):
    with pytest.raises(ValueError, match="1 or more"):
        ReplayBuffer(*sizes)


@pytest.mark.parametrize("counts", [(), (3,), (5,), (3, 4), (5, 5)])
def test_a_restored_buffer_goes_on_as_if_nothing_had_happened(counts):
    buffer, restored = filled(5, *counts), filled(5, 4, seed=9)
    buffer.add(numbered(90, 1))
    buffer.sample(3)
    restored.load_state_dict(buffer.state_dict())
    for each in (buffer, restored):
        each.add(numbered(100, 2))
    assert stored_rewards(restored) == stored_rewards(buffer)
    assert torch.equal(restored.sample(32).reward, buffer.sample(32).reward)


def test_only_the_filled_part_is_saved():
    state = filled(1000, 3).state_dict()
    assert state["observation"].shape == (3, 2)
    assert all(isinstance(value, torch.Tensor | int) for value in state.values())


def test_another_capacity_keeps_the_newest():
    state = filled(5, 3, 4).state_dict()
    smaller, larger = filled(3), filled(9)
    smaller.load_state_dict(state)
    larger.load_state_dict(state)
    assert sorted(stored_rewards(smaller)) == [40.0, 50.0, 60.0]
    assert stored_rewards(larger) == [20.0, 30.0, 40.0, 50.0, 60.0]
    larger.add(numbered(7, 1))
    assert stored_rewards(larger)[-1] == 70.0


def test_a_state_of_another_shape_is_refused_and_changes_nothing():
    buffer = ReplayBuffer(5, observation_dim=3, action_dim=1)
    buffer.add(Transition(torch.ones(2, 3), torch.ones(2, 1), torch.ones(2), torch.ones(2), torch.ones(2, 3)))
    with pytest.raises(ValueError, match="observation must have shape"):
        buffer.load_state_dict(filled(5, 3).state_dict())
    assert len(buffer) == 2


def test_memory_is_what_the_docstring_says():
    assert ReplayBuffer(1000, observation_dim=84, action_dim=1).nbytes == 4 * 1000 * (2 * 84 + 1 + 2)


def test_rows_of_any_float_type_are_stored_as_float32_without_their_gradients():
    buffer, number = filled(4), torch.tensor([1.5], dtype=torch.float64, requires_grad=True)
    buffer.add(Transition(number.expand(1, 2), number[:, None].half(), number, number.float(), number.expand(1, 2)))
    sample = buffer.sample(3)
    assert all(field.dtype == torch.float32 and not field.requires_grad for field in sample)
    assert all((field == 1.5).all() for field in sample)


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_samples_are_contiguous_copies(batch_size):
    buffer = filled(5, 5)
    first = buffer.sample(batch_size)
    before = [field.clone() for field in first]
    buffer.sample(batch_size)
    buffer.add(numbered(50, 5))
    assert all(torch.equal(field, old) for field, old in zip(first, before, strict=True))
    assert [field.stride() for field in first] == [(2, 1), (1, 1), (1,), (1,), (2, 1)]


@pytest.mark.parametrize("counts", [(3,), (5, 4), (12,)])
def test_a_memory_mapped_buffer_gives_the_samples_of_one_in_memory(tmp_path, counts):
    in_memory, mapped = filled(5, *counts, seed=3), filled(5, *counts, seed=3, memory_limit=0, folder=tmp_path)
    assert mapped.is_memory_mapped and not in_memory.is_memory_mapped
    assert mapped.nbytes == in_memory.nbytes == 5 * ROW_BYTES
    for batch, other in zip(mapped.sample_many(3, 4), in_memory.sample_many(3, 4), strict=True):
        assert all(torch.equal(field, expected) for field, expected in zip(batch, other, strict=True))


def test_only_more_bytes_than_the_limit_are_mapped(tmp_path):
    assert not filled(5, memory_limit=5 * ROW_BYTES, folder=tmp_path).is_memory_mapped
    assert filled(5, memory_limit=5 * ROW_BYTES - 1, folder=tmp_path).is_memory_mapped
    assert not filled(5, folder=tmp_path).is_memory_mapped
    with pytest.raises(ValueError, match="memory_limit must be 0 bytes or more, or None; found -1"):
        filled(5, memory_limit=-1)


def test_a_mapped_buffer_leaves_no_file_behind_even_while_it_lives(tmp_path):
    buffer = filled(5, 5, memory_limit=0, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(buffer.sample(3).reward) == 3


def test_a_temporary_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"missing: cannot make .* of 140 bytes here .*environment variable TMPDIR"):
        filled(5, memory_limit=0, folder=tmp_path / "missing")


def test_a_mapped_file_goes_with_the_buffer(tmp_path):
    maps = Path("/proc/self/maps")
    buffer = filled(5, 5, memory_limit=0, folder=tmp_path)
    assert not maps.exists() or str(tmp_path) in maps.read_text()
    del buffer
    gc.collect()
    assert not maps.exists() or str(tmp_path) not in maps.read_text()


def test_too_little_disk_space_is_reported_before_a_file_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(replay.shutil, "disk_usage", lambda folder: DiskUsage(10_000_000, 9_999_000, 1_000))
    with pytest.raises(UsageError) as error:
        filled(1_000_000, memory_limit=0, folder=tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: the replay buffer needs 28,000,000 bytes on disk and 1,000 bytes are free; choose a smaller "
        "model.algorithm.buffer_capacity, or another folder with the environment variable TMPDIR"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_sparse_file_of_ten_million_transitions_takes_no_room_until_filled(tmp_path):
    if replay.shutil.disk_usage(tmp_path).free < 2 * 10_000_000 * ROW_BYTES:
        pytest.skip("the disk has too little room")
    buffer = filled(10_000_000, 4, memory_limit=2**20, folder=tmp_path)
    assert buffer.nbytes == 280_000_000 and len(buffer) == 4
    assert set(buffer.sample(64).reward.tolist()) == {0.0, 10.0, 20.0, 30.0}


@pytest.mark.parametrize("counts", [(3,), (5,), (3, 4)])
@pytest.mark.parametrize("rows_per_copy", [1, 2, 100])
def test_a_state_goes_from_memory_to_file_and_back(tmp_path, monkeypatch, counts, rows_per_copy):
    monkeypatch.setattr(replay, "_ROWS_PER_COPY", rows_per_copy)
    source, mapped, back = filled(5, *counts), filled(5, 2, memory_limit=0, folder=tmp_path), filled(5, seed=4)
    mapped.load_state_dict(source.state_dict())
    back.load_state_dict(mapped.state_dict())
    mapped.add(numbered(30, 5))
    for name, value in source.state_dict().items():
        assert torch.equal(torch.as_tensor(back.state_dict()[name]), torch.as_tensor(value))
    assert torch.equal(back.sample(16).reward, source.sample(16).reward)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_buffer_ignores_the_memory_limit():
    buffer = filled(5, 5, device="cuda", memory_limit=0)
    assert not buffer.is_memory_mapped and buffer.sample(3).reward.device.type == "cuda"
