"""Extras of the pages: plotly's charts and PDF files, or the reason why they cannot be made."""

from __future__ import annotations

import json
import re
import stat
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from command_line import FAST, run, seller_lines, train, write_lines

from pricerl.advice.report import interactive, pdf
from pricerl.advice.report.render import render_pages
from pricerl.errors import UsageError


@pytest.fixture
def document(trained: Path) -> dict[str, Any]:
    return json.loads((trained / "advice.json").read_text(encoding="utf-8"))


def test_an_interactive_page_holds_the_same_numbers_and_loads_nothing(document: dict[str, Any]) -> None:
    (page,) = [html for _, html in render_pages(document, interactive=True)]
    drawn = dict(re.findall(r'Plotly\.newPlot\(\s*"(\w+)-chart",\s*(\[.*?\]),\s*\{', page, re.DOTALL))
    assert set(drawn) == {"demand", "profit", "prices", "units"}
    low, high, mean, days = json.loads(drawn["demand"])
    curves = document["products"][0]["details"]["curves"]
    assert [mean["x"], mean["y"]] == [curves["price"], [row[0] for row in curves["units"]]]
    assert [low["y"], high["y"]] == [[row[place] for row in curves["units"]] for place in (1, 2)]
    assert days["y"] == document["products"][0]["details"]["own_days"]["units"]
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy and policy[1].startswith("default-src &#39;none&#39;;") and "http" not in policy[1]
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)
    assert page == dict(render_pages(document, interactive=True))["report.html"]
    (plain,) = [html for _, html in render_pages(document)]
    assert "<script" not in plain and len(plain) < 150_000 < len(page)


def test_a_name_full_of_markup_stays_inert_next_to_scripts(document: dict[str, Any]) -> None:
    document["products"][0]["product"] = "</script><script>alert(1)</script>"
    (page,) = [html for _, html in render_pages(document, interactive=True)]
    assert "alert(1)</script>" not in page


def test_without_plotly_fit_names_the_package_to_install_and_trains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        if name.startswith("plotly"):
            raise ImportError(name)
        return import_module(name)

    monkeypatch.setattr(interactive, "import_module", missing)
    write_lines(tmp_path / "s.csv", seller_lines(40))
    result = run(tmp_path, "fit", "--data.path", "s.csv", *FAST, "--report.interactive", "true")
    assert result.code == 2 and 'pip install "pricerl[interactive]"' in result.err
    assert not (tmp_path / "checkpoints").exists()


def test_without_a_browser_pdf_is_refused_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "BROWSERS", ("no-such-browser",))
    write_lines(tmp_path / "s.csv", seller_lines(40))
    result = run(tmp_path, "fit", "--data.path", "s.csv", *FAST, "--pdf")
    assert result.code == 2 and "--pdf needs Chromium or Chrome" in result.err
    assert not (tmp_path / "checkpoints").exists()


def script(path: Path, line: str) -> str:
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_pdf_of_earlier_advice_goes_and_a_new_one_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = train(tmp_path)
    printing = (
        'for word in "$@"; do case "$word" in --print-to-pdf=*) echo new > "${word#--print-to-pdf=}";; esac; done'
    )
    monkeypatch.setattr(pdf, "BROWSERS", (script(tmp_path / "browser", printing),))
    words = [
        "predict",
        "--ckpt_path",
        str(made / "best.ckpt"),
        "--out",
        "advice",
        "--trainer.enable_progress_bar",
        "false",
    ]
    assert run(tmp_path, *words, "--pdf").code in (0, 4)
    printed = tmp_path / "advice" / "report.pdf"
    assert printed.read_text(encoding="utf-8") == "new\n"
    assert sorted(path.name for path in printed.parent.iterdir()) == [
        "advice.csv",
        "advice.json",
        "prices.csv",
        "published",
        "report.html",
        "report.pdf",
    ]
    assert run(tmp_path, *words).code in (0, 4) and not printed.exists()


def test_a_browser_that_fails_is_named_and_leaves_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = write_lines(tmp_path / "report.html", ["<p>page</p>"])
    monkeypatch.setattr(pdf, "BROWSERS", (script(tmp_path / "browser", "exit 1"),))
    with pytest.raises(UsageError, match=r"report\.pdf: .*browser could not print report\.html; open and print it"):
        pdf.print_pages([page])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["browser", "report.html"]
