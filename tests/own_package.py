"""A package of a user's own: callback, logger, network, module, reward, data, demand model and environment."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INIT = """
import gymnasium
gymnasium.register("{name}/Pole-v0", "gymnasium.envs.classic_control:PendulumEnv", max_episode_steps=20)
"""

PARTS = """
import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers.logger import Logger
from torch import nn

from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.models import fit_mixture
from pricerl.market.reward import RewardConfig
from pricerl.market.reward import ResolvedReward
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.training.algorithm import TaskSpec
from pricerl.training.gym_data import GymDataModule
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule


class Greeter(Callback):
    def __init__(self, text: str = "hello") -> None:
        self.text = text

    def on_train_start(self, trainer, pl_module):
        print(f"greeting {self.text}")


class Failing(Callback):
    def __init__(self, hook: str = "on_train_start") -> None:
        setattr(self, hook, self.fail)

    def fail(self, *arguments):
        raise ValueError("no such thing")


class FailingModule(SACModule):
    def training_step(self, batch, batch_idx):
        return {"wrong": batch.reward @ batch.observation[:3]}


class FailingData(PricingDataModule):
    def build_env(self):
        return {}["env"]


class Printer(Logger):
    name, version, save_dir = "printer", "0", "printed"

    def log_hyperparams(self, *arguments, **settings):
        pass

    def log_metrics(self, metrics, step=None):
        print(f"row of update {step}")


class Trunk(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs, width)

    def forward(self, features, dropout):
        return torch.tanh(self.layer(features))


class TanhModule(SACModule):
    def __init__(self, task: TaskSpec, width: int = 8, **settings) -> None:
        super().__init__(task, **settings)
        self.agent.actor.trunk = Trunk(task.observation_dim, width)
        self.agent.actor.head = nn.Linear(width, 2 * task.action_dim)


class PendulumModule(SACModule):
    def __init__(self, width: int = 8) -> None:
        super().__init__(TaskSpec(3, 1), SACConfig(warmup_steps=40, batch_size=16), NetworkConfig(hidden=(width,)))


class PendulumData(GymDataModule):
    def __init__(self, eval_every: int = 20) -> None:
        super().__init__("Pendulum-v1", num_envs=2, eval_every=eval_every, eval_episodes=2)


class StayAtMedian(ResolvedReward):
    def evaluate(self, day):
        return -(day.price_ratio - 1).abs()


class StayConfig(RewardConfig):
    def resolved(self):
        return StayAtMedian(**vars(super().resolved()))


class StayData(PricingDataModule):
    def __init__(self, extra: float = 1.0, **settings) -> None:
        super().__init__(reward=StayConfig(), **settings)
        self.extra = extra


class FlatDemand(DemandConfig):
    @staticmethod
    def model(product, log_grid, settings, rng):
        print("own demand model")
        return fit_mixture(product, log_grid, settings, rng)


class FlatData(StayData):
    def __init__(self, **settings) -> None:
        super().__init__(**settings)
        self.market_config = FlatDemand(**vars(self.market_config))
"""


@contextmanager
def own_package(folder: Path, name: str = "my_shop_rl") -> Iterator[Path]:
    """Write the package into a folder on the import path; afterwards forget it and its environment."""
    import gymnasium

    place = folder / name
    place.mkdir(parents=True)
    (place / "__init__.py").write_text(INIT.format(name=name), encoding="utf-8")
    (place / "parts.py").write_text(PARTS, encoding="utf-8")
    sys.path.insert(0, str(folder))
    try:
        yield place
    finally:
        sys.path.remove(str(folder))
        for module in [module for module in sys.modules if module.partition(".")[0] == name]:
            del sys.modules[module]
        gymnasium.registry.pop(f"{name}/Pole-v0", None)
