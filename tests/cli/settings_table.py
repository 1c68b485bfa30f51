"""Write the table of settings from the parser itself: ``python tests/cli/settings_table.py``."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any
from unittest.mock import patch

from lightning import __version__
from lightning.pytorch.cli import LightningArgumentParser

from pricerl.cli import parse
from pricerl.cli.main import COMMANDS, main
from pricerl.cli.usage import TABLE

ORDER = ("", "data", "model", "decision", "report", "tracking", "trainer")
"""Order of the groups in the help; nested groups follow theirs."""


def make_table() -> dict[str, Any]:
    """Return Lightning's version, the commands' purposes, and the settings by prefix, as the full help lists them."""
    found: list[LightningArgumentParser] = []
    keep = parse.help_parsers
    with patch("pricerl.cli.parse.help_parsers", lambda parser: found.extend(keep(parser)) or []):
        main(["fit", "--help=all"])
    groups: dict[str, Any] = {}
    for part in (group for parser in found for group in parser._action_groups):
        for action in part._group_actions:
            name = next((word[2:] for word in action.option_strings if word.startswith("--")), "")
            if name in ("", "data", "model") or name.endswith("help") or type(action).__name__ == "_ActionConfigLoad":
                continue
            about = {"text": " ".join((action.help or "").split()), "default": _plain(action.default)}
            prefix = name.rpartition(".")[0]
            group = groups.setdefault(prefix, {"text": part.title, "settings": {}})
            group["settings"].setdefault(name, about)
    ordered = dict(sorted(groups.items(), key=lambda item: ORDER.index(item[0].partition(".")[0])))
    return {"lightning": __version__, "commands": _purposes(), "groups": ordered}


def _purposes() -> dict[str, str]:
    """Return the purpose of each command that has the quick help."""
    found = {}
    for command, place in COMMANDS.items():
        module, _, function = place.partition(":")
        if module == "advise" and command != "what-if":
            found[command] = getattr(import_module(f"pricerl.cli.{module}"), function).__doc__
    return found


def _plain(default: Any) -> Any:
    return None if default == "==SUPPRESS==" else default


if __name__ == "__main__":
    table = make_table()
    del table["groups"][""]  # the options of a run, which are in the code
    TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
