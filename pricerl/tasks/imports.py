"""Import of a user's own classes and environments.

Only packages that the user allows are imported: classes of others are refused before anything is imported.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Collection, Iterator, Sequence
from types import ModuleType
from typing import Any

from jsonargparse import set_parsing_settings

from pricerl.errors import UsageError, refuse
from pricerl.runs.names import USUAL_CLASSES

GYM_CLASS = "pricerl.training.gym_data.GymDataModule"

OWN = ("pricerl", "lightning")
"""Packages that are always allowed."""

ENTRY_POINT = re.compile(r"([A-Za-z_][\w.]*):[A-Za-z_][\w./:-]*")
"""Text from which Gymnasium, or an environment that makes another one, imports a module."""

_ever_allowed: set[str] = set(OWN)
"""Packages allowed by any command of this process: the parser's list is global, and each command renews it."""


def allowed_packages(given: Sequence[str]) -> tuple[str, ...]:
    """Return the packages that a command may import: pricerl, Lightning and what ``--allow`` names, in order."""
    names = [name.strip() for value in given for name in value.split(",")]
    wrong = [name for name in names if not all(part.isidentifier() for part in name.split("."))]
    refuse({f"--allow: must be the name of a package such as my_package, found {name!r}": True for name in wrong})
    return tuple(dict.fromkeys((*OWN, *names)))


def import_allowed(packages: Sequence[str]) -> None:
    """Let the parser import only the given packages, and import them, so that they can register what they add."""
    _ever_allowed.update(packages)
    set_parsing_settings(import_path_denylist=["*", *sorted(_ever_allowed)], import_path_allowlist=list(packages))
    for name in packages[len(OWN) :]:
        _import(name, f"--allow {name}")


def import_environment(env_id: str | None, settings: Any, packages: Collection[str], place: str = "") -> None:
    """Import the module before the colon of an environment's id; refuse modules outside the allowed packages.

    The settings of the environment may name modules as well; the message about one that is not allowed, or that does
    not exist, a ``UsageError``, begins with the ``place`` of the settings.
    """
    found = filter(None, map(ENTRY_POINT.fullmatch, [env_id or "", *_texts(settings)]))
    refuse({refusal(named[0], named[1], place): not is_allowed(named[1], packages) for named in found})
    if named := ENTRY_POINT.fullmatch(env_id or ""):
        _import(named[1], str(env_id))


def refuse_paths(settings: Any, place: str) -> None:
    """Refuse stored settings of an environment that may name a file, with a ``UsageError``."""
    refuse(
        {
            f"{place}data.env_settings names {text!r}; if it is yours, name it with --data.env_settings": True
            for text in _texts(settings)
            if "/" in text or "\\" in text
        }
    )


def find_class(name: str, packages: Collection[str], place: str, base: type = object) -> str:
    """Import a class of an allowed package, and return its path; classes of pricerl are known by their names."""
    own = {path.rpartition(".")[2]: path for path in (*USUAL_CLASSES.values(), GYM_CLASS)}
    path = own.get(name, name)
    module, _, last = path.rpartition(".")
    refuse({refusal(path, path, place): module and not is_allowed(path, packages)})
    found = getattr(_import(module, place + path), last, None) if module else None
    if not (isinstance(found, type) and issubclass(found, base)):
        raise UsageError(f"{place}there is no subclass {name} of {base.__name__}")
    return path


def is_allowed(module: str, packages: Collection[str]) -> bool:
    """Return whether a module, or a class by its path, is in an allowed package."""
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def refusal(name: str, module: str, place: str = "") -> str:
    """Return the message about something that would be imported from a package that is not allowed."""
    return f"{place}{name} is not imported without --allow {module.partition('.')[0]}"


def _import(module: str, place: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise UsageError(
            f"{place}: there is no module {error.name!r}; correct its name, install it or put its folder on PYTHONPATH"
        ) from error


def _texts(settings: Any) -> Iterator[str]:
    """Yield every text in nested settings, keys included."""
    if isinstance(settings, str):
        yield settings
    elif isinstance(settings, (dict, list, tuple)):
        for part in settings.items() if isinstance(settings, dict) else settings:
            yield from _texts(part)
