from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pricerl.advice.files import check_folder
from pricerl.errors import UsageError
from pricerl.writing import give_name, is_same, locked, refuse_folders, write_file, write_text


def _listing(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


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


def test_a_text_is_written_with_the_folders_above_it_and_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "one", "1\n")
    with pytest.raises(UsageError, match=r"a cannot be written: it is a folder; earlier files are untouched"):
        write_text(tmp_path / "a", "2")
    assert _listing(tmp_path) == {str(Path("a", "one")): "1\n"}


def test_a_folder_below_a_file_is_refused_and_one_that_does_not_exist_yet_is_accepted_and_not_made(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"--out .*file is a file; name a folder"):
        check_folder(tmp_path / "file" / "below", "--out ")
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


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("advice.csv/mine.txt", "advice.csv is a folder, where a file is to be written; rename it"),
        ("report/mug.html/mine.txt", "mug.html is a folder, where a file is to be written; rename it"),
        ("report", "report is a file, where a folder is needed; rename it"),
    ],
)
def test_a_folder_in_the_place_of_a_file_or_the_reverse_is_refused(place: str, said: str, tmp_path: Path) -> None:
    write_text(tmp_path / place, "mine")
    with pytest.raises(UsageError, match=said):
        refuse_folders(tmp_path, ["advice.csv", "report/mug.html"])


@pytest.mark.parametrize("has_links", [True, False])
def test_a_second_name_follows_the_file_whether_it_is_a_link_or_a_copy(
    has_links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not has_links:
        monkeypatch.setattr(os, "link", refuse)
    old, new, name = (tmp_path / item for item in ("old", "new", "best.ckpt"))
    write_text(old, "1")
    write_text(new, "22")
    for file in (old, old, new):
        give_name(file, name)
        assert is_same(file, name) and name.read_text() == file.read_text()
    assert not is_same(old, name) and {path.name for path in tmp_path.iterdir()} == {"old", "new", "best.ckpt"}


def test_a_lock_is_held_by_one_and_released_at_its_end_also_by_another_thread(tmp_path: Path) -> None:
    """A server enters and leaves what a request depends on in any of its threads."""
    held = locked(tmp_path / ".lock")
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        one.submit(held.__enter__).result()
        with pytest.raises(BlockingIOError), locked(tmp_path / ".lock", patience=0.01):
            pass
        other.submit(held.__exit__, None, None, None).result()
    with locked(tmp_path / ".lock", patience=0.01):
        pass
