"""Presets as files: those of the package, and the check of a user's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import msgspec

from pricerl.data.reading.columns import CONVERSIONS, OPTIONAL_NUMBERS, REQUIRED, fold
from pricerl.data.reading.exports.preset_fields import Preset
from pricerl.errors import UsageError, did_you_mean

AUTO = "auto"
NONE = "none"


def locate(preset: Preset, cells: Sequence[str]) -> dict[str, str]:
    """Return the name in the file, with these header cells, of each column of the preset that it has."""
    own = {fold(cell): cell for cell in reversed(cells)}
    found: dict[str, str] = {}
    for name in preset.used():
        names = [own[fold(other)] for other in (name, *preset.names.get(name, ())) if fold(other) in own]
        found |= {name: names[0]} if names else {}
    return found


def find_missing(preset: Preset, header: Sequence[str]) -> list[str]:
    """Return the columns that identify an export and are not in a header."""
    found = locate(preset, header)
    return [name for name in preset.header if name not in found]


def recognise(header: Sequence[str]) -> Preset | None:
    """Return the package's preset whose columns are all in a header; of several, a usable one with most columns."""
    fitting = [preset for preset in own_presets() if not find_missing(preset, header)]
    return max(fitting, key=lambda preset: (bool(preset.sums), len(preset.header)), default=None)


@cache
def own_presets() -> tuple[Preset, ...]:
    """Return the presets of the package, by name."""
    folder = Path(__file__).parents[2] / "presets"
    return tuple(read_preset(path) for path in sorted(folder.glob("*.yaml")))


def find_preset(name: str) -> Preset:
    """Return the preset with a name, or the one in a user's YAML file.

    Raises:
        UsageError: no such preset or file, or a faulty one; the message names the field.
    """
    if name.endswith((".yaml", ".yml")):
        return read_preset(Path(name))
    known = {preset.name: preset for preset in own_presets()}
    if name not in known:
        close = did_you_mean(name, known)
        raise UsageError(f"there is no preset {name!r}{close} docs/presets.md lists them; a file's name ends in .yaml")
    return known[name]


def read_preset(path: Path) -> Preset:
    """Read and check one preset.

    Raises:
        UsageError: the file cannot be read or is not a preset.
    """
    try:
        preset = msgspec.yaml.decode(path.read_bytes(), type=Preset)
        _check(preset)
    except OSError as error:
        raise UsageError(f"preset {path}: cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, ValueError, re.error) as error:
        raise UsageError(f"preset {path}: {' '.join(str(error).split())}; docs/presets.md lists the fields") from None
    return preset


def _check(preset: Preset) -> None:
    """Check what the types of the fields do not.

    Raises:
        ValueError: a field contradicts another; the message names it.
    """
    for pattern in (*preset.skip.values(), preset.product_pattern or ""):
        re.compile(pattern)
    if not preset.header:
        raise ValueError("header must name the columns that identify the export")
    if preset.grain == "period" or not preset.sums:
        if not preset.instead:
            raise ValueError("instead must state what to download, as the export has no dates or no sums")
        return
    if preset.date is None or preset.date.column not in preset.header:
        raise ValueError("date must name the column with the day, one of the header")
    for rule in preset.status:
        if stray := sorted(set(rule.unpaid) - set(rule.keep)):
            raise ValueError(f"status: {stray[0]!r} of unpaid must be in keep")
    if preset.split is not None and not (preset.split.separator and preset.split.fields):
        raise ValueError("split needs a separator and the fields of a line")
    if preset.order_discount is not None and preset.kind != "sales":
        raise ValueError("order_discount is for sales reports only")
    _check_expressions(preset)
    history = (*REQUIRED[1:], *OPTIONAL_NUMBERS)
    if stray := [name for name in preset.columns if name not in history]:
        close = did_you_mean(stray[0], OPTIONAL_NUMBERS)
        raise ValueError(f"columns: {stray[0]!r} is not a column of a history{close}")
    if preset.kind == "ads" and not set(preset.columns) <= set(CONVERSIONS):
        raise ValueError("columns of an ads report can be conversions only")


def _check_expressions(preset: Preset) -> None:
    if preset.kind == "sales" and (lacking := sorted({"units", "revenue"} - set(preset.sums))):
        raise ValueError(f"sums must define {' and '.join(lacking)}")
    sums = preset.expressions()
    split = preset.split.fields if preset.split else ()
    known = {*preset.header, *preset.optional, *split}
    if stray := sorted({name for expression in sums.values() for name in expression.columns} - known):
        raise ValueError(f"sums: column {stray[0]!r} must be in header, optional or split")
    for name, expression in sums.items():
        if expression.sums:
            found = f"{expression.sums[0]!r} in {expression.text!r} is not defined"
            raise ValueError(f"sums: {name}: {found}; names of columns need quotes")
    for name, expression in preset.derived().items():
        if wrong := [*expression.columns, *(used for used in expression.sums if used not in sums)]:
            found = f"{wrong[0]!r} in {expression.text!r} is not defined"
            raise ValueError(f"columns: {name}: {found}; it may use the names of sums only")
