"""Arguments of data and modules, kept so that a checkpoint of a plain Trainer stores the settings of its run."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from typing_extensions import Self

from pricerl.runs.checkpoint import USUAL_CLASSES, without_query

OWN = "pricerl."
"""Beginning of the modules whose configs are rebuilt from their values alone."""


class KeepsArguments:
    """Base of classes whose objects keep the arguments that they were made with."""

    def __new__(cls, *values: Any, **named: Any) -> Self:
        """Return a new object with its arguments, defaults included, under the attribute ``arguments``."""
        made = super().__new__(cls)
        signature = inspect.signature(cls.__init__)
        try:
            bound = signature.bind_partial(made, *values, **named)
        except TypeError:  # the constructor says what is wrong
            return made
        bound.apply_defaults()
        _, *given = bound.arguments.items()
        kept: dict[str, Any] = {}
        for name, value in given:
            collects = signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
            kept.update(value if collects else {name: value})
        vars(made)["arguments"] = kept
        return made


def settings_of(data: Any, module: Any) -> dict[str, Any] | None:
    """Return the settings of a run from the arguments of its data and module, in the form that commands store.

    Returns:
        None if a command could not rebuild them: a class is not importable, or an argument is an object of a user's.
    """
    try:
        settings = {"data": _group("data", data), "model": _group("model", module)}
    except TypeError:
        return None
    own = settings["data"].get("init_args", settings["data"])
    for name, value in data.choices.items():
        group, _, key = name.partition(".")
        own[group] = {**own.get(group, {}), key: value}
    return without_query({**settings, "seed_everything": data.seed})


def _group(group: str, made: Any) -> dict[str, Any]:
    kind = type(made)
    path = f"{kind.__module__}.{kind.__qualname__}"
    kept = getattr(made, "arguments", None)
    if kept is None or kind.__module__ == "__main__" or "<locals>" in path:
        raise TypeError(f"{path} cannot be rebuilt")
    settings = {name: _plain(value) for name, value in kept.items() if name not in ("task", "seed", "path")}
    return settings if path == USUAL_CLASSES[group] else {"class_path": path, "init_args": settings}


def _plain(value: Any) -> Any:
    """Return a value as the command line has it.

    Raises:
        TypeError: it is an object that its values do not determine.
    """
    if is_dataclass(value) and type(value).__module__.startswith(OWN):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not a setting")
