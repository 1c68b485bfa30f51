"""Configurations, classes and packages that the words of a command name.

A configuration is the user's own file, or one of the package, found by its name.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import yaml

from pricerl.cli.usage import CONFIG_OPTIONS, option_values, replace_options
from pricerl.errors import UsageError, did_you_mean
from pricerl.runs.names import USUAL_CLASSES
from pricerl.tasks.imports import GYM_CLASS, OWN, find_class

SHIPPED = Path(__file__).parents[1] / "configs"
"""Folder of the configurations in the package; the one of this name in a checkout is a link to it."""


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
    return kept, {group: find_class(group, name, packages, place) for group, name in named.items()}
