from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from command_line import run, train


class Outputs(NamedTuple):
    """What a command wrote into a folder."""

    rows: list[dict[str, str]]
    products: list[dict[str, Any]]
    html: str


def read_outputs(folder: Path) -> Outputs:
    with (folder / "advice.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    products = json.loads((folder / "advice.json").read_text(encoding="utf-8"))["products"]
    return Outputs(rows, products, (folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.getbasetemp() / "trained")


@pytest.fixture(scope="session")
def moved(trained: Path) -> Path:
    """Advice that follows the policy, since the gate is off."""
    folder = trained.parents[1]
    words = ["--data.path", "seller.csv", "--decision.min_chance", "0", "--out", "moved", "--horizon", "28"]
    result = run(folder, "predict", "--ckpt_path", str(trained / "best.ckpt"), *words)
    assert result.code == 0, result.err
    return folder / "moved"
