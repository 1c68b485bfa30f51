"""The Lightning shell: what a run counts, saves, resumes and refuses."""

from __future__ import annotations

import csv
import math

import pytest
import torch

from pricerl.cli.main import main
from pricerl.env.pricing import PricingVectorEnv
from pricerl.runs import checkpoint
from pricerl.runs.checkpoint import Checkpoint
from pricerl.training.callbacks.metrics import MetricsLogger
from pricerl.training.datamodule import updates_per_epoch
from pricerl.training.module import SACModule

SMALL = [
    "--run_name=run",
    "--data.eval_every=20",
    "--data.num_envs=8",
    "--model.network.hidden=[32,32]",
    "--model.algorithm.warmup_steps=64",
    "--model.algorithm.batch_size=32",
    "--data.seller.days=120",
    "--decision.compare_plan=false",
    "--model.algorithm.actor_horizon=0",
]


def fit(*extra):
    assert main(["fit", *SMALL, *extra]) in (0, 4)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        fit("--trainer.max_steps=60")
    return folder / "checkpoints" / "run"


def test_the_files_of_a_run_lead_to_its_generation(run):
    shared = {"config.yaml", "last.ckpt", "best.ckpt", "metrics.csv"}
    assert (run / "current").read_text() == "gen-0001\n"
    assert all((run / name).samefile(run / "gen-0001" / name) for name in shared)
    written = {"advice.csv", "advice.json", "report.html", "prices.csv"}
    kept = {path.name for path in run.iterdir() if not path.name.startswith(("shop.db", "."))}
    assert kept == {*shared, *written, "current", "gen-0001"} and (run / "shop.db").is_file()


def test_max_steps_counts_gradient_updates(run):
    checkpoint = Checkpoint.read(run / "last.ckpt").content
    assert checkpoint["global_step"] == 60
    critic_steps = {float(state["step"]) for state in checkpoint["optimizer_states"][0]["state"].values()}
    actor_steps = {float(state["step"]) for state in checkpoint["optimizer_states"][1]["state"].values()}
    assert critic_steps == actor_steps == {60.0}


def test_metrics_carry_the_contract_s_names_and_finite_numbers(run):
    table = rows(run / "metrics.csv")
    wanted = {
        "env_steps",
        "updates",
        "train/critic_loss",
        "train/actor_loss",
        "train/alpha",
        "train/q_mean",
        "train/entropy",
        "eval/episode_return",
        "eval/price_mean",
        "eval/profit_uplift",
        "eval/sales_ratio",
        "eval/planner_gap",
        "time/updates_per_second",
        "time/env_steps_per_second",
    }
    assert wanted <= set(table[0])
    numbers = [float(value) for row in table for value in row.values() if value]
    assert all(math.isfinite(number) for number in numbers)
    assert all(row["env_steps"] for row in table), "every row has its x-axis"


def test_rows_without_new_columns_are_appended_without_reading_the_file(tmp_path, monkeypatch):
    logger = MetricsLogger(tmp_path)
    for step, row in enumerate([{"loss": 1.0}, {"loss": 2.0, "eval": 3.0}, {"loss": 4.0}]):
        if step == 2:
            monkeypatch.setattr("pricerl.training.callbacks.metrics._read_rows", None)
        logger.log_metrics(row, step)
        logger.save()
    assert (tmp_path / "metrics.csv").read_text() == "eval,loss,step\n,1.0,0\n3.0,2.0,1\n,4.0,2\n"


def test_env_steps_are_warm_up_plus_one_vector_step_an_update(run):
    last = rows(run / "metrics.csv")[-1]
    assert float(last["env_steps"]) == 64 + 60 * 8


def test_a_checkpoint_describes_its_run_and_holds_no_absolute_path(run):
    about = Checkpoint.read(run / "best.ckpt").about
    assert about["format"] == 10
    assert about["settings"]["data"]["reward"]["preset"] == "profit"
    assert str(run).encode() not in (run / "best.ckpt").read_bytes()


@pytest.mark.slow
def test_a_resumed_run_goes_on_from_the_same_step(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit("--trainer.max_steps=40")
    folder = tmp_path / "checkpoints" / "run"
    half = Checkpoint.read(folder / "last.ckpt").content
    fit("--trainer.max_steps=80", "--ckpt_path=last")
    whole = Checkpoint.read(folder / "last.ckpt").content
    assert (half["global_step"], whole["global_step"]) == (40, 80)
    counts = [row for row in rows(folder / "metrics.csv") if row["updates"]]
    assert {float(row["updates"]) for row in counts} >= {20.0, 40.0, 60.0, 80.0}, "earlier rows are kept"
    half_counts, whole_counts = (
        next(state["counts"] for state in saved.values() if isinstance(state, dict) and "counts" in state)
        for saved in (half, whole)
    )
    assert half_counts["env_steps"] == 64 + 40 * 8
    assert whole_counts["env_steps"] == 64 + 80 * 8
    critic = half["optimizer_states"][0]["state"]
    assert critic and float(next(iter(whole["optimizer_states"][0]["state"].values()))["step"]) == 80.0


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run(tmp_path, monkeypatch):
    advice = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        fit("--trainer.max_steps=20")
        advice.append((tmp_path / name / "checkpoints" / "run" / "advice.csv").read_bytes())
    assert advice[0] == advice[1]


def test_validate_and_test_score_a_checkpoint(run, capsys, monkeypatch):
    monkeypatch.chdir(run.parent.parent)
    for command in ("validate", "test"):
        assert main([command, "--ckpt_path", str(run / "best.ckpt")]) == 0
        scores = dict(line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("eval/"))
        assert {"eval/planner_gap", "eval/plan_share", "eval/harmed_share"} <= scores.keys()
        assert float(scores["eval/forecast_error"]) > 0.0 and 0.0 <= float(scores["eval/interval_coverage"]) <= 1.0
    assert (run / "metrics.csv").exists()


@pytest.mark.slow
def test_a_diverged_run_stops_and_leaves_the_checkpoints_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fit("--trainer.max_steps=20")
    folder = tmp_path / "checkpoints" / "run"
    before = (folder / "best.ckpt").read_bytes(), (folder / "last.ckpt").read_bytes()
    settings = [
        "--model.algorithm.critic_lr=1e30",
        "--model.algorithm.max_grad_norm=0",
        "--model.network.layer_norm=false",
    ]
    unbounded = ["--model.network.value_bounds=false", "--data.eval_every=400"]
    assert main(["fit", *SMALL, *settings, *unbounded, "--trainer.max_steps=400"]) == 1
    assert "at update" in capsys.readouterr().err
    assert before == ((folder / "best.ckpt").read_bytes(), (folder / "last.ckpt").read_bytes())


@pytest.mark.parametrize(
    ("option", "remedy"),
    [
        ("--trainer.gradient_clip_val=1", "max_grad_norm"),
        ("--trainer.accumulate_grad_batches=2", "batch_size"),
        ("--trainer.precision=bf16-true", "32-true, bf16-mixed"),
        ("--trainer.max_steps=0", "1 or more"),
        ("--trainer.strategy=fsdp", "auto, ddp"),
    ],
)
def test_a_trainer_setting_that_cannot_be_honoured_is_refused(tmp_path, monkeypatch, capsys, option, remedy):
    monkeypatch.chdir(tmp_path)
    assert main(["fit", *SMALL, option]) == 2
    assert remedy in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_run_without_evaluation_does_not_advise_with_an_earlier_runs_policy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit("--trainer.max_steps=20")
    stale = tmp_path / "checkpoints" / "run" / "best.ckpt"
    stale.write_bytes(b"an earlier run's, which must not be read")
    fit("--trainer.max_steps=20", "--trainer.limit_val_batches=0")


def test_a_trial_run_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["fit", *SMALL, "--trainer.fast_dev_run=true"]) == 0
    assert not list(tmp_path.rglob("*.ckpt")) and not list(tmp_path.rglob("advice.*"))


def test_a_nan_from_the_env_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    step = PricingVectorEnv.step

    def spoiled(self, actions):
        observation, reward, *rest = step(self, actions)
        return observation, reward * float("nan"), *rest

    monkeypatch.setattr(PricingVectorEnv, "step", spoiled)
    assert main(["fit", *SMALL, "--trainer.max_steps=60"]) == 1
    assert "reward in the replay buffer" in capsys.readouterr().err
    assert not (tmp_path / "checkpoints" / "run" / "advice.csv").exists()


@pytest.mark.slow
def test_several_products_train_one_policy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit("--trainer.max_steps=20", "--data.seller.products=3")
    table = rows(tmp_path / "checkpoints" / "run" / "advice.csv")
    assert len(table) == 3 * 14
    assert len({row["Product"] for row in table}) == 3


@pytest.mark.slow
def test_a_run_shorter_than_an_evaluation_interval_is_evaluated_all_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit("--trainer.max_steps=30", "--data.eval_every=1000")
    folder = tmp_path / "checkpoints" / "run"
    assert Checkpoint.read(folder / "best.ckpt").content["global_step"] == 30


@pytest.mark.parametrize(
    ("eval_every", "max_steps", "expected"), [(250, 2000, 250), (250, 600, 200), (250, 100, 100), (250, -1, 250)]
)
def test_evaluations_are_spread_evenly_over_the_run(eval_every, max_steps, expected):
    assert updates_per_epoch(eval_every, max_steps) == expected


def count_loads(monkeypatch):
    """Return a list that grows with each checkpoint read from disk."""
    loaded, read = [], checkpoint.read_saved

    def counted(path):
        loaded.append(path)
        return read(path)

    monkeypatch.setattr(checkpoint, "read_saved", counted)
    return loaded


@pytest.mark.parametrize("command", ["predict", "validate"])
def test_a_command_reads_its_checkpoint_once(run, monkeypatch, command):
    monkeypatch.chdir(run.parent.parent)
    loaded = count_loads(monkeypatch)
    assert main([command, "--ckpt_path=best", "--run_name=run", "--out=out"]) in (0, 4)
    assert [path.name for path in loaded] == ["best.ckpt"]


@pytest.mark.slow
def test_a_resumed_run_reads_the_last_checkpoint_once_and_its_own_best_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit("--trainer.max_steps=20")
    loaded = count_loads(monkeypatch)
    fit("--trainer.max_steps=40", "--ckpt_path=last")
    assert [path.name for path in loaded] == ["last.ckpt", "last.ckpt", "best.ckpt"], "Lightning reads it again"


def test_predict_builds_no_trainer(run, monkeypatch):
    monkeypatch.chdir(run.parent.parent)
    monkeypatch.setattr("pricerl.cli.parse.PricingCLI.instantiate_trainer", lambda *_, **__: pytest.fail("built"))
    assert main(["predict", "--ckpt_path", str(run / "best.ckpt"), "--out", "without"]) in (0, 4)


@pytest.mark.filterwarnings(r"ignore:\s+``instantiate_classes``")  # Lightning's
def test_a_module_is_built_from_its_checkpoint_alone(run):
    content = Checkpoint.read(run / "best.ckpt").content
    module = SACModule.load_from_checkpoint(run / "best.ckpt", map_location="cpu")
    assert all(torch.equal(value, content["state_dict"][name]) for name, value in module.state_dict().items())
    assert content["hyper_parameters"]["algorithm"]["batch_size"] == 32, "hyperparameters are plain values"
