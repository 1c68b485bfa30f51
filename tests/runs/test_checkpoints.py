"""Whatever a file holds, it is a checkpoint or one clear refusal."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricerl.errors import CheckpointError
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.tree_file import write_tree


@pytest.mark.parametrize(
    "text", ["Report Date,Product Price,Total Sales\n2025-01-01,10,20\n", "", "a", "0", ".", "(", "t."]
)
def test_a_text_file_is_no_checkpoint(tmp_path, text):
    path = tmp_path / "some.csv"
    path.write_text(text)
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        Checkpoint.read(path)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_no_bytes_end_in_another_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "random.ckpt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        Checkpoint.read(path)


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a link to a device"])
def test_what_might_never_end_is_refused_at_once(tmp_path, kind):
    path = Path("/dev/zero") if kind == "a device" else tmp_path / "best.ckpt"
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a link to a device":
        path.symlink_to("/dev/zero")
    with pytest.raises(CheckpointError, match="is no ordinary file; run fit again or name another"):
        Checkpoint.read(path)


def test_a_file_much_longer_than_its_header_says_is_refused_without_reading_it(tmp_path):
    path = tmp_path / "best.ckpt"
    write_tree(path, {"pricerl": {}})
    os.truncate(path, 2**43)  # it takes no room on the disk
    with pytest.raises(CheckpointError, match="is not a checkpoint, or it is damaged"):
        Checkpoint.read(path)


def test_a_checkpoint_of_an_older_format_is_refused_with_its_version(tmp_path):
    path = tmp_path / "best.ckpt"
    write_tree(path, {"pricerl": {"format": 7, "version": "1.0.0"}})
    with pytest.raises(
        CheckpointError, match=r"has checkpoint format 7, written by pricerl 1\.0\.0; this version reads 8"
    ):
        Checkpoint.read(path)


def test_a_checkpoint_brings_neither_query_nor_preset_file_and_no_text_in_place_of_settings(trained):
    known = Checkpoint.read(trained / "best.ckpt")
    stored = known.content["pricerl"]["settings"]
    for reading in (stored["data"]["reading"], {"preset": "shopify"}, {"preset": "/etc/own.yaml", "query": "select"}):
        stored["data"]["reading"] = reading
        assert known.settings["data"]["reading"] in (reading, {"preset": "auto", "query": None})
    assert "/etc" not in str(known.words)
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
