"""Names of runs, and the run that a command means."""

from __future__ import annotations

import re
from pathlib import Path

from pricerl.data.naming import Sources, name_after
from pricerl.errors import UsageError, did_you_mean, refuse
from pricerl.runs.folder import RunFolder
from pricerl.shop.database import FILE, OLDER, shops_of_server
from pricerl.terminal import list_first, shown

RUNS = Path("checkpoints")
"""Folder of the runs, relative to the working directory; one folder per run."""
MOST_LISTED = 10
"""Most runs that a message lists."""

USUAL_CLASSES = {
    "model": "pricerl.training.module.SACModule",
    "data": "pricerl.training.pricing_data.PricingDataModule",
}
"""Default classes of model and data; their settings are stored without the class."""

USUAL_PRESET = "profit"
"""Preset of the reward that is part of no run's name."""

NAME = re.compile(r"[^\W_][\w .@+=,-]{0,99}")
"""Names of runs: letters and digits of any script first, no separators of folders."""


def check_name(name: str) -> str:
    """Return the name of a run; one that is not a name, but for example a path, is a ``UsageError``."""
    refuse(
        {
            f"--run_name {name!r}: must be a name of at most 100 letters, digits and . _ - + @ = , not a path; runs "
            "are folders in checkpoints": not NAME.fullmatch(name) or name.endswith((" ", "."))
        }
    )
    return name


def name_run(path: Sources | None = None, preset: str | None = None, env_id: str | None = None) -> str:
    """Return the name of a run without one, after the environment, or the first file and any unusual preset."""
    if env_id is not None:
        return re.sub(r"[^\w.-]+", "-", env_id)
    return name_after(path) if preset == USUAL_PRESET else f"{name_after(path)}-{preset}"


def runs_with(file: str) -> list[RunFolder]:
    """Return the folders of the runs that hold a file, by name; a server or a log of pricerl 1.0 holds a shop, too."""
    held = (file, *([OLDER] if file == FILE else []))
    found = {path for path in RUNS.glob("*") if any((path / name).exists() for name in held)}
    found |= {RUNS / name for name in (shops_of_server() if file == FILE else ())}
    return [RunFolder(path) for path in sorted(found)]


def needed_name(folder: Path, file: str) -> str:
    """Return the name of a run for a printed command; empty if no other run holds a file, so that none is needed."""
    return folder.name if any(other.path.name != folder.name for other in runs_with(file)) else ""


def find_run(name: str | None, holding: str) -> RunFolder:
    """Return the folder of a run, by default the only one holding a file; ``UsageError`` without one."""
    if name is None:
        found = runs_with(holding)
        if len(found) == 1:
            return found[0]
        refuse({f"{RUNS} holds no run with {holding} yet; start with: pricerl advise FILE": not found})
        listed = list_first([shown(run.path.name) for run in found], MOST_LISTED)
        raise UsageError(f"{RUNS} holds {len(found)} runs, {listed}; name one with --run_name")
    folder = RUNS / check_name(name)
    if not folder.is_dir() and name not in shops_of_server():
        runs = sorted(path.name for path in RUNS.glob("*") if path.is_dir())
        raise UsageError(f"{folder} is not a folder of a run{did_you_mean(name, runs)}")
    return RunFolder(folder)
