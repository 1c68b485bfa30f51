"""Snapshots of Gymnasium environments: all attributes along the chain of wrappers, or the environment's own state.

An environment that defines ``state_dict`` and ``load_state_dict`` is saved by them. Of any other one, the attributes
are saved: plain values, arrays, generators, and MuJoCo's simulation. Some attributes are constant and only compared;
all others make the environment impossible to save. State outside of its attributes, such as a global variable, is not
seen. `continues_exactly` therefore tests a snapshot before it is relied on.
"""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Callable, Iterable
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from pricerl.env.plain_values import CannotSaveError, Decoder, Encoder

Env = gymnasium.Env[Any, Any]

PROBE_STEPS = 8
"""Steps that the copies of `continues_exactly` are compared for, before and after a reset."""

CONSTANT_NAMES = ("metadata", "_metadata", "_saved_kwargs", "_ezpickle_args", "_ezpickle_kwargs")
"""Attributes that describe how an environment was made."""

CONSTANT_TYPES = (spaces.Space, EnvSpec, type, ModuleType, BuiltinFunctionType)

OWN_PACKAGES = ("gymnasium", "pricerl")
"""Packages whose functions from within a function are known to be constant."""


def take_snapshot(env: Env) -> dict[str, Any]:
    """Return the state of an environment and of its wrappers as a nested dict of tensors and plain values.

    Raises:
        CannotSaveError: an attribute, which the message names, cannot be saved.
    """
    encoder = Encoder()
    return {str(index): _take_layer(layer, encoder) for index, layer in enumerate(_layers(env))}


def restore_snapshot(env: Env, snapshot: dict[str, Any]) -> bool:
    """Restore a snapshot; return False, and change nothing, if it is of another environment.

    An environment's own ``load_state_dict`` may also return False; then wrappers may have changed.
    """
    layers, decoder = _layers(env), Decoder()
    saved = [snapshot[str(index)] for index in range(len(snapshot))]
    if [_describe(type(layer)) for layer in layers] != [layer["class"] for layer in saved]:
        return False
    if any(_constants(layer) != values["constants"] for layer, values in zip(layers, saved, strict=True)):
        return False
    return all(_restore_layer(*pair, decoder) for pair in zip(layers, saved, strict=True))


def continues_exactly(make: Callable[[], Env]) -> bool:
    """Return whether a copy with another's snapshot returns the same, bit by bit, before and after a reset.

    Args:
        make: makes a copy of the environment; two are made, stepped and closed.
    """
    made: list[Env] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the copies of training have given the same warnings
            for seed, steps in ((1, 6), (2, 4)):  # both end within an episode, if episodes are that long
                made.append(make())
                made[-1].reset(seed=seed)
                _follow(made[-1], steps, seed)
            first, second = made
            return restore_snapshot(second, take_snapshot(first)) and _follow(first) == _follow(second)
    except Exception:  # an environment can raise anything, and then nothing is proved
        return False
    finally:
        for env in made:
            env.close()


def _follow(env: Env, steps: int = PROBE_STEPS, seed: int = 0) -> list[Any]:
    """Return what an environment returns in random steps, a reset, and as many steps again."""
    generator = np.random.default_rng(seed)
    found: list[Any] = []
    shape = env.action_space.shape
    for number in range(2 * steps):
        action = generator.uniform(-1, 1, shape).astype(env.action_space.dtype)
        observation, *results, _ = env.step(action)
        found.append((np.asarray(observation).tobytes(), [np.asarray(result).tobytes() for result in results]))
        if number == steps or any(results[1:]):
            observation, _ = env.reset()
            found.append(np.asarray(observation).tobytes())
    return found


def _layers(env: Env) -> list[Env]:
    """Return the wrappers from the outermost on, and the environment."""
    layers = [env]
    while isinstance(layers[-1], gymnasium.Wrapper):
        layers.append(layers[-1].env)
    return layers


def _has_own_state(env: Env) -> bool:
    if isinstance(env, gymnasium.Wrapper):
        return False
    return all(callable(getattr(env, name, None)) for name in ("state_dict", "load_state_dict"))


def _take_layer(layer: Env, encoder: Encoder) -> dict[str, Any]:
    saved = {"class": _describe(type(layer)), "constants": _constants(layer)}
    try:
        if _has_own_state(layer):
            name = "state_dict()"
            return {**saved, "own": encoder.encode(layer.state_dict())}  # type: ignore[attr-defined]  # checked
        if slots := [slot for kind in type(layer).__mro__ for slot in vars(kind).get("__slots__", ())]:
            name = slots[0]
            raise CannotSaveError("is a slot")
        attributes: dict[str, Any] = {}
        for name, value in _varying(layer):
            attributes[name] = _simulation(layer, value) or encoder.encode(value)
    except CannotSaveError as error:
        raise CannotSaveError(f"{name} of {type(layer).__name__} {error}") from error
    return {**saved, "attributes": attributes}


def _restore_layer(layer: Env, saved: dict[str, Any], decoder: Decoder) -> bool:
    if "own" in saved:
        return layer.load_state_dict(decoder.decode(saved["own"])) is not False  # type: ignore[attr-defined]  # checked
    attributes = saved["attributes"]
    for name in [name for name, _ in _varying(layer) if name not in attributes]:
        del vars(layer)[name]
    for name, value in attributes.items():
        if isinstance(value, dict) and value["kind"] == "simulation":
            _set_simulation(layer, vars(layer)[name], value)
        else:
            vars(layer)[name] = decoder.decode(value)
    return True


def _varying(layer: Env) -> Iterable[tuple[str, Any]]:
    """Return the attributes that are not constant; not the wrapped environment, and no specification made on demand."""
    skipped = ("env", "_cached_spec") if isinstance(layer, gymnasium.Wrapper) else ()
    constants = _constants(layer)
    return [(name, value) for name, value in vars(layer).items() if name not in constants and name not in skipped]


def _constants(layer: Env) -> dict[str, str]:
    """Return a description of each constant attribute, by which two environments are compared."""
    if _has_own_state(layer):
        return {}
    skipped = ("env", "_cached_spec") if isinstance(layer, gymnasium.Wrapper) else ()
    return {
        name: _describe(value)
        for name, value in vars(layer).items()
        if name not in skipped and _is_constant(layer, name, value)
    }


def _is_constant(layer: Env, name: str, value: Any) -> bool:
    if name in CONSTANT_NAMES or isinstance(value, CONSTANT_TYPES):
        return True
    if isinstance(value, FunctionType):
        return value.__closure__ is None or value.__module__.partition(".")[0] in OWN_PACKAGES
    if isinstance(value, MethodType):
        return value.__self__ is layer
    mujoco = sys.modules.get("mujoco")
    return mujoco is not None and (isinstance(value, mujoco.MjModel) or type(value).__name__ == "MujocoRenderer")


def _describe(value: Any) -> str:
    """Return what a constant is compared by: a MuJoCo model by its bytes, functions by name, the others by type."""
    mujoco = sys.modules.get("mujoco")
    if mujoco is not None and isinstance(value, mujoco.MjModel):
        content = np.empty(mujoco.mj_sizeModel(value), np.uint8)
        mujoco.mj_saveModel(value, None, content)
        return hashlib.sha256(content.tobytes()).hexdigest()
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def _simulation(layer: Env, value: Any) -> dict[str, Any] | None:
    """Return the state of MuJoCo's ``MjData``, or None for any other value.

    In addition to the state that MuJoCo integrates, it holds the results of the last step, such as positions of bodies
    and contact forces, which environments read before the next one.
    """
    mujoco = sys.modules.get("mujoco")
    if mujoco is None or not isinstance(value, mujoco.MjData):
        return None
    model, what = getattr(layer, "model", None), getattr(mujoco.mjtState, "mjSTATE_INTEGRATION", None)
    if not isinstance(model, mujoco.MjModel) or what is None:
        raise CannotSaveError("belongs to an unknown model, or MuJoCo is older than 2.3.6")
    state = np.empty(mujoco.mj_stateSize(model, what), np.float64)
    mujoco.mj_getState(model, value, state, what)
    results = {name: Encoder().encode(array.copy()) for name, array in _results(value)}
    return {"kind": "simulation", "state": Encoder().encode(state), "results": results}


def _set_simulation(layer: Env, data: Any, saved: dict[str, Any]) -> None:
    mujoco = sys.modules["mujoco"]
    what, model = mujoco.mjtState.mjSTATE_INTEGRATION, layer.model  # type: ignore[attr-defined]  # MuJoCo's
    mujoco.mj_setState(model, data, Decoder().decode(saved["state"]), what)
    for name, array in _results(data):
        value = Decoder().decode(saved["results"][name])
        if value.shape == array.shape:  # the others are allocated in each step, as many as there are contacts
            array[...] = value


def _results(data: Any) -> list[tuple[str, Any]]:
    """Return the arrays of ``MjData`` with results; indices and constraints, ``efc``, are internal to a step."""
    arrays = [(name, getattr(data, name)) for name in dir(data) if not name.startswith("_") and "efc" not in name]
    return [(name, array) for name, array in arrays if isinstance(array, np.ndarray) and array.dtype.kind == "f"]
