"""Configurations and packages that the words of a command name, and failures of others' code.

A configuration is the user's own file, or one of the package, found by its name.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import get_loader

from pricerl.cli.usage import CONFIG_OPTIONS, option_values
from pricerl.errors import EXIT_BUG, EXIT_USAGE, UsageError, did_you_mean
from pricerl.tasks.imports import OWN, is_allowed

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
    path = Path(found := find_config(name))
    try:
        content = get_loader("yaml")(found if found.lstrip().startswith("{") else path.read_text(encoding="utf-8"))
    except OSError as error:
        near = [*shipped_names(), *(str(item) for item in path.parent.glob("*.y*ml"))]
        close = did_you_mean(name, near) if isinstance(error, FileNotFoundError) else ""
        raise UsageError(f"--config {name} cannot be read: {error.strerror}{close}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"--config {name} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content or {}, dict):
        raise UsageError(f"--config {name} must hold settings such as 'data:' or 'trainer:', found {content!r:.40}")
    return content or {}


def allowed_packages(words: Sequence[str]) -> tuple[str, ...]:
    """Return the packages that a command may import: pricerl, Lightning and what ``--allow`` names, in order."""
    given = [name.strip() for value in option_values(words, "--allow") for name in value.split(",")]
    for name in given:
        if not all(part.isidentifier() for part in name.split(".")):
            raise UsageError(f"--allow: must be the name of a package such as my_package, found {name!r}")
    return tuple(dict.fromkeys((*OWN, *given)))


REFUSING = ("callbacks", "loggers", "profilers", "plugins", "accelerators", "strategies", "trainer", "utilities")
"""Parts of ``lightning.pytorch`` and ``lightning.fabric`` whose errors concern the settings they were given."""


def explain_failure(error: BaseException, words: Sequence[str]) -> tuple[str, int] | None:
    """Return a line and the exit code for an exception of somebody else's making; a bug in pricerl has none.

    An exception belongs to an allowed package if the innermost frame outside pricerl and the libraries is in it.
    """
    while isinstance(error, ValueError) and error.__cause__ is not None:  # jsonargparse's, about a constructor's
        error = error.__cause__
    walked = [
        (frame, str(frame.f_globals.get("__name__", "")), line)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = allowed_packages(words)[len(OWN) :]
    for frame, module, line in reversed(walked):
        if is_allowed(module, own):
            what = str(error).partition("\n")[0] or "without a message"
            function = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)  # Python 3.10 has no qualified names
            place = f"{module}.{function} ({frame.f_code.co_filename}:{line})"
            return f"error in {place}: {type(error).__name__}: {what}", EXIT_BUG
    parts = walked[-1][1].split(".")
    if parts[:2] == ["torch", "distributed"]:
        return "error: another process of this training has ended; go on with fit --ckpt_path last", EXIT_BUG
    if parts[0] == "lightning" and (isinstance(error, ImportError) or (parts[2:3] and parts[2] in REFUSING)):
        return f"error: trainer: {' '.join(str(error).split())}", EXIT_USAGE
    return None
