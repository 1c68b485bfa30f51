"""Lightning's gradient hooks and mixed precision."""

from collections import Counter

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything

from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.simulation.seller import SellerConfig
from pricerl.training.module import SACModule
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


@pytest.fixture
def instant_compiler(monkeypatch):
    """A compiler that returns the function itself."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)


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
