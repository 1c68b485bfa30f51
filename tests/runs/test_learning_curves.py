"""Learning curves: one panel per metric, and one message where nothing can be drawn."""

from __future__ import annotations

import runpy
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from command_line import Result, run

from pricerl.runs.learning_curves import COLUMNS, read_panels

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "wandb_report.py"
TABLE = "eval/price_mean,step,train/alpha,train/never,train/price_mean\n,50,0.5,,9.0\n9.5,100,0.25,,9.25\n"


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoints" / "mine" / "metrics.csv"
    path.parent.mkdir(parents=True)
    path.write_text(TABLE, encoding="utf-8")
    return path


def curves(metrics: Path, *words: str) -> Result:
    return run(metrics.parents[2], "curves", *words)


def test_a_picture_has_a_panel_per_metric_with_training_and_evaluation_in_one(metrics: Path) -> None:
    pytest.importorskip("matplotlib")
    assert curves(metrics, "mine", "--out", "curves.svg") == Result(0, "curves.svg\n", "")
    groups = ET.parse(metrics.parents[2] / "curves.svg").iter("{http://www.w3.org/2000/svg}g")
    names = [group.get("id", "") for group in groups]
    assert sum(name.startswith("axes_") for name in names) == 2 < COLUMNS
    assert sum(name.startswith("legend_") for name in names) == 1


def test_without_a_name_the_picture_lies_in_the_only_run(metrics: Path) -> None:
    pytest.importorskip("matplotlib")
    assert curves(metrics) == Result(0, "checkpoints/mine/curves.png\n", "")
    assert metrics.with_name("curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.filterwarnings("ignore:Pydantic V1 style")
def test_a_report_in_weights_and_biases_has_the_same_panels(metrics: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb_workspaces")
    report = runpy.run_path(str(EXAMPLE))["build"]
    monkeypatch.chdir(metrics.parents[2])
    (grid,) = report("mine", "team").blocks
    plots = [(panel.title, str(panel.x), [str(metric) for metric in panel.y]) for panel in grid.panels]
    panels, _ = read_panels(metrics)
    assert plots == [(title, "updates", names) for title, names in panels.items()] and len(plots) == 2
    (runs,) = grid.runsets
    assert (runs.entity, runs.project, runs.filters) == ("team", "pricerl", "Metric(\"Name\") == 'mine'")


def test_without_metrics_one_message_says_why(metrics: Path) -> None:
    pytest.importorskip("matplotlib")
    message = "error: checkpoints/mine/metrics.csv is missing or has no numbers; "
    metrics.write_text("step,train/alpha\n", encoding="utf-8")
    assert curves(metrics).err.startswith(message)
    metrics.unlink()
    assert curves(metrics, "mine").err.startswith(message)
    assert curves(metrics).err.startswith("error: checkpoints holds no run with metrics.csv yet; ")


def test_other_pictures_and_a_missing_extra_are_refused(metrics: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert curves(metrics, "--out", "x.pdf") == Result(2, "", "error: --out: must end in .png or .svg, found 'x.pdf'\n")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    message = 'error: curves needs matplotlib: pip install -e ".[plots]"\n'
    assert curves(metrics) == Result(2, "", message)
