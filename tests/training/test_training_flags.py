"""Lightning's ordinary habits: every Trainer flag works or is refused in one line, and callbacks find the metrics.

Of what is inside Lightning the package takes one undocumented name, and nothing private.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from command_line import listing, run
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Timer
from small_runs import METRICS, PENDULUM, SMALL, rows

FORTY = [*PENDULUM, *SMALL, "--trainer.max_steps", "40"]
WORKS = ""

FLAGS: dict[str, dict[str, str]] = {
    "accelerator": {"cpu": WORKS, "tpu": "accelerator auto uses the devices of this machine"},
    "strategy": {"auto": WORKS, "ddp": WORKS, "fsdp": "strategy must be one of auto, ddp"},
    "devices": {"1": WORKS, "-3": "trainer: "},
    "num_nodes": {"1": WORKS},
    "precision": {
        "32": WORKS,
        "bf16-mixed": WORKS,
        "16-mixed": "must be one of 32",
        "bf16-true": "32-true, bf16-mixed",
    },
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
    result = run(tmp_path, "fit", *FORTY, *given)
    if refusal := FLAGS[flag][value]:
        assert result.code == 2, result.err
        assert result.err.startswith("error: ") and refusal in result.err and result.err.count("\n") == 1
        assert listing(tmp_path) == {}
    else:
        assert result.code == 0, result.err
        assert "best.ckpt" in result.out or flag in ("fast_dev_run", "enable_checkpointing", "limit_val_batches")


@pytest.mark.parametrize(
    ("flag", "logged", "evaluated"),
    [
        ("log_every_n_steps=20", [20, 40], [20, 40]),
        ("log_every_n_steps=10", [10, 20, 30, 40], [20, 40]),
        ("log_every_n_steps=40", [40], [20, 40]),
        ("log_every_n_steps=0", [], [20, 40]),
        ("check_val_every_n_epoch=2", [], [40]),
        ("max_epochs=1", [], [20]),
    ],
)
def test_flags_count_updates_and_evaluations(
    flag: str, logged: list[int], evaluated: list[int], tmp_path: Path
) -> None:
    assert run(tmp_path, "fit", *FORTY, f"--trainer.{flag}").code == 0
    found = rows(tmp_path / METRICS)
    assert [int(row["step"]) for row in found if row.get("train/alpha")] == logged
    assert [int(row["step"]) for row in found if row["eval/episode_return"]] == evaluated
    assert all(float(row["updates"]) == float(row["step"]) for row in found)


def test_a_profiler_writes_its_table_to_the_run(tmp_path: Path) -> None:
    assert run(tmp_path, "fit", *FORTY, "--trainer.profiler", "simple").code == 0
    table = (tmp_path / "checkpoints" / "run" / "fit-profile.txt").read_text(encoding="utf-8")
    assert "training_step" in table


def test_a_limit_of_time_ends_a_run_before_its_next_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--trainer.max_time", "00:00:00:01", "--trainer.max_steps", "-1", "--data.eval_every", "1000000"]
    timers: list[Timer] = []
    monkeypatch.setattr(Timer, "on_fit_end", lambda self, *_: timers.append(self))
    assert run(tmp_path, "fit", *FORTY, *words).code == 0
    assert timers[0].time_elapsed() >= 1.0
    assert int(rows(tmp_path / METRICS)[-1]["step"]) < 1_000_000


@pytest.mark.filterwarnings("ignore")
def test_callbacks_find_metrics_rates_and_the_number_of_the_update(tmp_path: Path) -> None:
    words = ["--trainer.callbacks", "EarlyStopping", "--trainer.callbacks.monitor", "train/alpha"]
    words += ["--trainer.callbacks.mode", "max", "--trainer.callbacks.patience", "1", "--data.eval_every", "10"]
    words += ["--trainer.callbacks+=LearningRateMonitor", "--trainer.log_every_n_steps", "10"]
    words += ["--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.monitor", "train/critic_loss"]
    words += ["--trainer.callbacks.dirpath", "own", "--trainer.callbacks.filename", "{step}"]
    words += ["--trainer.callbacks.save_top_k=-1", "--model.algorithm.final_lr_share", "0.5"]
    words += ["--trainer.callbacks+=Timer", "--trainer.callbacks.duration", "00:00:10:00"]
    assert run(tmp_path, "fit", *FORTY, *words).code == 0
    found = rows(tmp_path / METRICS)
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
    result = run(tmp_path, "fit", *FORTY, *options)
    assert result.code == 2 and message in result.err, result.err
    assert result.err.splitlines()[-1].startswith("error: trainer: ") and "bug" not in result.err


PACKAGE = Path(__file__).parents[2] / "pricerl"
SOURCES = sorted(path for folder in ("training", "cli") for path in (PACKAGE / folder).rglob("*.py"))
UNDOCUMENTED = "fit_loop.epoch_loop.manual_optimization.optim_step_progress"
"""Counters of optimizer steps, through which `OffPolicyModule.count_updates` sets ``trainer.global_step``."""

NAMED_TUPLE = ("_asdict", "_fields", "_replace")
"""Public, whatever they are called."""


def private_names(path: Path) -> list[str]:
    """Private names of a file that it imports from Lightning or reads from others than ``self``, ``cls`` or torch."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lightning"):
            names += [name.name for name in node.names]
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls", "torch", "os"):
            names.append(node.attr)
    return [name for name in names if re.match("_(?!_)", name) and name not in NAMED_TUPLE]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_private_name_of_lightning_is_used(path: Path) -> None:
    assert private_names(path) == []


def test_the_undocumented_name_is_where_this_version_of_lightning_has_it() -> None:
    progress: object = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    for name in UNDOCUMENTED.split("."):
        assert hasattr(progress, name), f"Lightning has moved {name} of trainer.{UNDOCUMENTED}: change count_updates"
        progress = getattr(progress, name)
    users = [path.name for path in SOURCES if "optim_step_progress" in path.read_text(encoding="utf-8")]
    assert users == ["off_policy.py"]
