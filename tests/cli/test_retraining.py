"""The command retrain: a fit with the settings that the shop keeps."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import Result, run, seller_lines, write_lines

from pricerl.operations.log.drafts import draft_limits, draft_publishing
from pricerl.operations.shop import Shop
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.folder import BEST, RunFolder

QUIET = ("--trainer.enable_progress_bar", "false")


@pytest.fixture
def shop(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "checkpoints" / "seller")
    return tmp_path


def retrain(shop: Path, lines: list[str], *words: str) -> Result:
    write_lines(shop / "fresh.csv", lines)
    return run(shop, "retrain", "seller", "--data.path", "fresh.csv", *QUIET, *words)


@pytest.mark.slow
def test_a_retraining_is_a_fit_with_the_kept_settings_and_the_new_days(shop: Path) -> None:
    folder = RunFolder(shop / "checkpoints" / "seller")
    state = Shop.open(folder)
    state.record([draft_publishing(state, "manual", "anna", ""), draft_limits(state, {"floor": 1.25}, "anna", "")])
    result = retrain(shop, seller_lines(150))
    assert result.code in (0, 4), result.err
    assert folder.current is not None and folder.current.name == "gen-0002"
    assert (folder.path / BEST).samefile(folder.path / "gen-0002" / BEST)
    (advice,) = Shop.open(folder).newest.values()
    assert advice["history_end"] == seller_lines(150)[-1].split(",")[0]
    assert (advice["terms"]["approval"], advice["terms"]["guardrails"]) == ("manual", {"floor": 1.25})
    made, before = (Checkpoint.read(folder.find(name).path / BEST) for name in ("gen-0002", "gen-0001"))
    assert made.about["limits"] == before.about["limits"]
    assert run(shop, "rollback", "seller").code == 0 and folder.current.name == "gen-0001"


def test_an_option_of_the_former_gate_is_refused(shop: Path) -> None:
    refused = retrain(shop, seller_lines(110), "--holdout_days", "28")
    assert refused.code == 2 and "holdout_days" in refused.err and refused.err.count("\n") == 1


def test_a_review_compares_past_advice_with_what_happened(shop: Path) -> None:
    write_lines(shop / "fresh.csv", seller_lines(150))
    result = run(shop, "review", "seller", "--data.path", "fresh.csv")
    assert result.code == 0, result.err
    assert "2025-04" in result.out and (shop / "checkpoints/seller/review.html").exists()
    write_lines(shop / "fresh.csv", seller_lines())
    early = run(shop, "review", "seller", "--data.path", "fresh.csv")
    assert early.code == 3 and "no day of the file had been advised on before" in early.err
