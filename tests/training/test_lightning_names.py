"""What the package takes from inside Lightning: one undocumented name, and nothing private."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from lightning.pytorch import Trainer

PACKAGE = Path(__file__).parents[2] / "pricerl"
SOURCES = sorted(path for folder in ("training", "cli") for path in (PACKAGE / folder).rglob("*.py"))
UNDOCUMENTED = "fit_loop.epoch_loop.manual_optimization.optim_step_progress"
"""Counters of optimizer steps, through which `OffPolicyModule.count_updates` sets ``trainer.global_step``."""


NAMED_TUPLE = ("_asdict", "_fields", "_replace")
"""Public, whatever they are called."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_names(path: Path) -> list[str]:
    """Private names of a file that it neither defines nor reads from ``self``, ``cls`` or torch."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lightning"):
            found += [name.name for name in node.names if is_private(name.name)]
        if isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in NAMED_TUPLE:
            found += [] if ast.unparse(node.value) in ("self", "cls", "torch", "os") else [node.attr]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_private_name_of_lightning_is_used(path: Path) -> None:
    assert private_names(path) == []


def test_the_undocumented_name_is_where_this_version_of_lightning_has_it() -> None:
    progress: object = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    for name in UNDOCUMENTED.split("."):
        assert hasattr(progress, name), f"Lightning has moved {name} of trainer.{UNDOCUMENTED}: change count_updates"
        progress = getattr(progress, name)
    users = [path.name for path in SOURCES if "optim_step_progress" in path.read_text(encoding="utf-8")]
    assert users == ["off_policy.py"]
