"""Lightning's ordinary habits: every Trainer flag works or is refused in one line, and callbacks find the metrics."""

from __future__ import annotations

import csv
import inspect
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from command_line import listing, run
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Timer

SMALL = [
    *("--data.env_id", "Pendulum-v1", "--data.eval_every", "20", "--data.eval_episodes", "1", "--run_name", "run"),
    *("--model.network.hidden", "[16,16]", "--model.algorithm.warmup_steps", "40"),
    *("--model.algorithm.batch_size", "16", "--trainer.max_steps", "40", "--trainer.enable_progress_bar", "false"),
]
WORKS = ""

FLAGS: dict[str, dict[str, str]] = {
    "accelerator": {"cpu": WORKS, "tpu": "accelerator auto uses the devices of this machine"},
    "strategy": {
        "auto": WORKS,
        "ddp": WORKS,
        "fsdp": "strategy must be one of",
        "deepspeed": "strategy must be one of",
    },
    "devices": {"1": WORKS, "-3": "trainer: "},
    "num_nodes": {"1": WORKS},
    "precision": {"32": WORKS, "bf16-mixed": WORKS, "16-mixed": "must be one of 32", "64-true": "must be one of 32"},
    "logger": {"{class_path: CSVLogger, init_args: {save_dir: logs}}": WORKS, "false": WORKS},
    "callbacks": {"LearningRateMonitor": WORKS, "Nothing": "there is no class Nothing"},
    "fast_dev_run": {"true": WORKS},
    "max_epochs": {"1": WORKS},
    "min_epochs": {"1": WORKS},
    "max_steps": {"20": WORKS, "0": "must be 1 or more"},
    "min_steps": {"20": WORKS},
    "max_time": {"00:00:01:00": WORKS},
    "limit_train_batches": {"1.0": WORKS, "0.5": "eval_every", "1": "eval_every"},
    "limit_val_batches": {
        "1.0": WORKS,
        "0": WORKS,
        "0.5": "an evaluation is one batch",
        "2": "an evaluation is one batch",
    },
    "limit_test_batches": {"1.0": WORKS, "0.5": "a test is one batch"},
    "limit_predict_batches": {"2": "predict advises on every product"},
    "overfit_batches": {"0.0": WORKS, "3": "eval_every"},
    "val_check_interval": {"1.0": WORKS, "0.5": "eval_every", "5": "eval_every"},
    "check_val_every_n_epoch": dict.fromkeys(("1", "2"), WORKS),
    "num_sanity_val_steps": {"2": WORKS, "-1": WORKS},
    "log_every_n_steps": {"10": WORKS, "0": WORKS, "-1": "must be 0 or more"},
    "enable_checkpointing": {"false": WORKS},
    "enable_progress_bar": {"false": WORKS},
    "enable_model_summary": {"true": WORKS},
    "accumulate_grad_batches": {"1": WORKS, "2": "batch_size"},
    "gradient_clip_val": {"1": "max_grad_norm"},
    "gradient_clip_algorithm": {"norm": "max_grad_norm"},
    "deterministic": {"true": WORKS},
    "benchmark": {"true": WORKS},
    "inference_mode": {"false": WORKS},
    "use_distributed_sampler": {"true": WORKS, "false": "has no sampler"},
    "profiler": {"simple": WORKS, "advanced": WORKS, "SimpleProfiler": WORKS, "slow": "trainer: "},
    "detect_anomaly": {"true": WORKS},
    "barebones": {"true": "it leaves out checkpoints"},
    "plugins": {"LightningEnvironment": WORKS, "AsyncCheckpointIO": "multiple values for CheckpointIO"},
    "sync_batchnorm": {"true": "batch statistics are averaged over the processes as they are"},
    "reload_dataloaders_every_n_epochs": {"1": "sampled from a replay buffer"},
    "default_root_dir": {"elsewhere": "set --run_name"},
    "enable_autolog_hparams": {"false": WORKS},
    "model_registry": {"name": "checkpoints stay in the run's folder"},
}
"""Values of every parameter of the Trainer, with a part of the refusal."""


QUICK = ("accelerator", "strategy", "precision", "fast_dev_run", "max_steps", "limit_val_batches", "profiler")
"""Flags whose accepted values the default test run trains with; values that are refused cost little."""


def test_every_parameter_of_the_trainer_is_covered() -> None:
    assert set(FLAGS) == set(inspect.signature(Trainer.__init__).parameters) - {"self"}


@pytest.fixture
def determinism_is_restored() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)  # Lightning's flag outlives its trainer


@pytest.mark.usefixtures("determinism_is_restored")
@pytest.mark.parametrize(
    ("flag", "value"),
    [
        pytest.param(flag, value, marks=() if refusal or flag in QUICK else pytest.mark.slow)
        for flag, values in FLAGS.items()
        for value, refusal in values.items()
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_flag_works_or_is_refused_in_one_line(flag: str, value: str, tmp_path: Path) -> None:
    given = ["--trainer.callbacks", value] if flag == "callbacks" else [f"--trainer.{flag}={value}"]
    result = run(tmp_path, "fit", *SMALL, *given)
    if refusal := FLAGS[flag][value]:
        assert result.code == 2, result.err
        assert refusal in result.err and result.err.count("\n") == 1 and listing(tmp_path) == {}
    else:
        assert result.code == 0, result.err
        assert "best.ckpt" in result.out or flag in ("fast_dev_run", "enable_checkpointing", "limit_val_batches")


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "checkpoints" / "run" / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("every", "updates"), [(20, [20, 40]), (10, [10, 20, 30, 40]), (40, [40]), (0, [])])
def test_log_every_n_steps_counts_updates(every: int, updates: list[int], tmp_path: Path) -> None:
    assert run(tmp_path, "fit", *SMALL, "--trainer.log_every_n_steps", str(every)).code == 0
    found = rows(tmp_path)
    assert [int(row["step"]) for row in found if row.get("train/alpha")] == updates
    assert [int(row["step"]) for row in found if row["eval/episode_return"]] == [20, 40]
    assert all(float(row["updates"]) == float(row["step"]) for row in found)


def test_evaluations_may_skip_epochs(tmp_path: Path) -> None:
    assert run(tmp_path, "fit", *SMALL, "--trainer.check_val_every_n_epoch", "2").code == 0
    assert [int(row["step"]) for row in rows(tmp_path) if row["eval/episode_return"]] == [40]


def test_max_epochs_counts_evaluations(tmp_path: Path) -> None:
    assert run(tmp_path, "fit", *SMALL, "--trainer.max_epochs", "1").code == 0
    assert rows(tmp_path)[-1]["step"] == "20"


def test_a_profiler_writes_its_table_to_the_run(tmp_path: Path) -> None:
    assert run(tmp_path, "fit", *SMALL, "--trainer.profiler", "simple").code == 0
    table = (tmp_path / "checkpoints" / "run" / "fit-profile.txt").read_text(encoding="utf-8")
    assert "training_step" in table


def recorded(hook: Callable[..., None], times: list[float]) -> Callable[..., None]:
    """Return a hook that records when it is called."""

    def call(*arguments: object) -> None:
        times.append(time.monotonic())
        hook(*arguments)

    return call


def test_a_limit_of_time_ends_a_run_before_its_next_evaluation(tmp_path: Path) -> None:
    words = ["--trainer.max_time", "00:00:00:01", "--trainer.max_steps", "-1", "--data.eval_every", "1000000"]
    begun: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        for hook in ("on_train_start", "on_train_end"):
            patch.setattr(Timer, hook, recorded(getattr(Timer, hook), begun))
        assert run(tmp_path, "fit", *SMALL, *words).code == 0
    start, end = begun
    assert end - start >= 1.0
    assert int(rows(tmp_path)[-1]["step"]) < 1_000_000


@pytest.mark.filterwarnings("ignore")
def test_callbacks_find_metrics_rates_and_the_number_of_the_update(tmp_path: Path) -> None:
    words = ["--trainer.callbacks", "EarlyStopping", "--trainer.callbacks.monitor", "train/alpha"]
    words += ["--trainer.callbacks.mode", "max", "--trainer.callbacks.patience", "1", "--data.eval_every", "10"]
    words += ["--trainer.callbacks+=LearningRateMonitor", "--trainer.log_every_n_steps", "10"]
    words += ["--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.monitor", "train/critic_loss"]
    words += ["--trainer.callbacks.dirpath", "own", "--trainer.callbacks.filename", "{step}"]
    words += ["--trainer.callbacks.save_top_k=-1", "--model.algorithm.final_lr_share", "0.5"]
    assert run(tmp_path, "fit", *SMALL, *words).code == 0
    found = rows(tmp_path)
    assert max(int(row["step"]) for row in found) == 20, "alpha falls, so that its second evaluation is no better"
    rates = {int(row["step"]): float(row["lr-Adam"]) for row in found if row["lr-Adam"]}
    assert set(rates) == {0, 9, 10, 19} and rates[19] < rates[9] < rates[0], "epochs begin at 0 and 10"
    assert {path.name for path in (tmp_path / "own").iterdir()} >= {"step=10.ckpt", "step=20.ckpt"}
    assert {path.name for path in (tmp_path / "checkpoints" / "run").iterdir()} >= {"best.ckpt", "last.ckpt"}


UNAVAILABLE = {
    "metric": (
        ["callbacks", "EarlyStopping", "callbacks.monitor", "train/nothing"],
        "`train/nothing` which is not available",
    ),
    "psutil": (["callbacks", "DeviceStatsMonitor"], "`psutil` is not installed"),
    "logger": (["logger", "MLFlowLogger"], "Requirement 'mlflow"),
    "optimizers": (["callbacks", "StochasticWeightAveraging", "callbacks.swa_lrs", "0.1"], "works with 1 `optimizer`"),
}


@pytest.mark.parametrize("case", UNAVAILABLE)
@pytest.mark.filterwarnings("ignore")
def test_a_setting_that_lightning_refuses_while_it_runs_is_one_line(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning.pytorch.callbacks.device_stats_monitor._PSUTIL_AVAILABLE", False)
    words, message = UNAVAILABLE[case]
    options = [word if number % 2 else f"--trainer.{word}" for number, word in enumerate(words)]
    result = run(tmp_path, "fit", *SMALL, *options)
    assert result.code == 2 and message in result.err, result.err
    assert result.err.splitlines()[-1].startswith("error: trainer: ") and "bug" not in result.err


@pytest.mark.filterwarnings("ignore")
def test_a_timer_is_a_callback_as_others_are(tmp_path: Path) -> None:
    words = ["--trainer.callbacks", "Timer", "--trainer.callbacks.duration", "00:00:10:00"]
    assert run(tmp_path, "fit", *SMALL, *words).code == 0
