"""A sales report and an ads report, named together in every command that reads files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import FAST, entries_of, run, seller_lines, write_lines

import pricerl
from pricerl.cli.usage import file_parser, with_files

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
    assert "nothing left to do" in run(tmp_path, "fit", "--data.path=[sales.csv,ads.csv]", *FAST, "--resume=auto").out
    alone = run(tmp_path, "fit", "--data.path", "sales.csv", *FAST, "--resume", "auto")
    assert "nothing left to do" in alone.out  # the shop knows the ads
    both = ["--data.path", "sales.csv", "--data.path+", "ads.csv"]
    again = run(tmp_path, "predict", *both, "--verbose")
    assert again.code in (0, 4) and "recorded: no entry" in again.out
    asked = run(tmp_path, "what-if", "10.20", *both)
    assert asked.code == 0 and "ad conversion %" in asked.out
    (tmp_path / "ads.csv").rename(tmp_path / "moved.csv")
    monkeypatch.chdir(tmp_path)
    (advice,) = pricerl.load(folder / "best.ckpt").advise(["sales.csv", "moved.csv"])
    assert advice.product == "Lamp"


def test_check_reads_several_files_wherever_they_stand(tmp_path: Path) -> None:
    write_shop(tmp_path)
    for words in (["sales.csv", "--verbose", "ads.csv"], ["--data.path", "sales.csv", "--data.path+=ads.csv"]):
        found = run(tmp_path, "check", *words)
        assert found.code == 0 and JOINED in found.out
    write_lines(tmp_path / "ads.csv", [ADS_HEADER, "2025-01-01,Rug,20,3.50,1"])
    refused = run(tmp_path, "check", "sales.csv", "ads.csv")
    assert refused.code == 3 and refused.err.count("\n") == 1
    assert "it has 'Rug' from 2025-01-01 to 2025-01-01, the sales report 'Lamp' from 2025-01-01" in refused.err


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (["--data.path", "a.csv", "--seed", "1", "--data.path+", "b.csv"], ["a.csv", "b.csv"]),
        (["--data.path", "a.csv", "--data.path=[b.csv, 'c d.csv']"], ["b.csv", "c d.csv"]),
        (["--data.path=[ab]*.csv"], ["[ab]*.csv"]),
        (["--horizon", "7"], None),
        (with_files(["a.csv", "--horizon", "7", "b.csv", "--excel", "c.csv"]), ["a.csv", "b.csv", "c.csv"]),
        (with_files(["b.csv", "--data.path", "a.csv"]), ["a.csv", "b.csv"]),
    ],
)
def test_files_are_named_once_in_a_list_or_added_one_by_one(words: list[str], files: list[str] | None) -> None:
    assert file_parser("predict", None).parse_known_args(words)[0].path == files
