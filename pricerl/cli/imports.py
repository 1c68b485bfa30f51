"""Allow-list of imports: packages whose classes, functions and environments a command may use.

Only ``--allow`` on the command line extends it. Configurations, and settings stored in checkpoints, may name classes
and environments of other packages, but these are refused before anything is imported.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import Any

from jsonargparse import set_parsing_settings

from pricerl.cli.usage import option_values
from pricerl.errors import UsageError

OWN = ("pricerl", "lightning")
"""Packages that are always allowed."""

ENTRY_POINT = re.compile(r"([A-Za-z_][\w.]*):[A-Za-z_][\w./:-]*")
"""Text from which Gymnasium, or an environment that makes another one, imports a module."""

_ever_allowed: set[str] = set(OWN)
"""Packages allowed by any command of this process: the parser's list is global, and each command renews it."""


def allowed_packages(words: Sequence[str]) -> tuple[str, ...]:
    """Return the packages that a command may import, in order: those of ``--allow``, repeated or separated by commas.

    Raises:
        UsageError: a name is not that of a package.
    """
    given = [name.strip() for value in option_values(words, "--allow") for name in value.split(",")]
    for name in given:
        if not all(part.isidentifier() for part in name.split(".")):
            raise UsageError(f"--allow: must be the name of a package such as my_package, found {name!r}")
    return tuple(dict.fromkeys((*OWN, *given)))


def without_allow(words: Sequence[str]) -> list[str]:
    """Return a command's words without ``--allow``, which no configuration may set and no run stores."""
    values = {number + 1 for number, (word, _) in enumerate(pairwise(words)) if word == "--allow"}
    kept = [word for number, word in enumerate(words) if number not in values]
    return [word for word in kept if word.partition("=")[0] != "--allow"]


def import_allowed(packages: Sequence[str]) -> None:
    """Let the parser import only the given packages, and import them, so that they can register what they add.

    Raises:
        UsageError: a package does not exist.
    """
    _ever_allowed.update(packages)
    set_parsing_settings(import_path_denylist=["*", *sorted(_ever_allowed)], import_path_allowlist=list(packages))
    for name in packages[len(OWN) :]:
        _import(name, f"--allow {name}")


def import_environment(env_id: str | None, settings: Any, packages: Collection[str], place: str = "") -> None:
    """Import the module before the colon of an environment's id; refuse modules outside the allowed packages.

    Args:
        env_id: id of a Gymnasium environment, ``module:Id`` or plain.
        settings: keyword arguments of the environment, which may name modules as well.
        packages: allowed packages.
        place: origin of the settings, for the message.

    Raises:
        UsageError: a module is not allowed, or does not exist.
    """
    for text in [env_id or "", *_texts(settings)]:
        if (named := ENTRY_POINT.fullmatch(text)) and not is_allowed(named[1], packages):
            raise UsageError(refusal(text, named[1], place))
    if named := ENTRY_POINT.fullmatch(env_id or ""):
        _import(named[1], str(env_id))


def is_allowed(module: str, packages: Collection[str]) -> bool:
    """Return whether a module, or a class by its path, is in an allowed package."""
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def refusal(name: str, module: str, place: str = "") -> str:
    """Return the message about something that would be imported from a package that is not allowed."""
    return f"{place}{name} is not imported without --allow {module.partition('.')[0]}"


def _import(module: str, place: str) -> None:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise UsageError(
            f"{place}: there is no module {error.name!r}; correct its name, install it or put its folder on PYTHONPATH"
        ) from error


def _texts(settings: Any) -> Iterator[str]:
    """Yield every text in nested settings."""
    if isinstance(settings, str):
        yield settings
    elif isinstance(settings, dict):
        for key, value in settings.items():
            yield from _texts(key)
            yield from _texts(value)
    elif isinstance(settings, (list, tuple)):
        for value in settings:
            yield from _texts(value)
