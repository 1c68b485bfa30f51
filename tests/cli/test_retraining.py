"""The command retrain: a fit with the settings that the shop keeps, and what portable runs need for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import FAST, Result, run, seller_lines, write_lines

from pricerl.operations.log.drafts import draft_limits, draft_publishing
from pricerl.operations.shop import Shop
from pricerl.operations.watching.monitor_document import MONITOR_FILE
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.folder import BEST, RunFolder

QUIET = ("--trainer.enable_progress_bar", "false")


@pytest.fixture
def shop(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "checkpoints" / "seller", symlinks=True)
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
    assert (folder.path / "best.ckpt").resolve().is_relative_to((folder.path / "gen-0002").resolve())
    (advice,) = Shop.open(folder).newest.values()
    assert advice["history_end"] == seller_lines(150)[-1].split(",")[0]
    assert (advice["terms"]["approval"], advice["terms"]["guardrails"]) == ("manual", {"floor": 1.25})
    made, before = (Checkpoint.read(folder.find(name).path / BEST) for name in ("gen-0002", "gen-0001"))
    assert made.about["limits"] == before.about["limits"]
    assert run(shop, "rollback", "seller").code == 0 and folder.current.name == "gen-0001"


def fit_first_days(folder: Path, *words: str) -> Path:
    """Fit a run to the first 90 days of 150."""
    write_lines(folder / "seller.csv", seller_lines(150)[:91])
    write_lines(folder / "fresh.csv", seller_lines(150))
    result = run(folder, "fit", "--data.path", "seller.csv", "--run_name", "seller", *FAST, *words)
    assert result.code in (0, 4)
    return folder


@pytest.fixture(scope="module")
def portable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a portable run; no test may change it."""
    return fit_first_days(tmp_path_factory.mktemp("portable"), "--portable", "true")


@pytest.fixture
def shops(portable: Path, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> list[Path]:
    """Folders of a run with its history and of a copy of the portable one."""
    whole = fit_first_days(tmp_path_factory.mktemp("whole"))
    return [whole, shutil.copytree(portable, tmp_path / "portable", symlinks=True)]


@pytest.mark.slow
def test_a_portable_run_is_watched_as_one_with_its_history(shops: list[Path]) -> None:
    found = []
    for folder in shops:
        assert run(folder, "watch", "seller", "--data.path", "fresh.csv", "--today", "2025-05-31").code == 0
        found.append(json.loads((folder / "checkpoints/seller" / MONITOR_FILE).read_text(encoding="utf-8")))
    assert found[0]["products"][0]["new_days"] == 60 and found[0] == found[1]


@pytest.mark.slow
def test_a_portable_run_stays_portable(portable: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(portable, tmp_path / "portable", symlinks=True)
    assert run(folder, "retrain", "seller", "--data.path", "fresh.csv", *QUIET).code in (0, 4)
    made = RunFolder(folder / "checkpoints" / "seller").find("gen-0002")
    assert Checkpoint.read(made.path / BEST).about["contains_history"] is False


def test_a_portable_run_names_the_old_days_that_a_file_lacks(portable: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(portable, tmp_path / "portable", symlinks=True)
    header, *rows = seller_lines(150)
    write_lines(folder / "late.csv", [header, *rows[86:]])
    result = run(folder, "watch", "seller", "--data.path", "late.csv")
    assert result.code == 3 and result.err.count("\n") == 1, result.err
    assert "seller has 4 rows until 2025-03-31, the last day that the model was fitted to" in result.err
    assert "must hold the old days too, at least 8: export them" in result.err
    assert [item.name for item in RunFolder(folder / "checkpoints" / "seller").generations()] == ["gen-0001"]


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
