"""The Lightning shell: what a run counts, saves, resumes and refuses."""

from __future__ import annotations

import math

import pytest
from small_runs import METRICS, rows

from pricerl.cli.main import main
from pricerl.env.pricing import PricingVectorEnv
from pricerl.runs import checkpoint
from pricerl.runs.checkpoint import Checkpoint
from pricerl.training.callbacks.metrics import MetricsLogger
from pricerl.training.datamodule import updates_per_epoch

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


def test_max_steps_counts_gradient_updates_each_after_one_vector_step(run):
    checkpoint = Checkpoint.read(run / "last.ckpt").content
    assert checkpoint["global_step"] == 60
    for optimizer in checkpoint["optimizer_states"][:2]:
        assert {float(state["step"]) for state in optimizer["state"].values()} == {60.0}
    assert float(rows(run / METRICS.name)[-1]["env_steps"]) == 64 + 60 * 8


def test_metrics_carry_the_contract_s_names_and_finite_numbers(run):
    table = rows(run / METRICS.name)
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


def test_a_checkpoint_describes_its_run_and_holds_no_absolute_path(run):
    about = Checkpoint.read(run / "best.ckpt").about
    assert about["format"] == 10
    assert about["settings"]["data"]["reward"]["preset"] == "profit"
    assert str(run).encode() not in (run / "best.ckpt").read_bytes()


def count_loads(monkeypatch):
    """Return a list that grows with each checkpoint read from disk."""
    loaded, read = [], checkpoint.read_saved

    def counted(path):
        loaded.append(path)
        return read(path)

    monkeypatch.setattr(checkpoint, "read_saved", counted)
    return loaded


def test_validate_and_test_score_a_checkpoint_that_they_read_once(run, capsys, monkeypatch):
    monkeypatch.chdir(run.parent.parent)
    for command in ("validate", "test"):
        with monkeypatch.context() as patch:
            loaded = count_loads(patch)
            assert main([command, "--ckpt_path", str(run / "best.ckpt")]) == 0
        assert [path.name for path in loaded] == ["best.ckpt"]
        scores = dict(line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("eval/"))
        assert {"eval/planner_gap", "eval/plan_share", "eval/harmed_share"} <= scores.keys()
        assert float(scores["eval/forecast_error"]) > 0.0 and 0.0 <= float(scores["eval/interval_coverage"]) <= 1.0
    assert (run / "metrics.csv").exists()


def test_predict_reads_its_checkpoint_once_and_builds_no_trainer(run, monkeypatch):
    monkeypatch.chdir(run.parent.parent)
    monkeypatch.setattr("pricerl.cli.parse.PricingCLI.instantiate_trainer", lambda *_, **__: pytest.fail("built"))
    loaded = count_loads(monkeypatch)
    assert main(["predict", "--ckpt_path=best", "--run_name=run", "--out=out"]) in (0, 4)
    assert [path.name for path in loaded] == ["best.ckpt"]


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


@pytest.mark.slow
def test_a_resumed_run_reads_the_last_checkpoint_once_and_its_own_best_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit("--trainer.max_steps=20")
    loaded = count_loads(monkeypatch)
    fit("--trainer.max_steps=40", "--ckpt_path=last")
    assert [path.name for path in loaded] == ["last.ckpt", "last.ckpt", "best.ckpt"], "Lightning reads it again"
