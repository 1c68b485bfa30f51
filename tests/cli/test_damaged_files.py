"""150 damaged or malicious checkpoints, manifests, configurations and logs are refused."""

from __future__ import annotations

import pickle
import random
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import FAST, Result, run, seller_lines, train, write_lines
from command_line import edit as edit_database

from pricerl.runs.checkpoint import read_saved, save

QUIET = ["--trainer.enable_progress_bar", "false"]
PREDICT = ["predict", "--ckpt_path", "checkpoints/seller/best.ckpt", "--data.path", "seller.csv", "--out", "new"]
PREDICT += QUIET
RESUME = ["fit", "--data.path", "seller.csv", "--run_name", "seller", *FAST, "--trainer.max_steps", "80"]
LAST = [*RESUME, "--ckpt_path", "last"]

Damage = Callable[[Path, random.Random], object]


class Executed:
    """Object whose pickle leaves a trace when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


def best(shop: Path) -> Path:
    return shop / "checkpoints/seller/gen-0001/best.ckpt"


def last(shop: Path) -> Path:
    return shop / "checkpoints/seller/gen-0001/last.ckpt"


def flip(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    rewrite(path, bytes(content))


def flip_part(path: Path, chance: random.Random) -> None:
    """Flip a bit in the content of a part of a checkpoint."""
    with zipfile.ZipFile(path) as archive:
        part = chance.choice([item for item in archive.infolist() if item.file_size])
    content = bytearray(path.read_bytes())
    name, extra = struct.unpack_from("<HH", content, part.header_offset + 26)
    first = part.header_offset + 30 + name + extra
    content[first + chance.randrange(part.file_size)] ^= 1 << chance.randrange(8)
    rewrite(path, bytes(content))


def rewrite(path: Path, content: bytes) -> None:
    """Replace a file, which may be another one as well."""
    path.unlink()
    path.write_bytes(content)


def cut(path: Path, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a checkpoint's content and write it with a valid checksum, as an attacker would."""
    tree = read_saved(path)
    change(tree)
    save(path, tree)


def settings_of(tree: dict[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = tree["pricerl"]["settings"]
    return settings


def spoil_weight(tree: dict[str, Any], _: random.Random) -> None:
    name = next(name for name, value in tree["state_dict"].items() if value.is_floating_point() and value.numel() > 1)
    tree["state_dict"][name].view(-1)[0] = torch.nan


def foreign_class(tree: dict[str, Any], _: random.Random) -> None:
    settings_of(tree)["model"] = {"class_path": "trace_module.Trace", "init_args": {}}


def foreign_env(tree: dict[str, Any], _: random.Random) -> None:
    settings_of(tree)["data"] = {
        "class_path": "pricerl.training.gym_data.GymDataModule",
        "init_args": {"env_id": "trace_module:Trace-v0"},
    }


def a_path(tree: dict[str, Any], chance: random.Random) -> None:
    """Put the path of a configuration in the place of settings."""
    settings = settings_of(tree)
    place = chance.choice(["reading", "env", "network", "decision", "reading.preset", "reading.query"])
    group = settings if place == "decision" else settings["data"]
    (tree["hyper_parameters"] if place == "network" else group)[place] = "own.yaml"


def a_huge_setting(tree: dict[str, Any], chance: random.Random) -> None:
    network, market = tree["hyper_parameters"]["network"], settings_of(tree)["data"]["market"]
    huge = [(network, "hidden", [10**7, 10**7]), (network, "num_critics", 10**7), (market, "num_draws", 10**12)]
    group, key, value = chance.choice(huge)
    group[key] = value


def a_pickle(path: Path, chance: random.Random) -> None:
    value = {"state_dict": Executed(path.parents[3] / "executed"), "pricerl": {"format": 9}}
    if chance.random() < 0.5:
        torch.save(value, path)
    else:
        path.write_bytes(pickle.dumps(value, protocol=chance.randrange(2, 6)))


def other_rows(tree: dict[str, Any]) -> None:
    buffer = tree["PricingDataModule"]["process"]["collector"]["buffer"]
    buffer["rows"] = buffer["rows"][:, 1:].clone()


def tamper_log(path: Path, chance: random.Random) -> None:
    key = chance.choice(["grade", "source", "reason", "current_price"])
    edit_database(path, f"UPDATE entry SET line = json_set(line, '$.{key}', char(27) || '[2Jchanged')")


KEYS = ["state_dict", "global_step", "epoch", "pricerl"]
YAML = (
    "model: {class_path: trace_module.Trace}\n",
    "trainer: {callbacks: {class_path: trace_module.Trace}}\n",
    "data: {env_id: 'trace_module:Trace-v0'}\n",
    "data: !!python/object/apply:pathlib.Path.touch [[executed]]\n",
    "!!python/object/apply:os.system ['touch executed']\n",
    "data: {reading: *unknown}\n",
    "[1, 2\n",
    "\x00\x01\n",
    "data: 3\n",
    "unknown_group: {a: 1}\n",
)


def edited(change: Callable[[dict[str, Any], random.Random], object], find: Callable[[Path], Path] = best) -> Damage:
    """Damage of the content of a file that is valid otherwise."""
    return lambda shop, chance: edit(find(shop), lambda tree: change(tree, chance))


FIT = ["fit", "--config", "bad.yaml", "--data.path", "seller.csv", *FAST]
BACK = ["rollback", "--run_name", "seller", "--to", "gen-0001"]
HISTORY = ["history", "--run_name", "seller"]
RUN = Path("checkpoints/seller")
CASES: dict[str, tuple[int, list[str], Damage]] = {
    "checkpoint, a bit": (30, PREDICT, lambda shop, chance: flip_part(best(shop), chance)),
    "checkpoint, cut": (10, PREDICT, lambda shop, chance: cut(best(shop), chance)),
    "checkpoint, pickle": (10, PREDICT, lambda shop, chance: a_pickle(best(shop), chance)),
    "checkpoint, NaN": (5, PREDICT, edited(spoil_weight)),
    "checkpoint, class": (5, PREDICT, edited(foreign_class)),
    "checkpoint, env": (5, PREDICT, edited(foreign_env)),
    "checkpoint, key": (10, PREDICT, edited(lambda tree, chance: tree.pop(chance.choice(KEYS)))),
    "checkpoint, path": (5, PREDICT, edited(a_path)),
    "checkpoint, size": (5, PREDICT, edited(a_huge_setting)),
    "state, a bit": (10, LAST, lambda shop, chance: flip_part(last(shop), chance)),
    "state, other rows": (10, LAST, lambda shop, chance: edit(last(shop), other_rows)),
    "manifest": (15, BACK, lambda shop, chance: flip(shop / RUN / "gen-0001/config.yaml", chance)),
    "log": (15, HISTORY, lambda shop, chance: tamper_log(shop / RUN / "shop.db", chance)),
    "configuration": (15, FIT, lambda shop, chance: (shop / "bad.yaml").write_text(chance.choice(YAML))),
}
"""150 cases: their number by kind, the command that must refuse them, and the damage."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, and a module that leaves a trace when it is imported."""
    trained = train(tmp_path_factory.getbasetemp() / "trained")
    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(trained, folder / "checkpoints" / "seller")
    write_lines(folder / "seller.csv", seller_lines())
    (folder / "own.yaml").write_text("secret: 1\n")
    (folder / "trace_module.py").write_text("from pathlib import Path\nPath('executed').touch()\n")
    return folder


SLOW = ("state, a bit", "state, other rows")
"""Cases that are found when a training resumes."""


@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.slow) if k in SLOW else k for k in CASES])
def test_damage_is_refused_and_nothing_executed(
    kind: str, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, words, damage = CASES[kind]
    monkeypatch.syspath_prepend(str(tmp_path))
    chance = random.Random(kind)
    for number in range(count):
        shutil.copytree(shop, tmp_path, dirs_exist_ok=True)
        damage(tmp_path, chance)
        result: Result = run(tmp_path, *words)
        assert result.code in (2, 3, 5), (number, result)
        assert "secret" not in result.err and "own.yaml: " not in result.err
        assert result.err.startswith("error: ") and "Traceback" not in result.err and "\x1b" not in result.err
        assert not list(tmp_path.rglob("executed")) and not (tmp_path / "new").exists()
        for path in tmp_path.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
