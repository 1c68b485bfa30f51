"""Checkpoints and logs that somebody changed, with valid checksums, are refused; damaged bytes are in ``runs``."""

from __future__ import annotations

from collections.abc import Callable
from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import edit, run
from saying import QUICK, says

from pricerl.runs.checkpoint import read_saved, save

PREDICT = "predict --ckpt_path checkpoints/seller/best.ckpt --data.path seller.csv --out new"
LAST = f"fit --data.path seller.csv --run_name seller {QUICK} --trainer.max_steps 80 --ckpt_path last"
Change = Callable[[dict[str, Any]], object]


def settings_of(tree: dict[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = tree["pricerl"]["settings"]
    return settings


def network_of(tree: dict[str, Any]) -> dict[str, Any]:
    network: dict[str, Any] = tree["hyper_parameters"]["network"]
    return network


def spoil_weight(tree: dict[str, Any]) -> None:
    name = next(name for name, value in tree["state_dict"].items() if value.is_floating_point() and value.numel() > 1)
    tree["state_dict"][name].view(-1)[0] = torch.nan


def leave_out_a_column(tree: dict[str, Any]) -> None:
    buffer = tree["PricingDataModule"]["process"]["collector"]["buffer"]
    buffer["rows"] = buffer["rows"][:, 1:].clone()


def path_in_place_of(place: str) -> Change:
    """Put the path of a configuration in the place of settings of the data."""
    return lambda tree: settings_of(tree)["data"].update({place: "own.yaml"})


CHANGES: dict[str, tuple[str, Change]] = {
    "a weight is no number": (PREDICT, spoil_weight),
    **{f"no {key}": (PREDICT, methodcaller("pop", key)) for key in ("state_dict", "global_step", "epoch", "pricerl")},
    **{
        f"a path in place of {place}": (PREDICT, path_in_place_of(place))
        for place in ("reading", "env", "reading.preset", "reading.query")
    },
    "a path in place of decision": (PREDICT, lambda tree: settings_of(tree).update(decision="own.yaml")),
    "a path in place of network": (PREDICT, lambda tree: tree["hyper_parameters"].update(network="own.yaml")),
    "huge layers": (PREDICT, lambda tree: network_of(tree).update(hidden=[10**7, 10**7])),
    "many critics": (PREDICT, lambda tree: network_of(tree).update(num_critics=10**7)),
    "many draws": (PREDICT, lambda tree: settings_of(tree)["data"]["market"].update(num_draws=10**12)),
    "other rows": (LAST, leave_out_a_column),
}
"""The command that must refuse a change of its checkpoint's content, and the change."""


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow if CHANGES[case][0] == LAST else ()) for case in CHANGES]
)
def test_a_changed_checkpoint_is_refused_and_no_file_that_it_names_is_read(case: str, shop: Path) -> None:
    words, change = CHANGES[case]
    (shop / "own.yaml").write_text("secret: 1\n")
    path = shop / "checkpoints/seller/gen-0001" / ("last.ckpt" if words == LAST else "best.ckpt")
    change(tree := read_saved(path))
    save(path, tree)
    result = run(shop, *f"{words} --trainer.enable_progress_bar false".split())
    assert result.code in (2, 3, 5) and result.err.startswith("error: ") and "Traceback" not in result.err, result
    assert "secret" not in result.err and "own.yaml: " not in result.err and not (shop / "new").exists()


@pytest.mark.parametrize("key", ["grade", "source", "reason", "current_price"])
def test_a_log_with_control_characters_is_refused_without_them(key: str, shop: Path) -> None:
    changed = f"UPDATE entry SET line = json_set(line, '$.{key}', char(27) || '[2Jchanged')"
    edit(shop / "checkpoints/seller/shop.db", changed)
    assert "\x1b" not in says(shop, "history", code=3)
