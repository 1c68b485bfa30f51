"""Advice that stands as nothing is new: found by hashes and days alone, without a market or a network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import msgspec

from pricerl import __version__
from pricerl.operations.exports import Publication, read_publication, read_standing
from pricerl.operations.log.decision_log import LOG_FILE
from pricerl.operations.shop import Shop
from pricerl.runs.folder import BEST, RunFolder
from pricerl.shop.database import Database, ask, writing
from pricerl.shop.files import read_hashes
from pricerl.writing import hash_file

STANDING = "standing"
"""Fact with the `Standing` of the newest advice."""


class Standing(msgspec.Struct):
    """Everything that the newest advice on all products depends on."""

    files: dict[str, str]
    """Hash by file, in the order in which they were named."""
    model: str
    version: str
    entries: int
    """Entries of the log."""
    day: str
    """Day of the advice, in ISO format."""
    until: str
    """Last day through which it stands if nothing else changes."""
    code: int
    """Exit code of the command."""


def keep_standing(shop: Shop, sources: Sequence[str], until: date, code: int) -> None:
    """Keep what the newest advice depends on, files as they were when they were read; nothing for other sources."""
    with writing(shop.log_path) as database:
        files = {source: digest for source, digest in read_hashes(database).items() if source in sources}
        if not files or len(files) < len(sources):
            return
        known = (files, hash_file(shop.folder.path / BEST), __version__, shop.log.head.entries)
        found = Standing(*known, day=shop.today.isoformat(), until=until.isoformat(), code=code)
        database.keep_fact(STANDING, msgspec.json.encode(found).decode())


def find_standing(folder: RunFolder, named: Sequence[str], today: str | None) -> tuple[Standing, Shop] | None:
    """Return what the newest advice depends on if it stands today, by the files that are ``named`` or its own.

    The shop is opened only if the files are the same.
    """
    if not (kept := ask(folder.path / LOG_FILE, Database.fact, STANDING)):
        return None
    found = msgspec.json.decode(kept, type=Standing)
    hashes = [hash_file(path) for path in map(Path, named or found.files) if path.is_file()]
    if found.version != __version__ or hashes != [*found.files.values()]:
        return None
    shop = Shop.open(folder, today)
    model = shop.folder.path / BEST
    same = (
        found.entries == shop.log.head.entries
        and found.day <= shop.today.isoformat() <= found.until
        and shop.waits is None
        and ask(shop.log_path, read_standing, shop.newest.values()).keys() == shop.newest.keys()
        and model.is_file()
        and hash_file(model) == found.model
    )
    return (found, shop) if same else None


def renew_standing(shop: Shop) -> tuple[Publication, Shop]:
    """Return the advice as a whole on this day, and the shop after its files are renewed."""
    publication = ask(shop.log_path, read_publication)
    assert publication is not None
    today = shop.today.isoformat()
    if publication.about.today == today:
        return publication, shop
    publication = publication._replace(about=publication.about._replace(today=today))
    _, after = shop.record(lambda _: [], publication)
    return publication, after
