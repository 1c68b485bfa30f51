"""The allow-list of imports: a user's own parts run with ``--allow``, and nothing is imported without it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from command_line import FAST, listing, run
from own_package import own_package

from pricerl.runs.checkpoint import Checkpoint

NAME = "my_shop_rl"
GYM = [
    *("--data.eval_every", "20", "--data.eval_episodes", "2", "--model.network.hidden", "[32,32]"),
    *("--model.algorithm.warmup_steps", "40", "--model.algorithm.batch_size", "16", "--trainer.max_steps", "20"),
    *("--trainer.enable_progress_bar", "false", "--run_name", "run"),
]
ENV = f"{NAME}:{NAME}/Pole-v0"


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    with own_package(tmp_path / "packages") as place:
        yield place


@pytest.mark.usefixtures("package")
def test_own_module_reward_demand_model_and_callback_run_and_advise(tmp_path: Path) -> None:
    words = ["--model.class_path", f"{NAME}.parts.TanhModule", "--model.width", "9"]
    words += ["--data.class_path", f"{NAME}.parts.FlatData", "--data.extra", "3"]
    words += [f"--trainer.callbacks+={NAME}.parts.Greeter", "--trainer.callbacks.text", "there"]
    result = run(tmp_path, "fit", *FAST, "--run_name", "own", "--allow", NAME, *words)
    assert result.code in (0, 4), result.err
    assert "greeting there" in result.out and "own demand model" in result.out
    best = tmp_path / "checkpoints" / "own" / "best.ckpt"
    weights = Checkpoint.read(best).content["state_dict"]
    assert weights["agent.actor.trunk.layer.weight"].shape[0] == 9
    predict = ["predict", "--ckpt_path", str(best), "--out", "again"]
    refused = run(tmp_path, *predict)
    assert refused.code == 2 and refused.err.count("\n") == 1
    assert f"{best}: {NAME}.parts.FlatData is not imported without --allow {NAME}" in refused.err
    assert run(tmp_path, *predict, "--allow", NAME).code in (0, 4)


@pytest.mark.usefixtures("package")
def test_own_data_and_module_need_no_seed_and_no_task(tmp_path: Path) -> None:
    words = ["--data", f"{NAME}.parts.PendulumData", "--model", f"{NAME}.parts.PendulumModule", "--model.width", "4"]
    words += ["--allow", NAME, "--run_name", "run", "--trainer.max_steps", "20", "--data.eval_every", "10"]
    result = run(tmp_path, "fit", *words)
    assert result.code == 0 and "mean return of 2 deterministic episodes after 20 updates" in result.out, result.err
    assert run(tmp_path, "test", "--run_name", "run", "--allow", NAME).code == 0


def test_an_own_reward_is_the_one_that_the_market_pays(package: Path) -> None:
    sys.path.insert(0, str(package.parent))
    from my_shop_rl.parts import StayData

    from pricerl.arrays import LOSS_WEIGHT
    from pricerl.data.config import DataConfig
    from pricerl.market.demand.config import DemandConfig
    from pricerl.simulation.seller import SellerConfig

    data = StayData(seller=SellerConfig(days=120), market=DemandConfig(num_draws=8), reading=DataConfig())
    product, draw = torch.zeros(8, dtype=torch.int64), torch.arange(8)
    median = data.dynamics.rows(product, draw).references.price
    for factor, reward in ((1.0, 0.0), (1.25, -0.25 * LOSS_WEIGHT)):
        found, _ = data.dynamics.constant_price(factor * median, product, draw)
        torch.testing.assert_close(found, torch.full((8,), reward), atol=1e-5, rtol=0)


@pytest.mark.usefixtures("package")
def test_own_environment_and_logger_run_and_are_scored(tmp_path: Path) -> None:
    words = [*GYM, "--allow", f"numpy, {NAME}", "--data.env_id", ENV]
    result = run(tmp_path, "fit", *words, "--trainer.logger", f"{NAME}.parts.Printer")
    assert result.code == 0, result.err
    assert "row of update 20" in result.out
    test = ["test", "--ckpt_path", "checkpoints/run/best.ckpt"]
    scored = run(tmp_path, *test, f"--allow={NAME}")
    assert scored.code == 0 and "eval/episode_return" in scored.out, scored.err


@pytest.fixture(scope="module")
def of_an_own_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    with own_package(folder):
        assert run(folder, "fit", *GYM, "--allow", NAME, "--data.env_id", ENV).code == 0
    return folder


REFUSED = {
    "environment of a checkpoint": (["test", "--ckpt_path", "checkpoints/run/best.ckpt"], ENV),
    "environment": (["fit", "--data.env_id", "foreign:Some-v0"], "foreign:Some-v0"),
    "environment in settings": (
        ["fit", "--data.env_id", "Pendulum-v1", "--data.env_settings", '{"make": ["foreign.envs:Some-v0"]}'],
        "foreign.envs:Some-v0",
    ),
    "stored run": (["fit", "--config", "checkpoints/run/config.yaml", "--run_name", "two"], ENV),
    "model": (["fit", "--model.class_path", "foreign.Model"], "foreign.Model"),
    "data": (["fit", "--data.class_path", "foreign.Data"], "foreign.Data"),
    "data in a configuration": (["fit", "--config", "{data: {class_path: foreign.Data}}"], "foreign.Data"),
    "profiler": (["fit", "--trainer.profiler.class_path", "foreign.Profiler"], "foreign.Profiler"),
    "prefix of an allowed name": (["fit", "--allow", "for", "--model", "foreign.Model"], "foreign.Model"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_nothing_is_imported_that_the_command_line_does_not_allow(
    case: str, of_an_own_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, named = REFUSED[case]
    folder = of_an_own_environment
    (folder / "foreign.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    (folder / "for.py").touch()
    monkeypatch.syspath_prepend(folder)
    before = listing(folder)
    result = run(folder, *words)
    package = named.partition(":")[0].partition(".")[0]
    assert result.code == 2, result.err
    assert f"{named} is not imported without --allow {package}" in result.err and result.err.count("\n") == 1
    assert package not in sys.modules and listing(folder) == before


@pytest.mark.usefixtures("package")
def test_a_package_is_allowed_for_one_command_only(tmp_path: Path) -> None:
    words = ["fit", *FAST, "--trainer.fast_dev_run", "true", "--model", f"{NAME}.parts.TanhModule"]
    assert run(tmp_path, *words, "--allow", NAME).code == 0
    assert "is not imported without --allow" in run(tmp_path, *words).err


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no/package", "--allow: must be the name of a package such as my_package, found 'no/package'"),
        ("absent_package.x", "there is no module 'absent_package'; correct its name, install it or put its folder on"),
    ],
)
def test_a_wrong_allow_is_answered_in_one_line(value: str, message: str, tmp_path: Path) -> None:
    result = run(tmp_path, "fit", "--allow", value)
    assert result.code == 2 and message in result.err and result.err.count("\n") == 1


def test_a_configuration_cannot_allow(tmp_path: Path) -> None:
    result = run(tmp_path, "fit", "--config", "{allow: foreign}")
    assert result.code == 2 and "unknown option --allow" in result.err
