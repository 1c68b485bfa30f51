import gc
import tempfile
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pricerl.errors import UsageError
from pricerl.sac import replay
from pricerl.sac.replay import ReplayBuffer, Transition

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
    """The reward of each row, oldest first."""
    return buffer.rows()[:, 3].tolist()


def restore(buffer, source, **changes):
    buffer.restore(**(source.state_dict() | changes))


def test_rows_come_out_as_they_went_in():
    buffer = filled(100, 5)
    sample = buffer.sample(64)
    number = sample.reward / 10
    expected = Transition(*(field[number.long()] for field in numbered(0, 5)))
    assert all(torch.equal(field, other) for field, other in zip(sample, expected, strict=True))
    assert set(number.tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0}


@given(capacity=st.integers(1, 7), counts=st.lists(st.integers(0, 20), max_size=5))
def test_a_buffer_holds_the_newest_rows_and_samples_do_not_depend_on_how_they_came(capacity, counts):
    buffer, one_by_one = filled(capacity, *counts), filled(capacity, *[1] * sum(counts))
    size = min(capacity, sum(counts))
    newest = numbered(sum(counts) - size, size)
    assert (len(buffer), buffer.added) == (size, sum(counts))
    assert (
        buffer.rows()[:, 1:4].tolist()
        == torch.stack([newest.observation[:, 1], newest.action[:, 0], newest.reward], dim=1).tolist()
    )
    if size:
        assert torch.equal(buffer.sample(16).reward, one_by_one.sample(16).reward)


def test_a_buffer_keeps_copies():
    transition = numbered(0, 3)
    buffer = filled(4)
    buffer.add(transition)
    transition.reward.zero_()
    assert stored_rewards(buffer) == [0.0, 10.0, 20.0]
    saved = buffer.rows()
    buffer.add(numbered(7, 4))
    assert saved[:, 3].tolist() == [0.0, 10.0, 20.0]


@pytest.mark.parametrize(("source", "first"), [(filled(50, 5), 0), (filled(5, 7), 2)], ids=["all", "the newest"])
def test_sampling_is_uniform_over_what_is_held_and_was_restored(source, first):
    restored = filled(50)
    restore(restored, source)
    for buffer in (source, restored):
        shares = torch.bincount((buffer.sample(20_000).reward / 10).long(), minlength=first + 5) / 20_000
        assert len(shares) == first + 5 and shares[:first].sum() == 0
        assert (shares[first:] - 0.2).abs().max() < 0.02


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


SIZES = st.lists(st.integers(0, 9), max_size=6)
CAPACITY = st.integers(1, 7)


@given(capacity=CAPACITY, counts=SIZES, later=SIZES, old=st.integers(0, 9), data=st.data())
def test_a_restored_buffer_continues_as_if_nothing_had_happened(capacity, counts, later, old, data):
    buffer, restored = filled(capacity, *counts, seed=3), filled(capacity, old, seed=9)
    if len(buffer):
        buffer.sample(data.draw(st.integers(1, 5)))
    restore(restored, buffer)
    for count in [0, *later]:
        for each in (buffer, restored):
            each.add(numbered(buffer.added if each is buffer else restored.added, count))
        assert (restored.added, len(restored)) == (buffer.added, len(buffer))
        assert torch.equal(restored.rows(), buffer.rows())
        if len(buffer):
            assert torch.equal(restored.sample(8).next_observation, buffer.sample(8).next_observation)


@given(capacity=CAPACITY, other=CAPACITY, counts=SIZES, later=st.integers(0, 9))
def test_another_capacity_keeps_the_newest_and_then_continues_exactly(capacity, other, counts, later):
    source, changed, again = filled(capacity, *counts), filled(other), filled(other, 4)
    restore(changed, source)
    kept = min(len(source), other)
    assert stored_rewards(changed) == stored_rewards(source)[len(source) - kept :]
    assert len(changed) == kept and changed.added in (source.added, len(source))
    changed.add(numbered(changed.added, later))
    restore(again, changed)
    assert len(again) == min(kept + later, other) and torch.equal(again.rows(), changed.rows())
    if len(again):
        assert torch.equal(again.sample(16).reward, changed.sample(16).reward)


def test_a_generator_of_another_device_is_not_taken_over():
    buffer = filled(5, seed=4)
    restore(buffer, filled(5, 5), generator_state=torch.zeros(16, dtype=torch.uint8))
    assert torch.equal(buffer.sample(16).reward, filled(5, 5, seed=4).sample(16).reward)


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
def test_a_memory_mapped_buffer_gives_the_samples_of_one_in_memory_and_can_be_restored_from_it(tmp_path, counts):
    in_memory, mapped = filled(5, *counts, seed=3), filled(5, *counts, seed=3, memory_limit=0, folder=tmp_path)
    assert mapped.is_memory_mapped and not in_memory.is_memory_mapped
    for batch, other in zip(mapped.sample_many(3, 4), in_memory.sample_many(3, 4), strict=True):
        assert all(torch.equal(field, expected) for field, expected in zip(batch, other, strict=True))
    again, back = filled(5, 2, memory_limit=0, folder=tmp_path), filled(5, seed=4)
    restore(again, in_memory)
    restore(back, again)
    again.add(numbered(30, 5))
    assert torch.equal(back.rows(), in_memory.rows())
    assert torch.equal(back.sample(16).reward, in_memory.sample(16).reward)


def test_only_more_bytes_than_the_limit_are_mapped(tmp_path):
    assert not filled(5, memory_limit=5 * ROW_BYTES, folder=tmp_path).is_memory_mapped
    assert filled(5, memory_limit=5 * ROW_BYTES - 1, folder=tmp_path).is_memory_mapped
    assert not filled(5, folder=tmp_path).is_memory_mapped


def test_a_temporary_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"missing: cannot make .* of 140 bytes here .*environment variable TMPDIR"):
        filled(5, memory_limit=0, folder=tmp_path / "missing")


def test_a_mapped_file_has_no_name_and_goes_with_the_buffer(tmp_path):
    maps = Path("/proc/self/maps")
    buffer = filled(5, 5, memory_limit=0, folder=tmp_path)
    assert list(tmp_path.iterdir()) == [] and len(buffer.sample(3).reward) == 3
    assert not maps.exists() or str(tmp_path) in maps.read_text()
    del buffer
    gc.collect()
    assert not maps.exists() or str(tmp_path) not in maps.read_text()


def test_too_little_disk_space_is_reported_before_a_file_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(replay.shutil, "disk_usage", lambda folder: DiskUsage(10_000_000, 9_999_000, 1_000))
    with pytest.raises(UsageError, match=r"28,000,000 bytes here \(1,000 bytes are free\).*buffer_capacity"):
        filled(1_000_000, memory_limit=0, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_buffer_ignores_the_memory_limit():
    buffer = filled(5, 5, device="cuda", memory_limit=0)
    assert not buffer.is_memory_mapped and buffer.sample(3).reward.device.type == "cuda"
