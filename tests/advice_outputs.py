"""Read what a command advised, and advise with a policy that moves."""

from __future__ import annotations

import contextlib
import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from torch import Tensor

from pricerl.runs.run import Run

Document = dict[str, Any]
"""The content of an ``advice.json``."""


class Outputs(NamedTuple):
    """Files that a command wrote into a folder."""

    rows: list[dict[str, str]]
    products: list[dict[str, Any]]
    html: str


def joined(pieces: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """Texts of files by name whose pieces come in any order."""
    files: dict[str, str] = {}
    for name, piece in pieces:
        files[name] = files.get(name, "") + (piece if isinstance(piece, str) else piece.decode())
    return files


def without_head(content: bytes) -> bytes:
    """Contents of a file of an advice without what every advice moves: the head of the log and the advice before."""
    content = re.sub(rb'"previous": (\{[^}]*\}|null)', b"", content)
    content = re.sub(rb'"decision_log": \{[^}]*\}', b"", content)
    return re.sub("decision log: [^·]*·".encode(), b"", content)


def read_document(folder: Path) -> Document:
    """Read the ``advice.json`` of an advice."""
    return json.loads((folder / "advice.json").read_text(encoding="utf-8"))


def read_outputs(folder: Path) -> Outputs:
    """Read the three files of an advice."""
    with (folder / "advice.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return Outputs(rows, read_document(folder)["products"], (folder / "report.html").read_text(encoding="utf-8"))


def mapped(value: Any, change: Callable[[str, Any], Any], key: str = "") -> Any:
    """Return a document with ``change(key, leaf)`` in the place of every leaf; those of a list have the list's key."""
    if isinstance(value, dict):
        return {name: mapped(item, change, name) for name, item in value.items()}
    if isinstance(value, list):
        return [mapped(item, change, key) for item in value]
    return change(key, value)


def _ask_for_the_largest_cut(observation: Tensor) -> Tensor:
    return -observation.new_ones(len(observation), 1)


@contextlib.contextmanager
def lowering_policy() -> Iterator[None]:
    """Put a policy that always asks for the largest cut in the place of the trained one."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Run, "policy", property(lambda run: _ask_for_the_largest_cut))
        yield
