"""The commands ``advise`` and ``init``, and ``pricerl.advise`` with a frame."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from command_line import CONFIGS, FAST, run, seller_lines, write_lines

import pricerl
from pricerl.cli.usage import with_files
from pricerl.errors import UsageError

TRIAL = {
    **{"data.market.num_draws": 16, "data.num_envs": 16, "model.network.hidden": [32, 32]},
    **{"decision.compare_plan": False, "model.algorithm.actor_horizon": 0},
}


def advised_product(folder: Path, name: str) -> str:
    """Name of the only product in a run's advice."""
    document = json.loads((folder / "checkpoints" / name / "advice.json").read_text(encoding="utf-8"))
    (product,) = document["products"]
    return str(product["product"])


def test_advise_names_run_and_product_after_the_file_and_prints_one_block(tmp_path: Path) -> None:
    write_lines(tmp_path / "soap nuts 2025.csv", seller_lines())
    result = run(tmp_path, "advise", "soap nuts 2025.csv", *FAST)
    assert result.code in (0, 4) and result.err == ""
    assert result.out.startswith(" soap nuts 2025 · 90 days, last day 31 Mar 2025")
    assert "open checkpoints/soap nuts 2025/report.html" in result.out and "--run_name" not in result.out
    assert advised_product(tmp_path, "soap nuts 2025") == "soap nuts 2025"
    shutil.copy(tmp_path / "soap nuts 2025.csv", tmp_path / "next.csv")
    later = run(tmp_path, "predict", "--data.path", "next.csv", "--format", "json")
    (product,) = json.loads(later.out)["products"]
    assert product["product"] == "soap nuts 2025"  # the only run is found, and the product keeps its name
    again = run(tmp_path, "advise", "next.csv", "--run_name", "soap nuts 2025", *FAST, "--verbose")
    assert again.code in (0, 4) and advised_product(tmp_path, "soap nuts 2025") == "soap nuts 2025"
    assert "recorded: entry 2 of " in again.out and "90 % intervals contained" in again.out


def test_the_file_of_advise_is_the_word_that_no_option_takes() -> None:
    assert with_files(["a.csv", "--horizon", "7", "--excel"]) == ["--horizon", "7", "--excel", "--data.path=a.csv"]
    assert with_files(["--horizon=7", "-"]) == ["--horizon=7", "--data.path=-"]
    with pytest.raises(UsageError, match="advise needs a FILE"):
        with_files(["--horizon", "7"])


def test_init_writes_the_commented_guardrails_once(tmp_path: Path) -> None:
    made = run(tmp_path, "init")
    assert made.code == 0 and "pricerl advise FILE --config guardrails.yaml" in made.out
    written = tmp_path / "guardrails.yaml"
    assert written.read_bytes() == (CONFIGS / "guardrails.yaml").read_bytes()
    written.write_text("data: {guardrails: {floor: 9.9}}", encoding="utf-8")
    again = run(tmp_path, "init")
    assert again.code == 2 and "guardrails.yaml exists and stays as it is" in again.err
    assert written.read_text(encoding="utf-8") == "data: {guardrails: {floor: 9.9}}"


@pytest.mark.slow
def test_a_frame_is_advised_on_like_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "sales.csv", seller_lines())
    frame = pd.read_csv("sales.csv", parse_dates=["Report Date"])
    made = pricerl.advise(frame.set_index("Report Date"), run_name="shop", max_steps=20, settings=TRIAL)
    (advice,) = made
    assert len(made) == 1 and made[0] is advice and advice.product == "shop"
    table = made.table()
    assert len(table) == 14 and table["Date"].iloc[0] == pd.Timestamp("2025-04-01")
    assert table["Recommended Price"].tolist() == [day.recommended_price for day in advice.days]
    made.files.table.unlink()  # a later advice may have replaced it
    assert made.table().equals(table)
    assert made.report() == Path("checkpoints/shop/report.html") and made.report().exists()
    assert made._repr_html_().startswith("<iframe srcdoc=") and "&lt;html" in made._repr_html_()
    assert str(made).startswith(" shop · 90 days")
    by_file = pricerl.advise(tmp_path / "sales.csv", run_name="file", max_steps=20, settings=TRIAL)
    assert [day.recommended_price for day in by_file[0].days] == [day.recommended_price for day in advice.days]
    (again,) = pricerl.load("checkpoints/shop/best.ckpt").advise(pa.Table.from_pandas(frame))
    assert [day.recommended_price for day in again.days] == [day.recommended_price for day in advice.days]
    env = pricerl.make_env(pa.Table.from_pandas(frame))
    assert env.dynamics.market.preprocessor.names == ("frame",)
    with pytest.raises(UsageError, match="expected a file, folder, database or DataFrame, found dict"):
        pricerl.advise({"Report Date": []})  # type: ignore[arg-type]
