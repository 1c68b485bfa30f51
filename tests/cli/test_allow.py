"""A user's own parts run with ``--allow``, nothing is imported without it, and their errors are never called bugs."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from command_line import FAST, run
from own_package import own_package
from saying import QUICK, refuses, says

from pricerl.runs.checkpoint import Checkpoint

NAME = "my_shop_rl"
ALLOW = f"--allow {NAME}"
GYM = "--data.eval_every 20 --data.eval_episodes 2 --model.network.hidden [32,32] --model.algorithm.warmup_steps 40"
GYM += " --model.algorithm.batch_size 16 --trainer.max_steps 20 --trainer.enable_progress_bar false --run_name run"
ENV = f"{NAME}:{NAME}/Pole-v0"


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    with own_package(tmp_path / "packages") as place:
        yield place


@pytest.mark.usefixtures("package")
def test_own_module_reward_demand_model_and_callback_run_and_advise(tmp_path: Path) -> None:
    own = f"--model.class_path {NAME}.parts.TanhModule --model.width 9 --data.class_path {NAME}.parts.FlatData"
    own += f" --data.extra 3 --trainer.callbacks+={NAME}.parts.Greeter --trainer.callbacks.text there"
    says(tmp_path, f"fit {QUICK} --run_name own {ALLOW} {own}", "greeting there", "own demand model")
    best = tmp_path / "checkpoints" / "own" / "best.ckpt"
    weights = Checkpoint.read(best).content["state_dict"]
    assert weights["agent.actor.trunk.layer.weight"].shape[0] == 9
    predict = f"predict --ckpt_path {best} --out again"
    says(tmp_path, predict, f"{best}: {NAME}.parts.FlatData is not imported without --allow {NAME}", code=2)
    says(tmp_path, f"{predict} {ALLOW}")


@pytest.mark.usefixtures("package")
def test_own_data_and_module_need_no_seed_and_no_task(tmp_path: Path) -> None:
    own = f"--data {NAME}.parts.PendulumData --model {NAME}.parts.PendulumModule --model.width 4"
    returned = "mean return of 2 deterministic episodes after 20 updates"
    says(tmp_path, f"fit {own} {ALLOW} --run_name run --trainer.max_steps 20 --data.eval_every 10", returned, code=0)
    says(tmp_path, f"test --run_name run {ALLOW}", code=0)


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
    fit = f"fit {GYM} --allow 'numpy, {NAME}' --data.env_id {ENV} --trainer.logger {NAME}.parts.Printer"
    says(tmp_path, fit, "row of update 20", code=0)
    says(tmp_path, f"test --ckpt_path checkpoints/run/best.ckpt --allow={NAME}", "eval/episode_return", code=0)
    says(tmp_path, "predict --ckpt_path checkpoints/run/best.ckpt", "predict advises on a seller's file", code=2)


@pytest.fixture(scope="module")
def of_an_own_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    with own_package(folder):
        says(folder, f"fit {GYM} {ALLOW} --data.env_id {ENV}", code=0)
    return folder


REFUSED = {
    "test --ckpt_path checkpoints/run/best.ckpt": ENV,
    "fit --data.env_id foreign:Some-v0": "foreign:Some-v0",
    "fit --data.env_id Pendulum-v1 --data.env_settings '{make: [foreign.envs:Some-v0]}'": "foreign.envs:Some-v0",
    "fit --config checkpoints/run/config.yaml --run_name two": ENV,
    "fit --model.class_path foreign.Model": "foreign.Model",
    "fit --data.class_path foreign.Data": "foreign.Data",
    "fit --config '{data: {class_path: foreign.Data}}'": "foreign.Data",
    "fit --trainer.profiler.class_path foreign.Profiler": "foreign.Profiler",
    "fit --config '{trainer: {callbacks: foreign.Thing}}'": "foreign.Thing",
    "fit --config '{trainer: {callbacks: [{class_path: foreign.Thing}]}}'": "foreign.Thing",
    "fit --config '{trainer: {logger: foreign.Thing}}'": "foreign.Thing",
    "fit --config '{trainer: {logger: {class_path: foreign.Thing}}}'": "foreign.Thing",
    "fit --config '{trainer: {strategy: {class_path: foreign.Thing}}}'": "foreign.Thing",
    "fit --allow for --model foreign.Model": "foreign.Model",
}
"""Commands and what they would import; in the last one a prefix of its name is allowed."""


@pytest.mark.parametrize("words", REFUSED)
def test_nothing_is_imported_that_the_command_line_does_not_allow(
    words: str, of_an_own_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = of_an_own_environment
    (folder / "foreign.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    (folder / "for.py").touch()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # nothing else is written into the folder
    package = re.split("[.:]", REFUSED[words])[0]
    refuses(folder, words, f"{REFUSED[words]} is not imported without --allow {package}")
    assert package not in sys.modules


FAILING = {
    "callback": (["--trainer.callbacks", f"{NAME}.parts.Failing"], "fail", "ValueError: no such thing"),
    "callback while saving": (
        ["--trainer.callbacks", f"{NAME}.parts.Failing", "--trainer.callbacks.hook", "on_save_checkpoint"],
        "fail",
        "ValueError: no such thing",
    ),
    "module": (["--model", f"{NAME}.parts.FailingModule"], "training_step", "RuntimeError: "),
    "data": (["--data", f"{NAME}.parts.FailingData"], "build_env", "KeyError: 'env'"),
}
OWN = ("fit", *FAST, "--run_name", "own", "--allow", NAME)


@pytest.mark.parametrize("case", FAILING)
def test_an_error_in_an_own_package_names_its_place(case: str, package: Path, tmp_path: Path) -> None:
    words, function, message = FAILING[case]
    result = run(tmp_path, *OWN, *words)
    line = result.err.splitlines()[-1]
    assert result.code == 1 and line.startswith(f"error in {NAME}.parts."), result.err
    assert f"{function} ({package / 'parts.py'}:" in line and message in line
    assert "bug" not in result.err and "Traceback" not in result.err


def test_an_error_while_an_own_package_is_imported_names_its_place_and_debug_shows_the_traceback(
    package: Path, tmp_path: Path
) -> None:
    (package / "__init__.py").write_text("import gymnasium\n\n1 / 0\n", encoding="utf-8")
    result = run(tmp_path, "fit", "--allow", NAME)
    place = f"{NAME}.<module> ({package / '__init__.py'}:3)"
    assert (result.code, result.err) == (1, f"error in {place}: ZeroDivisionError: division by zero\n")
    debugged = run(tmp_path, "fit", "--allow", NAME, "--debug")
    assert debugged.code == 1 and "Traceback" in debugged.err and str(package) in debugged.err


@pytest.mark.usefixtures("package")
def test_an_error_of_pricerl_stays_a_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pricerl.training.collector.SampleStream.__len__", lambda self: 1 // 0)
    result = run(tmp_path, *OWN)
    assert result.code == 1 and "a bug in pricerl, please report it: ZeroDivisionError" in result.err
