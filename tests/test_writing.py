from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from pricerl.advice.files import check_folder
from pricerl.errors import UsageError
from pricerl.writing import point, show_set, stage_set, write_file, write_text


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


def publish(out: Path, text: str = "1\n") -> None:
    show_set(out, stage_set(out, {"advice.csv": text, "report/mug.html": text}.items()))


@pytest.mark.parametrize("name", ["advice.csv", "report/mug.html"])
def test_a_folder_of_the_users_in_the_place_of_a_published_file_is_refused_and_stays(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / "mine.txt").write_text("mine")
    before = _listing(tmp_path)
    with pytest.raises(UsageError, match=f"{name} is a folder, where a file is to be written; rename it"):
        publish(tmp_path)
    assert _listing(tmp_path) == before and not (tmp_path / "published").exists()


def test_a_file_in_the_place_of_the_folder_of_pages_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("mine")
    with pytest.raises(UsageError, match="report is a file, where a folder is needed; rename it"):
        publish(tmp_path)
    assert _listing(tmp_path) == {"report": "mine"}


def test_folders_of_the_users_among_published_sets_stay(tmp_path: Path) -> None:
    for name in ("2019", "2020 photos"):
        (tmp_path / "published" / name).mkdir(parents=True)
        (tmp_path / "published" / name / "mine.txt").write_text("mine")
    for number in range(8):
        publish(tmp_path, f"{number}\n")
    assert (tmp_path / "advice.csv").read_text() == "7\n"
    kept = sorted(path.name for path in (tmp_path / "published").iterdir())
    assert kept == ["2019", "2020 photos", "2023", "2024", "2025", "2026", "2027", "current"]


def test_a_set_takes_the_next_number_if_another_process_was_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path)
    monkeypatch.setattr("pricerl.writing._numbered", lambda sets: [])  # the other set came after this look
    publish(tmp_path, "2\n")
    assert {path.name for path in (tmp_path / "published").iterdir()} >= {"0001", "0002"}


def test_a_copy_that_followed_the_links_is_published_into(tmp_path: Path) -> None:
    publish(tmp_path / "out", "old\n")
    shutil.copytree(tmp_path / "out", tmp_path / "copy")
    assert not (tmp_path / "copy" / "published" / "current").is_symlink()
    publish(tmp_path / "copy", "new\n")
    assert (tmp_path / "copy" / "published" / "current").is_symlink()
    assert (tmp_path / "copy" / "advice.csv").read_text() == (tmp_path / "copy/report/mug.html").read_text() == "new\n"


@pytest.mark.parametrize("content", [{}, {"manifest.json": "{}"}, {"manifest.json": "no"}, {"mine.txt": "mine"}])
def test_a_folder_called_current_without_our_manifest_stays(content: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "published" / "current").mkdir(parents=True)
    for name, text in content.items():
        (tmp_path / "published" / "current" / name).write_text(text)
    with pytest.raises(UsageError, match=r"published/current cannot be written: it is a folder"):
        publish(tmp_path)
    assert _listing(tmp_path / "published" / "current") == content


def test_a_folder_becomes_a_link_only_with_the_same_files_as_the_target(tmp_path: Path) -> None:
    for folder in ("new", "report"):
        write_text(tmp_path / folder / "mug.html", "page")
    write_text(tmp_path / "report" / "mine.txt", "mine")
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        point(tmp_path / "report", "new")
    assert _listing(tmp_path / "report") == {"mug.html": "page", "mine.txt": "mine"}
    (tmp_path / "report" / "mine.txt").unlink()
    point(tmp_path / "report", "new")
    assert (tmp_path / "report").is_symlink()
