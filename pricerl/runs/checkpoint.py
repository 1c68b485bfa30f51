"""Checkpoint of a run: the types of its content, its validation, and the settings that later commands take from it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.utils import _pytree

from pricerl.arrays import grouped
from pricerl.errors import CheckpointError, UsageError, refuse
from pricerl.evaluation.pricing_data import PricingData
from pricerl.runs.folder import BEST, LAST, Generation, RunFolder, generation_of
from pricerl.runs.names import USUAL_CLASSES
from pricerl.writing import is_same, write_file

FORMAT = 10
"""Version of the format; no other is read."""

REMEDY = "run fit again or name another"

SAVER = "RunCheckpoint"
"""Key of the saver among the states of callbacks."""

CHECKPOINT_KEY = "pricerl"
"""Key of format, version, settings and fingerprints in a checkpoint."""

DATA_KEY = USUAL_CLASSES["data"].rpartition(".")[2]
"""Key of the state of a seller's data."""


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file as torch does, durably and in one step, into a folder that is created if absent.

    Other values than tensors and plain ones, which `read_saved` refuses, are a ``UsageError``; an existing file is
    untouched on failure.
    """
    file = io.BytesIO()
    torch.save(dict(content), file)
    file.seek(0)
    if unread := torch.serialization.get_unsafe_globals_in_checkpoint(file):
        raise UsageError(
            f"{path} cannot hold a {unread[0]}: the states of callbacks and modules must be tensors and plain values"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, file.getvalue())


def read_saved(path: Path) -> dict[str, Any]:
    """Load what `save` wrote onto the CPU; a file that is none of these or damaged is a ``CheckpointError``."""
    # A pipe or a device might never end.
    refuse({f"{path} is no ordinary file; {REMEDY}": path.exists() and not path.is_file()}, CheckpointError)
    try:
        with zipfile.ZipFile(path) as file:  # torch compares no checksums
            whole = {item.compress_type for item in file.infolist()} <= {zipfile.ZIP_STORED} and file.testzip() is None
        # Windows replaces no file that is mapped.
        content: object = torch.load(path, "cpu", weights_only=True, mmap=os.name == "posix") if whole else None
    except OSError as error:
        why = "no permission" if isinstance(error, PermissionError) else error.strerror
        raise CheckpointError(f"{path} cannot be read: {why}") from error
    except Exception as error:  # zipfile and torch raise many kinds for a file that makes no sense
        content = error
    if isinstance(content, dict):
        return content
    fault = _older_version(path) or f"is not a checkpoint, or it is damaged; {REMEDY}"
    raise CheckpointError(f"{path} {fault}") from (content if isinstance(content, Exception) else None)


def rank_file(folder: Path, rank: int, update: int) -> Path:
    """Return the path of the states of a further process, which belong to the checkpoint of an update."""
    return folder / f"rank-{rank}.{update:08d}.ckpt"


def as_tensors(state: Any) -> Any:
    """Return nested values with tensors in place of arrays, parts of one for each type, as many files load slowly."""
    leaves, shape = _pytree.tree_flatten(state)
    arrays = [(leaf.dtype, (place, leaf)) for place, leaf in enumerate(leaves) if isinstance(leaf, np.ndarray)]
    for same in grouped(arrays).values():
        joined = torch.from_numpy(np.concatenate([array.reshape(-1) for _, array in same]))
        for (place, array), part in zip(same, torch.split(joined, [array.size for _, array in same]), strict=True):
            leaves[place] = part.view(array.shape)
    return _pytree.tree_unflatten([leaf.item() if isinstance(leaf, np.generic) else leaf for leaf in leaves], shape)


def as_arrays(state: Any) -> Any:
    """Return nested values with arrays in place of tensors."""
    return _pytree.tree_map_only(Tensor, Tensor.numpy, state)


class Settings(msgspec.Struct):
    """Settings of a run that apply to later commands."""

    data: dict[str, Any]
    model: dict[str, Any]
    decision: dict[str, Any] = {}
    seed_everything: int | bool | None = None


class About(msgspec.Struct):
    """The run that a checkpoint belongs to."""

    format: Literal[10]
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
        refuse(
            {
                f"{path} is a folder; name the checkpoint in it, such as {path / BEST}": path.is_dir(),
                f"{path} does not exist{_others(path)}; run fit first or name another checkpoint": not path.exists(),
            },
            CheckpointError,
        )
        content = read_saved(path)
        about: Any = content.get(CHECKPOINT_KEY)
        refuse(
            {f"{path} is not a pricerl checkpoint; name one that fit wrote": not isinstance(about, dict)},
            CheckpointError,
        )
        refuse({f"{path} {_other_format(about)}": about.get("format") != FORMAT}, CheckpointError)
        try:
            msgspec.convert(content, type=Content)
        except msgspec.ValidationError as error:
            raise CheckpointError(f"{path} is not a valid checkpoint: {error}; run fit again") from error
        return cls(path, content)

    @property
    def about(self) -> dict[str, Any]:
        """Format, version, settings and fingerprints."""
        return dict(self.content[CHECKPOINT_KEY])

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that apply to later commands, without query and preset file; none are a ``CheckpointError``."""
        stored: Any = self.about.get("settings")
        refuse(
            {
                f"{self.path} stores no settings: it was saved from Python, with a class or an object of your own that "
                "no command can make; load it with load_from_checkpoint of its module's class": stored is None
            },
            CheckpointError,
        )
        known = {name: value for name, value in stored.items() if name in Settings.__struct_fields__}
        return without_query(known, keeps_preset=False)

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
    def update(self) -> int:
        """Number of gradient updates made."""
        return int(self.content["global_step"])

    @property
    def is_trained(self) -> bool:
        """Whether a training wrote the file; without one there is nothing to resume."""
        return bool(self.content.get("loops"))

    @property
    def saver(self) -> dict[str, Any]:
        """State of the run's saver, empty without one."""
        return dict(self.content.get("callbacks", {}).get(SAVER, {}))

    @property
    def best_update(self) -> int | None:
        """Update of the best evaluation until then, if there was one."""
        return self.saver.get("best_update")

    @property
    def generation(self) -> Generation | None:
        """Generation that holds the file; None for a file on its own."""
        if (found := generation_of(self.path)) is not None:
            return found
        run = RunFolder(self.path.parent)
        known = [item for item in (run.current, *reversed(run.generations())) if item is not None]
        return next((item for item in known if is_same(item.path / self.path.name, self.path)), None)

    @property
    def name(self) -> str:
        """Path below the run's folder that stays valid, such as gen-0007/best.ckpt; the file's name without one."""
        return self.path.name if self.generation is None else f"{self.generation.name}/{self.path.name}"

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

    def data_state(self, kind: type) -> dict[str, Any]:
        """Return the state of data of a class, a seller's as a training had them; other data's are refused."""
        name = DATA_KEY if kind is PricingData else kind.__qualname__
        state = self.content.get(name)
        refuse({f"{self.path} holds no state of {name}": not isinstance(state, dict)}, CheckpointError)
        return dict(as_arrays(state))


def _other_format(about: Mapping[str, Any]) -> str:
    """Return what is wrong with a checkpoint of another version."""
    return (
        f"has checkpoint format {about.get('format')}, written by pricerl {about.get('version')}; this version reads "
        f"{FORMAT}: run fit again"
    )


def _older_version(path: Path) -> str:
    """Return what is wrong with a checkpoint of pricerl 1.0, a safetensors file with JSON inside; empty for others."""
    with (
        contextlib.suppress(SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError),
        safe_open(path, "pt") as header,
    ):
        return _other_format(json.loads(header.metadata()[CHECKPOINT_KEY])[CHECKPOINT_KEY])
    return ""


def _others(path: Path) -> str:
    """Return the names of the checkpoints near a missing one, as a part of a sentence."""
    names = ", ".join(sorted(item.name for item in path.parent.glob("*.ckpt") if item.exists()))
    folder = RunFolder(path.parent)
    unfinished = [item for item in folder.generations() if item.is_saved and item not in folder.ended]
    if names:
        return f"; the folder holds {names}"
    return f"; {unfinished[-1].path} is unfinished: go on with fit --ckpt_path last" if unfinished else ""


def without_query(settings: Mapping[str, Any], keeps_preset: bool = True) -> dict[str, Any]:
    """Return settings of a run without the query on a database, which no checkpoint brings to another one.

    Unless it ``keeps_preset``, they do not name the file of a preset either.
    """
    data = settings.get("data", {})
    group = data.get("init_args", data)
    if not isinstance(group, dict) or not isinstance(reading := group.get("reading"), dict):
        return dict(settings)
    named: dict[str, str | None] = {"query": None} if "query" in reading else {}
    if not keeps_preset and Path(str(reading.get("preset"))).suffix in (".yaml", ".yml"):
        named["preset"] = "auto"
    changed = {**group, "reading": {**reading, **named}}
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
