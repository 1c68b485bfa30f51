"""Every shipped configuration runs through the real command line and gives advice; Weights & Biases on top."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import MagicMock
from urllib.parse import urlsplit

import pytest
import wandb
import yaml
from command_line import CONFIGS, FAST, OUTPUTS, run
from lightning.pytorch.loggers import WandbLogger
from saying import QUICK, says

from pricerl.cli.loading import nested_settings
from pricerl.cli.parse import PricingCLI
from pricerl.cli.settings_help import GROUPS, settings_of
from pricerl.market.reward import RewardConfig
from pricerl.runs.checkpoint import Checkpoint
from pricerl.tasks.configs import find_config, shipped_names
from pricerl.training.callbacks.tracking import RunTracking, TrackingConfig

SHIPPED = sorted(path for path in CONFIGS.glob("*.yaml") if path.name != "sweep.yaml")
WITHOUT_ACCOUNT = ("WANDB_API_KEY", "WANDB_MODE")


def _advice(folder: Path) -> dict[str, object]:
    (run_dir,) = (folder / "checkpoints").iterdir()
    assert {path.name for path in run_dir.iterdir()} >= {*OUTPUTS, "config.yaml", "last.ckpt", "metrics.csv"}
    document: dict[str, object] = json.loads((run_dir / "advice.json").read_text(encoding="utf-8"))
    return document


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=() if path.stem == "default" else pytest.mark.slow, id=path.stem)
        for path in SHIPPED
        if path.stem not in ("policy", "category")  # they train the networks that ship, and advise nobody
    ],
)
def test_a_shipped_configuration_trains_and_advises(path: Path, tmp_path: Path) -> None:
    says(tmp_path, f"fit --config {path} {QUICK} --wandb false")
    preset = yaml.safe_load(path.read_text()).get("data", {}).get("reward", {}).get("preset", "profit")
    assert _advice(tmp_path)["objective"] == preset


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) for name in ("profit", "revenue", "upward")]
)
def test_a_variant_counts_after_the_defaults_too(name: str, tmp_path: Path) -> None:
    says(tmp_path, f"fit --config default --config {name} {QUICK} --wandb false")
    assert _advice(tmp_path)["objective"] == name


@pytest.mark.slow
def test_guardrails_stand_beside_another_configuration_and_a_checkpoint_keeps_them(tmp_path: Path) -> None:
    paused = "--data.guardrails.products '{simulated seller: {pause: true}}'"
    says(tmp_path, f"fit --config quickstart --config guardrails {QUICK} {paused}")
    checkpoint = ["--ckpt_path", "checkpoints/quickstart/best.ckpt", "--out", "out"]
    assert " Why        The product is paused" in run(tmp_path, "predict", *checkpoint).out
    (tmp_path / "fresh.yaml").write_text("data: {guardrails: {products: {simulated seller: {max_rise: 0.02}}}}")
    assert "is paused" not in run(tmp_path, "predict", *checkpoint, "--config", "fresh.yaml").out
    (tmp_path / "wrong.yaml").write_text("data: {guardrails: {products: {simulated seler: {}, Lamp: {}}}}")
    for command in (["predict", *checkpoint], ["fit", *FAST, "--run_name", "none"]):
        refused = run(tmp_path, *command, "--config", "wrong.yaml")
        assert refused.code == 2
        assert "no product 'simulated seler'; did you mean 'simulated seller'?, and none 'Lamp'" in refused.err
    assert not (tmp_path / "checkpoints" / "none").exists()


def test_a_configuration_is_found_by_name_in_any_folder(tmp_path: Path) -> None:
    assert {"default", "quickstart", "gym/sac"} <= {*shipped_names()}
    for name in ("profit", "profit.yaml", "configs/profit.yaml"):
        assert Path(find_config(name)).read_text() == (CONFIGS / "profit.yaml").read_text()
    (tmp_path / "quickstart.yaml").write_text("data: {reward: {preset: nonsense}}")
    says(tmp_path, "fit --config quickstart.yaml", "found 'nonsense'", code=2)  # a file of one's own comes first
    says(tmp_path, "fit --config defualt", "No such file or directory; did you mean 'default'?", code=2)
    assert find_config("../cli/x") == "../cli/x"


def test_a_configuration_stands_between_usual_settings_and_those_that_are_named(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("data: {reward: {preset: upward}, guardrails: {floor: 8, ceiling: 12}}")
    named = {"config": str(tmp_path / "own.yaml"), "data.guardrails.floor": 9.9, "allow": "json", "horizon": None}
    given, packages = nested_settings({"data.reward.preset": "profit", "horizon": 14, "run_name": None}, named)
    limits = {"floor": 9.9, "ceiling": 12}
    assert given == {"data": {"reward": {"preset": "upward"}, "guardrails": limits}, "horizon": 14}
    assert packages == ("pricerl", "lightning", "json")


def test_losses_weigh_in_the_reward_as_in_the_decision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cli = PricingCLI("fit", ["--decision.loss_weight", "4"], ())
    cli.before_instantiate_classes()
    cli.instantiate_classes()
    reward = cli.built.data.reward.resolved()
    assert reward.loss_weight == cli.config_init.decision.loss_weight == 4.0 != RewardConfig().loss_weight


@pytest.mark.slow
def test_upward_is_judged_by_its_own_objective_and_prints_what_that_costs(tmp_path: Path) -> None:
    words = f"{QUICK} --decision.compare_plan true --verbose --wandb false"
    said = says(tmp_path, f"fit --config upward {words}", "highest expected profit")
    assert "better by the objective upward in " in " ".join(said.split())


def test_a_runs_own_configuration_trains_it_again(trained: Path, tmp_path: Path) -> None:
    shutil.copy(trained.parents[1] / "seller.csv", tmp_path)
    says(tmp_path, f"fit --config {trained / 'config.yaml'} --run_name two")
    assert (trained / "advice.csv").read_bytes() == (tmp_path / "checkpoints" / "two" / "advice.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_weights_and_biases_without_a_key_works_offline_and_asks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in WITHOUT_ACCOUNT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("builtins.input", lambda *args: pytest.fail("asked for something"))
    says(tmp_path, f"fit --config default --wandb true --run_name w {QUICK}")
    assert list((tmp_path / "checkpoints" / "w").glob("gen-*/wandb/offline-run-*"))
    assert sys.modules["wandb"].run is None, "a later training in this process would go on with the run"


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

    login = f"machine {urlsplit(wandb.Settings().base_url).hostname} login user password {'0' * 40}\n"
    (tmp_path / "login").write_text(login)
    with monkeypatch.context() as patched:
        patched.setenv("NETRC", str(tmp_path / "login"))
        assert made(TrackingConfig())["mode"] == "online"
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


def test_tracking_without_its_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    wanted = '--wandb true needs an extra: pip install -e ".[wandb]"'
    says(tmp_path, f"fit --config default --wandb true --run_name w {QUICK}", wanted, code=2)
    assert not (tmp_path / "checkpoints").exists()
