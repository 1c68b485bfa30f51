"""Configurations that a command names, and the classes and environments that it may import.

A configuration is the user's own file, or one of the package, found by its name. Only ``--allow`` on the command line
allows further packages: classes of others are refused before anything is imported.
"""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from pricerl.cli.usage import CONFIG_OPTIONS, option_values, replace_options
from pricerl.errors import UsageError, did_you_mean
from pricerl.runs.names import USUAL_CLASSES

SHIPPED = Path(__file__).parents[1] / "configs"
"""Folder of the configurations in the package; the one of this name in a checkout is a link to it."""

GYM_CLASS = "pricerl.training.gym_data.GymDataModule"

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
    """Return the path of a configuration: the user's own file, else one of the package; inline YAML as it is.

    Names of `shipped_names` may also be written ``quickstart.yaml`` or ``configs/quickstart.yaml``.
    """
    if name.lstrip().startswith("{") or Path(name).is_file():
        return name
    shipped = SHIPPED / f"{name.removeprefix(f'{SHIPPED.name}/').removesuffix('.yaml')}.yaml"
    inside = SHIPPED in shipped.parents and ".." not in shipped.parts
    return str(shipped) if inside and shipped.is_file() else name


def read_configs(words: Sequence[str]) -> list[dict[str, Any]]:
    """Return the settings of each ``--config``, a file, a name or inline YAML in braces."""
    return [read_config(name) for name in option_values(words, *CONFIG_OPTIONS)]


def read_config(name: str) -> dict[str, Any]:
    """Return the settings of one configuration."""
    from jsonargparse import get_loader

    path = Path(found := find_config(name))
    try:
        content = get_loader("yaml")(found if found.lstrip().startswith("{") else path.read_text(encoding="utf-8"))
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


def allowed_packages(words: Sequence[str]) -> tuple[str, ...]:
    """Return the packages that a command may import: pricerl, Lightning and those of ``--allow``, in order."""
    given = [name.strip() for value in option_values(words, "--allow") for name in value.split(",")]
    for name in given:
        if not all(part.isidentifier() for part in name.split(".")):
            raise UsageError(f"--allow: must be the name of a package such as my_package, found {name!r}")
    return tuple(dict.fromkeys((*OWN, *given)))


def import_allowed(packages: Sequence[str]) -> None:
    """Let the parser import only the given packages, and import them, so that they can register what they add."""
    from jsonargparse import set_parsing_settings

    _ever_allowed.update(packages)
    set_parsing_settings(import_path_denylist=["*", *sorted(_ever_allowed)], import_path_allowlist=list(packages))
    for name in packages[len(OWN) :]:
        _import(name, f"--allow {name}")


def import_environment(env_id: str | None, settings: Any, packages: Collection[str], place: str = "") -> None:
    """Import the module before the colon of an environment's id; refuse modules outside the allowed packages.

    The settings of the environment may name modules as well; the message about one that is not allowed, or that does
    not exist, a ``UsageError``, begins with the ``place`` of the settings.
    """
    for text in [env_id or "", *_texts(settings)]:
        if (named := ENTRY_POINT.fullmatch(text)) and not is_allowed(named[1], packages):
            raise UsageError(refusal(text, named[1], place))
    if named := ENTRY_POINT.fullmatch(env_id or ""):
        _import(named[1], str(env_id))


def refuse_paths(settings: Any, place: str) -> None:
    """Refuse stored settings of an environment that may name a file, with a ``UsageError``."""
    for text in _texts(settings):
        if "/" in text or "\\" in text:
            raise UsageError(
                f"{place}data.env_settings names {text!r}; if it is yours, name it with --data.env_settings"
            )


def take_classes(words: Sequence[str], packages: Collection[str], place: str = "") -> tuple[list[str], dict[str, str]]:
    """Return a command's words without the classes that they choose for model and data, and their paths by group.

    The settings of a class, ``init_args`` in a configuration, become those of its group. The setting ``env_id`` alone
    chooses the data of a Gymnasium environment. A configuration that cannot be read, or a class that is unknown or in
    none of the ``packages`` that may be imported, is a ``UsageError``, which begins with the ``place`` of the words.
    """
    named: dict[str, str] = {}
    env_ids: list[Any] = option_values(words, "--data.env_id")

    def take_config(option: str, name: str) -> list[str]:
        settings = read_config(name)
        whole = dict(settings)
        for group in [name for name in USUAL_CLASSES if name in settings]:
            found = {"class_path": whole[group]} if isinstance(whole[group], str) else whole[group] or {}
            if not isinstance(found, dict):
                raise UsageError(f"{group} must hold settings such as '{group}: {{...}}', found {found!r:.40}")
            plain = {key.removeprefix("init_args."): value for key, value in found.items() if key != "init_args"}
            settings[group] = {**plain, **(found.get("init_args") or {})}
            if chosen := settings[group].pop("class_path", None):
                named[group] = str(chosen)
            env_ids.append(settings[group].get("env_id"))
        if settings == whole:
            return [option, find_config(name)]
        return [option, yaml.safe_dump(settings, default_flow_style=True, width=math.inf)]

    def take_option(option: str, value: str) -> list[str]:
        named[option.removeprefix("--").removesuffix(".class_path")] = value
        return []

    kept = replace_options(words, CONFIG_OPTIONS, take_config)
    choices = [f"--{group}{ending}" for group in USUAL_CLASSES for ending in ("", ".class_path")]
    kept = replace_options(kept, choices, take_option)
    kept = [word.replace(".init_args.", ".", 1) if word.startswith("--") else word for word in kept]
    if any(env_id is not None for env_id in env_ids):
        named.setdefault("data", GYM_CLASS)
    return kept, {group: _find_class(group, name, packages, place) for group, name in named.items()}


def _find_class(group: str, name: str, packages: Collection[str], place: str) -> str:
    """Import a class of an allowed package, and return its path; classes of pricerl are known by their names."""
    from pricerl.training.datamodule import ReplayDataModule  # imports torch
    from pricerl.training.loop import OffPolicyModule

    place = place or f"--{group}: "
    own = {path.rpartition(".")[2]: path for path in (*USUAL_CLASSES.values(), GYM_CLASS)}
    path = own.get(name, name)
    module, _, last = path.rpartition(".")
    if module and not is_allowed(path, packages):
        raise UsageError(refusal(path, path, place))
    found = getattr(_import(module, place + path), last, None) if module else None
    base = OffPolicyModule if group == "model" else ReplayDataModule
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
