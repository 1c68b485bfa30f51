"""Checkpoint of a run: the types of its content, its validation, and the settings that later commands take from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from torch import Tensor, nn

from pricerl.errors import CheckpointError
from pricerl.runs import tree_file
from pricerl.runs.folder import BEST, LAST, SAVES, Generation, RunFolder, generation_of
from pricerl.runs.names import USUAL_CLASSES

FORMAT = 8
"""Version of the format; no other is read."""

CHECKPOINT_KEY = "pricerl"
"""Key of format, version, settings and fingerprints in a checkpoint."""


class Settings(msgspec.Struct):
    """Settings of a run that apply to later commands."""

    data: dict[str, Any]
    model: dict[str, Any]
    decision: dict[str, Any] = {}
    seed_everything: int | bool | None = None


class About(msgspec.Struct):
    """The run that a checkpoint belongs to."""

    format: Literal[8]
    version: str
    settings: Settings | None = None
    """None if the run was started from Python with objects that no command can make."""
    history: str | None = None
    """Fingerprint of the seller's history."""
    code: str | None = None
    """Hash of pricerl's source."""
    versions: dict[str, str] = {}
    limits: dict[str, int | None] = {}
    """Limits of the training."""


class Content(msgspec.Struct):
    """Content of a checkpoint. Parts of Lightning and of users' own classes are free."""

    state_dict: dict[str, Tensor]
    global_step: Annotated[int, msgspec.Meta(ge=0)]
    """Gradient updates made."""
    epoch: Annotated[int, msgspec.Meta(ge=0)]
    pricerl: About
    loops: dict[str, Any] = {}
    callbacks: dict[str, Any] = {}
    optimizer_states: list[dict[str, Any]] = []
    hyper_parameters: dict[str, Any] = {}


@dataclass(frozen=True)
class Checkpoint:
    """Checkpoint of pricerl, read once and passed on."""

    path: Path
    content: dict[str, Any]
    """Weights, states and settings."""

    @classmethod
    def read(cls, given: str | Path, folder: Path = Path()) -> Checkpoint:
        """Load a file onto the CPU: a path, or ``last`` or ``best`` in a run's folder. Nothing in it is executed.

        One that is missing, unreadable, damaged or not a pricerl checkpoint is a ``CheckpointError``.
        """
        path = {"last": folder / LAST, "best": folder / BEST}.get(str(given), Path(given))
        if path.is_dir():
            raise CheckpointError(f"{path} is a folder; name the checkpoint in it, such as {path / BEST}")
        if not path.exists():
            raise CheckpointError(f"{path} does not exist{_others(path)}; run fit first or name another checkpoint")
        content = tree_file.read_tree(path)
        about = content.get(CHECKPOINT_KEY)
        if not isinstance(about, dict):
            raise CheckpointError(f"{path} is not a pricerl checkpoint; name one that fit wrote")
        if about.get("format") != FORMAT:
            raise CheckpointError(
                f"{path} has checkpoint format {about.get('format')}, written by pricerl {about.get('version')}; this "
                f"version reads {FORMAT}: run fit again"
            )
        try:
            msgspec.convert(content, type=Content)
        except msgspec.ValidationError as error:
            raise CheckpointError(f"{path} is not a valid checkpoint: {error}; run fit again") from error
        return cls(path, content)

    @property
    def about(self) -> dict[str, Any]:
        """Format, version, settings and fingerprints."""
        about: dict[str, Any] = self.content[CHECKPOINT_KEY]
        return about

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that apply to later commands, without query and preset file; none are a ``CheckpointError``."""
        stored: dict[str, Any] | None = self.about.get("settings")
        if stored is None:
            raise CheckpointError(
                f"{self.path} stores no settings: it was saved from Python, with a class or an object of your own that "
                "no command can make; load it with load_from_checkpoint of its module's class"
            )
        known = {name: value for name, value in stored.items() if name in Settings.__struct_fields__}
        return _changed_reading(known, _without_sources)

    def check_settings(self, usual: Mapping[str, Any]) -> None:
        """Refuse stored settings, compared with the usual ones, of which one would be read as the name of a file.

        A parser takes a text in place of a group of settings for the path of a configuration.
        """
        for group, value in self.settings.items():
            if isinstance(value, Mapping) and (
                fault := find_fault(f"{group}.", value.get("init_args", value), usual.get(group, {}))
            ):
                raise CheckpointError(f"{self.path}: {fault}; run fit again or name another")

    @property
    def words(self) -> list[str]:
        """The settings as options of a command, which those of the user follow: file and query come from the user."""
        settings = self.settings
        named = settings["data"].get("class_path", "PricingDataModule")
        typed = {"data": {"path": None, "reading": {"query": None}}} if named.endswith("PricingDataModule") else {}
        return ["--config", json.dumps(settings), "--config", json.dumps(typed)]  # in whatever form the file set them

    @property
    def update(self) -> int:
        """Number of gradient updates made."""
        return int(self.content["global_step"])

    @property
    def save(self) -> Path | None:
        """Folder of the save that holds the file, with the states of the processes; None for a copy on its own."""
        folder = self.path.resolve().parent
        return folder if folder.parent.name == SAVES else None

    @property
    def generation(self) -> Generation | None:
        """Generation that holds the file; None for a file on its own."""
        found = generation_of(self.path.resolve())
        return None if found is None else Generation(RunFolder.of(self.path).path / found.name)

    @property
    def name(self) -> str:
        """Path below the run's folder that stays valid, such as gen-0007/best.ckpt; the file's name without one."""
        if self.generation is None:
            return self.path.name
        known = self.path.name in (BEST, LAST)
        inside = self.path.name if known else self.path.resolve().relative_to(self.generation.path.resolve()).as_posix()
        return f"{self.generation.name}/{inside}"

    def restore_weights(self, module: nn.Module, strict: bool = True) -> None:
        """Load the weights; those that are not finite, or do not fit the network, are a ``CheckpointError``."""
        for name, value in self.content["state_dict"].items():
            if value.is_floating_point() and not value.isfinite().all():
                raise CheckpointError(f"{self.path}: {name} contains NaN or infinity; name another checkpoint")
        try:
            module.load_state_dict(self.content["state_dict"], strict=strict)
        except RuntimeError as error:
            raise CheckpointError(
                f"{self.path} was trained with a different network than these settings define, or by pricerl "
                f"{self.about['version']} with other observations; take the model and data.reading.window of its run, "
                "or run fit again"
            ) from error

    def data_state(self, kind: str) -> dict[str, Any]:
        """Return the state of the DataModule of a class, by its name; one of other data is a ``CheckpointError``."""
        state: dict[str, Any] | None = self.content.get(kind)
        if state is None:
            raise CheckpointError(f"{self.path} holds no state of {kind}")
        return state

    def restore_data(self, restore: Callable[[dict[str, Any]], object], kind: str) -> None:
        """Restore data of a class by a function of its state; one that is damaged is a ``CheckpointError``."""
        try:
            restore(self.data_state(kind))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"{self.path} holds no usable state of {kind}") from error


def _others(path: Path) -> str:
    """Return the names of the checkpoints near a missing one, as a part of a sentence."""
    names = ", ".join(sorted(item.name for item in path.parent.glob("*.ckpt") if item.exists()))
    unfinished = [item for item in RunFolder(path.parent).generations() if item.saves() and not item.is_complete]
    if names:
        return f"; the folder holds {names}"
    return f"; {unfinished[-1].path} is unfinished: go on with fit --ckpt_path last" if unfinished else ""


def without_query(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of a run without the query on a database, which no checkpoint brings to another one."""
    return _changed_reading(settings, lambda reading: {**reading, "query": None} if "query" in reading else reading)


def _without_sources(reading: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return settings of reading that name neither a query nor the file of a preset."""
    named: dict[str, str | None] = {"query": None}
    if Path(str(reading.get("preset"))).suffix in (".yaml", ".yml"):
        named["preset"] = "auto"
    return {**reading, **{name: value for name, value in named.items() if name in reading}}


def _changed_reading(
    settings: Mapping[str, Any], change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> dict[str, Any]:
    data = settings.get("data", {})
    group = data.get("init_args", data)
    if not isinstance(group, dict) or not isinstance(group.get("reading"), dict):
        return dict(settings)
    changed = {**group, "reading": dict(change(group["reading"]))}
    return {**settings, "data": {**data, "init_args": changed} if "init_args" in data else changed}


def find_fault(place: str, stored: Any, usual: Any) -> str:
    """Return what is wrong with a group of settings, compared with the ``usual`` ones; empty if nothing is."""
    if not isinstance(stored, Mapping):
        return f"{place.rstrip('.')} must hold settings, found {stored!r:.40}"
    for name, value in stored.items():
        if "." in name:
            return f"{place}{name} is no setting"
        if isinstance(usual.get(name), Mapping) and (fault := find_fault(f"{place}{name}.", value, usual[name])):
            return fault
    return ""


def lasting_settings(config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a run that apply to later commands: all but the data file, whose history is stored."""
    kept = {key: value for key, value in config.items() if key in Settings.__struct_fields__}
    for group, usual in USUAL_CLASSES.items():
        if kept[group].get("class_path") == usual:
            kept[group] = kept[group]["init_args"]
    return {**kept, "data": {name: value for name, value in kept["data"].items() if name != "path"}}
