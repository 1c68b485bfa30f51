"""Whatever a file holds, it is a checkpoint or one clear refusal."""

import json
import math
import os
import pickle
import zipfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import save_file
from saved_states import as_saved
from torch.utils._pytree import tree_leaves

from pricerl.errors import CheckpointError, UsageError
from pricerl.runs.checkpoint import Checkpoint, as_arrays, as_tensors, read_saved, save
from pricerl.tasks.load import stored_settings


@example(b"Report Date,Product Price,Total Sales\n2025-01-01,10,20\n")
@example(b"")
@example(b"t.")
@given(st.binary(max_size=200))
def test_no_bytes_and_no_text_end_in_another_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "random.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        Checkpoint.read(path)


def test_what_might_never_end_is_refused_at_once(tmp_path):
    device, pipe, link = Path("/dev/zero"), tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(device)
    for path in (device, pipe, link):
        with pytest.raises(CheckpointError, match="is no ordinary file; run fit again or name another"):
            Checkpoint.read(path)


def test_a_file_much_longer_than_its_header_says_is_refused_without_reading_it(tmp_path):
    path = tmp_path / "best.ckpt"
    save(path, {"pricerl": {}})
    os.truncate(path, 2**43)  # it takes no room on the disk
    with pytest.raises(CheckpointError, match="is not a checkpoint, or it is damaged"):
        Checkpoint.read(path)


def test_a_checkpoint_of_an_older_format_is_refused_with_its_version(tmp_path):
    tree = {"pricerl": {"format": 8, "version": "1.0.0"}}
    old, older = tmp_path / "old.ckpt", tmp_path / "older.ckpt"
    save(old, tree)
    save_file({"weight": torch.ones(2)}, older, {"pricerl": json.dumps(tree)})  # as pricerl 1.0 wrote them
    for path in (old, older):
        with pytest.raises(CheckpointError, match=r"format 8, written by pricerl 1\.0\.0; this version reads 10"):
            Checkpoint.read(path)


def test_what_is_written_comes_back_bit_for_bit_with_type_shape_and_layout(tmp_path):
    values = {
        "view": torch.arange(12.0).view(3, 4).T[1:],
        "bytes": torch.get_rng_state(),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "plain": [None, True, 2**62, math.inf, "text", {1: (2, 3)}],
    }
    save(tmp_path / "some.ckpt", values)
    found = read_saved(tmp_path / "some.ckpt")
    assert found["plain"] == values.pop("plain")
    for name, wanted in values.items():
        assert torch.equal(found[name], wanted) and found[name].dtype == wanted.dtype
        assert found[name].stride() == wanted.stride()


def test_arrays_become_parts_of_one_tensor_and_come_back():
    state = {
        "a": [np.arange(3.0), np.zeros((2, 2)), np.zeros(0)],
        "b": {"days": np.array([4, 5]), "flags": np.array([[True, False]])},
        "c": np.float64(0.5),
    }
    packed = as_saved(as_tensors(state))
    storages = {item.untyped_storage().data_ptr() for item in packed["a"]}
    assert len(storages) == 1 and type(packed["c"]) is float
    for found, wanted in zip(tree_leaves(as_arrays(packed)), tree_leaves(state), strict=True):
        np.testing.assert_array_equal(found, wanted)
        assert found.dtype == wanted.dtype if isinstance(wanted, np.ndarray) else found == 0.5


@pytest.mark.parametrize("value", [Path("x"), np.zeros(2), timedelta(1)], ids=["path", "array", "duration"])
def test_a_value_that_could_not_be_read_again_is_not_written(tmp_path, value):
    path = tmp_path / "some.ckpt"
    save(path, {"a": 1})
    with pytest.raises(UsageError, match="the states of callbacks and modules must be tensors and plain values"):
        save(path, {"state": [value]})
    assert read_saved(path) == {"a": 1} and list(tmp_path.iterdir()) == [path]


def test_no_changed_byte_changes_what_is_read_and_every_cut_is_noticed(tmp_path):
    path = tmp_path / "some.ckpt"
    wanted = {"weights": torch.arange(20.0), "step": 3}
    save(path, wanted)
    content = path.read_bytes()
    refused = 0
    for place in range(0, len(content), 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :])
        try:
            found = read_saved(path)
        except CheckpointError:
            refused += 1
        else:
            assert found["step"] == 3 and torch.equal(found["weights"], wanted["weights"]), place
    assert refused > len(content) / 9, "the others pad the file"
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        with pytest.raises(CheckpointError):
            read_saved(path)


class Malicious:
    """Pickle that leaves a file when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("how", ["pickle", "torch", "compressed"])
def test_a_pickle_is_refused_and_not_executed(tmp_path, how):
    path, trace = tmp_path / "some.ckpt", tmp_path / "executed"
    if how == "pickle":
        path.write_bytes(pickle.dumps(Malicious(trace)))
    else:
        torch.save({"state_dict": torch.ones(2) if how == "compressed" else Malicious(trace)}, path)
    if how == "compressed":
        with zipfile.ZipFile(path) as file:
            items = {name: file.read(name) for name in file.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, item in items.items():
                file.writestr(name, item)
    with pytest.raises(CheckpointError, match="is not a checkpoint, or it is damaged"):
        read_saved(path)
    assert not trace.exists()


def test_a_checkpoint_brings_neither_query_nor_preset_file_and_no_text_in_place_of_settings(trained):
    known = Checkpoint.read(trained / "best.ckpt")
    stored = known.content["pricerl"]["settings"]
    for reading in (stored["data"]["reading"], {"preset": "shopify"}, {"preset": "/etc/own.yaml", "query": "select"}):
        stored["data"]["reading"] = reading
        assert known.settings["data"]["reading"] in (reading, {"preset": "auto", "query": None})
    stored["data"]["path"] = "/etc/sales.csv"
    assert "/etc" not in str(stored_settings(known))
    usual = {"data": {"reading": {"preset": "auto"}, "columns": None}, "decision": {}}
    known.check_settings(usual)
    for wrong, message in (
        ({"reading": "/etc/own.yaml"}, "data.reading must hold settings, found '/etc/own.yaml'"),
        ({"reading.preset": "/etc/own.yaml"}, "data.reading.preset is no setting"),
        ({"init_args": "/etc/own.yaml"}, "data must hold settings, found '/etc/own.yaml'"),
    ):
        stored["data"] = wrong
        with pytest.raises(CheckpointError, match=message):
            known.check_settings(usual)
