"""The public face: its examples run as written, and importing it loads nothing heavy."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import seller_lines, write_lines

import pricerl
from pricerl.errors import CheckpointError, DataError, UsageError

ROOT = Path(__file__).parents[1]
TRAINS = ("advise", "load")
FACE = ("advise", "load", "make_env", "read_history")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    write_lines(folder / "sales.csv", seller_lines())
    return folder


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in TRAINS else ()) for name in FACE]
)
def test_the_example_of_a_function_runs_as_written(name: str, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop)
    if name == "load" and not Path("checkpoints/sales/best.ckpt").exists():  # advise ran in another process
        pricerl.advise("sales.csv", max_steps=20)
    function = getattr(pricerl, name)
    examples = doctest.DocTestFinder(recurse=False).find(function, name, globs={"pricerl": pricerl, "torch": torch})
    assert sum(len(example.examples) for example in examples) > 0
    for example in examples:
        assert doctest.DocTestRunner().run(example).failed == 0


def test_the_python_of_the_readme_runs_as_written(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer updates than its 2,000."""
    (block,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(shop)
    monkeypatch.setattr(pricerl, "advise", partial(pricerl.advise, max_steps=20))
    names: dict[str, object] = {}
    exec(block, names)
    assert np.shape(names["observation"]) == (168,)


def test_the_face_lists_its_names_and_loads_them_when_used() -> None:
    assert {*FACE, "TrainedPolicy"} == set(pricerl.__all__) and pricerl.__version__
    code = "import sys, pricerl; pricerl.__version__, pricerl.read_history; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=60).returncode == 0


def test_a_mistake_is_one_of_our_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="there is no such file"):
        pricerl.advise("nowhere.csv")
    with pytest.raises(UsageError, match="did you mean 'balanced'"):
        pricerl.advise(preset="balancd")
    with pytest.raises(UsageError, match=r"unknown option --data\.guardrails\.flor"):
        pricerl.advise(settings={"data.guardrails.flor": 9.9})
    with pytest.raises(CheckpointError, match="does not exist"):
        pricerl.load("nowhere.ckpt")
    assert list(tmp_path.iterdir()) == []


def test_an_environment_takes_a_history_or_the_name_of_its_file(shop: Path) -> None:
    by_name = pricerl.make_env(shop / "sales.csv").dynamics.market
    by_history = pricerl.make_env(pricerl.read_history(shop / "sales.csv")).dynamics.market
    assert by_name.preprocessor.products[0].price.tolist() == by_history.preprocessor.products[0].price.tolist()
    assert pricerl.make_env().dynamics.market.preprocessor.source == "simulated seller"


def test_a_module_that_is_loaded_twice_registers_the_environments_once() -> None:
    code = "import sys, importlib, pricerl; importlib.reload(pricerl); del sys.modules['pricerl']; import pricerl"
    code += "; import gymnasium; assert gymnasium.spec('pricerl/Pricing-v1')"
    code += "; assert sum(type(item).__name__ == '_EnvRegistrar' for item in sys.meta_path) == 1"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=60).returncode == 0
