"""The same SAC on a Gymnasium environment: train it, score it, and record a video of an episode."""

# %% [markdown]
# Pendulum with the settings of `configs/gym/pendulum.yaml`, by the command line. A longer run swings it up: leave
# `--trainer.max_steps` out.

# %%
import shlex
import subprocess
import sys

import gymnasium
import torch
from gymnasium.wrappers import RecordVideo

from pricerl.training.module import SACModule

STEPS = 300
line = f"fit --config gym/sac --config gym/pendulum --run_name pendulum --trainer.max_steps {STEPS}"
subprocess.run([sys.executable, "-m", "pricerl", *shlex.split(line)], check=True)

# %% [markdown]
# The checkpoint is that of a LightningModule; `policy` maps observations to actions in [-1, 1].

# %%
module = SACModule.load_from_checkpoint("checkpoints/pendulum/best.ckpt").eval()
env = RecordVideo(gymnasium.make("Pendulum-v1", render_mode="rgb_array"), "videos", name_prefix="pendulum")
scale = torch.as_tensor(env.action_space.high)

observation, _ = env.reset(seed=0)
total, truncated = 0.0, False
while not truncated:
    with torch.no_grad():
        action = module.policy(torch.as_tensor(observation)[None])[0] * scale
    observation, reward, _, truncated, _ = env.step(action.numpy())
    total += float(reward)
env.close()
print(f"return {total:.0f}; the video is in videos/")
