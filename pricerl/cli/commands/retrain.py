"""Command ``retrain``: a training on a fresh file with the settings that the shop keeps."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pricerl.cli.advise import fit
from pricerl.cli.usage import file_parser, option_words
from pricerl.errors import UsageError
from pricerl.operations.shop import Shop
from pricerl.runs.checkpoint import Checkpoint, without_query
from pricerl.runs.folder import BEST
from pricerl.runs.names import find_run


def retrain(words: Sequence[str]) -> int:
    """Train a RUN anew on a fresh file, with the settings that its shop keeps; all options of fit apply."""
    options, rest = file_parser("retrain", retrain.__doc__).parse_known_args(words)
    folder = find_run(options.run_name, BEST)
    shop = Shop.open(folder, options.today)
    if folder.current is None:
        raise UsageError(f"{folder.path} has no complete generation yet; start with fit")
    before = Checkpoint.read(folder.current.path / BEST)
    kept = {
        "trainer.max_steps": (before.about.get("limits") or {}).get("max_steps"),
        "config": json.dumps(without_query(shop.settings)),
        "waits": shop.waits if options.path is None else None,
    }
    given = {"run_name": folder.path.name, "ckpt_path": options.ckpt_path, "today": options.today}
    given["data.path"] = options.path or shop.present_sources() or None
    lasting = {"config": shop.lasting or None}
    return fit([*before.words, *option_words(kept), *option_words(lasting), *rest, *option_words(given)])
