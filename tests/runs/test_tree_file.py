"""The file format of checkpoints: what goes in comes out, and nothing else is accepted."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pricerl.errors import CheckpointError
from pricerl.runs.tree_file import read_tree, write_tree

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "some.ckpt"


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.text(max_size=8), PLAIN, max_size=5))
def test_plain_values_come_back_as_they_were(tmp_path_factory, tree):
    path = tmp_path_factory.getbasetemp() / "plain.ckpt"
    write_tree(path, tree)
    assert read_tree(path) == tree


def test_tensors_and_arrays_come_back_bit_for_bit_with_type_and_shape(file):
    values = {
        "scalar": torch.tensor(1.5),
        "empty": torch.zeros(0, 3),
        "view": torch.arange(12.0).view(3, 4).T[1:],
        "bytes": torch.get_rng_state(),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "flags": np.array([True, False]),
        "days": np.array(["2025-01-01", "NaT"], dtype="datetime64[D]"),
        "numbers": np.array([[0.1, math.nan]]),
    }
    write_tree(file, values)
    for name, found in read_tree(file).items():
        wanted = values[name]
        if isinstance(wanted, torch.Tensor):
            assert found.dtype == wanted.dtype and torch.equal(found, wanted)
        else:
            assert found.dtype == wanted.dtype
            np.testing.assert_array_equal(found, wanted)


def test_numbers_that_are_not_finite_come_back(file):
    write_tree(file, {"a": [math.inf, -math.inf, math.nan]})
    high, low, nothing = read_tree(file)["a"]
    assert (high, low) == (math.inf, -math.inf) and math.isnan(nothing)


def test_tensors_that_share_their_memory_are_stored_under_each_name(file):
    shared = torch.arange(6.0)
    write_tree(file, {"one": shared, "two": {"deeper": shared, "view": shared[2:4]}})
    found = read_tree(file)
    assert torch.equal(found["one"], shared) and torch.equal(found["two"]["deeper"], shared)
    assert torch.equal(found["two"]["view"], shared[2:4])


def test_a_value_of_another_type_is_refused_with_its_place(file):
    with pytest.raises(TypeError, match="/state/0 is a PosixPath"):
        write_tree(file, {"state": [Path("x")]})
    assert not file.exists()


def test_every_changed_byte_is_noticed(file):
    write_tree(file, {"weights": torch.arange(50.0), "step": 3})
    content = bytearray(file.read_bytes())
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 0x41
        file.write_bytes(bytes(changed))
        try:
            found = read_tree(file)
        except CheckpointError:
            continue
        pytest.fail(f"byte {place} was changed, and {found} was read")


def test_every_cut_is_noticed(file):
    write_tree(file, {"weights": torch.arange(50.0)})
    content = file.read_bytes()
    for size in range(0, len(content), 7):
        file.write_bytes(content[:size])
        with pytest.raises(CheckpointError):
            read_tree(file)


class Malicious:
    """Pickle that leaves a file when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_a_pickle_is_refused_and_not_executed(file, tmp_path, how):
    trace = tmp_path / "executed"
    if how == "pickle":
        file.write_bytes(pickle.dumps(Malicious(trace)))
    else:
        torch.save({"state_dict": Malicious(trace)}, file)
    with pytest.raises(CheckpointError, match="is not a checkpoint, or it is damaged"):
        read_tree(file)
    assert not trace.exists()


@pytest.mark.parametrize(
    "text",
    ["[1]", "{", '{"a": {"$tensor": "absent"}}', '{"a": {"$array": "t", "type": "object"}}', "[" * 100_000, "3"],
)
def test_a_tree_that_makes_no_sense_is_refused_even_with_a_checksum(file, text):
    from pricerl.runs.tree_file import _sealed

    tensors = {"t": torch.ones(2)}
    file.write_bytes(_sealed(text, tensors))
    with pytest.raises(CheckpointError):
        read_tree(file)


def test_tensors_that_changed_places_are_noticed(file):
    write_tree(file, {"one": torch.zeros(4), "two": torch.ones(4)})
    content = file.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["/one"], header["/two"] = header["/two"], header["/one"]
    packed = json.dumps(header).encode()
    file.write_bytes(len(packed).to_bytes(8, "little") + packed + content[8 + size :])
    with pytest.raises(CheckpointError, match="checksum"):
        read_tree(file)
