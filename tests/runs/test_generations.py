"""The folder of a run: generations, second names of files, the lock, and names of runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pricerl.advice.files import About
from pricerl.errors import CheckpointError, UsageError
from pricerl.formatting import Formatter
from pricerl.operations.exports import Publication
from pricerl.operations.shop import Shop
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.folder import RunFolder
from pricerl.runs.names import check_name
from pricerl.writing import write_file


@pytest.fixture(params=[True, False], ids=["links", "copies"])
def links(request, monkeypatch):
    """Whether the file system has hard links."""

    def no_link(*_: object) -> None:
        raise OSError("no hard links here")

    if not request.param:
        monkeypatch.setattr("os.link", no_link)
    return request.param


def fill(run: RunFolder, text: str):
    """Write a generation with one checkpoint."""
    made = run.start()
    (made.path / "last.ckpt").write_text(text)
    (made.path / "rank-1.00000020.ckpt").write_text(text)
    made.take_over(made.path / "last.ckpt", "best.ckpt")
    return made


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_the_names_in_a_run_lead_to_the_generation_in_use(run):
    first, second = fill(run, "one"), fill(run, "two")
    (first.path / "metrics.csv").write_text("step\n")
    run.use(first)
    assert (run.path / "best.ckpt").read_text() == "one" and (run.path / "metrics.csv").exists()
    run.use(second)
    assert (run.path / "best.ckpt").read_text() == "two"
    assert not (run.path / "metrics.csv").exists(), "the new generation has no such file"
    assert (first.path / "best.ckpt").read_text() == "one", "an earlier generation stays as it was"
    assert [item.name for item in run.generations()] == ["gen-0001", "gen-0002"]


def test_a_copy_of_a_run_is_whole(run, tmp_path, links):
    first, second = fill(run, "one"), fill(run, "two")
    run.use(first)
    assert (run.path / "best.ckpt").samefile(first.path / "best.ckpt") == links
    copy = RunFolder(shutil.copytree(run.path, tmp_path / "copy"))
    assert copy.current == copy.generations()[0] and copy.is_shown
    copy.use(copy.generations()[1])
    assert copy.current.name == second.name and copy.is_shown
    assert (copy.path / "best.ckpt").read_text() == "two" and (run.path / "best.ckpt").read_text() == "one"


def test_a_run_shows_the_last_training_until_one_has_ended(run):
    made = run.start()
    for text in ("saved", "saved again"):
        write_file(made.path / "last.ckpt", text.encode())
        run.show(made)
        assert run.current is None and (run.path / "last.ckpt").read_text() == text
    run.use(fill(run, "one"))
    run.show(made)
    assert (run.path / "last.ckpt").read_text() == "one"


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt"])
def test_a_name_that_was_lost_or_replaced_is_given_again(run, name, links):
    run.use(fill(run, "one"))
    for lose in (lambda path: path.unlink(), lambda path: write_file(path, b"other")):
        lose(run.path / name)
        assert not run.is_shown
        run.use(run.current)
        assert run.is_shown and (run.path / name).read_text() == "one"


@pytest.mark.usefixtures("links")
def test_a_file_taken_over_stays_when_the_first_is_replaced(run):
    made = run.start()
    last, best = made.path / "last.ckpt", made.path / "best.ckpt"
    write_file(last, b"one")
    made.take_over(last, "best.ckpt")
    made.take_over(last, "best.ckpt")
    write_file(last, b"two")
    assert best.read_bytes() == b"one" and sorted(made.path.iterdir()) == [best, last]


def test_states_of_processes_stay_as_long_as_their_checkpoints(run):
    made = run.start()
    files = [made.path / f"rank-{rank}.{update:08d}.ckpt" for update in (20, 40, 60) for rank in (1, 12)]
    for file in files:
        file.touch()
    made.keep_ranks({20, 60, None})
    assert sorted(made.path.iterdir()) == sorted([*files[:2], *files[4:]])


def test_a_run_knows_which_generations_have_ended_whichever_is_in_use(run):
    first, second = fill(run, "one"), fill(run, "two")
    run.use(first)
    run.use(second)
    fill(run, "stopped")
    assert run.ended == [second, first]
    run.use(first)
    assert run.ended == [first, second] and run.current == first


@pytest.mark.parametrize("damage", ["change", "remove"])
def test_a_generation_whose_model_was_changed_is_not_used_again(run, damage):
    made = fill(run, "one")
    shop = Shop.open(run)
    _, shop = shop.record(lambda _: [], Publication(About("sales.csv", "profit"), Formatter()), uses=made)
    assert shop.find_model("gen-0001") == made
    if damage == "change":
        (made.path / "best.ckpt").write_text("two")
    else:
        for path in made.path.glob("*.ckpt"):
            path.unlink()
    with pytest.raises(CheckpointError, match="damaged"):
        shop.find_model("gen-0001")
    with pytest.raises(UsageError, match="complete are gen-0001"):
        shop.find_model("gen-0002")


def test_old_generations_go_but_the_weights_behind_decisions_stay(run):
    made = [fill(run, str(number)) for number in range(5)]
    run.use(made[0])
    run.remove_old(keep=2, named={"gen-0002"})
    assert [item.name for item in run.generations()] == ["gen-0001", "gen-0002", "gen-0004", "gen-0005"]
    kept = made[1].path
    assert (kept / "best.ckpt").read_text() == "1"
    assert [path.name for path in kept.rglob("*.ckpt")] == ["best.ckpt"]


@pytest.mark.parametrize("name", ["shop", "gen-2024"])
def test_the_run_of_a_checkpoint_is_found_from_every_path_though_it_be_named_like_a_generation(tmp_path, name):
    run = RunFolder(tmp_path / name)
    made = fill(run, "one")
    run.use(made)
    for path in (run.path / "best.ckpt", made.path / "best.ckpt"):
        assert RunFolder.of(path) == run and Checkpoint(path, {}).generation == made
        assert Checkpoint(path, {}).name.startswith("gen-0001/")
    assert RunFolder.of(Path("checkpoints/shop/gen-0003/best.ckpt")).path == Path("checkpoints/shop")


@pytest.mark.parametrize("name", ["sales-balanced", "Läden 2025", "a", "HalfCheetah-v4", "x+y=z,1@2"])
def test_a_name_is_a_name(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../other", "a/b", "/tmp/x", ".hidden", "-x", "a\nb", "a\x1b[31m", "x" * 101, "a.", "a\\b"]
)
def test_a_path_is_no_name(name):
    with pytest.raises(UsageError, match="not a path"):
        check_name(name)


def test_a_second_process_is_refused_and_the_first_one_named(run, tmp_path):
    code = (
        "import sys; from pathlib import Path; from pricerl.runs.folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).locked(): print('held')"
    )
    words = [sys.executable, "-c", code, str(run.path)]
    with run.locked():
        held = subprocess.run(words, capture_output=True, text=True, check=False)
        assert held.returncode == 1 and f"process {os.getpid()} on" in held.stderr
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "held\n"
