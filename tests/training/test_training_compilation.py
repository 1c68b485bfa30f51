"""Decision whether a run compiles its updates. The compiler's cache is a temporary folder, and nothing is compiled."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import Timer

from pricerl.errors import UsageError
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.replay import Transition
from pricerl.training.algorithm import TaskSpec
from pricerl.training.compilation import COMPILE_FROM, COMPILE_FROM_CACHE, COMPILE_FROM_SECONDS, compiler_cache
from pricerl.training.module import SACModule


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    return tmp_path


def learner(left, mode="auto", world_size=1, has_plan=False, **settings):
    """A module that is about to make ``left`` updates."""
    module = SACModule(TaskSpec(2, 1), **{"network": NetworkConfig(hidden=(4,)), **settings}, compile=mode)
    module._trainer = SimpleNamespace(
        world_size=world_size,
        global_rank=0,
        max_steps=left + 5,
        global_step=5,
        ckpt_path="last.ckpt",
        callbacks=[],
        datamodule=SimpleNamespace(has_plan=has_plan),
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )
    return module


def start(module):
    module.configure_optimizers()
    module.on_train_start()


def make_one_update(module):
    start(module)
    module.update(Transition(*(torch.rand(3, *shape) for shape in ((2,), (1,), (), (), (2,)))), number=1)


@pytest.fixture
def instant_compiler(monkeypatch):
    """A compiler that returns the function itself."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)


class FakeRanks:
    """Two ranks, of which this is one; the other gives the same gradients and the given answer."""

    size = 2

    def __init__(self, other):
        self.other = other

    def average(self, tensor):
        pass

    def gather(self, tensor):
        return [tensor, torch.full_like(tensor, self.other)]


def test_several_processes_compile_the_pieces_between_their_messages(instant_compiler, monkeypatch):
    monkeypatch.setattr("pricerl.training.module.Ranks", lambda children: FakeRanks(0))
    module = learner(10, "on", world_size=2)
    make_one_update(module)
    assert [piece.is_compiled for piece in module._compiled] == [True, True, True]


@pytest.mark.filterwarnings("ignore:updates run uncompiled")
@pytest.mark.parametrize(("failed", "other"), [(True, 0), (False, 1)])
def test_ranks_of_which_some_failed_to_compile_do_not_train_on(failed, other, instant_compiler, monkeypatch):
    if failed:
        monkeypatch.setattr(torch, "compile", lambda function, **_: None)
    monkeypatch.setattr("pricerl.training.module.Ranks", lambda children: FakeRanks(other))
    module = learner(10, "on", world_size=2)
    make_one_update(module)
    with pytest.raises(UsageError, match=r"on some ranks only; use --model\.compile off"):
        module._check_that_ranks_agree(module._ranks)
    module._check_that_ranks_agree(FakeRanks(int(failed)))


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


def test_auto_compiles_shorter_runs_once_the_graph_is_cached(cache, instant_compiler):
    assert not learner(COMPILE_FROM_CACHE).compiles
    make_one_update(learner(1, "on"))
    (marker,) = cache.iterdir()
    assert marker.read_bytes() == b""
    assert learner(COMPILE_FROM_CACHE).compiles and not learner(COMPILE_FROM_CACHE - 1).compiles
    assert not learner(COMPILE_FROM_CACHE, "off").compiles
    assert not learner(COMPILE_FROM_CACHE, algorithm=SACConfig(batch_size=3)).compiles, "another graph"
    assert not learner(COMPILE_FROM_CACHE, network=NetworkConfig(hidden=(5,))).compiles, "another graph"
    marker.unlink()
    assert not learner(COMPILE_FROM_CACHE).compiles


def test_a_run_that_follows_a_plan_ignores_the_cache_because_it_ends_early(instant_compiler):
    make_one_update(learner(1, "on"))
    assert not learner(COMPILE_FROM - 1, has_plan=True).compiles
    assert learner(COMPILE_FROM, has_plan=True).compiles


def test_other_threads_are_another_graph(instant_compiler, monkeypatch):
    make_one_update(learner(1, "on"))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    assert not learner(COMPILE_FROM_CACHE).compiles


def test_a_failed_compilation_leaves_no_marker(cache, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **_: None)
    with pytest.warns(UserWarning, match="updates run uncompiled"):
        make_one_update(learner(1, "on"))
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("folder", ["missing", "a_file"])
def test_a_cache_that_cannot_be_used_changes_nothing(folder, cache, instant_compiler, monkeypatch):
    (cache / "a_file").touch()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(cache / folder))
    make_one_update(learner(1, "on"))
    assert [path.name for path in cache.iterdir()] == ["a_file"]
    assert not learner(COMPILE_FROM_CACHE).compiles


@pytest.mark.parametrize("given", [True, False])
def test_the_cache_is_the_compilers_own(given, monkeypatch):
    if not given:
        monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
        monkeypatch.setattr("tempfile.tempdir", os.environ.get("TMPDIR", "/tmp"))
        monkeypatch.setattr("getpass.getuser", lambda: r"DOMAIN\anna")
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    expected = os.environ.get("TORCHINDUCTOR_CACHE_DIR") or default_cache_dir()
    assert compiler_cache() == Path(expected)


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
    module.configure_optimizers()
    for optimizer in module._optimizers:
        optimizer.set_learning_rate(0.7)  # that of the optimizer's state
    module.on_train_start()
    rates = [float(optimizer.param_groups[0]["lr"]) for optimizer in module._optimizers]
    assert rates == pytest.approx([5e-4, 4e-4, 3e-4])


def test_a_resumed_decay_goes_on_from_its_step():
    module = learner(5, algorithm=SACConfig(critic_lr=1e-3, final_lr_share=0.5))
    start(module)
    assert float(module._optimizers.critic.param_groups[0]["lr"]) == pytest.approx(0.75e-3), "update 5 of 10"
