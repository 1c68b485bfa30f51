"""Decision whether a run compiles its updates. Nothing is compiled."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import Timer

from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.replay import Transition
from pricerl.training.algorithm import TaskSpec
from pricerl.training.devices import ReplicatedStrategy
from pricerl.training.module import SACModule
from pricerl.training.off_policy import (
    COMPILE_FROM,
    COMPILE_FROM_SECONDS,
)


def learner(left, mode="auto", world_size=1, **settings):
    """A module that is about to make ``left`` updates."""
    module = SACModule(TaskSpec(2, 1), **{"network": NetworkConfig(hidden=(4,)), **settings}, compile=mode)
    module._trainer = SimpleNamespace(
        world_size=world_size,
        global_rank=0,
        max_steps=left + 5,
        global_step=5,
        ckpt_path="last.ckpt",
        callbacks=[],
        datamodule=SimpleNamespace(actor_horizon=0),
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
        lr_scheduler_configs=[],
    )
    return module


def start(module):
    module.trainer.optimizers = module.configure_optimizers()
    if module.trainer.world_size > 1:
        module.trainer.strategy = ReplicatedStrategy()
    module.on_train_start()
    module.on_train_batch_start(None, 0)


def make_a_step(module):
    """Start, and let the critics make a step."""
    start(module)
    batch = Transition(*(torch.rand(3, *shape) for shape in ((2,), (1,), (), (), (2,))))
    return module.descend(module.trainer.optimizers[0], module.agent.critic_loss, batch)


@pytest.fixture
def instant_compiler(monkeypatch):
    """A compiler that returns the function itself."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)


@pytest.mark.parametrize("world_size", [1, 2])
def test_a_compiled_step_leaves_its_gradients_which_ranks_average_before_it(world_size, instant_compiler, monkeypatch):
    module, messages = learner(10, "on", world_size=world_size), []
    before = torch.nn.utils.parameters_to_vector(module.agent.critic.parameters())
    monkeypatch.setattr("pricerl.training.off_policy.average", messages.append)
    make_a_step(module)
    gradients = [value.grad for value in module.agent.critic.parameters()]
    assert all(value.any() for value in gradients) and all(
        value.grad is None for value in module.agent.actor.parameters()
    )
    assert [[id(value) for value in message] for message in messages] == [[*map(id, gradients)]] * (world_size - 1)
    assert not torch.equal(torch.nn.utils.parameters_to_vector(module.agent.critic.parameters()), before)


@pytest.mark.parametrize(
    ("mode", "world_size", "left", "compiles"),
    [
        ("on", 1, 1, True),
        ("off", 1, COMPILE_FROM, False),
        ("auto", 1, COMPILE_FROM, True),
        ("auto", 1, COMPILE_FROM - 1, False),
        ("auto", 1, -6, True),  # no limit
        ("auto", 2, COMPILE_FROM, False),
    ],
)
def test_auto_compiles_long_runs_in_one_process(mode, world_size, left, compiles):
    assert learner(left, mode, world_size).compiles is compiles


def test_auto_leaves_a_run_with_gradients_through_the_market_uncompiled():
    ahead = SACConfig(actor_horizon=2)
    assert not learner(COMPILE_FROM, algorithm=ahead).compiles
    assert learner(1, "on", algorithm=ahead).compiles


@pytest.mark.parametrize(("seconds", "compiles"), [(3, False), (COMPILE_FROM_SECONDS - 1, False), (301, True)])
def test_a_run_with_little_time_is_not_compiled_whatever_its_steps(seconds, compiles):
    for left in (-6, COMPILE_FROM):
        module = learner(left)
        module.trainer.callbacks = [Timer(timedelta(seconds=seconds))]
        assert module.compiles is compiles


@pytest.mark.parametrize("before", [True, False])
def test_a_resumed_run_is_compiled_if_it_was_before(before, instant_compiler):
    first, saved = learner(COMPILE_FROM if before else 1), {}
    start(first)
    first.on_save_checkpoint(saved)
    assert saved == {"updates_are_compiled": before}, "known before the first update, as after it"
    if before:
        make_a_step(first)
    first.on_save_checkpoint(saved)
    assert saved == {"updates_are_compiled": before}
    for left in (1, COMPILE_FROM):
        resumed = learner(left)
        resumed.on_load_checkpoint(saved)
        assert resumed.compiles is before
    opposite = learner(1, "off" if before else "on")
    opposite.on_load_checkpoint(saved)
    assert opposite.compiles is not before, "an order on the command line holds"


def test_a_failed_compilation_is_not_tried_again_on_resume(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **_: None)
    module, saved = learner(COMPILE_FROM), {}
    with pytest.warns(UserWarning, match="updates run uncompiled"):
        make_a_step(module)
    module.on_save_checkpoint(saved)
    assert saved == {"updates_are_compiled": False}


@pytest.mark.parametrize("max_steps", [-1, 50])
def test_learning_rates_of_the_configuration_replace_restored_ones(max_steps):
    module = learner(
        max_steps - 5, algorithm=SACConfig(critic_lr=5e-4, actor_lr=4e-4, alpha_lr=3e-4, final_lr_share=1.0)
    )
    start(module)
    for optimizer in module.trainer.optimizers:
        optimizer.param_groups[0]["lr"].fill_(0.7)  # that of the optimizer's state
    module.on_train_batch_start(None, 0)
    rates = [float(optimizer.param_groups[0]["lr"]) for optimizer in module.trainer.optimizers]
    assert rates == pytest.approx([5e-4, 4e-4, 3e-4])


def test_a_resumed_decay_goes_on_from_its_step():
    module = learner(5, algorithm=SACConfig(critic_lr=1e-3, final_lr_share=0.5))
    start(module)
    assert float(module.trainer.optimizers[0].param_groups[0]["lr"]) == pytest.approx(0.75e-3), "update 5 of 10"
