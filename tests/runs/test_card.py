"""The card of a generation: data, settings, evaluation, calibration, limits and use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import run

from pricerl.evaluation.backtest import Backtest, HorizonScore
from pricerl.runs.card import MOST_LISTED, render_card
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.folder import CARD

PREPROCESSOR = {"step_days": 7, "names": ["cup"], "last_days": ["2025-03-31"]}


def checkpoint(**preprocessor: Any) -> Checkpoint:
    content = {
        "global_step": 1200,
        "pricerl": {"versions": {"torch": "2.13.0", "pricerl": "0.1.0"}},
        "callbacks": {"RunCheckpoint": {"best_score": 0.51234, "best_update": 1000}},
        "PricingDataModule": {"preprocessor": {**PREPROCESSOR, **preprocessor}},
    }
    return Checkpoint(Path("best.ckpt"), content)


def score(days: int, coverage: float) -> Backtest:
    return Backtest(4, (HorizonScore(1, days, 0.2, 0.3, coverage, None, None, 0.1),))


def test_a_card_states_data_settings_score_and_coverage_of_all_products() -> None:
    known = checkpoint(products=[{"dates": [0] * 60}])
    lines = render_card(known, "eval/gain", {"b": None, "a": "é"}, {"x": score(10, 0.8), "y": score(30, 1.0)}).split(
        "\n"
    )
    assert lines[2].startswith("Weights after 1,200 updates with seed None, by pricerl 0.1.0, torch 2.13.0 (source ")
    assert "- cup: 60 days or weeks until 2025-03-31" in lines
    assert lines.index('- `a`: `"é"`') + 1 == lines.index("- `b`: `null`")
    assert any("`eval/gain` 0.5123 at update 1,000" in line for line in lines)
    assert "95 % of 40 unseen days, one ahead, lay inside the 90 % interval of units." in lines
    assert {"## Limits", "## Intended use", "## Not for"} < {*lines}


def test_a_card_says_what_is_unknown_and_shortens_long_lists() -> None:
    text = render_card(checkpoint(), "eval/gain", {f"s{number:03}": 1 for number in range(MOST_LISTED + 3)}, {})
    assert "- cup: 2025-03-31\n" in text and "Unknown: " in text
    assert "- and 3 more" in text and f"`s{MOST_LISTED:03}`" not in text
    other = Checkpoint(Path("best.ckpt"), {"global_step": 1, "pricerl": {}})
    text = render_card(other, "eval/gain", {}, {})
    assert "a Gymnasium environment" in text and "- none" in text and "## Intended use" not in text


def test_a_card_shows_texts_of_others_as_they_are() -> None:
    hostile = checkpoint(names=["<img src=x> [cup](http://e.vil)\x9b2J\u202e\n# Best"])
    hostile.content["pricerl"]["versions"] = {"torch": "`2`\n## Limits"}
    text = render_card(hostile, "eval/gain", {"a`": "`\u202e`"}, {})
    assert r"- \<img src=x\> \[cup\]\(http://e.vil\)2J \# Best: 2025-03-31" in text
    assert text.count("\n## Limits") == 1 and '`a `: `"  "`' in text
    assert all(char.isprintable() or char == "\n" for char in text)


def test_a_generation_has_a_card_that_its_manifest_covers(trained: Path) -> None:
    generation = trained / "gen-0001"
    text = (generation / CARD).read_text(encoding="utf-8")
    assert "- seller: 90 days or weeks until 2025-03-31" in text and "- `model.network.hidden`: `[32, 32]`" in text
    assert "days, one ahead, lay inside" in text and "seed_everything" not in text and "describe" not in text
    assert CARD in json.loads((generation / "manifest.json").read_text(encoding="utf-8"))["files"]


@pytest.mark.slow
def test_a_run_in_gymnasium_has_a_card_of_its_environment(tmp_path: Path) -> None:
    words = ("--trainer.max_steps", "20", "--data.eval_every", "20", "--trainer.enable_progress_bar", "false")
    assert run(tmp_path, "fit", "--config", "gym/pendulum", "--run_name", "pole", *words).code == 0
    text = (tmp_path / "checkpoints" / "pole" / "gen-0001" / CARD).read_text(encoding="utf-8")
    assert '- `data.env_id`: `"Pendulum-v1"`' in text and "`eval/episode_return`" in text
