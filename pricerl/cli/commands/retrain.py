"""Command ``retrain``: a training on a fresh file with the settings that the shop keeps."""

from __future__ import annotations

from collections.abc import Sequence

from pricerl.cli.advise import fit
from pricerl.cli.usage import file_parser
from pricerl.errors import UsageError
from pricerl.operations.log.approved_costs import with_approved
from pricerl.operations.log.provenance import combine
from pricerl.operations.shop import Shop
from pricerl.runs.checkpoint import Checkpoint, without_query
from pricerl.runs.folder import BEST
from pricerl.runs.names import find_run
from pricerl.tasks.load import stored_settings


def retrain(words: Sequence[str]) -> int | None:
    """Train a RUN anew on a fresh file, with the settings that its shop keeps; all options of fit apply."""
    options, _ = file_parser("retrain", retrain.__doc__).parse_known_args(words)
    folder = find_run(options.run_name, BEST)
    shop = Shop.open(folder, options.today)
    if folder.current is None:
        raise UsageError(f"{folder.path} has no complete generation yet; start with fit")
    before = Checkpoint.read(folder.current.path / BEST)
    limit = (before.about.get("limits") or {}).get("max_steps")
    sources = shop.present_sources() if options.path is None else []
    own = {
        "run_name": folder.path.name,
        **({} if limit is None else {"trainer": {"max_steps": limit}}),
        **({"data": {"path": sources}} if sources else {}),
        **({"waits": shop.waits} if options.path is None else {}),
    }
    stored, since = stored_settings(before), without_query(shop.settings)
    costs = with_approved(combine(stored, since), shop.newest, shop.log.entries)
    return fit(words, [(f"{before.path}: ", stored), *(("", settings) for settings in (since, costs, own))])
