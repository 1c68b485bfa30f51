"""SAC of other libraries in the setting of ``contestant.py``, as recommended in their documentation.

A peer is a function that runs the library's training loop until its process ends and reports updates to ``tick``. Every
peer learns its temperature, stores ``CAPACITY`` transitions and otherwise uses its library's defaults.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

from contestant import BATCH, CAPACITY, ENV_ID, HIDDEN, LEARNING_STARTS, Contender, Tick

TRAINING_STEPS = 1_000_000
"""Nominal length of every library's run; the benchmark ends it earlier."""
SBX_BURST = 64
"""Updates in one jitted loop of SBX's faster form."""
TORCHRL_FRAMES = 100
"""Env steps per collection of TorchRL, followed by as many updates; the 1,000 of its script exceed a chunk."""
TORCHRL_LR = TIANSHOU_ALPHA_LR = 3e-4
"""Learning rates from the libraries' SAC scripts, as they have no defaults."""


def stable_baselines3(tick: Tick) -> None:
    """Train with ``SAC("MlpPolicy").learn``."""
    from stable_baselines3 import SAC

    model = SAC("MlpPolicy", ENV_ID, buffer_size=CAPACITY, learning_starts=LEARNING_STARTS, batch_size=BATCH, seed=0)
    _learn(model, tick, 1, lambda: model._n_updates)


def sbx(tick: Tick, burst: int) -> None:
    """Train with ``SAC("MlpPolicy").learn`` in JAX, with ``burst`` env steps and updates per jitted loop."""
    from sbx import SAC

    model = SAC(
        "MlpPolicy",
        ENV_ID,
        buffer_size=CAPACITY,
        learning_starts=LEARNING_STARTS,
        batch_size=BATCH,
        train_freq=burst,
        gradient_steps=burst,
        seed=0,
    )
    _learn(model, tick, burst, lambda: int(model.policy.actor_state.step))  # reading it waits for JAX


def _learn(model: Any, tick: Tick, burst: int, counted: Callable[[], int]) -> None:
    """Train a model with the interface of Stable-Baselines3; updates are complete when the next rollout starts."""
    from stable_baselines3.common.callbacks import BaseCallback

    class Ticking(BaseCallback):
        def _on_rollout_start(self) -> None:
            tick(burst, counted)

        def _on_step(self) -> bool:
            return True

    model.learn(TRAINING_STEPS, callback=Ticking())


def torchrl(tick: Tick) -> None:
    """Run the loop of TorchRL's ``sota-implementations/sac/sac.py``, compiled and without evaluation."""
    import torch
    import tqdm
    from tensordict import TensorDict
    from torchrl._utils import compile_with_warmup, timeit

    torch.set_float32_matmul_precision("high")
    env = _torchrl_env()
    actor, loss_module, target_update, optimizer = _torchrl_agent(env)
    mode = "reduce-overhead"  # the script's default for an empty compile_mode
    collector, buffer = _torchrl_data(env, actor, mode)

    def update(sampled: Any) -> Any:
        losses = loss_module(sampled)
        (losses["loss_actor"] + losses["loss_qvalue"] + losses["loss_alpha"]).sum().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        target_update.step()
        return losses.detach()

    update = compile_with_warmup(update, mode=mode, warmup=1)
    bar = tqdm.tqdm(total=TRAINING_STEPS)
    for collected in collector:
        collector.update_policy_weights_()
        bar.update(collected.numel())
        buffer.extend(collected.reshape(-1))
        losses = TensorDict(batch_size=[TORCHRL_FRAMES])
        for row in range(TORCHRL_FRAMES if len(buffer) >= LEARNING_STARTS else 0):
            with timeit("rb - sample"):
                sampled = buffer.sample()
            with timeit("update"):
                torch.compiler.cudagraph_mark_step_begin()
                latest = update(sampled).clone()
            losses[row] = latest.select("loss_actor", "loss_qvalue", "loss_alpha")
        tick(TORCHRL_FRAMES, lambda: adam_steps(optimizer))


def _torchrl_env() -> Any:
    from torchrl.envs import Compose, DoubleToFloat, EnvCreator, ParallelEnv, TransformedEnv
    from torchrl.envs.libs.gym import GymEnv, set_gym_backend
    from torchrl.envs.transforms import InitTracker, RewardSum, StepCounter

    def make() -> Any:
        with set_gym_backend("gymnasium"):
            return GymEnv(ENV_ID, device="cpu")

    one = ParallelEnv(1, EnvCreator(make), serial_for_single=True)
    return TransformedEnv(one, Compose(InitTracker(), StepCounter(1000), DoubleToFloat(), RewardSum()))


def _torchrl_agent(env: Any) -> tuple[Any, Any, Any, Any]:
    """Return actor, loss, target network and optimizer as in TorchRL's script."""
    import torch
    from tensordict.nn import InteractionType, NormalParamExtractor, TensorDictModule
    from torchrl.modules import MLP, ProbabilisticActor, TanhNormal, ValueOperator
    from torchrl.objectives import SACLoss, SoftUpdate, group_optimizers

    spec = env.action_spec_unbatched
    mlp = functools.partial(MLP, num_cells=list(HIDDEN), activation_class=torch.nn.ReLU)
    extractor = NormalParamExtractor(scale_mapping="biased_softplus_1.0", scale_lb=0.1)
    network = torch.nn.Sequential(mlp(out_features=2 * spec.shape[-1]), extractor)
    actor = ProbabilisticActor(
        TensorDictModule(network, in_keys=["observation"], out_keys=["loc", "scale"]),
        spec=spec,
        in_keys=["loc", "scale"],
        distribution_class=TanhNormal,
        distribution_kwargs={"low": spec.space.low, "high": spec.space.high, "tanh_loc": False},
        default_interaction_type=InteractionType.RANDOM,
    )
    critic = ValueOperator(mlp(out_features=1), in_keys=["action", "observation"])
    with torch.no_grad():
        sample = env.fake_tensordict()
        critic(actor(sample))
    loss = SACLoss(actor, critic, num_qvalue_nets=2, loss_function="l2", delay_actor=False, delay_qvalue=True)
    loss.make_value_estimator(gamma=0.99)
    groups = (loss.actor_network_params.flatten_keys(), loss.qvalue_network_params.flatten_keys())
    parameters = [list(group.values()) for group in groups] + [[loss.log_alpha]]
    optimizer = group_optimizers(*(torch.optim.Adam(group, lr=TORCHRL_LR) for group in parameters))
    return actor, loss, SoftUpdate(loss, eps=0.995), optimizer


def _torchrl_data(env: Any, actor: Any, mode: str) -> tuple[Any, Any]:
    from torchrl.collectors import Collector
    from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer

    collector = Collector(
        env,
        actor,
        init_random_frames=LEARNING_STARTS,
        frames_per_batch=TORCHRL_FRAMES,
        total_frames=TRAINING_STEPS,
        device="cpu",
        compile_policy={"mode": mode},
    )
    return collector, TensorDictReplayBuffer(storage=LazyTensorStorage(CAPACITY), prefetch=3, batch_size=BATCH)


def tianshou(tick: Tick) -> None:
    """Train with ``SAC.run_training`` as in Tianshou's MuJoCo example: one env step, then one update."""
    import gymnasium
    from tianshou.algorithm.modelfree.sac import SAC, AutoAlpha, SACPolicy
    from tianshou.algorithm.optim import AdamOptimizerFactory
    from tianshou.data import Collector, ReplayBuffer
    from tianshou.trainer import OffPolicyTrainerParams
    from tianshou.utils.net.common import Net
    from tianshou.utils.net.continuous import ContinuousActorProbabilistic, ContinuousCritic

    env = gymnasium.make(ENV_ID)
    observation, action = env.observation_space.shape, env.action_space.shape
    trunk = Net(state_shape=observation, hidden_sizes=HIDDEN)
    actor = ContinuousActorProbabilistic(
        preprocess_net=trunk, action_shape=action, unbounded=True, conditioned_sigma=True
    )
    critic, critic2 = (
        ContinuousCritic(
            preprocess_net=Net(state_shape=observation, action_shape=action, hidden_sizes=HIDDEN, concat=True)
        )
        for _ in range(2)
    )
    adam = AdamOptimizerFactory()
    algorithm = SAC(
        policy=SACPolicy(actor=actor, action_space=env.action_space),
        policy_optim=adam,
        critic=critic,
        critic_optim=adam,
        critic2=critic2,
        alpha=AutoAlpha(-float(action[0]), 0.0, AdamOptimizerFactory(lr=TIANSHOU_ALPHA_LR)),
    )
    collector = Collector(algorithm, env, ReplayBuffer(CAPACITY), exploration_noise=True)
    collector.reset()
    collector.collect(n_step=LEARNING_STARTS, random=True)
    algorithm.run_training(
        OffPolicyTrainerParams(
            training_collector=collector,
            collection_step_num_env_steps=1,
            batch_size=BATCH,
            epoch_num_steps=TRAINING_STEPS,
            training_fn=lambda epoch, step: tick(1, lambda: adam_steps(algorithm.policy_optim._optim)),
        )
    )


def skrl(tick: Tick) -> None:
    """Train with ``SequentialTrainer.train`` and models written as in skrl's Gymnasium examples."""
    import gymnasium
    from skrl.agents.torch.sac import SAC
    from skrl.envs.wrappers.torch import wrap_env
    from skrl.memories.torch import RandomMemory
    from skrl.trainers.torch import SequentialTrainer

    class Ticking(SAC):
        def update(self, *, timestep: int, timesteps: int) -> None:
            super().update(timestep=timestep, timesteps=timesteps)
            tick(1, lambda: adam_steps(self.policy_optimizer))

    env = wrap_env(gymnasium.make(ENV_ID))
    agent = Ticking(
        models=_skrl_models(env),
        memory=RandomMemory(memory_size=CAPACITY, num_envs=env.num_envs, device=env.device),
        observation_space=env.observation_space,
        action_space=env.action_space,
        device=env.device,
        cfg={"batch_size": BATCH, "random_timesteps": LEARNING_STARTS, "learning_starts": LEARNING_STARTS},
    )
    SequentialTrainer(cfg={"timesteps": TRAINING_STEPS, "headless": True}, env=env, agents=agent).train()


def _skrl_models(env: Any) -> dict[str, Any]:
    import torch
    from skrl.models.torch import DeterministicMixin, GaussianMixin, Model

    def mlp(*widths: int) -> torch.nn.Sequential:
        layers = ((torch.nn.Linear(*pair), torch.nn.ReLU()) for pair in itertools.pairwise(widths))
        return torch.nn.Sequential(*itertools.chain(*layers))[:-1]

    spaces = {"observation_space": env.observation_space, "action_space": env.action_space, "device": env.device}

    class Actor(GaussianMixin, Model):
        def __init__(self) -> None:
            Model.__init__(self, **spaces)
            GaussianMixin.__init__(self, clip_actions=True)
            self.network = mlp(self.num_observations, *HIDDEN, 2 * self.num_actions)

        def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[torch.Tensor, dict[str, Any]]:
            mean, log_std = self.network(inputs["observations"]).chunk(2, dim=-1)
            return torch.tanh(mean), {"log_std": log_std}

    class Critic(DeterministicMixin, Model):
        def __init__(self) -> None:
            Model.__init__(self, **spaces)
            DeterministicMixin.__init__(self)
            self.network = mlp(self.num_observations + self.num_actions, *HIDDEN, 1)

        def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[torch.Tensor, dict[str, Any]]:
            return self.network(torch.cat([inputs["observations"], inputs["taken_actions"]], dim=1)), {}

    critics = ("critic_1", "critic_2", "target_critic_1", "target_critic_2")
    return {"policy": Actor(), **{name: Critic() for name in critics}}


def adam_steps(optimizer: Any) -> int:
    """Return the step counter of a torch Adam's first parameter."""
    return int(next(iter(optimizer.state.values()))["step"])


PEERS: dict[str, tuple[str, Contender]] = {
    "stable-baselines3": ("stable_baselines3", stable_baselines3),
    "SBX": ("sbx", functools.partial(sbx, burst=1)),
    f"SBX, {SBX_BURST} updates per call": ("sbx", functools.partial(sbx, burst=SBX_BURST)),
    "TorchRL, compiled": ("torchrl", torchrl),
    "Tianshou": ("tianshou", tianshou),
    "skrl": ("skrl", skrl),
}
"""Required module and training function, by the name in the table."""
