"""Configurations: the user's own files, and those of the package, which are found by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from pricerl.cli.usage import option_values
from pricerl.errors import UsageError, did_you_mean

SHIPPED = Path(__file__).parents[1] / "configs"
"""Folder of the configurations in the package; the one of this name in a checkout is a link to it."""

OPTIONS = ("--config", "-c")


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
        if option in OPTIONS and equals:
            found[at] = f"{option}={find_config(value)}"
        elif at and words[at - 1] in OPTIONS:
            found[at] = find_config(word)
    return found


def read_configs(words: Sequence[str]) -> list[dict[str, Any]]:
    """Return the settings of each ``--config``, a file, a name or inline YAML in braces.

    Raises:
        UsageError: a configuration is missing, a folder, not text or not a YAML mapping.
    """
    return [_read_config(name) for name in option_values(words, *OPTIONS)]


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
