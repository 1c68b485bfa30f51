"""Backtests kept in a run's folder: read if nothing has changed, ignored if anything has."""

from __future__ import annotations

import importlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from command_line import OUTPUTS, Result, run, seller_lines, train, write_lines
from own_package import own_package

from pricerl.data.costs import CostConfig
from pricerl.evaluation.backtest import Backtest, HorizonScore
from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.pooling import FEWEST_POOLED, Evidence
from pricerl.operations.backtests import (
    BACKTESTS_FILE,
    BacktestTask,
    backtest_task,
    fingerprint,
    read_backtests,
    write_backtests,
)
from pricerl.operations.log.provenance import hash_own_code
from pricerl.simulation.seller import SellerConfig
from pricerl.training.pricing_data import PricingDataModule

SCORE = HorizonScore(1, 9, 0.1 + 0.2, 1 / 3, 0.9, None, None, 1e-17)
FOUND = {"täglich \udcff": Backtest(9, (SCORE, SCORE._replace(wape_supplied=0.7, skill_supplied=-0.1)))}


def refuse(*arguments: object, **settings: object) -> dict[str, Backtest]:
    raise AssertionError("the backtest was computed again")


def predict(folder: Path, *words: str) -> Result:
    checkpoint = folder / "best.ckpt"
    return run(
        folder.parents[1], "predict", "--ckpt_path", str(checkpoint), "--trainer.enable_progress_bar=false", *words
    )


def test_kept_backtests_are_the_same_to_the_last_bit(tmp_path: Path) -> None:
    path = tmp_path / BACKTESTS_FILE
    write_backtests(path, "key", FOUND)
    assert read_backtests(path, "key") == FOUND
    assert read_backtests(path, "other") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-30],
        lambda text: "",
        lambda text: "[]",
        lambda text: "[" * 100_000,
        lambda text: text.replace("0.9", "0.8"),
        lambda text: text.replace("9,", "8,", 1),
        lambda text: json.dumps({**json.loads(text), "hash": None}),
    ],
)
def test_a_damaged_file_is_ignored(damage, tmp_path: Path) -> None:
    path = tmp_path / BACKTESTS_FILE
    write_backtests(path, "key", FOUND)
    changed = damage(path.read_text(encoding="utf-8"))
    assert changed != path.read_text(encoding="utf-8")
    path.write_text(changed, encoding="utf-8")
    assert read_backtests(path, "key") is None


def test_a_file_that_is_absent_a_folder_or_binary_is_ignored(tmp_path: Path) -> None:
    assert read_backtests(tmp_path / "none", "key") is None and read_backtests(tmp_path, "key") is None
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert read_backtests(tmp_path / "binary", "key") is None


def test_the_fingerprint_changes_with_everything_that_backtests_depend_on(simulated) -> None:
    data = simulated(SellerConfig(days=60))
    task = BacktestTask(data, DemandConfig(), CostConfig(), 0, 1, "highest", None)
    product = data.products[0]
    units = product.units.copy()
    units[3] += 1
    others = [
        task._replace(preprocessor=replace(data, products=(replace(product, units=units),))),
        task._replace(preprocessor=replace(data, products=(replace(product, own_price=product.observed),))),
        task._replace(preprocessor=replace(data, config=replace(data.config, window=8))),
        task._replace(demand=DemandConfig(num_draws=32)),
        task._replace(cost=CostConfig(unit_cost=4.0)),
        task._replace(seed=1),
        task._replace(threads=2),
        task._replace(precision="medium"),
    ]
    assert fingerprint(task) == fingerprint(task._replace(cost=CostConfig()))
    assert len({fingerprint(task), *map(fingerprint, others)}) == 1 + len(others)


def test_the_fingerprint_changes_with_the_package_of_an_own_demand_model(simulated, tmp_path: Path) -> None:
    data = simulated(SellerConfig(days=60))
    task = BacktestTask(data, DemandConfig(), CostConfig(), 0, 1, "highest", None)
    with own_package(tmp_path) as package:
        own = task._replace(demand=importlib.import_module(f"{package.name}.parts").FlatDemand())
        before, before_own = fingerprint(task), fingerprint(own)
        assert fingerprint(own) == before_own
        (package / "helpers.py").write_text("LEVEL = 2\n", encoding="utf-8")  # of any module, not only the model's
        assert fingerprint(own) != before_own
        assert fingerprint(task) == before, "the package is allowed, but no part of it is used"


def test_code_without_a_file_has_no_lasting_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typed_in", ModuleType("typed_in"))
    assert hash_own_code(["typed_in"]) != hash_own_code(["typed_in"])
    assert hash_own_code(["pricerl.market"]) == hash_own_code([])


def _products(folder: Path) -> tuple[bytes, list[object]]:
    """Advice of a folder without what grows with every advice: the head of the log and the advice before."""
    products = json.loads((folder / "advice.json").read_bytes())["products"]
    return (folder / "advice.csv").read_bytes(), [{**product, "previous": None} for product in products]


def test_predict_and_validate_read_what_fit_computed(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _products(trained)
    kept = (trained / BACKTESTS_FILE).read_bytes()
    monkeypatch.setattr("pricerl.operations.backtests.run_backtests", refuse)
    again = predict(trained)
    assert again.code in (0, 4), again.err
    assert _products(trained) == before
    assert (trained / BACKTESTS_FILE).read_bytes() == kept
    scored = run(trained.parents[1], "validate", "--ckpt_path", str(trained / "best.ckpt"))
    assert scored.code == 0, scored.err


def test_a_catalogue_is_not_tested_again_though_its_checkpoint_holds_evidence(tmp_path: Path) -> None:
    data = PricingDataModule(seller=SellerConfig(days=60, products=FEWEST_POOLED), market=DemandConfig(num_draws=8))
    run = SimpleNamespace(pricing=data, options=SimpleNamespace(threads=1, matmul_precision="highest"))
    before = fingerprint(backtest_task(run))
    data.load_state_dict(data.state_dict())
    assert len(data.evidence) == FEWEST_POOLED and fingerprint(backtest_task(run)) == before
    data.evidence["product-1"] = Evidence(-2.0, 0.5)
    del data.pool
    assert fingerprint(backtest_task(run)) != before


def test_a_newer_history_is_tested_anew_and_replaces_the_file(trained: Path) -> None:
    kept = (trained / BACKTESTS_FILE).read_bytes()
    write_lines(trained.parents[1] / "newer.csv", seller_lines(95))
    assert predict(trained, "--data.path", "newer.csv").code in (0, 4)
    assert (trained / BACKTESTS_FILE).read_bytes() != kept


def test_a_file_that_cannot_be_written_stops_nothing(trained: Path) -> None:
    (trained / BACKTESTS_FILE).unlink()
    (trained / BACKTESTS_FILE).mkdir()
    assert predict(trained).code in (0, 4)


@pytest.mark.slow
def test_fit_with_a_second_process_writes_the_same_advice(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pricerl.operations.engine.usable_cores", lambda: 2)
    monkeypatch.setattr("pricerl.operations.backtests.idle_cores", lambda: 2)
    monkeypatch.setattr("pricerl.operations.backtests.run_backtests", refuse)
    second = train(tmp_path / "second")
    names = [*OUTPUTS, BACKTESTS_FILE]
    assert {name: (second / name).read_bytes() for name in names} == {
        name: (trained / name).read_bytes() for name in names
    }


def die(*_: object) -> None:
    os._exit(3)


@pytest.mark.slow
def test_fit_survives_the_death_of_its_second_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pricerl.operations.engine.usable_cores", lambda: 2)
    monkeypatch.setattr("pricerl.operations.backtests.idle_cores", lambda: 2)
    monkeypatch.setattr("pricerl.operations.engine.claim_compute", die)
    with pytest.warns(UserWarning, match="work is done here, as no process starts"):
        folder = train(tmp_path / "shop")
    assert (folder / BACKTESTS_FILE).is_file() and (folder / "report.html").is_file()
