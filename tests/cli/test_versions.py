"""Names that docs/versions.md calls stable; ``PYTHONPATH=. python tests/cli/test_versions.py`` adds new ones."""

from __future__ import annotations

import contextlib
import gzip
import inspect
import io
import json
import re
from pathlib import Path

import pricerl
from pricerl import errors
from pricerl.advice.files import read_advice
from pricerl.cli.main import COMMANDS, main
from pricerl.cli.settings_help import GROUPS, settings_of

STORED = Path(__file__).with_name("stable_names.json")
OLD_ADVICE = Path(__file__).parents[1] / "advice" / "advice_0_1.json.gz"
STABLE_GROUPS = ("data", "model", "decision")


def find_names() -> dict[str, list[str]]:
    """Options by command, arguments by public name, exit codes, and settings, as they are now."""
    names = {command: _find_options(command) for command in COMMANDS}
    for name in pricerl.__all__:
        names[f"pricerl.{name}"] = list(inspect.signature(getattr(pricerl, name)).parameters)
    names["exit codes"] = [f"{name}={code}" for name, code in vars(errors).items() if name.startswith("EXIT_")]
    stable = [group for group in GROUPS if group.split(".")[0] in STABLE_GROUPS]
    names["settings"] = sorted(name for group in stable for name in settings_of(group))
    return names


def _find_options(command: str) -> list[str]:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main([command, "--help"]) == 0
    usage = out.getvalue().split("\noptions:")[-1]
    settings = settings_of("data") if "--config" in usage else {}
    return sorted({*re.findall(r"(?<![\w-])--([a-z][\w.-]*)", usage), *settings})


def test_no_stable_name_is_gone() -> None:
    now = find_names()
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    assert len(stored["settings"]) > 50 and len(stored["predict"]) > 10
    gone = {place: sorted({*names} - {*now.get(place, ())}) for place, names in stored.items()}
    assert {place: names for place, names in gone.items() if names} == {}
    unlisted = {place for place, names in now.items() if {*names} - {*stored.get(place, ())}}
    assert unlisted == set(), "run PYTHONPATH=. python tests/cli/test_versions.py"


def test_an_advice_of_an_older_format_is_left_to_predict(tmp_path: Path) -> None:
    (tmp_path / "advice.json").write_bytes(gzip.decompress(OLD_ADVICE.read_bytes()))
    assert read_advice(tmp_path) is None


if __name__ == "__main__":
    STORED.write_text(f"{json.dumps(find_names(), indent=1)}\n", encoding="utf-8")
