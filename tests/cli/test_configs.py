"""Every shipped configuration runs through the real command line and gives advice."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml
from command_line import CONFIGS, FAST, OUTPUTS, Result, run

from pricerl.cli.imports import find_config, shipped_names
from pricerl.cli.parse import PricingCLI
from pricerl.market.reward import RewardConfig

SHIPPED = sorted(path for path in CONFIGS.glob("*.yaml") if path.name != "sweep.yaml")
WITHOUT_ACCOUNT = ("WANDB_API_KEY", "WANDB_MODE")
Fit = Callable[[str], tuple[Result, Path]]


QUICK = ("default",)
"""Configurations that the default test run trains with."""


def _advice(folder: Path) -> dict[str, object]:
    (run_dir,) = (folder / "checkpoints").iterdir()
    assert {path.name for path in run_dir.iterdir()} >= {*OUTPUTS, "config.yaml", "last.ckpt", "metrics.csv"}
    document: dict[str, object] = json.loads((run_dir / "advice.json").read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="module")
def fit_shipped(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    """Return the result and the folder of a shipped configuration's run, trained once."""

    @cache
    def fit(name: str) -> tuple[Result, Path]:
        folder = tmp_path_factory.mktemp(name)
        return run(
            folder, "fit", "--config", str(CONFIGS / f"{name}.yaml"), *FAST, "--verbose", "--wandb", "false"
        ), folder

    return fit


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=() if path.stem in QUICK else pytest.mark.slow, id=path.stem)
        for path in SHIPPED
        if path.stem != "policy"  # it trains the network that ships, and advises nobody
    ],
)
def test_a_shipped_configuration_trains_and_advises(path: Path, fit_shipped: Fit) -> None:
    result, folder = fit_shipped(path.stem)
    assert result.code in (0, 4), result.err
    preset = yaml.safe_load(path.read_text()).get("data", {}).get("reward", {}).get("preset", "profit")
    assert _advice(folder)["objective"] == preset


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) for name in ("profit", "revenue", "upward")]
)
def test_a_variant_counts_after_the_defaults_too(name: str, tmp_path: Path) -> None:
    words = ["--config", str(CONFIGS / "default.yaml"), "--config", str(CONFIGS / f"{name}.yaml")]
    result = run(tmp_path, "fit", *words, *FAST, "--wandb", "false")
    assert result.code in (0, 4), result.err
    assert _advice(tmp_path)["objective"] == name


@pytest.mark.slow
def test_guardrails_stand_beside_another_configuration_and_a_checkpoint_keeps_them(tmp_path: Path) -> None:
    words = ["--config", str(CONFIGS / "quickstart.yaml"), "--config", str(CONFIGS / "guardrails.yaml"), *FAST]
    result = run(tmp_path, "fit", *words, "--data.guardrails.products", "{simulated seller: {pause: true}}")
    assert result.code in (0, 4), result.err
    checkpoint = ["--ckpt_path", "checkpoints/quickstart/best.ckpt", "--out", "out"]
    paused = run(tmp_path, "predict", *checkpoint)
    assert " Why        The product is paused" in paused.out
    (tmp_path / "fresh.yaml").write_text("data: {guardrails: {products: {simulated seller: {max_rise: 0.02}}}}")
    assert "is paused" not in run(tmp_path, "predict", *checkpoint, "--config", "fresh.yaml").out
    (tmp_path / "wrong.yaml").write_text("data: {guardrails: {products: {simulated seler: {}, Lamp: {}}}}")
    for command in (["predict", *checkpoint], ["fit", *FAST, "--run_name", "none"]):
        refused = run(tmp_path, *command, "--config", "wrong.yaml")
        assert refused.code == 2
        assert "no product 'simulated seler'; did you mean 'simulated seller'?, and none 'Lamp'" in refused.err
    assert not (tmp_path / "checkpoints" / "none").exists()


def test_a_configuration_is_found_by_name_in_any_folder(tmp_path: Path) -> None:
    assert {"default", "quickstart", "gym/sac"} <= {*shipped_names()}
    for name in ("profit", "profit.yaml", "configs/profit.yaml"):
        assert Path(find_config(name)).read_text() == (CONFIGS / "profit.yaml").read_text()
    (tmp_path / "quickstart.yaml").write_text("data: {reward: {preset: nonsense}}")
    own = run(tmp_path, "fit", "--config", "quickstart.yaml")
    assert own.code == 2 and "found 'nonsense'" in own.err  # a file of one's own comes first
    unknown = run(tmp_path, "fit", "--config", "defualt")
    assert unknown.code == 2 and unknown.err.endswith("No such file or directory; did you mean 'default'?\n")
    assert find_config("../cli/x") == "../cli/x"


def test_losses_weigh_in_the_reward_as_in_the_decision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cli = PricingCLI(["fit", "--decision.loss_weight", "4"], ())
    cli.before_instantiate_classes()
    cli.instantiate_classes()
    reward = cli.datamodule.reward.resolved()
    assert reward.loss_weight == cli.config_init.decision.loss_weight == 4.0 != RewardConfig().loss_weight


@pytest.mark.slow
def test_upward_is_judged_by_its_own_objective_and_prints_what_that_costs(tmp_path: Path) -> None:
    words = [*FAST, "--decision.compare_plan", "true", "--verbose", "--wandb", "false"]
    result = run(tmp_path, "fit", "--config", str(CONFIGS / "upward.yaml"), *words)
    assert result.code in (0, 4)
    assert "better by the objective upward in " in " ".join(result.out.split())
    assert "highest expected profit" in result.out


def test_a_runs_own_configuration_trains_it_again(trained: Path, tmp_path: Path) -> None:
    shutil.copy(trained.parents[1] / "seller.csv", tmp_path)
    result = run(tmp_path, "fit", "--config", str(trained / "config.yaml"), "--run_name", "two")
    assert result.code in (0, 4), result.err
    assert (trained / "advice.csv").read_bytes() == (tmp_path / "checkpoints" / "two" / "advice.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_weights_and_biases_without_a_key_works_offline_and_asks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in WITHOUT_ACCOUNT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("builtins.input", lambda *args: pytest.fail("asked for something"))
    result = run(
        tmp_path, "fit", "--config", str(CONFIGS / "default.yaml"), "--wandb", "true", "--run_name", "w", *FAST
    )
    assert result.code in (0, 4), result.err
    assert list((tmp_path / "checkpoints" / "w").glob("gen-*/wandb/offline-run-*"))
    assert sys.modules["wandb"].run is None, "a later training in this process would go on with the run"
