from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pricerl.advice import check_folder
from pricerl.errors import UsageError
from pricerl.writing import write_file, write_text


def _listing(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_text_is_written_with_the_folders_above_it(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "one", "1\n")
    assert _listing(tmp_path) == {str(Path("a", "b", "one")): "1\n"}


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_file_as_it_was(
    existing: bool, failure: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if existing:
        write_text(tmp_path / "one", "old")
    before = _listing(tmp_path)

    def fail(*_: object) -> None:
        raise failure

    expected = UsageError if isinstance(failure, OSError) else KeyboardInterrupt
    for place, step in ((os, "fsync"), (Path, "replace")):
        with monkeypatch.context() as patch:
            patch.setattr(place, step, fail)
            with pytest.raises(expected):
                write_text(tmp_path / "one", "new")
        assert _listing(tmp_path) == before


def test_a_folder_in_a_files_place_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    with pytest.raises(UsageError, match=r"two cannot be written: it is a folder; earlier files are untouched"):
        write_text(tmp_path / "two", "2")
    assert [path.name for path in tmp_path.iterdir()] == ["two"]


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"--out .*file is a file; name a folder"):
        check_folder(tmp_path / "file" / "below", "--out ")


def test_a_folder_that_does_not_exist_yet_is_accepted_and_not_made(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()


def test_an_error_of_writing_names_the_file(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_file(tmp_path / "a.csv", b"1")
    assert caught.value.filename == str(tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []
