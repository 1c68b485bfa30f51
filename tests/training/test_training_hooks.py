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


def train(hooks, precision="32-true", compile="off", updates=100, horizon=0):
    seed_everything(0, verbose=False)
    data = PricingDataModule(seller=SellerConfig(days=60), num_envs=8)
    network = NetworkConfig(hidden=(32, 32))
    settings = SACConfig(warmup_steps=64, batch_size=32, actor_horizon=horizon)
    module = Module(data.task, settings, network, compile)
    off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = Trainer(accelerator="cpu", max_steps=updates, max_epochs=-1, precision=precision, callbacks=hooks, **off)
    trainer.fit(module, data)
    return module


@pytest.fixture
def instant_compiler(monkeypatch):
    """A compiler that returns the function itself."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)


def check(hooks, module):
    learned = {name for name, value in module.named_parameters() if value.requires_grad}
    seen = set().union(*(norms for norms in hooks.norms.values()))
    assert seen == learned and hooks.norms["on_after_backward"] and hooks.loss != 0.0


@pytest.mark.parametrize("precision", ["32-true", pytest.param("bf16-mixed", marks=pytest.mark.slow)])
def test_gradient_hooks_are_lightnings_own_of_every_backward_pass_and_step(precision):
    hooks, steps = Hooks(), 3 * 100
    module = train([hooks], precision)
    names = ("on_before_backward", "on_after_backward", "on_before_optimizer_step")
    assert hooks.calls == dict.fromkeys(names, steps) and module.own == steps
    check(hooks, module)


@pytest.mark.parametrize("precision", ["32-true", pytest.param("bf16-mixed", marks=pytest.mark.slow)])
def test_gradient_hooks_of_a_compiled_run_see_the_last_gradients_of_each_item(precision, instant_compiler):
    hooks, items = Hooks(), 2  # of 50 updates
    module = train([hooks], precision, "on")
    calls = {"on_before_backward": items, "on_after_backward": items, "on_before_optimizer_step": 3 * items}
    assert hooks.calls == calls and module.own == items
    check(hooks, module)
    assert hooks.norms["on_after_backward"]["agent.critic.head.weight"] > 0.0
    assert all(value.grad is None for value in module.parameters())


@pytest.mark.parametrize(("updates", "horizon"), [(100, 0), (20, 2), pytest.param(200, 2, marks=pytest.mark.slow)])
def test_a_compiled_run_ends_with_the_weights_of_an_eager_one(instant_compiler, updates, horizon):
    compiled, eager = (train([], compile=mode, updates=updates, horizon=horizon) for mode in ("on", "off"))
    for name, value in eager.state_dict().items():
        torch.testing.assert_close(compiled.state_dict()[name], value, rtol=1e-5, atol=1e-6, msg=name)


def test_a_compiled_run_ends_within_an_item_at_its_limit(instant_compiler, monkeypatch):
    monkeypatch.setattr("pricerl.training.datamodule.updates_per_epoch", lambda longest, left: 130)
    monkeypatch.setattr("pricerl.training.loop.UPDATES_PER_ITEM", 35)
    assert train([], compile="on").trainer.global_step == 100


@pytest.mark.slow
def test_gradient_hooks_do_not_change_the_weights():
    seen, alone = train([Hooks()]), train([])
    assert all(map(torch.equal, seen.state_dict().values(), alone.state_dict().values()))


def test_mixed_precision_applies_to_updates_only_and_keeps_no_cast_of_changed_weights():
    assert train([], "bf16-mixed").found == (True, False)
