"""Decision whether a run compiles its updates. Nothing is compiled."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import Timer

from pricerl.errors import UsageError
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.replay import Transition
from pricerl.training.algorithm import TaskSpec
from pricerl.training.module import SACModule
from pricerl.training.speed import (
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
        fast_dev_run=False,
        limit_train_batches=1.0,
        val_check_interval=1.0,
        overfit_batches=0.0,
        log_every_n_steps=50,
    )
    return module


def start(module, ranks=None):
    module.trainer.optimizers = module.configure_optimizers()
    module.trainer.strategy.ranks = ranks
    module.on_train_start()


def make_one_update(module, ranks=None):
    start(module, ranks)
    batch = Transition(*(torch.rand(3, *shape) for shape in ((2,), (1,), (), (), (2,))))
    module.fast.update(batch)


@pytest.fixture
def instant_compiler(monkeypatch):
    """A compiler that returns the function itself."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)


class FakeRanks:
    """Two ranks, of which this is one; the other gives the same gradients and the given answer."""

    size, settled = 2, False

    def __init__(self, other):
        self.other = other

    def average(self, tensor):
        pass

    def gather(self, tensor):
        return [tensor, torch.full_like(tensor, self.other)]

    def settle(self):
        self.settled = True


def test_several_processes_compile_the_pieces_between_their_messages(instant_compiler):
    module = learner(10, "on", world_size=2)
    make_one_update(module, FakeRanks(0))
    assert [piece.is_compiled for piece in module.fast.pieces] == [True, True, True]


@pytest.mark.filterwarnings("ignore:updates run uncompiled")
@pytest.mark.parametrize(("failed", "other"), [(True, 0), (False, 1)])
def test_ranks_of_which_some_failed_to_compile_do_not_train_on(failed, other, instant_compiler, monkeypatch):
    if failed:
        monkeypatch.setattr(torch, "compile", lambda function, **_: None)
    module = learner(10, "on", world_size=2)
    make_one_update(module, FakeRanks(other))
    with pytest.raises(UsageError, match=r"on some ranks only; use --model\.compile off"):
        module.on_train_batch_end(None, iter(()), 0)
    module.ranks = FakeRanks(int(failed))
    assert not module.ranks.settled
    module.on_train_batch_end(None, iter(()), 0)
    assert module.ranks.settled


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
        make_one_update(first)
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
        make_one_update(module)
    module.on_save_checkpoint(saved)
    assert saved == {"updates_are_compiled": False}
    assert not (learner(1).on_load_checkpoint({}) or learner(1).compiles), "older checkpoints do not say so"


@pytest.mark.parametrize("max_steps", [-1, 50])
def test_learning_rates_of_the_configuration_replace_restored_ones(max_steps):
    module = learner(
        max_steps - 5, algorithm=SACConfig(critic_lr=5e-4, actor_lr=4e-4, alpha_lr=3e-4, final_lr_share=1.0)
    )
    module.trainer.optimizers = module.configure_optimizers()
    for optimizer in module.trainer.optimizers:
        optimizer.param_groups[0]["lr"].fill_(0.7)  # that of the optimizer's state
    module.on_train_start()
    rates = [float(optimizer.param_groups[0]["lr"]) for optimizer in module.trainer.optimizers]
    assert rates == pytest.approx([5e-4, 4e-4, 3e-4])


def test_a_resumed_decay_goes_on_from_its_step():
    module = learner(5, algorithm=SACConfig(critic_lr=1e-3, final_lr_share=0.5))
    start(module)
    assert float(module.trainer.optimizers[0].param_groups[0]["lr"]) == pytest.approx(0.75e-3), "update 5 of 10"


@pytest.mark.parametrize(
    "flags",
    [{"limit_train_batches": 1}, {"limit_train_batches": 0.5}, {"val_check_interval": 10}, {"overfit_batches": 3}],
)
def test_flags_that_count_batches_keep_a_run_eager_and_are_refused_where_compiling_is_ordered(flags):
    module, ordered = learner(COMPILE_FROM), learner(1, "on")
    vars(module.trainer).update(flags)
    vars(ordered.trainer).update(flags)
    assert not module.compiles and module.updates_per_item is None
    with pytest.raises(UsageError, match=f"trainer.{next(iter(flags))} counts batches"):
        _ = ordered.compiles


def test_a_compiled_run_has_many_updates_per_item():
    assert learner(COMPILE_FROM - 1).updates_per_item is None
    module = learner(COMPILE_FROM)
    for every, expected in ((0, 50), (1, 1), (20, 20), (100, 50)):  # an item ends where a row of metrics is due
        module.trainer.log_every_n_steps = every
        assert module.updates_per_item == expected
