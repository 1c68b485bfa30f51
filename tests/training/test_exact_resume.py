"""A run that was stopped and resumed is the run that was not, to the last bit."""

from __future__ import annotations

import csv
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Result, run
from survival import KINDS, differences

from pricerl.operations.log.decision_log import LOG_FILE, read_log
from pricerl.runs import checkpoint
from pricerl.runs.checkpoint import Checkpoint
from pricerl.sac.replay import Transition
from pricerl.training.callbacks.checkpoint import RunCheckpoint
from pricerl.training.module import SACModule

SHORT = ["--trainer.max_steps=200"]


def fit(folder: Path, kind: str, *words: str) -> Result:
    folder.mkdir(exist_ok=True)
    return run(folder, "fit", *KINDS[kind], *SHORT, *words)


def train(folder: Path, kind: str, *words: str) -> Result:
    """Train to the end; where this resumes a run, it resumes exactly."""
    done = fit(folder, kind, *words)
    assert done.code in (0, 4) and "statistical" not in done.err, done.err
    return done


@pytest.fixture(scope="module", params=["pricing", pytest.param("normalized", marks=pytest.mark.slow)])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Kind and folder of an undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    train(folder, request.param)
    return request.param, folder


class Crash(BaseException):
    """Death of a process, as far as a test can show it."""


def crash(*_: object) -> None:
    raise Crash


def terminate() -> None:
    signal.raise_signal(signal.SIGTERM)


def at_update(number: int, what: Callable[[], object]) -> Callable[[pytest.MonkeyPatch], None]:
    """Let something happen before a gradient update, once."""

    def prepare(patch: pytest.MonkeyPatch) -> None:
        real, left = SACModule.training_step, iter([True])

        def training_step(self: SACModule, batch: Transition, batch_idx: int) -> object:
            if self.trainer.global_step + 1 == number and next(left, False):
                what()
            return real(self, batch, batch_idx)

        patch.setattr(SACModule, "training_step", training_step)

    return prepare


def die_before_the_best_checkpoint_is_named(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("pricerl.runs.folder.Generation.take_over", crash)


def run_out_of_time(patch: pytest.MonkeyPatch) -> None:
    real = RunCheckpoint.on_train_batch_end

    def out_of_time(self: RunCheckpoint, trainer: Any, *rest: Any) -> None:
        trainer.should_stop = trainer.should_stop or trainer.global_step >= 50  # as Lightning's Timer does
        real(self, trainer, *rest)

    patch.setattr(RunCheckpoint, "on_train_batch_end", out_of_time)


def fill_the_disk(patch: pytest.MonkeyPatch) -> None:
    real, written = checkpoint.write_file, iter(range(1000))

    def full(path: Path, content: bytes) -> None:
        if next(written) > 0:
            raise OSError(28, "No space left on device", str(path))
        real(path, content)

    patch.setattr(checkpoint, "write_file", full)


SAVED = "last.ckpt is saved, resume with fit --ckpt_path last"
STOPS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], tuple[int, ...], str]] = {
    "SIGTERM in an epoch": (at_update(130, terminate), (143,), SAVED),
    "SIGINT at its end": (at_update(195, lambda: signal.raise_signal(signal.SIGINT)), (130,), SAVED),
    "an exception": (at_update(150, lambda: 1 / 0), (1,), ""),
    "a limit of time": (run_out_of_time, (0, 4), ""),
    "a full disk": (fill_the_disk, (2,), "cannot be written: No space left on device; the last save is"),
}
"""How a run is stopped, with its exit codes and a part of its message."""

QUICK = ("SIGTERM in an epoch",)


@pytest.mark.parametrize(
    "stop", [pytest.param(stop, marks=() if stop in QUICK else pytest.mark.slow) for stop in STOPS]
)
def test_a_resumed_run_is_the_undisturbed_one(
    whole: tuple[str, Path], stop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, undisturbed = whole
    prepare, codes, said = STOPS[stop]
    with monkeypatch.context() as patched:
        prepare(patched)
        stopped = fit(tmp_path, kind)
    assert stopped.code in codes and said in stopped.err
    assert stop != "a full disk" or stopped.err.count("\n") == 1
    ended = stop == "a limit of time"
    current = tmp_path / "checkpoints" / "run" / "current"
    assert current.exists() == ended
    train(tmp_path, kind, "--ckpt_path=last")
    assert current.read_text().split()[0] == ("gen-0002" if ended else "gen-0001")
    assert differences(undisturbed, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("prepare", [at_update(150, crash), die_before_the_best_checkpoint_is_named])
def test_a_run_that_dies_goes_on_exactly(
    whole: tuple[str, Path],
    prepare: Callable[[pytest.MonkeyPatch], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind, undisturbed = whole
    with monkeypatch.context() as patched, pytest.raises(Crash):
        prepare(patched)
        fit(tmp_path, kind)
    (made,) = (tmp_path / "checkpoints/run").glob("gen-*")
    if prepare is die_before_the_best_checkpoint_is_named:
        assert {path.name for path in made.glob("*.ckpt")} == {"last.ckpt"}
    assert not (made.parent / "current").exists()
    train(tmp_path, kind, "--resume=auto")
    assert differences(undisturbed, tmp_path) == []


@pytest.mark.slow
def test_a_run_with_gradients_through_the_market_resumes_as_the_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = ("--trainer.max_steps=40", "--data.eval_every=20")
    train(tmp_path / "whole", "ahead", *few)
    with monkeypatch.context() as patched:
        at_update(27, terminate)(patched)
        assert fit(tmp_path / "cut", "ahead", *few).code == 143
    train(tmp_path / "cut", "ahead", *few, "--ckpt_path=last")
    assert differences(tmp_path / "whole", tmp_path / "cut") == []


@pytest.mark.slow
def test_the_best_checkpoint_comes_with_its_own_buffer(tmp_path: Path) -> None:
    train(tmp_path, "pricing", "--trainer.max_steps=300")
    best = Checkpoint.read(tmp_path / "checkpoints/run/best.ckpt").update
    train(tmp_path, "pricing", "--trainer.max_steps=400", "--ckpt_path=best")
    with (tmp_path / "checkpoints/run/metrics.csv").open(newline="") as file:
        counted = [(float(row["updates"]), float(row["env_steps"])) for row in csv.DictReader(file)]
    assert {env_steps - 8 * updates for updates, env_steps in counted} == {64.0}, f"from update {best} on"


@pytest.mark.slow
def test_other_data_reward_or_guardrails_are_refused_unless_named(tmp_path: Path) -> None:
    train(tmp_path, "pricing", "--trainer.max_steps=100")
    words = ["--trainer.max_steps=200", "--ckpt_path=last"]
    for setting, name in (
        ("--data.reward.preset=balanced", "data.reward.preset"),
        ("--data.guardrails.max_change=0.02", "data.guardrails.max_change"),
        ("--data.seller.days=121", "history"),
        ("--seed_everything=3", "seed_everything"),
    ):
        refused = fit(tmp_path, "pricing", *words, setting)
        assert refused.code == 2 and name in refused.err and "--accept_changes" in refused.err, refused.err
    went_on = fit(tmp_path, "pricing", *words, "--data.reward.preset=balanced", "--accept_changes=data.reward")
    assert went_on.code in (0, 4), went_on.err
    assert "statistical, not exact: data.reward.preset changed" in went_on.err
    unused = fit(tmp_path, "pricing", *words, "--trainer.max_steps=300", "--accept_changes=history")
    assert unused.code == 2 and "--accept_changes history" in unused.err


@pytest.mark.slow
def test_a_run_with_nothing_left_to_do_says_so_and_writes_nothing(tmp_path: Path) -> None:
    few = ("pricing", "--trainer.max_steps=20")
    train(tmp_path, *few)
    for words in (["--ckpt_path=last"], ["--resume=auto"]):
        again = fit(tmp_path, *few, *words)
        assert again.code == 0 and "nothing left to do" in again.out
    assert [path.name for path in (tmp_path / "checkpoints/run").glob("gen-*")] == ["gen-0001"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["pricerl.runs.folder.RunFolder.use", "pricerl.operations.shop.append"],
)
def test_a_disk_that_fills_while_an_ended_run_is_published_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    words = ["pricing", "--trainer.max_steps=20"]
    train(tmp_path, *words)
    with monkeypatch.context() as patched:

        def full(place: object, *_: object) -> None:
            raise OSError(28, "No space left on device", str(place))

        patched.setattr(name, full)
        assert fit(tmp_path, *words).code == 2
    published = fit(tmp_path, *words, "--resume=auto")
    recorded = name.endswith("use")  # only the names in the folder were left to be moved
    assert published.code in (0, 4) and ("nothing left" in published.out) == recorded
    assert (tmp_path / "checkpoints/run/current").read_text().split() == ["gen-0002", "gen-0001"]
    entries = read_log(tmp_path / "checkpoints/run" / LOG_FILE).entries
    assert [entry["checkpoint"] for entry in entries] == ["gen-0001/best.ckpt", "gen-0002/best.ckpt"]
    assert "nothing left to do" in fit(tmp_path, *words, "--resume=auto").out


@pytest.mark.slow
def test_a_lone_checkpoint_is_resumed_exactly(tmp_path: Path) -> None:
    train(tmp_path, "pricing", "--trainer.max_steps=100")
    (tmp_path / "copy.ckpt").write_bytes((tmp_path / "checkpoints/run/last.ckpt").read_bytes())
    train(tmp_path, "pricing", "--trainer.max_steps=150", "--ckpt_path=copy.ckpt")


@pytest.mark.slow
def test_a_copy_is_resumed_exactly(whole: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, undisturbed = whole
    with monkeypatch.context() as patched:
        at_update(150, terminate)(patched)
        assert fit(tmp_path / "stopped", kind).code == 143
    shutil.copytree(tmp_path / "stopped", tmp_path / "copy")
    train(tmp_path / "copy", kind, "--ckpt_path=last")
    assert differences(undisturbed, tmp_path / "copy") == []
    again = shutil.copytree(tmp_path / "copy", tmp_path / "again")
    train(again, kind, "--ckpt_path=checkpoints/run/last.ckpt", "--trainer.max_steps=400")


@pytest.mark.slow
def test_a_run_resumed_with_other_versions_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tmp_path, "pricing", "--trainer.max_steps=100")
    monkeypatch.setattr("pricerl.operations.log.provenance.current_versions", lambda: {"torch": "99.0"})
    resumed = fit(tmp_path, "pricing", "--trainer.max_steps=150", "--ckpt_path=last")
    assert resumed.code in (0, 4) and "resumed with torch 99.0 instead of" in resumed.err


def test_without_checkpoints_nobody_claims_that_something_was_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_update(60, terminate)(monkeypatch)
    stopped = fit(tmp_path, "pricing", "--trainer.enable_checkpointing=false")
    assert stopped.code == 143 and stopped.err == "error: SIGTERM; nothing was saved\n"


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--trainer.logger=false", "--trainer.fast_dev_run=true"])
def test_nothing_of_the_user_s_is_overwritten(tmp_path: Path, option: str) -> None:
    train(tmp_path, "pricing", "--trainer.max_steps=100")
    (tmp_path / "config.yaml").write_text("mine\n")
    (tmp_path / "metrics.csv").write_text("mine\n")
    kept = (tmp_path / "checkpoints/run/gen-0001/metrics.csv").read_bytes()
    train(tmp_path, "pricing", "--trainer.max_steps=100", option)
    assert (tmp_path / "config.yaml").read_text() == (tmp_path / "metrics.csv").read_text() == "mine\n"
    assert (tmp_path / "checkpoints/run/gen-0001/metrics.csv").read_bytes() == kept
