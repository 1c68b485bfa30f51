"""Lightning's gradient hooks, mixed precision, and the decision whether a run compiles its updates."""

from collections import Counter
from datetime import timedelta
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import Timer

from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.replay import Transition
from pricerl.simulation.seller import SellerConfig
from pricerl.training.algorithm import TaskSpec
from pricerl.training.devices import ReplicatedStrategy
from pricerl.training.module import SACModule
from pricerl.training.off_policy import COMPILE_FROM, COMPILE_FROM_SECONDS
from pricerl.training.pricing_data import PricingDataModule


class Hooks(Callback):
    """Records each call of a gradient hook, and the parameters with gradients that it sees."""

    def __init__(self):
        self.calls, self.norms, self.loss = Counter(), {}, None

    def record(self, name, module):
        self.calls[name] += 1
        seen = {key: value.grad for key, value in module.named_parameters() if value.grad is not None}
        self.norms.setdefault(name, {}).update({key: float(grad.norm()) for key, grad in seen.items()})

    def on_before_backward(self, trainer, pl_module, loss):
        self.record("on_before_backward", pl_module)
        self.loss = float(loss.detach())

    def on_after_backward(self, trainer, pl_module):
        self.record("on_after_backward", pl_module)

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.record("on_before_optimizer_step", pl_module)


class Module(SACModule):
    """Records what an update and a collected batch find of mixed precision, and the module's own hook."""

    found, own = None, 0

    def training_step(self, batch, batch_idx):
        self.found = torch.is_autocast_enabled("cpu"), torch.is_autocast_cache_enabled()
        return super().training_step(batch, batch_idx)

    def act(self, observation, deterministic=False):
        assert not torch.is_autocast_enabled("cpu"), "envs and policies run in single precision"
        return super().act(observation, deterministic)

    def on_after_backward(self):
        self.own += 1


def train(hooks, precision="32-true", compile="off", updates=100, horizon=0, kind=Module):
    seed_everything(0, verbose=False)
    data = PricingDataModule(seller=SellerConfig(days=60), num_envs=8)
    network = NetworkConfig(hidden=(32, 32))
    settings = SACConfig(warmup_steps=64, batch_size=32, actor_horizon=horizon)
    module = kind(data.task, settings, network, compile)
    off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = Trainer(accelerator="cpu", max_steps=updates, max_epochs=-1, precision=precision, callbacks=hooks, **off)
    trainer.fit(module, data)
    return module


@pytest.mark.parametrize("precision", ["32-true", pytest.param("bf16-mixed", marks=pytest.mark.slow)])
def test_gradient_hooks_are_lightnings_own_of_every_backward_pass_and_step(precision):
    hooks = Hooks()
    module = train([hooks], precision, updates=20)
    steps = 3 * 20
    names = ("on_before_backward", "on_after_backward", "on_before_optimizer_step")
    assert hooks.calls == dict.fromkeys(names, steps) and module.own == steps
    learned = {name for name, value in module.named_parameters() if value.requires_grad}
    seen = set().union(*(norms for norms in hooks.norms.values()))
    assert seen == learned and hooks.norms["on_after_backward"] and hooks.loss != 0.0
    assert hooks.norms["on_after_backward"]["agent.critic.head.weight"] > 0.0
    assert all(value.grad is None for value in module.parameters()), "no gradient outlives its step"


class AfterUpdates(Callback):
    """Counts the updates after which every learned parameter has a gradient."""

    found = 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        learned = [value for value in pl_module.parameters() if value.requires_grad]
        self.found += all(value.grad is not None and value.grad.isfinite().all() for value in learned)


@pytest.mark.parametrize("precision", ["32-true", pytest.param("bf16-mixed", marks=pytest.mark.slow)])
def test_a_compiled_run_calls_no_gradient_hook_and_leaves_the_gradients_of_each_update(precision, instant_compiler):
    hooks, after = Hooks(), AfterUpdates()
    module = train([hooks, after], precision, "on", updates=20)
    assert not hooks.calls and module.own == 0 and after.found == 20


class Zeroing(Callback):
    """Callback that changes gradients."""

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        for parameter in optimizer.param_groups[0]["params"]:
            parameter.grad.zero_()


def test_a_hook_may_change_the_gradients():
    module = train([Zeroing()], updates=2)
    state = module.optimizers()[0].state
    assert state and not any(values["exp_avg"].any() for values in state.values())


class Scheduled(Module):
    """Module with a scheduler of its own."""

    def configure_optimizers(self):
        optimizers = super().configure_optimizers()
        return optimizers, [torch.optim.lr_scheduler.ExponentialLR(optimizers[0], 0.5)]


def test_schedulers_of_configure_optimizers_take_the_place_of_the_decay():
    module = train([], updates=3, kind=Scheduled)
    rates = [float(optimizer.param_groups[0]["lr"]) for optimizer in module.optimizers()]
    settings = module.algorithm
    assert rates == pytest.approx([settings.critic_lr / 8, settings.actor_lr, settings.alpha_lr])


@pytest.mark.parametrize(("updates", "horizon"), [(30, 0), (20, 2), pytest.param(200, 2, marks=pytest.mark.slow)])
def test_a_compiled_run_ends_with_the_weights_of_an_eager_one(instant_compiler, updates, horizon):
    compiled, eager = (train([], compile=mode, updates=updates, horizon=horizon) for mode in ("on", "off"))
    for name, value in eager.state_dict().items():
        torch.testing.assert_close(compiled.state_dict()[name], value, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.slow
def test_gradient_hooks_do_not_change_the_weights():
    seen, alone = train([Hooks()]), train([])
    assert all(map(torch.equal, seen.state_dict().values(), alone.state_dict().values()))


def test_mixed_precision_applies_to_updates_only_and_keeps_no_cast_of_changed_weights():
    assert train([], "bf16-mixed").found == (True, False)


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


AHEAD = SACConfig(actor_horizon=2)


@pytest.mark.parametrize(
    ("left", "settings", "seconds", "compiles"),
    [
        (1, {"mode": "on"}, None, True),
        (1, {"mode": "on", "algorithm": AHEAD}, None, True),
        (COMPILE_FROM, {"mode": "off"}, None, False),
        (COMPILE_FROM, {}, None, True),
        (COMPILE_FROM - 1, {}, None, False),
        (-6, {}, None, True),  # no limit
        (COMPILE_FROM, {"world_size": 2}, None, False),
        (COMPILE_FROM, {"algorithm": AHEAD}, None, False),
        (COMPILE_FROM, {}, 3, False),
        (-6, {}, COMPILE_FROM_SECONDS - 1, False),
        (COMPILE_FROM, {}, 301, True),
        (-6, {}, 301, True),
    ],
)
def test_auto_compiles_long_runs_in_one_process_without_gradients_of_the_market(left, settings, seconds, compiles):
    module = learner(left, **settings)
    module.trainer.callbacks = [Timer(timedelta(seconds=seconds))] if seconds else []
    assert module.will_compile() is compiles


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
        assert resumed.will_compile() is before
    opposite = learner(1, "off" if before else "on")
    opposite.on_load_checkpoint(saved)
    assert opposite.will_compile() is not before, "an order on the command line holds"


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
