"""The same decisions through the command line: the files must be equal, byte for byte."""

from __future__ import annotations

import contextlib
import io
import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from breaks import simulated
from simulation import Shopkeepers, commands_of
from world import BrokenRuleError, demand

from pricerl.cli.commands import decisions
from pricerl.cli.main import main
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder


class Faces(Shopkeepers):
    """A shop in which each decision is made a second time, by the command line, in a copy of the folder."""

    compared = 0

    def open(self, chance: random.Random) -> Shop:
        """Open the shop with the day, as the command line is given it."""
        del chance
        return Shop.open(RunFolder(self.folder), self.today)

    def decision(self, chance: random.Random, *given: Any) -> str:
        """Record what a person decides, and let the command line do it as well."""
        with tempfile.TemporaryDirectory(dir=self.root.parent) as twin:
            copy = Path(twin) / "checkpoints"
            if self.path.exists():
                shutil.copytree(self.folder.parent, copy, symlinks=True)
            known = len(self.model.entries)
            outcome = super().decision(chance, *given)
            for entry in self.model.entries[known:]:
                if words := words_of(entry):
                    self.compare(copy / "shop", [*words, "--run_name", "shop", "--today", self.today])
        return outcome

    def compare(self, folder: Path, words: Sequence[str]) -> None:
        """Run a command in a copy, and compare the tables of prices."""
        said = io.StringIO()
        quiet = patch.object(decisions, "_advised", lambda *_: None)  # made-up advice has no figures to print
        streams = contextlib.redirect_stdout(said), contextlib.redirect_stderr(said)
        with quiet, contextlib.chdir(folder.parents[1]), streams[0], streams[1]:
            code = main(list(words))
        demand(code == 0, "the command line says", code, said.getvalue())
        tables = [(path / "prices.csv").read_bytes() for path in (self.folder, folder)]
        demand(tables[0] == tables[1], "the command line differs", words, tables)
        Faces.compared += 1


def words_of(entry: dict[str, Any]) -> list[str]:
    """Return the words of the command that makes an entry; none if there is no such command."""
    by = ["--by", entry["actor"], "--reason", entry["reason"]]
    if entry.get("staged"):
        yes = [] if entry["kind"] == "rejection" else ["--yes"]
        return ["reject" if entry["kind"] == "rejection" else "approve", str(entry["staged"]), *by, *yes]
    product = ["--product", entry.get("product", "")]
    until = ["--until", entry.get("until", "")]
    force = ["--force"] if entry.get("forced") else []
    return {
        "override": ["override", f"{entry.get('price')}", *until, *product, *by, *force],
        "pause": ["pause", *until, *product, *by],
        "resume": ["resume", *product, *by],
        "price_test": ["price-test", "start", *product, *by, *force],
        "approval": ["approve", f"{entry.get('approves')}", *by],
    }.get(entry["kind"], [])


def disagreements(seed: int) -> str:
    """Return where the command line disagrees with a seed; empty if it does not."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "shop"
        root.mkdir()
        faces = Faces(root, None)
        with simulated(faces.system):
            try:
                for command in commands_of(seed):
                    if command.kind != "copy":
                        faces.run(command._replace(breaks=None))
            except BrokenRuleError as error:
                return f"seed {seed}: {error}"
    return ""
