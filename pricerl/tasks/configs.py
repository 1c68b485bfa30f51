"""Configurations, found by file or name, and the nested settings that they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ActionConfigFile, get_loader  # type: ignore[attr-defined]  # Lightning takes it there, too

from pricerl.errors import UsageError, did_you_mean, refuse
from pricerl.runs.names import USUAL_CLASSES
from pricerl.tasks.imports import GYM_CLASS

Nested = Mapping[str, Any]
"""Settings and options by their names, nested as in a configuration."""

Placed = tuple[str, Nested]
"""Settings with their place, such as a checkpoint's path, with which a message about them begins."""

SHIPPED = Path(__file__).parents[1] / "configs"
"""Folder of the configurations in the package; the one of this name in a checkout is a link to it."""

TRAINED = ("model", "trainer", "tracking")
"""Groups of settings that a training alone reads, as it does `TRAINED_DATA`; a configuration may serve both."""
TRAINED_DATA = ("num_envs", "eval_every")


def shipped_names() -> list[str]:
    """Return the names of the package's configurations, such as ``quickstart`` and ``gym/sac``."""
    return sorted(path.relative_to(SHIPPED).with_suffix("").as_posix() for path in SHIPPED.rglob("*.yaml"))


def find_config(name: str) -> str:
    """Return the path of a configuration: the user's own file, else one of the package; inline YAML as it is.

    Names of `shipped_names` may also be written ``quickstart.yaml`` or ``configs/quickstart.yaml``.
    """
    plain = name.removeprefix(f"{SHIPPED.name}/").removesuffix(".yaml")
    own = name.lstrip().startswith("{") or Path(name).is_file()
    return name if own or plain not in shipped_names() else str(SHIPPED / f"{plain}.yaml")


def read_config(name: str) -> dict[str, Any]:
    """Return the settings of one configuration: a file, a name, or inline YAML in braces."""
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


def as_yaml(settings: Nested) -> str:
    """Return settings as a configuration."""
    return yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)


def named_classes(sources: Iterable[Nested]) -> dict[str, str]:
    """Return the classes that settings choose for model and data, by group; later settings take precedence.

    The setting ``env_id`` alone chooses the data of a Gymnasium environment.
    """
    chosen = [(name, _as_group(name, source[name])) for source in sources for name in USUAL_CLASSES if name in source]
    classes = {name: str(group["class_path"]) for name, group in chosen if "class_path" in group}
    if any(name == "data" and group.get("env_id") is not None for name, group in chosen):
        classes.setdefault("data", GYM_CLASS)
    return classes


def without_classes(settings: Nested) -> dict[str, Any]:
    """Return settings without the classes of model and data."""
    groups = {name: _as_group(name, settings[name]) for name in USUAL_CLASSES if name in settings}
    return {**settings, **{name: without_class(group) for name, group in groups.items()}}


def _as_group(name: str, value: Any) -> Nested:
    """Return a group of settings, of which a text names the class."""
    group = {"class_path": value} if isinstance(value, str) else value
    refuse(
        {f"{name} must hold settings such as '{name}: {{...}}', found {group!r:.40}": not isinstance(group, Mapping)}
    )
    return group


def without_class(group: Nested) -> dict[str, Any]:
    """Return the settings of a group without the class that they are arguments of."""
    plain = {name.removeprefix("init_args."): value for name, value in group.items() if name != "init_args"}
    return {name: value for name, value in {**plain, **(group.get("init_args") or {})}.items() if name != "class_path"}


def without_training(settings: Nested) -> dict[str, Any]:
    """Return settings without those that a training alone reads, and without classes."""
    kept = {name: value for name, value in settings.items() if name not in TRAINED}
    if isinstance(data := kept.get("data"), Mapping):
        kept["data"] = {name: value for name, value in without_class(data).items() if name not in TRAINED_DATA}
    return kept


class TrainingConfig(ActionConfigFile):
    """Option of a configuration for a training, whose classes are chosen before anything is parsed."""

    prepare: Callable[[Nested], dict[str, Any]] = staticmethod(without_classes)

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        """Merge the settings of a configuration into those before it."""
        self.apply_config(parser, cfg, self.dest, as_yaml(self.prepare(read_config(values))))


class AdviceConfig(TrainingConfig):
    """Option of a configuration for a task that trains nothing."""

    prepare = staticmethod(without_training)
