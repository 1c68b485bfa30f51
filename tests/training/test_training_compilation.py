"""Decision whether a run compiles its updates. The compiler's cache is a temporary folder, and nothing is compiled."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pricerl.errors import UsageError
from pricerl.sac import NetworkConfig, SACConfig, Transition
from pricerl.training.algorithm import TaskSpec
from pricerl.training.compilation import COMPILE_FROM, COMPILE_FROM_CACHE, compiler_cache
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
        max_steps=left + 5,
        global_step=5,
        ckpt_path="last.ckpt",
        datamodule=SimpleNamespace(has_plan=has_plan),
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )
    return module


def make_one_update(module):
    module.configure_optimizers()
    module.on_train_start()
    module.update(Transition(*(torch.rand(3, *shape) for shape in ((2,), (1,), (), (), (2,)))), number=1)


@pytest.fixture
def instant_compiler(monkeypatch):
    """A compiler that returns the function itself."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)


def test_compiling_across_processes_is_refused_with_its_alternative():
    with pytest.raises(UsageError, match="use auto or off with several devices"):
        _ = learner(10, "on", world_size=2).compiles


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
