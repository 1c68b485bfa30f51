"""A Gymnasium environment whose state was saved continues bit by bit, or says that it cannot be saved."""

from __future__ import annotations

from collections import deque

import gymnasium
import numpy as np
import pytest
import torch
from adapter_toys import TOY, Toy, rows
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from saved_states import as_saved

from pricerl.env import ENV_ID, EnvConfig, GymVectorEnv
from pricerl.env.plain_values import CannotSaveError, Decoder, Encoder
from pricerl.market import DemandConfig
from pricerl.simulation import SellerConfig


class Drift(gymnasium.Env):
    """A number drifts at random and is kept in a history; the subclasses keep more, or keep it elsewhere."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = spaces.Box(-1.0, 1.0, (1,), np.float64)

    def __init__(self):
        self.past = deque(maxlen=3)
        self.parts = {"place": np.zeros(1), 2: [1.5, (None, np.float32(0.1))]}
        self.alias = self.parts["place"]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.alias[:] = self.np_random.normal()
        return self.alias, {}

    def step(self, action):
        self.past.append(float(action[0]))
        self.alias += action + self.np_random.normal() + sum(self.past) + self.drift()
        return self.parts["place"], float(self.alias[0]), abs(self.alias[0]) > 9, False, {}

    def drift(self):
        return 0.0


class Engine:
    speed = 0.1


class WithObject(Drift):
    def __init__(self):
        super().__init__()
        self.engine = Engine()


class WithView(Drift):
    def __init__(self):
        super().__init__()
        self.view = self.alias[:]


class WithSlot(Drift):
    __slots__ = ("hidden",)


class OwnState(WithObject):
    """Knows how to save its engine."""

    def reset(self, *, seed=None, options=None):
        self.engine.speed = 0.1
        return super().reset(seed=seed)

    def drift(self):
        self.engine.speed *= 1.1
        return self.engine.speed

    def state_dict(self):
        return {"place": self.alias.copy(), "past": list(self.past), "speed": self.engine.speed, "rng": self.np_random}

    def load_state_dict(self, state):
        self.alias[:], self.engine.speed, self._np_random = state["place"], state["speed"], state["rng"]
        self.past = deque(state["past"], maxlen=3)


class Liar(OwnState):
    """Forgets its speed."""

    def load_state_dict(self, state):
        super().load_state_dict({**state, "speed": 0.1})


class Foreign(OwnState):
    def state_dict(self):
        return {"engine": self.engine}


class Global(Drift):
    """Keeps its speed where no attribute shows it."""

    speeds: dict[str, float] = {}  # noqa: RUF012 - the point of the toy

    def drift(self):
        self.speeds["one"] = self.speeds.get("one", 0.0) + 0.1
        return self.speeds["one"]


class Failing(Drift):
    """Allows one copy at a time to be stepped."""

    taken = False

    def step(self, action):
        if Failing.taken and not getattr(self, "first", False):
            raise ArithmeticError
        Failing.taken = self.first = True
        return super().step(action)


KINDS = (Drift, WithObject, WithView, WithSlot, OwnState, Liar, Foreign, Global, Failing)
for kind in KINDS:
    gymnasium.register(f"states/{kind.__name__}-v0", kind, max_episode_steps=20)


def walk(env, steps, seed=3):
    """Everything that the next steps return."""
    generator, found = torch.Generator().manual_seed(seed), []
    for _ in range(steps):
        actions = 2 * torch.rand(env.num_envs, env.action_dim, generator=generator) - 1
        observation, reward, *ends, info = env.step(actions)
        found.append([value.tolist() for value in (observation, reward, *ends, *info.values())])
    return found


def check_that_it_continues(env_id, settings=None, steps=(0, 13), later=60):
    for before in steps:
        env, other = (GymVectorEnv(env_id, 2, settings=settings) for _ in range(2))
        env.reset(seed=4)
        walk(env, before, seed=1)
        other.reset(seed=8)
        walk(other, 3, seed=2)
        assert other.load_state_dict(as_saved(env.state_dict())), env.unsaved_reason
        assert walk(other, later) == walk(env, later)
        assert env._when() == other._when() == f"in step {before + later} after the reset"


@pytest.mark.parametrize(
    "env_id", ["Pendulum-v1", "MountainCarContinuous-v0", "states/Drift-v0", "states/OwnState-v0", TOY]
)
def test_a_restored_environment_continues_bit_by_bit_across_resets(env_id):
    check_that_it_continues(env_id, steps=(0, 13, 190) if env_id == "Pendulum-v1" else (0, 13))


@pytest.mark.parametrize("name", ["HalfCheetah-v4", "Ant-v5", "Hopper-v5"])
def test_a_restored_mujoco_environment_continues_bit_by_bit(name, tmp_path, monkeypatch):
    pytest.importorskip("mujoco")
    monkeypatch.chdir(tmp_path)
    check_that_it_continues(name)


def test_another_mujoco_model_is_not_continued(tmp_path, monkeypatch):
    pytest.importorskip("mujoco")
    monkeypatch.chdir(tmp_path)
    env, other = (GymVectorEnv("HalfCheetah-v4") for _ in range(2))
    env.reset(seed=0)
    other._envs.envs[0].unwrapped.model.body_mass[1] *= 1.1
    assert not other.load_state_dict(env.state_dict())


def test_the_market_as_a_gymnasium_environment_continues_bit_by_bit(fitted):
    market = fitted(SellerConfig(days=130, units=30.0), DemandConfig(num_draws=8))
    check_that_it_continues(ENV_ID, {"market": market, "config": EnvConfig(horizon=9)})


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("WithObject", "engine of WithObject is of the type Engine"),
        ("WithView", "view of WithView shares its memory with another array"),
        ("WithSlot", "hidden of WithSlot is a slot"),
        ("Foreign", r"state_dict\(\) of Foreign is of the type Engine"),
        ("Liar", "a copy with the same attributes continues differently"),
        ("Global", "a copy with the same attributes continues differently"),
        ("Failing", "a copy with the same attributes continues differently"),
    ],
)
def test_an_environment_that_cannot_be_saved_gives_the_reason(name, reason):
    env = GymVectorEnv(f"states/{name}-v0")
    assert env.unsaved_reason == ""
    env.reset(seed=0)
    assert env.state_dict() is None
    with pytest.raises(AssertionError, match=f"^{reason}$"):
        raise AssertionError(env.unsaved_reason)


@pytest.mark.parametrize("env_id", ["Pendulum-v1", "states/Drift-v0", "states/Liar-v0"])
def test_saving_does_not_disturb_the_environment_and_leaves_no_copy_open(env_id):
    env, other = (GymVectorEnv(env_id, 2) for _ in range(2))
    for each in (env, other):
        each.reset(seed=4)
    torch.manual_seed(5)
    for _ in range(3):
        env.state_dict()
        assert walk(env, 25) == walk(other, 25)
    assert torch.initial_seed() == 5
    already_open, toy = Toy.num_open, GymVectorEnv(TOY)
    toy.reset(seed=0)
    assert toy.state_dict() is not None and Toy.num_open == already_open + 1


def test_the_proof_is_made_once(monkeypatch):
    env = GymVectorEnv("Pendulum-v1")
    env.reset(seed=0)
    env.state_dict()
    monkeypatch.setattr(env, "_make_row", None)
    assert env.state_dict() is not None


def test_a_state_is_a_copy():
    env = GymVectorEnv(TOY)
    env.reset(seed=0)
    state = env.state_dict()
    before = as_saved(state)
    env.step(rows(0.3))
    attributes, others = (list(saved["rows"]["0"].values())[-1]["attributes"] for saved in (state, before))
    assert torch.equal(attributes["seen"]["bytes"], others["seen"]["bytes"])


def test_the_state_of_another_environment_or_number_of_rows_does_not_fit():
    env = GymVectorEnv("Pendulum-v1", 2)
    env.reset(seed=0)
    state = env.state_dict()
    assert not GymVectorEnv("MountainCarContinuous-v0", 2).load_state_dict(state)
    assert not GymVectorEnv("Pendulum-v1", 3).load_state_dict(state)
    for env_id in ("Pendulum-v1", "states/Drift-v0"):
        other, unchanged = (GymVectorEnv(env_id, 2) for _ in range(2))
        for each in (other, unchanged):
            each.reset(seed=1)
        if env_id != "Pendulum-v1":
            assert not other.load_state_dict(state)
            assert walk(other, 5) == walk(unchanged, 5)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
NESTED = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.lists(inner).map(deque) | st.dictionaries(SCALARS, inner)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=150)
@given(NESTED)
def test_values_come_back_as_they_were(value):
    assert repr(Decoder().decode(as_saved(Encoder().encode(value)))) == repr(value)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
        np.zeros((0, 3), np.float32),
        np.array(["a", "bc"]),
        np.array(True),
        np.array([np.nan, -0.0, np.inf]),
    ],
    ids=str,
)
def test_arrays_come_back_bit_by_bit_in_their_layout_and_can_be_written_to(array):
    found = Decoder().decode(as_saved(Encoder().encode(array)))
    assert (found.dtype, found.shape, found.strides) == (array.dtype, array.shape, array.strides)
    assert found.tobytes() == array.tobytes() and found.flags.writeable


@pytest.mark.parametrize("name", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_generators_continue_and_spawn_the_same(name):
    generator = np.random.Generator(getattr(np.random, name)(7))
    generator.spawn(2)
    generator.normal(size=3)
    generator.integers(9, dtype=np.uint32)
    found = Decoder().decode(as_saved(Encoder().encode(generator)))
    assert (
        found.integers(9, size=5, dtype=np.uint32).tolist() == generator.integers(9, size=5, dtype=np.uint32).tolist()
    )
    assert found.spawn(1)[0].normal() == generator.spawn(1)[0].normal()


def test_the_older_generator_continues():
    state = np.random.RandomState(3)
    state.normal()
    found = Decoder().decode(as_saved(Encoder().encode(state)))
    assert found.normal(size=3).tolist() == state.normal(size=3).tolist()


def test_one_object_in_two_places_comes_back_as_one_even_inside_itself():
    shared = [np.zeros(2), np.float32(1.5), torch.ones(2)]
    shared.append(shared)
    first, second = Decoder().decode(as_saved(Encoder().encode((shared, {"again": shared[0]}))))
    assert first[0] is second["again"] and first[3] is first
    assert type(first[1]) is np.float32 and torch.equal(first[2], torch.ones(2))


@pytest.mark.parametrize(
    "value",
    [object(), np.array([object()]), {1, 2}, torch.ones(1, requires_grad=True), lambda: 0, np.ma.masked_array([1])],
    ids=lambda value: type(value).__name__,
)
def test_other_values_are_refused(value):
    with pytest.raises(CannotSaveError):
        Encoder().encode([value])


@pytest.mark.parametrize("state", [{"kind": "generator", "state": {"kind": "dict"}}, {"kind": "code", "state": None}])
def test_a_state_of_an_unknown_kind_restores_nothing(state):
    with pytest.raises((ValueError, KeyError, TypeError)):
        Decoder().decode(state)


def test_a_state_names_no_generator_but_numpys():
    state = as_saved(Encoder().encode(np.random.default_rng(0)))
    place = state["state"]["keys"].index("bit_generator")
    values = state["state"]["values"]
    values[place if isinstance(values, list) else str(place)] = "seed"
    with pytest.raises(ValueError, match="no value of kind generator can be restored"):
        Decoder().decode(state)
