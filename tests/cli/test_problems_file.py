"""``problems.csv``: the problems of skipped products, next to the advice on the others."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from command_line import FAST, run, seller_lines, write_lines


def test_fit_and_predict_write_the_problems_of_skipped_products(tmp_path: Path) -> None:
    header, *rows = seller_lines(product="Lamp")
    good = [header, *(",".join([*row.split(",")[:2], f"EUR {row.split(',')[2]}", *row.split(",")[3:]]) for row in rows)]
    bad = [f"Bad,2025-01-{day:02},EUR ten,1,1,12,9" for day in range(1, 31)]
    write_lines(tmp_path / "shop.csv", [*good, *bad])
    result = run(tmp_path, "fit", *FAST, "--data.path", "shop.csv", "--run_name", "shop")
    assert result.code in (0, 4), result.err
    folder = tmp_path / "checkpoints" / "shop"
    rows = list(csv.reader((folder / "problems.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 31 and rows[1][:4] == ["92", "Product Price", "Bad", "EUR ten"]
    assert (folder / "problems.csv").is_symlink()
    assert json.loads((folder / "advice.json").read_text(encoding="utf-8"))["currency"] == "EUR"
    write_lines(tmp_path / "whole.csv", good)
    for file, found in (("shop.csv", True), ("whole.csv", False)):
        words = ["--ckpt_path", str(folder / "best.ckpt"), "--data.path", file, "--out", "fresh"]
        assert run(tmp_path, "predict", *words).code in (0, 4)
        assert (tmp_path / "fresh" / "problems.csv").exists() == found
    assert run(tmp_path, "predict", "--ckpt_path", str(folder / "best.ckpt"), "--out", "stored").code in (0, 4)
    assert not (tmp_path / "stored" / "problems.csv").exists()  # whole.csv, read again, has none
    assert json.loads((tmp_path / "stored" / "advice.json").read_text(encoding="utf-8"))["currency"] == "EUR"
    other = ("--ckpt_path", str(folder / "best.ckpt"), "--out", "other", "--data.currency", "USD")
    for words, source in ((other, "whole.csv"), ((*other, "--data.path", "shop.csv"), "shop.csv")):
        contradicted = run(tmp_path, "predict", *words)
        own = f"EUR, the currency of {source}, or be left out"
        assert contradicted.code == 2 and f"--data.currency: must be {own}, found 'USD'" in contradicted.err
    refused = run(tmp_path, "fit", *FAST, "--data.path", "shop.csv", "--data.reading.strict", "true")
    assert refused.code == 3 and "has 30 problems:" in refused.err and refused.err.count("Product Price:") == 20
    assert "… and 10 more; `check shop.csv --problems problems.csv` lists them" in refused.err
