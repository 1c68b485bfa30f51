"""An env whose state was saved continues bit by bit, in another object with the same market."""

import gymnasium
import numpy as np
import pytest
import torch
from saved_states import as_saved

from pricerl.data.config import DataConfig
from pricerl.data.days import DAY
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.reader import history_from_text
from pricerl.env import ENV_ID
from pricerl.env.config import EnvConfig
from pricerl.env.pricing import PricingEnv, PricingVectorEnv
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.simulation.seller import SellerConfig

SMALL = DemandConfig(num_draws=8)
SELLERS = {
    "one": SellerConfig(days=130, units=30.0),
    "several": SellerConfig(days=130, units=30.0, products=3, seed=5),
}
TRAILING = GuardrailConfig(max_above_median=0.1)
CASES = {
    "step": ("one", None, EnvConfig(horizon=9)),
    "absolute": ("one", None, EnvConfig(horizon=9, action="absolute")),
    "several products": ("several", None, EnvConfig(horizon=9)),
    "not described": ("several", None, EnvConfig(horizon=9, describe=False)),
    "trail": ("several", TRAILING, EnvConfig(horizon=9)),
    "no noise": ("one", None, EnvConfig(horizon=9, noise=False)),
    "weekly": ("weekly", TRAILING, EnvConfig(horizon=3)),
}


@pytest.fixture(scope="module")
def weekly():
    generator = np.random.default_rng(3)
    lines = ["Report Date,Product Price,Units,Total Sales"]
    for week in range(60):
        price, units = round(generator.uniform(8.5, 11.5), 2), int(generator.poisson(200))
        lines.append(f"{np.datetime64('2024-01-01') + 7 * week * DAY},{price},{units},{price * units:.2f}")
    history = history_from_text("\n".join(lines) + "\n", "file", DataConfig())
    market = fit_market(DataPreprocessor.fit(history, DataConfig()), SMALL)
    assert market.preprocessor.step_days == 7
    return market


@pytest.fixture(scope="module")
def find_market(fitted, weekly):
    return lambda name: weekly if name == "weekly" else fitted(SELLERS[name], SMALL)


def actions(steps, rows, seed):
    return 2 * torch.rand(steps, rows, 1, generator=torch.Generator().manual_seed(seed)) - 1


def walk(env, steps, seed):
    """Everything that the next steps return, and the state after them."""
    found = []
    for action in actions(steps, env.num_envs, seed):
        observation, reward, _, truncated, info = env.step(action)
        found += [observation, reward, truncated, *(info[name] for name in sorted(info))]
    return [*found, *tensors(env.state)]


def tensors(value):
    """All tensors and numbers of a nested named tuple."""
    if isinstance(value, tuple):
        return [found for item in value if item is not None for found in tensors(item)]
    return [torch.as_tensor(value)]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for index, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert torch.equal(one, other) and one.stride() == other.stride(), index


def assert_continues(market, rows, steps, guardrails=None, config=None):
    env, other = (PricingVectorEnv(rows, market, guardrails=guardrails, config=config) for _ in range(2))
    assert (env.dynamics.limits.max_above_median is not None) == (guardrails is TRAILING)
    env.reset(seed=1)
    walk(env, steps, seed=2)
    other.reset(seed=8)
    walk(other, 1, seed=9)
    assert other.load_state_dict(as_saved(env.state_dict()))
    assert_same(tensors(other.state), tensors(env.state))
    assert_same(walk(other, 12, seed=3), walk(env, 12, seed=3))


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("steps", [0, 2, 7])
@pytest.mark.parametrize("case", CASES)
def test_a_restored_env_continues_bit_by_bit(case, steps, rows, find_market):
    seller, guardrails, config = CASES[case]
    market = find_market(seller)
    assert market.remembers
    assert_continues(market, rows, steps, guardrails, config)


@pytest.mark.compiler
@pytest.mark.slow
def test_a_compiled_env_continues_bit_by_bit(find_market):
    assert_continues(find_market("several"), rows=5, steps=4, config=EnvConfig(horizon=9, compile=True))


def test_a_state_is_a_copy_and_can_be_loaded_before_the_first_reset(find_market):
    env, other = (PricingVectorEnv(5, find_market("several")) for _ in range(2))
    env.reset(seed=1)
    state = env.state_dict()
    before = as_saved(state)
    expected = walk(env, 3, seed=2)
    assert all(torch.equal(state["state"][name], value) for name, value in before["state"].items())
    assert other.load_state_dict(state)
    assert_same(walk(other, 3, seed=2), expected)


def outside(state, name, value):
    changed = as_saved(state)
    changed["state"][name][0] = value
    return changed


@pytest.mark.parametrize(
    "change",
    [
        lambda state: outside(state, "product", 3),
        lambda state: outside(state, "product", -1),
        lambda state: outside(state, "draw", 99),
        lambda state: state | {"generator": torch.zeros(16, dtype=torch.uint8)},
        lambda state: state | {"state": {**state["state"], "window": state["state"]["window"][1:]}},
        lambda state: state | {"state": {**state["state"], "trail": state["state"]["prices"]}},
        lambda state: state | {"state": {name: value[..., 1:] for name, value in state["state"].items()}},
    ],
    ids=["product", "negative product", "draw", "device", "window", "limits", "rows"],
)
def test_a_state_that_does_not_fit_changes_nothing(change, find_market):
    env, other = (PricingVectorEnv(5, find_market("several")) for _ in range(2))
    env.reset(seed=1)
    other.reset(seed=1)
    assert not env.load_state_dict(change(env.state_dict()))
    assert_same(walk(env, 3, seed=2), walk(other, 3, seed=2))


def test_a_single_env_continues_bit_by_bit(find_market):
    env, other = (gymnasium.make(ENV_ID, market=find_market("one")).unwrapped for _ in range(2))
    assert isinstance(env, PricingEnv)
    env.reset(seed=1)
    env.step(np.float32([0.3]))
    other.reset(seed=2)
    assert other.load_state_dict(as_saved(env.state_dict()))
    for action in np.float32([[0.5], [-0.5], [0.1]]):
        (observation, *rest), (expected, *others) = other.step(action), env.step(action)
        assert np.array_equal(observation, expected) and rest == others
