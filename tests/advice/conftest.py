from __future__ import annotations

from pathlib import Path

import pytest
from advice_outputs import lowering_policy
from command_line import run, train


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.getbasetemp() / "trained")


@pytest.fixture(scope="session")
def moved(trained: Path) -> Path:
    """Advice of a policy that lowers the price whenever it may; the gate is off, so it is followed."""
    folder = trained.parents[1]
    words = ["--data.path", "seller.csv", "--decision.min_chance", "0", "--out", "moved", "--horizon", "28"]
    with lowering_policy():
        result = run(folder, "predict", "--ckpt_path", str(trained / "best.ckpt"), *words)
    assert result.code == 0, result.err
    return folder / "moved"
