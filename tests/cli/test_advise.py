"""The commands ``advise`` and ``init``, ``pricerl.advise`` with a frame, and a sales and an ads report together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from command_line import CONFIGS, FAST, entries_of, run, seller_lines, write_lines
from safetensors import safe_open
from saying import QUICK, says

import pricerl
from pricerl.cli.loading import untrained_settings
from pricerl.cli.usage import file_parser, with_files
from pricerl.errors import UsageError
from pricerl.runs.checkpoint import Checkpoint
from pricerl.sac.start import SHIPPED

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


def test_a_first_advice_prints_its_steps_where_they_are_asked_for(tmp_path: Path) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines())
    for asked, said in (("true", ["reading", "deciding", "writing"]), ("false", [])):
        words = ("--run_name", asked, "--data.market.num_draws", "16", "--trainer.enable_progress_bar", asked)
        result = run(tmp_path, "advise", "sales.csv", *words)
        assert result.code in (0, 4) and [line.split()[0] for line in result.err.splitlines()] == said


def test_init_writes_the_commented_guardrails_once(tmp_path: Path) -> None:
    says(tmp_path, "init", "pricerl advise FILE --config guardrails.yaml", code=0)
    written = tmp_path / "guardrails.yaml"
    assert written.read_bytes() == (CONFIGS / "guardrails.yaml").read_bytes()
    written.write_text("data: {guardrails: {floor: 9.9}}", encoding="utf-8")
    says(tmp_path, "init", "guardrails.yaml exists and stays as it is", code=2)
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


ADS_HEADER = "Date,Advertised SKU,Clicks,Spend,7 Day Total Orders (#)"
JOINED = "Joined Amazon, Sponsored Products advertised product report (preset amazon-advertised-product) on 60 of "


def write_shop(folder: Path) -> None:
    """Write sales of one product, and ads of its first 60 days whose conversion alternates between 5 and 10 %."""
    write_lines(folder / "sales.csv", seller_lines(columns=3, product="Lamp"))
    days = np.datetime64("2025-01-01") + np.arange(60)
    write_lines(folder / "ads.csv", [ADS_HEADER, *(f"{day},Lamp,20,3.50,{1 + at % 2}" for at, day in enumerate(days))])


@pytest.mark.slow
def test_an_ads_report_is_joined_by_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shop(tmp_path)
    made = run(tmp_path, "advise", "sales.csv", "ads.csv", *FAST)
    assert made.code in (0, 4) and made.err == "" and " Lamp · 90 days" in made.out
    folder = tmp_path / "checkpoints" / "sales"
    (entry,) = entries_of(tmp_path, "sales")
    assert entry["path"] == ["sales.csv", "ads.csv"] and len(entry["hashes"]["file"]) == 64
    assert json.loads((folder / "advice.json").read_text(encoding="utf-8"))["source"] == "sales.csv"
    for files in ("[sales.csv,ads.csv]", "sales.csv"):  # the shop knows the ads
        says(tmp_path, f"fit --data.path={files} {QUICK} --resume=auto", "nothing left to do")
    both = "--data.path sales.csv --data.path+ ads.csv"
    says(tmp_path, f"predict {both} --verbose", "recorded: no entry")
    says(tmp_path, f"what-if 10.20 {both}", "better: unknown without costs", code=0)
    (tmp_path / "ads.csv").rename(tmp_path / "moved.csv")
    monkeypatch.chdir(tmp_path)
    (advice,) = pricerl.load(folder / "best.ckpt").advise(["sales.csv", "moved.csv"])
    assert advice.product == "Lamp"


def test_check_reads_several_files_wherever_they_stand(tmp_path: Path) -> None:
    write_shop(tmp_path)
    for words in ("sales.csv --verbose ads.csv", "--data.path sales.csv --data.path+=ads.csv"):
        says(tmp_path, f"check {words}", JOINED, code=0)
    write_lines(tmp_path / "ads.csv", [ADS_HEADER, "2025-01-01,Rug,20,3.50,1"])
    why = "it has 'Rug' from 2025-01-01 to 2025-01-01, the sales report 'Lamp' from 2025-01-01"
    says(tmp_path, "check sales.csv ads.csv", why, code=3)


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (["--data.path", "a.csv", "--seed", "1", "--data.path+", "b.csv"], ["a.csv", "b.csv"]),
        (["--data.path", "a.csv", "--data.path=[b.csv, 'c d.csv']"], ["b.csv", "c d.csv"]),
        (["--data.path=[ab]*.csv"], ["[ab]*.csv"]),
        (["--horizon", "7"], None),
        (with_files(["a.csv", "--horizon", "7", "b.csv", "--excel", "c.csv"]), ["a.csv", "b.csv", "c.csv"]),
        (with_files(["b.csv", "--data.path", "a.csv"]), ["a.csv", "b.csv"]),
        (with_files(["--horizon=7", "-"]), ["-"]),
    ],
)
def test_files_are_named_in_a_list_or_added_or_stand_where_no_option_takes_them(
    words: list[str], files: list[str] | None
) -> None:
    assert file_parser("predict", None).parse_known_args(words)[0].path == files


def test_options_of_advise_keep_their_words_and_a_file_is_needed() -> None:
    assert with_files(["a.csv", "--horizon", "7", "--excel"]) == ["--horizon", "7", "--excel", "--data.path=a.csv"]
    with pytest.raises(UsageError, match="advise needs a FILE"):
        with_files(["--horizon", "7"])


SMALL = ("--data.market.num_draws", "16", "--today", "2025-04-01")


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A shop whose first advice came from the network that ships."""
    write_lines(tmp_path / "seller.csv", seller_lines())
    result = run(tmp_path, "advise", "seller.csv", *SMALL)
    assert result.code in (0, 4) and " seller · 90 days" in result.out, result.err
    return tmp_path


def test_a_first_advice_trains_nothing_and_stands_for_predict(first: Path) -> None:
    kept = Checkpoint.read("best", first / "checkpoints/seller")
    assert (kept.update, kept.is_trained, kept.name) == (0, False, "gen-0001/best.ckpt")
    weights = {name.removeprefix("agent."): value for name, value in kept.content["state_dict"].items()}
    with safe_open(SHIPPED, "pt") as file:
        assert torch.equal(weights["actor.head.weight"], file.get_tensor("actor.head.weight").float())
    path = first / "checkpoints/seller/advice.json"
    before = json.loads(path.read_text(encoding="utf-8"))["products"]
    for words in ((), ("--horizon", "14")):  # at once, and computed
        again = run(first, "predict", "--today", "2025-04-01", *words)
        assert "nothing is new for 1 " in again.err, again
        assert json.loads(path.read_text(encoding="utf-8"))["products"] == before


def test_a_run_that_has_an_advice_and_resumed_ones_are_trained_from_the_beginning(first: Path) -> None:
    quick = (*SMALL, "--trainer.max_steps", "1", "--data.num_envs", "16", "--model.algorithm.warmup_steps", "256")
    resumed = run(first, "fit", "--data.path", "seller.csv", "--resume", "auto", *quick)
    assert resumed.code in (0, 4), resumed.err
    trained = Checkpoint.read("last", first / "checkpoints/seller")
    assert (trained.update, trained.is_trained, trained.name) == (1, True, "gen-0002/last.ckpt")
    again = run(first, "retrain", *quick)
    assert again.code in (0, 4) and Checkpoint.read("last", first / "checkpoints/seller").name == "gen-0003/last.ckpt"


def test_options_and_configurations_of_a_training_train(tmp_path: Path) -> None:
    (tmp_path / "limits.yaml").write_text("data: {guardrails: {floor: 9.9}}", encoding="utf-8")
    (tmp_path / "long.yaml").write_text("trainer: {max_steps: 40}", encoding="utf-8")
    (tmp_path / "rows.yaml").write_text("data: {num_envs: 32}", encoding="utf-8")
    own = ["--data.path=a.csv", "--data.guardrails.floor=9.5", f"--config={tmp_path / 'limits.yaml'}"]
    found = untrained_settings(own)
    assert found is not None and found["data"]["guardrails"]["floor"] == 9.9
    for word in ("--trainer.max_steps=40", "--resume=auto", "--model.compile=on", "--allow=mine", "--print_config"):
        assert untrained_settings([*own, word]) is None
    for name in ("long", "rows"):
        assert untrained_settings([f"--config={tmp_path / name}.yaml"]) is None
    assert untrained_settings(["--data.path=a.csv", "--data.reading.window=9"]) is not None
