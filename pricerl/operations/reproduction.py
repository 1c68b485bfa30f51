"""Reproduction of a recorded decision, and its comparison with the entry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from pricerl.advice.result import ProductAdvice
from pricerl.errors import DataError, UsageError
from pricerl.operations.decision_log import Entry
from pricerl.operations.provenance import HASHED, Origin, recommended, shorten


def replay_words(entry: Entry, folder: Path, path: str | None, config: Path) -> list[str]:
    """Return the options of the ``predict`` that makes an entry's decision again.

    Args:
        entry: an advice.
        folder: of its run.
        path: the data file, where it has moved since.
        config: file to write with the settings that differ from the checkpoint's.

    Raises:
        UsageError: the run left no checkpoint.
        DataError: the data file is gone.
    """
    if entry["checkpoint"] is None:
        raise UsageError(f"entry {entry['id']} names no checkpoint: its run wrote none, so it cannot be replayed")
    file = entry["path"] if path is None else path
    if file is not None and not Path(file).is_file():
        raise DataError(file, [f"the data of entry {entry['id']} is not here; name it with --data.path"])
    config.write_text(yaml.safe_dump(entry["settings"]), encoding="utf-8")
    words = ["--config", str(config), "--ckpt_path", str(folder / entry["checkpoint"])]
    words += ["--horizon", str(entry["horizon"]), "--threads", str(entry["threads"])]
    words += ["--matmul_precision", entry["matmul_precision"], "--trainer.accelerator", "cpu"]
    words += ["--trainer.enable_progress_bar", "false"]
    return words if file is None else [*words, "--data.path", file]


def refuse_changed(entry: Entry, now: Origin, log: Path) -> None:
    """Refuse a replay from other data, settings, weights or code.

    Raises:
        DataError: names every hash that differs.
    """
    then = entry["hashes"]
    changed = [
        f"entry {entry['id']}: {words} changed, {name} hash {shorten(then[name])} then and "
        f"{shorten(now.hashes[name])} now"
        for name, words in HASHED.items()
        if then[name] != now.hashes[name]
    ]
    if changed:
        raise DataError(str(log), changed)


def compare(entry: Entry, advice: Sequence[ProductAdvice], log: Path) -> str:
    """Compare a replayed decision with its entry, and return the result in words.

    Raises:
        DataError: the prices differ.
    """
    item = next(item for item in advice if item.product == entry["product"])
    then, again = recommended(entry), [day.recommended_price for day in item.days]
    if again != then:
        at = next(at for at, pair in enumerate(zip(then, again, strict=True)) if pair[0] != pair[1])
        found = f"{again[at]!r} now, {then[at]!r} then, on {entry['days'][at]['date']}"
        raise DataError(
            str(log), [f"entry {entry['id']} is not reproduced: {found}; versions then {entry['versions']}"]
        )
    return f"entry {entry['id']} is reproduced: {len(again)} prices, the same to the last bit"
