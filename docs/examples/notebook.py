"""A notebook kept as a script: training on a seller's history from Python, in percent cells."""

# %% [markdown]
# A history, its market and a learner. Without a path the data are those of a simulated seller.

# %%
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger

from pricerl.market.demand.config import DemandConfig
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule

data = PricingDataModule(market=DemandConfig(num_draws=16), num_envs=16, eval_every=50)
module = SACModule(data.task, SACConfig(warmup_steps=256), NetworkConfig(hidden=(64, 64)))

# %% [markdown]
# Training: it evaluates every 50 updates, writes `metrics.csv` and saves below `checkpoints`.

# %%
trainer = Trainer(
    max_steps=100,
    accelerator="cpu",
    logger=CSVLogger("logs"),
    callbacks=[LearningRateMonitor()],
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(module, datamodule=data)
print({name: round(float(value), 3) for name, value in trainer.callback_metrics.items() if name.startswith("eval/")})

# %% [markdown]
# The policy maps observations to actions in [-1, 1].

# %%
observation = torch.zeros(1, data.task.observation_dim)
action = module.policy(observation)
print(action)
