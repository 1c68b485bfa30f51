"""Whatever a file holds, it is a checkpoint or one clear refusal."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricerl.errors import CheckpointError
from pricerl.training.checkpointing import Checkpoint


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
