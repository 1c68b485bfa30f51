"""Configurations that a command names, and the packages whose classes, functions and environments it may use.

A configuration is the user's own file, or one of the package, which is found by name. Only ``--allow`` on the command
line allows further packages. Configurations, and settings stored in checkpoints, may name classes and environments of
others, but these are refused before anything is imported.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from pricerl.cli.usage import option_values
from pricerl.errors import UsageError, did_you_mean

SHIPPED = Path(__file__).parents[1] / "configs"
"""Folder of the configurations in the package; the one of this name in a checkout is a link to it."""

CONFIG_OPTIONS = ("--config", "-c")

OWN = ("pricerl", "lightning")
"""Packages that are always allowed."""

ENTRY_POINT = re.compile(r"([A-Za-z_][\w.]*):[A-Za-z_][\w./:-]*")
"""Text from which Gymnasium, or an environment that makes another one, imports a module."""

_ever_allowed: set[str] = set(OWN)
"""Packages allowed by any command of this process: the parser's list is global, and each command renews it."""


def shipped_names() -> list[str]:
    """Return the names of the package's configurations, such as ``quickstart`` and ``gym/sac``."""
    return sorted(path.relative_to(SHIPPED).with_suffix("").as_posix() for path in SHIPPED.rglob("*.yaml"))


def find_config(name: str) -> str:
    """Return the path of a configuration: the user's own file, else one of the package.

    Args:
        name: file, or a name of `shipped_names`, also written ``quickstart.yaml`` or ``configs/quickstart.yaml``;
            inline YAML in braces is returned as it is.
    """
    if name.lstrip().startswith("{") or Path(name).is_file():
        return name
    shipped = SHIPPED / f"{name.removeprefix(f'{SHIPPED.name}/').removesuffix('.yaml')}.yaml"
    inside = SHIPPED in shipped.parents and ".." not in shipped.parts
    return str(shipped) if inside and shipped.is_file() else name


def with_found_configs(words: Sequence[str]) -> list[str]:
    """Return a command's words with the path of each configuration instead of its name."""
    found = list(words)
    for at, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in CONFIG_OPTIONS and equals:
            found[at] = f"{option}={find_config(value)}"
        elif at and words[at - 1] in CONFIG_OPTIONS:
            found[at] = find_config(word)
    return found


def read_configs(words: Sequence[str]) -> list[dict[str, Any]]:
    """Return the settings of each ``--config``, a file, a name or inline YAML in braces.

    Raises:
        UsageError: a configuration is missing, a folder, not text or not a YAML mapping.
    """
    return [_read_config(name) for name in option_values(words, *CONFIG_OPTIONS)]


def _read_config(name: str) -> dict[str, Any]:
    path = Path(found := find_config(name))
    try:
        content = yaml.safe_load(found if found.lstrip().startswith("{") else path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        near = [*shipped_names(), *(str(item) for item in path.parent.glob("*.y*ml"))]
        raise UsageError(f"--config {name}: there is no such file{did_you_mean(name, near)}") from error
    except IsADirectoryError as error:
        raise UsageError(f"--config {name} is a folder; name a YAML file in it") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--config {name} is not a text file; write the configuration as YAML in UTF-8") from error
    except OSError as error:
        raise UsageError(f"--config {name} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"
        what = getattr(error, "problem", None) or getattr(error, "reason", "")
        raise UsageError(f"--config {name} is not valid YAML{where}: {what}") from error
    if content is not None and not isinstance(content, dict):
        raise UsageError(f"--config {name} must hold settings such as 'data:' or 'trainer:', found {content!r:.40}")
    return content or {}


def names_a_class(words: Sequence[str]) -> bool:
    """Return whether options or configurations choose a class for data or model."""
    if any(word.partition("=")[0] in ("--data", "--model") or ".class_path" in word for word in words):
        return True
    files = [Path(find_config(name)) for name in option_values(words, *CONFIG_OPTIONS)]
    return any("class_path" in path.read_text(encoding="utf-8", errors="replace") for path in files if path.is_file())


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
    from jsonargparse import set_parsing_settings

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
