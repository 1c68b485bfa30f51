"""Weights & Biases: an offline run of a training and of its resumption, and the alert of one that diverges."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import wandb
import yaml
from command_line import FAST, run
from lightning.pytorch.loggers import WandbLogger

from pricerl.cli.settings_help import GROUPS, settings_of
from pricerl.runs.checkpoint import Checkpoint
from pricerl.training.callbacks.tracking import RunTracking, TrackingConfig

ROOT = Path(__file__).parents[2]
PENDULUM = ("--data.env_id=Pendulum-v1", "--model.algorithm.warmup_steps=300", "--trainer.enable_progress_bar=false")


def test_the_sweep_names_known_settings_and_a_folder_per_run() -> None:
    sweep = yaml.safe_load((ROOT / "configs" / "sweep.yaml").read_text(encoding="utf-8"))
    known = {name for group in ("", *GROUPS) for name in settings_of(group)}
    assert {*sweep["parameters"]} <= known
    assert any('--run_name "sweep-$WANDB_RUN_ID"' in word for word in sweep["command"])
    assert sweep["metric"]["name"] == "eval/profit_uplift"


def test_settings_come_before_the_environment_and_it_before_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_PROJECT", "WANDB_MODE", "WANDB_DIR", "WANDB_NAME", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))

    def made(config: TrackingConfig, resumed: Checkpoint | None = None) -> dict[str, object]:
        logger: WandbLogger = RunTracking(config, tmp_path / "shop" / "gen-0001", resumed, {}, "eval/x").logger
        return logger._wandb_init

    usual = made(TrackingConfig())
    assert (usual["project"], usual["name"], usual["mode"], usual["id"]) == ("pricerl", "shop", "offline", None)
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    assert made(TrackingConfig())["project"] == "mine"
    assert made(TrackingConfig(project="own"))["project"] == "own"
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    resumed = Checkpoint(tmp_path, {"callbacks": {"RunTracking": {"id": "0123abcd"}}})
    assert (made(TrackingConfig())["mode"], made(TrackingConfig(), resumed)["id"]) == ("online", "0123abcd")


@pytest.mark.parametrize("words", [FAST, PENDULUM], ids=["seller", "environment"])
def test_training_that_diverges_sends_one_alert_and_keeps_its_folder(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = MagicMock()
    monkeypatch.setattr(wandb, "run", service)  # a run in progress, which the logger takes
    short = ("--trainer.max_steps=50", "--run_name", "w", "--wandb", "true", "--model.algorithm.critic_lr", "1e30")
    done = run(tmp_path, "fit", *words, *short)
    assert done.code == 1, done.err
    ((title, text), level) = service.alert.call_args
    assert (title, level) == ("training diverged", {"level": "ERROR"})
    assert text.startswith("training stopped at update") and "Lower model.algorithm.critic_lr" in text
    service.finish.assert_called_once_with(exit_code=1)
    assert (tmp_path / "checkpoints" / "w" / "gen-0001" / "config.yaml").exists()


@pytest.mark.slow
def test_a_training_logs_settings_metrics_and_checkpoint_and_its_resumption_is_the_same_run(tmp_path: Path) -> None:
    known = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    known |= {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    words = [*PENDULUM, "--data.eval_every=20", "--data.eval_episodes=1", "--run_name=w", "--wandb=true"]
    for steps, more in (("20", []), ("40", ["--ckpt_path", "last"])):
        command = [sys.executable, str(ROOT / "main.py"), "fit", *words, "--trainer.max_steps", steps, *more]
        done = subprocess.run(command, cwd=tmp_path, env=known, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    folder = tmp_path / "checkpoints" / "w"
    runs = sorted(folder.glob("gen-*/wandb/offline-run-*"))
    (name,) = {path.name.rpartition("-")[2] for path in runs}
    assert len(runs) == 2 and Checkpoint.read(folder / "last.ckpt").content["callbacks"]["RunTracking"] == {"id": name}
    (written,) = runs[-1].glob("*.wandb")
    content = written.read_bytes()
    assert all(word.encode() in content for word in ("eval/episode_return", "warmup_steps", f"policy-{name}"))
