"""TD3 (arXiv:1802.09477) on pricerl's loop, buffer, checkpoints and commands; as a script it trains on Pendulum-v1."""

# %%
import copy
from dataclasses import asdict, dataclass

import torch
from lightning.pytorch import Trainer
from torch import nn

from pricerl.sac.agent import held_constant
from pricerl.sac.config import NetworkConfig, ReplayConfig
from pricerl.sac.losses import critic_loss, polyak_update, td_target
from pricerl.sac.networks import Critic
from pricerl.sac.optimizer import Adam
from pricerl.training.algorithm import TaskSpec
from pricerl.training.gym_data import GymDataModule
from pricerl.training.off_policy import OffPolicyModule


@dataclass(frozen=True)
class TD3Config(ReplayConfig):
    """Settings of TD3."""

    gamma: float = 0.99
    """Discount of an env step."""
    tau: float = 0.005
    """Step of the target networks."""
    lr: float = 1e-3
    """Learning rate of actor and critics."""
    exploration_noise: float = 0.1
    """Standard deviation of the noise on actions that are taken."""
    target_noise: float = 0.2
    """Standard deviation of the noise on the target's actions."""
    target_clip: float = 0.5
    """Largest noise on the target's actions."""
    policy_delay: int = 2
    """Updates of the critics per update of the actor."""
    warmup_steps: int = 1000
    hidden: int = 256
    """Width of the two hidden layers."""


# %% [markdown]
# The module: networks, optimizers, and an update in `training_step`.


# %%
class TD3Module(OffPolicyModule):
    """Twin Delayed DDPG: a deterministic actor for a task, whose dimensions come from the data."""

    def __init__(self, task: TaskSpec, algorithm: TD3Config = TD3Config()) -> None:
        rates = {"critic": algorithm.lr, "actor": algorithm.lr}
        super().__init__(algorithm, algorithm.gamma**task.days_per_step, rates)
        self.save_hyperparameters({"task": task._asdict(), "algorithm": asdict(algorithm)}, logger=False)
        width = algorithm.hidden
        plain = NetworkConfig((width, width), layer_norm=False, residual=False, small_init=1.0)
        self.critic = Critic(task.observation_dim, task.action_dim, plain)
        layers = [nn.Linear(task.observation_dim, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
        self.actor = nn.Sequential(*layers, nn.Linear(width, task.action_dim), nn.Tanh())
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(False)

    @classmethod
    def from_hyperparameters(cls, values):
        """Return the module in a checkpoint."""
        return cls(TaskSpec(**values["task"]), TD3Config(**values["algorithm"]))

    def configure_optimizers(self):
        """Return the optimizers of critics and actor."""
        return [Adam(part.parameters(), self.algorithm.lr) for part in (self.critic, self.actor)]

    @torch.no_grad()
    def act(self, observation, deterministic=False):
        """Return actions ``(B, A)`` in [-1, 1]."""
        action = self.actor(observation)
        noise = 0.0 if deterministic else self.algorithm.exploration_noise
        return (action + noise * torch.randn_like(action)).clamp(-1, 1)

    def training_step(self, batch, batch_idx):
        """Make one update (Algorithm 1): critics, every second time actor and target networks."""
        update = self.trainer.global_step
        critic_optimizer, actor_optimizer = self.optimizers()
        loss = critic_loss(self.critic(batch.observation, batch.action), self.find_target(batch))
        self._step(critic_optimizer, loss)
        if update % self.algorithm.policy_delay == 0:
            with held_constant(critic_optimizer.params):
                q = self.critic(batch.observation, self.actor(batch.observation))[0]
            self._step(actor_optimizer, -q.mean())
            polyak_update(self.target_critic, self.critic, self.algorithm.tau)
            polyak_update(self.target_actor, self.actor, self.algorithm.tau)
        self.count_updates(update + 1)
        return {"train/critic_loss": loss.detach()}

    def find_target(self, batch):
        """Return the target ``(B,)`` of smoothed actions (Algorithm 1); without entropy, so alpha is 0."""
        settings = self.algorithm
        with torch.no_grad():
            action = self.target_actor(batch.next_observation)
            noise = settings.target_noise * torch.randn_like(action)
            action = (action + noise.clamp(-settings.target_clip, settings.target_clip)).clamp(-1, 1)
            next_q = self.target_critic(batch.next_observation, action)
        entropy = torch.zeros_like(batch.reward)
        return td_target(batch.reward, batch.discount, next_q, entropy, entropy.new_zeros(()))

    def _step(self, optimizer, loss):
        self.manual_backward(loss)
        optimizer.step()
        optimizer.zero_grad()


# %% [markdown]
# Training: the DataModule brings env, buffer and evaluations.

# %%
if __name__ == "__main__":
    data = GymDataModule("Pendulum-v1", eval_every=1000)
    trainer = Trainer(max_steps=6000, enable_progress_bar=False, enable_model_summary=False)
    trainer.fit(TD3Module(data.task), datamodule=data)
    print(f"return of an episode: {trainer.callback_metrics['eval/episode_return']:.0f}")
