"""The exported policy: the prices of the env, without torch, and nothing of the seller but what it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import run, seller_lines, write_lines

from pricerl.api import load
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.fitting import fit_market
from pricerl.runs.export import PricePolicy, write_policy
from pricerl.sac.config import NetworkConfig
from pricerl.sac.layers import InputNormalization
from pricerl.sac.networks import Actor

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "serve.py"
LIMITS: dict[str, Any] = {
    "usual": {},
    "menu and median": {"charm_endings": [0.49, 0.99], "max_above_median": 0.02},
    "own limits": {"max_rise": 0.02, "products": {"pot": {"ceiling": 19.9}}},
}


def make_dynamics(preprocessor: DataPreprocessor, limits: dict[str, Any], action: Any = "step") -> Dynamics:
    return Dynamics(fit_market(preprocessor), None, GuardrailConfig(**limits), EnvConfig(action=action))


def make_actor(dynamics: Dynamics) -> Actor:
    """An actor whose actions differ from day to day."""
    torch.manual_seed(0)
    normalization = InputNormalization(dynamics.observation_dim)
    normalization.update(torch.cat([dynamics.start(*days_of(dynamics, index)[2:]).observation for index in range(2)]))
    actor = Actor(dynamics.observation_dim, 1, NetworkConfig(hidden=(16, 16)), normalization).eval()
    actor.head.weight.data.mul_(300)
    return actor


def days_of(dynamics: Dynamics, index: int = 0) -> tuple[torch.Tensor, ...]:
    """Inputs of every day with a whole window and four weeks of prices, and the days' positions."""
    data = dynamics.market.preprocessor
    days = np.arange(27, len(data.features[index]))
    window = np.stack([data.features[index][day - data.config.window + 1 : day + 1] for day in days])
    prices = np.stack([data.products[index].prices_in_force[day - 27 : day + 1] for day in days])
    product = torch.full((len(days),), index)
    return torch.as_tensor(window), torch.as_tensor(prices), product, torch.as_tensor(days)


@pytest.fixture
def two_products(make_product: Any, prepare: Any) -> DataPreprocessor:
    rng = np.random.default_rng(0)
    prices = [rng.choice([9.49, 9.99, 10.49], 60), rng.choice([19.49, 19.99, 20.49], 60)]
    units = [rng.poisson(20 * (price / price.mean()) ** -2) for price in prices]
    names = ("cup", "pot")
    return prepare(*(make_product(*pair, product=name) for name, *pair in zip(names, prices, units, strict=True)))


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("action", ["step", "absolute"])
def test_the_price_is_that_of_the_env_on_every_day(limits: str, action: str, two_products: DataPreprocessor) -> None:
    dynamics = make_dynamics(two_products, LIMITS[limits], action)
    policy = PricePolicy(actor := make_actor(dynamics), dynamics)
    for index in range(2):
        window, prices, product, days = days_of(dynamics, index)
        state = dynamics.start(product, days)
        chosen = actor.act(state.observation, deterministic=True)[:, 0]
        wanted = dynamics.decide(state, chosen).double()
        price, found, feasible = policy(window, prices, product)
        torch.testing.assert_close(found.float(), chosen, rtol=0, atol=5e-6)
        torch.testing.assert_close(price, wanted, rtol=5e-6, atol=0)
        assert torch.equal(feasible, dynamics.band(state).feasible) and len(found.unique()) > 10


def test_an_input_that_is_no_number_keeps_the_price(two_products: DataPreprocessor) -> None:
    policy = PricePolicy(make_actor(dynamics := make_dynamics(two_products, {})), dynamics)
    window, prices, product, _ = days_of(dynamics)
    price, _, _ = policy(window * torch.nan, prices, product)
    assert torch.equal(price, prices[:, -1])


def test_the_program_has_the_same_prices_without_pricerl(two_products: DataPreprocessor, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    dynamics = make_dynamics(two_products, LIMITS["menu and median"])
    actor = make_actor(dynamics)
    inputs = [torch.cat(pair) for pair in zip(*(days_of(dynamics, index)[:3] for index in range(2)), strict=True)]
    wanted = PricePolicy(actor, dynamics)(*inputs)
    session = onnxruntime.InferenceSession(write_policy(actor, dynamics, tmp_path, {"run": "pots"}))
    names = ("window", "prices", "product")
    for rows in (slice(None), slice(1)):
        served = session.run(None, {name: value[rows].numpy() for name, value in zip(names, inputs, strict=True)})
        for found, expected, error in zip(served, wanted, (1e-6, 1e-4, 0.0), strict=True):  # actions are float32
            np.testing.assert_allclose(found, expected[rows].detach(), rtol=1e-6, atol=error)
    described = json.loads((tmp_path / "policy.json").read_text(encoding="utf-8"))
    assert described["products"] == ["cup", "pot"] and described["inputs"] == {"window": [7, 12], "prices": [28]}


def test_export_without_the_extra_is_told_how_to_install_it(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    result = run(trained.parents[1], "export")
    assert (result.code, result.err) == (2, 'error: --format onnx needs an extra: pip install -e ".[export]"\n')


@pytest.mark.slow
def test_export_writes_at_most_a_megabyte_without_a_path_and_the_example_serves_it_without_torch(
    tmp_path: Path,
) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    write_lines(tmp_path / "sales.csv", seller_lines())
    settings = ("--trainer.max_steps", "20", "--trainer.enable_progress_bar", "false")
    assert run(tmp_path, "fit", "--data.path", "sales.csv", *settings).code in (0, 4)
    exported = run(tmp_path, "export", "--out", "served")
    assert (exported.code, exported.out) == (0, "served/policy.onnx\nserved/policy.json\n"), exported.err
    written = (tmp_path / "served" / "policy.onnx").read_bytes()
    assert len(written) < 1e6 and b"export.py" not in written and str(tmp_path).encode() not in written
    described = json.loads((tmp_path / "served" / "policy.json").read_text(encoding="utf-8"))
    assert (described["run"], described["checkpoint"]) == ("sales", "gen-0001/best.ckpt")
    assert described["versions"].keys() == {"pricerl", "torch", "numpy"}
    code = f"import sys, runpy; sys.modules['torch'] = None; runpy.run_path({str(EXAMPLE)!r}, run_name='__main__')"
    words = [sys.executable, "-c", code, "served", "sales.csv"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    trained = load(tmp_path / "checkpoints" / "sales" / "best.ckpt")
    product, day = trained.dynamics.history.latest()
    state = trained.dynamics.start(product, day)
    wanted = float(trained.dynamics.decide(state, trained.policy(state.observation)[:, 0]))
    assert done.stdout == f"sales: {float(state.price):.2f} -> {wanted:.2f}\n"
