"""Use from Python: a plain Trainer evaluates, logs and saves, also with a user's own module and callbacks."""

from __future__ import annotations

import pickle
import re
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from command_line import FAST, run
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.strategies import DDPStrategy
from small_runs import PENDULUM, SMALL, rows

import pricerl
from pricerl.errors import CheckpointError, UsageError
from pricerl.market.demand.config import DemandConfig
from pricerl.market.reward import RewardConfig
from pricerl.runs.checkpoint import Checkpoint
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.simulation.seller import SellerConfig
from pricerl.training.algorithm import settings_of
from pricerl.training.callbacks.metrics import RunMetrics
from pricerl.training.datamodule import attach
from pricerl.training.devices import ReplicatedStrategy
from pricerl.training.gym_data import GymDataModule
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule

QUIET = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False}
FEW = SACConfig(batch_size=16, warmup_steps=40)


def pricing() -> PricingDataModule:
    seller, market = SellerConfig(days=120), DemandConfig(num_draws=8)
    return PricingDataModule(seller=seller, market=market, num_envs=8, eval_every=20)


def pendulum() -> GymDataModule:
    return GymDataModule("Pendulum-v1", eval_every=20, eval_episodes=1)


def sac(data: PricingDataModule | GymDataModule) -> SACModule:
    return SACModule(data.task, FEW, NetworkConfig(hidden=(16, 16)), compile="off")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_a_plain_trainer_evaluates_logs_and_saves(tmp_path: Path) -> None:
    data = pendulum()
    module = sac(data)
    Trainer(max_steps=40, logger=CSVLogger("logs"), **QUIET).fit(module, datamodule=data)
    assert [
        int(row["step"]) for row in rows(next((tmp_path / "logs").rglob("metrics.csv"))) if row["eval/episode_return"]
    ] == [20, 40]
    last = next((tmp_path / "checkpoints").glob("*/last.ckpt"))
    again = SACModule.load_from_checkpoint(last)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in module.state_dict().items())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_own_stopping_and_checkpoints_survive_next_to_those_of_the_run(tmp_path: Path) -> None:
    data, own = pricing(), EarlyStopping("train/alpha", mode="max", patience=9, strict=False)
    saver = ModelCheckpoint(dirpath="own", filename="{step}", save_top_k=-1)
    trainer = Trainer(max_steps=40, logger=False, callbacks=[own, saver], **QUIET)
    trainer.fit(sac(data), datamodule=data)
    kinds = [type(item).__name__ for item in trainer.callbacks]  # type: ignore[attr-defined]
    assert own in trainer.early_stopping_callbacks and {"RunMetrics", "RunCheckpoint"} <= set(kinds)
    assert list((tmp_path / "own").iterdir()) and list((tmp_path / "checkpoints").rglob("best.ckpt"))


def test_a_module_that_is_no_off_policy_module_is_refused(tmp_path: Path) -> None:
    data = pendulum()
    with pytest.raises(UsageError, match=r"BoringModel must be a subclass of pricerl.training.off_policy.OffPolicyM"):
        Trainer(max_steps=20, logger=False, **QUIET).fit(BoringModel(), datamodule=data)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore")
def test_the_first_lines_of_the_page_on_the_library_run_as_written(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "library.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(from lightning.*?)^```", text, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(block.replace("SACModule(data.task)", "SACModule(data.task, FEW)"), names | {"FEW": FEW}, names)
    assert isinstance(names["again"], SACModule)


def test_a_strategy_that_averages_no_gradients_is_refused_with_several_processes() -> None:
    data = pendulum()
    module, own = sac(data), [RunMetrics()]
    for strategy, world_size in ((DDPStrategy(), 1), (ReplicatedStrategy(), 2)):
        trainer = SimpleNamespace(world_size=world_size, strategy=strategy, callbacks=own, checkpoint_callbacks=[])
        attach(trainer, module, data, "eval/episode_return")  # type: ignore[arg-type]
    trainer = SimpleNamespace(world_size=2, strategy=DDPStrategy(), callbacks=own, checkpoint_callbacks=[])
    with pytest.raises(UsageError, match="DDPStrategy averages no gradients here"):
        attach(trainer, module, data, "eval/episode_return")  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_notebook_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = Path(__file__).parents[2] / "docs" / "examples" / "notebook.py"
    names = runpy.run_path(str(script))
    assert "eval/over_plan" in capsys.readouterr().out and names["action"].shape == (1, 1)
    assert any(row["lr-Adam"] for row in rows(next((tmp_path / "logs").rglob("metrics.csv"))))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_td3_swings_the_pendulum_up() -> None:
    torch.manual_seed(0)
    script = Path(__file__).parents[2] / "docs" / "examples" / "td3.py"
    trainer = runpy.run_path(str(script), run_name="__main__")["trainer"]
    assert trainer.callback_metrics["eval/episode_return"] > -400  # random actions: about -1,200


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gym", "pricing"])
@pytest.mark.filterwarnings("ignore")
def test_a_checkpoint_of_a_plain_trainer_is_loaded_and_used_by_commands(name: str, tmp_path: Path) -> None:
    data = pricing() if name == "pricing" else pendulum()
    module = sac(data)
    Trainer(max_steps=20, logger=False, **QUIET).fit(module, datamodule=data)
    folder = Path("checkpoints") / data.run_name
    trained, observation = pricerl.load(folder / "last.ckpt"), torch.randn(4, data.task.observation_dim)
    assert torch.equal(trained.policy(observation), module.policy(observation))
    assert trained.checkpoint.settings["model"]["network"]["hidden"] == [16, 16]
    command = ["predict", "--out", "advice"] if name == "pricing" else ["test"]
    result = run(tmp_path, *command, "--ckpt_path", str(folder / "best.ckpt"))
    assert result.code in (0, 4), result.err
    assert (tmp_path / "advice" / "report.html").exists() or "eval/episode_return" in result.out


@pytest.mark.filterwarnings("ignore")
def test_epochs_are_those_of_the_data() -> None:
    data = pendulum()
    with pytest.raises(UsageError, match=r"trainer\.val_check_interval 0\.5 is not supported: .*data\.eval_every"):
        Trainer(max_steps=40, logger=False, val_check_interval=0.5, **QUIET).fit(sac(data), datamodule=data)


class OwnReward(RewardConfig):
    """Reward of a user's own, which its values do not determine."""


class OwnModule(SACModule):
    """Module of a user's own."""


def test_settings_are_hyperparameters_and_hold_no_classes_of_a_users_own() -> None:
    data = PricingDataModule(seed=5, reward=RewardConfig(preset="profit"))
    settings = settings_of(data, sac(data))
    assert settings is not None and settings["seed_everything"] == 5 and "seed" not in settings["data"]
    assert settings["data"]["reward"]["preset"] == "profit" and "path" not in settings["data"]
    assert settings["model"]["network"]["hidden"] == [16, 16] and "task" not in settings["model"]
    assert settings_of(data, OwnModule(data.task)) is None
    assert settings_of(PricingDataModule(reward=OwnReward()), sac(data)) is None


@pytest.mark.filterwarnings("ignore")
def test_a_checkpoint_of_an_own_module_says_how_to_read_it() -> None:
    data = pendulum()
    module = OwnModule(data.task, algorithm=FEW, network=NetworkConfig(hidden=(16, 16)), compile="off")
    Trainer(max_steps=20, logger=False, **QUIET).fit(module, datamodule=data)
    path = "checkpoints/Pendulum-v1/best.ckpt"
    with pytest.raises(CheckpointError, match=r"stores no settings: .* load it with load_from_checkpoint"):
        pricerl.load(path)
    seen = torch.randn(4, data.task.observation_dim)
    assert torch.equal(OwnModule.load_from_checkpoint(path).policy(seen), module.policy(seen))


@pytest.mark.filterwarnings(r"ignore:\s+``instantiate_classes``")  # Lightning's
@pytest.mark.parametrize("name", ["gym", "pricing"])
def test_a_policy_is_loaded_and_asked_in_three_lines(name: str, tmp_path: Path) -> None:
    words = [*PENDULUM, *SMALL] if name == "gym" else [*FAST, "--run_name", "run"]
    assert run(tmp_path, "fit", *words).code in (0, 4)
    trained = pricerl.load("checkpoints/run/best.ckpt")
    observation = torch.zeros(2, trained.checkpoint.content["hyper_parameters"]["task"]["observation_dim"])
    module = SACModule.load_from_checkpoint("checkpoints/run/best.ckpt", map_location="cpu")
    assert torch.equal(trained.policy(observation), module.policy(observation))
    assert b"pricerl.training" not in pickle.dumps(trained.policy)  # other processes load it without Lightning


@pytest.mark.filterwarnings("ignore")
def test_data_and_module_are_loaded_with_lightnings_own_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pricing()
    Trainer(max_steps=20, logger=False, **QUIET).fit(sac(data), datamodule=data)
    path = Path("checkpoints") / data.run_name / "last.ckpt"
    again = PricingDataModule.load_from_checkpoint(path, map_location="cpu", weights_only=True, eval_every=7)
    assert (again.num_envs, again.eval_every, again.market_config) == (8, 7, data.market_config)
    assert again.preprocessor.products[0].price.tolist() == data.preprocessor.products[0].price.tolist()
    module = SACModule.load_from_checkpoint(path, weights_only=True, strict=True)
    assert module.policy(torch.zeros(1, data.task.observation_dim)).shape == (1, 1)
    with pytest.raises(CheckpointError, match="holds other data than GymDataModule"):
        GymDataModule.load_from_checkpoint(path)
    stored = Checkpoint.read(path).settings | {"decision": {"loss_weight": 4.0}}  # as a command stores it
    monkeypatch.setattr(Checkpoint, "settings", stored)
    assert PricingDataModule.load_from_checkpoint(path).reward.loss_weight == 4.0
