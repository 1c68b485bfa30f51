from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, call

import pytest
import wandb
import yaml
from command_line import FAST, Result, run, seller_lines, write_lines

from pricerl.cli.usage import find_groups
from pricerl.training.loggers import WANDB_FILE, best_evaluation, keep_id
from pricerl.training.pricing_data import PricingDataModule

ROOT = Path(__file__).parents[2]
BLOCK, HEADER = 32768, 7
"""Layout of LevelDB's log format, in which the service keeps offline runs; the first block starts with a mark."""


def read_records(path: Path) -> Iterator[Any]:
    """Yield the records of an offline run."""
    from wandb.proto import wandb_internal_pb2

    data, at, part = path.read_bytes(), HEADER, b""
    assert data.startswith(b":W&B")
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + HEADER])
        part += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):  # whole record, or last piece of one
            record = wandb_internal_pb2.Record()
            record.ParseFromString(part)
            yield record
            part = b""


def start(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    known |= {"HOME": str(folder), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    command = [sys.executable, str(ROOT / "main.py"), *words, "--run_name", "w", "--wandb", "true"]
    return subprocess.run(command, cwd=folder, env=known, capture_output=True, text=True)


def fit(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    small = "--model.network.hidden=[16,16]", "--data.market.num_draws=16", "--data.num_envs=8"
    return start(folder, "fit", *small, *words, **environment)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run in three parts: a first training, its resumption, and an advice."""
    folder = tmp_path_factory.mktemp("tracked")
    plain = ("--model.algorithm.actor_horizon", "0", "--data.eval_every", "50")
    first = fit(folder, *plain, "--trainer.max_steps", "100", "--tracking.tags", "[a,b]", WANDB_RUN_GROUP="g")
    assert first.returncode in (0, 4), first.stderr
    second = fit(folder, *plain, "--trainer.max_steps", "150", "--ckpt_path", "last", WANDB_PROJECT="mine")
    assert second.returncode in (0, 4), second.stderr
    third = start(folder, "predict", "--ckpt_path", "last", WANDB_PROJECT="mine")
    assert third.returncode in (0, 4), third.stderr
    return folder / "checkpoints" / "w"


@pytest.fixture(scope="module")
def parts(folder: Path) -> list[list[Any]]:
    files = sorted(folder.glob("gen-*/wandb/offline-run-*/*.wandb"))
    return [list(read_records(path)) for path in files]


def items_of(part: list[Any], kind: str) -> dict[str, Any]:
    found = {}
    for record in part:
        if record.WhichOneof("record_type") == kind:
            items = getattr(record, kind)
            for item in getattr(items, "item", None) or items.update:
                found[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    return found


@pytest.mark.slow
def test_a_resumed_run_is_the_same_run_of_the_service(folder: Path, parts: list[list[Any]]) -> None:
    runs = [record.run for part in parts for record in part if record.WhichOneof("record_type") == "run"]
    stored = {json.loads(path.read_text())["id"] for path in folder.glob(f"gen-*/{WANDB_FILE}")}
    assert len(parts) == 3
    assert {run.run_id for run in runs} == stored
    assert len(stored) == 1
    assert {run.display_name for run in runs} == {"w"}


@pytest.mark.slow
def test_settings_come_before_the_environment_and_it_before_defaults(parts: list[list[Any]]) -> None:
    first, second = (next(r.run for r in part if r.WhichOneof("record_type") == "run") for part in parts[:2])
    assert (first.project, first.run_group, [*first.tags]) == ("pricerl", "g", ["a", "b"])
    assert second.project == "mine"


@pytest.mark.slow
def test_hyperparameters_are_flat_and_hold_the_data_and_the_version(parts: list[list[Any]]) -> None:
    from pricerl import __version__

    run = next(record.run for record in parts[0] if record.WhichOneof("record_type") == "run")
    config = {item.key: json.loads(item.value_json) for item in run.config.update} | items_of(parts[0], "config")
    assert config["model.network.hidden"] == [16, 16]
    assert config["data.market.num_draws"] == 16
    assert config["pricerl"] == __version__
    assert len(config["history"]) == 64


@pytest.mark.slow
def test_the_summary_holds_the_best_evaluation(folder: Path, parts: list[list[Any]]) -> None:
    best = best_evaluation(folder / "metrics.csv", f"eval/{PricingDataModule.monitor}")
    summary = items_of(parts[1], "summary")
    assert best
    assert {name: summary[f"best/{name}"] for name in best} == pytest.approx(best)


@pytest.mark.slow
def test_advice_report_curve_and_generation_are_logged(folder: Path, parts: list[list[Any]]) -> None:
    media = {path.parent.name for path in folder.glob("gen-*/wandb/offline-run-*/files/media/*/*")}
    logged = [record.artifact for record in parts[1] if record.WhichOneof("record_type") == "artifact"]
    generation = next(item for item in logged if item.type == "generation")
    files = {entry.path for entry in generation.manifest.contents}
    assert {"table", "html"} <= media
    assert "last" in generation.aliases
    assert any(alias.startswith("gen-") for alias in generation.aliases)
    if files:  # large manifests are kept in a file of their own
        assert {"config.yaml", "metrics.csv", "manifest.json"} <= files


@pytest.mark.slow
def test_a_later_advice_is_added_to_the_run_of_its_training(parts: list[list[Any]]) -> None:
    trained, advised = ({name.partition("/")[0] for name in items_of(part, "summary")} for part in parts[1:])
    assert {"advice", "report", "demand_curves"} <= advised & trained
    assert "updates" in trained and "updates" not in advised


def test_an_id_is_kept_taken_over_and_replaced_if_it_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_RUN_ID", raising=False)
    first, second, third = (tmp_path / name for name in ("1", "2", "3"))
    for path in (first, second, third):
        path.mkdir()
    found = keep_id(first, None)
    assert keep_id(first, None) == found
    assert keep_id(second, first) == found
    (third / WANDB_FILE).write_text('{"id": "../../x"}')
    assert keep_id(third, None).isalnum()


def test_the_best_evaluation_is_the_row_with_the_highest_value(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("updates,train/x,eval/y\n50,1,\n50,,2\n100,,3\n150,,1\n")
    assert best_evaluation(tmp_path / "m.csv", "eval/y") == {"updates": 100.0, "eval/y": 3.0}
    assert best_evaluation(tmp_path / "absent.csv", "eval/y") == {}


def test_the_sweep_names_known_settings_and_a_folder_per_run() -> None:
    sweep = yaml.safe_load((ROOT / "configs" / "sweep.yaml").read_text(encoding="utf-8"))
    known = {name for group in find_groups().values() for name in group["settings"]}
    assert {*sweep["parameters"]} <= known
    assert any('--run_name "sweep-$WANDB_RUN_ID"' in word for word in sweep["command"])
    assert sweep["metric"]["name"] == "best/eval/profit_uplift"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """A run of the service in this process that only notes what it is given."""
    noted = MagicMock()
    monkeypatch.setattr(wandb, "run", noted)
    return noted


@pytest.fixture
def tracked(trained: Path, tmp_path: Path) -> Path:
    """Folder of a shop with a run whose training was tracked."""
    folder = tmp_path / "shop"
    shutil.copytree(trained.parents[1], folder, symlinks=True)
    (folder / "checkpoints/seller/current").resolve().joinpath(WANDB_FILE).write_text('{"id": "0123abcd"}')
    return folder


def predict(folder: Path, lines: list[str], *words: str) -> Result:
    write_lines(folder / "newer.csv", lines)
    command = ["predict", "--ckpt_path", "checkpoints/seller/best.ckpt", "--data.path", "newer.csv", "--out", "out"]
    return run(folder, *command, "--trainer.enable_progress_bar=false", *words)


def alerts(service: MagicMock) -> list[tuple[str, str, str]]:
    """Title, text and level of each alert."""
    return [(*call.args, call.kwargs["level"]) for call in service.alert.call_args_list]


ENVIRONMENT = ("--data.env_id=Pendulum-v1", "--model.algorithm.warmup_steps=300", "--trainer.max_steps=50")


@pytest.mark.parametrize("words", [FAST, ENVIRONMENT], ids=["seller", "environment"])
def test_training_that_diverges_sends_one_alert_and_keeps_its_folder(
    service: MagicMock, words: Sequence[str], tmp_path: Path
) -> None:
    done = run(tmp_path, "fit", *words, "--run_name", "w", "--wandb", "true", "--model.algorithm.critic_lr", "1e30")
    ((title, text, level),) = alerts(service)
    assert done.code == 1 and (title, level) == ("training diverged", "ERROR")
    assert text.startswith("training stopped at update") and "Lower model.algorithm.critic_lr" in text
    assert (tmp_path / "checkpoints" / "w" / "gen-0001" / "config.yaml").exists()


def test_a_kill_switch_sends_one_alert_with_the_product_and_the_last_good_price(
    service: MagicMock, tracked: Path
) -> None:
    log = (tracked / "checkpoints/seller/decisions.jsonl").read_text(encoding="utf-8").splitlines()
    advised = [day["price"] for day in json.loads(log[0])["days"][:3]]
    *lines, first, second, third = seller_lines(93)
    for price, line in zip(advised, (first, second, third), strict=True):
        date, _, _, _, *rest = line.split(",")
        lines.append(",".join([date, f"{price:.2f}", f"{price:.2f}", "1", *rest]))  # one unit per day
    assert predict(tracked, lines, "--wandb", "true").code in (0, 4)
    ((title, text, level),) = alerts(service)
    assert (title, level) == ("kill switch: seller", "WARN")
    assert "below the 5 % limit of their prediction on 3 days" in text and "The last good price was" in text


def test_advice_without_evidence_sends_one_alert_and_is_added_to_the_tracked_run(
    service: MagicMock, tracked: Path
) -> None:
    done = predict(tracked, seller_lines(90, price=10.0), "--wandb", "true")
    assert done.code == 4, done.err
    assert alerts(service) == [("not enough evidence", "The advice for every product is to keep the price.", "WARN")]
    ((logged,),) = (call.args for call in service.log.call_args_list)
    assert {"advice", "report", "demand_curve"} <= {*logged} and len(logged["advice"].data) == 14
    service.log_artifact.assert_not_called()
    service.finish.assert_called_once()


def test_advice_with_evidence_sends_no_alert_and_without_wandb_nothing_is_logged(
    service: MagicMock, tracked: Path
) -> None:
    assert predict(tracked, seller_lines(), "--wandb", "true", "--decision.min_chance", "0.5").code == 0
    assert alerts(service) == []
    service.reset_mock()
    ignored = predict(tracked, seller_lines(), "--tracking.project", "mine", "--tracking.tags", "[a]")
    assert ignored.code == 0
    assert "--tracking.project, --tracking.tags have no effect without --wandb true" in ignored.err
    assert service.mock_calls == []


def watched(folder: Path) -> Result:
    """Watch the tracked shop on a day on which its file is late."""
    write_lines(folder / "newer.csv", seller_lines(150))
    return run(folder, "watch", "seller", "--data.path", "newer.csv", "--today", "2025-09-01", "--wandb", "true")


def test_a_watch_sends_its_findings_as_one_alert_with_its_numbers_and_ends_the_run(
    service: MagicMock, tracked: Path
) -> None:
    found = watched(tracked)
    assert found.code == 7, found.err
    ((title, text, level),) = alerts(service)
    assert (title, level) == ("pricerl alarm: seller", "ERROR")
    assert text == "alarm: data: the file ends on 2025-05-30, 94 days ago"
    ((logged,),) = (call.args for call in service.log.call_args_list)
    assert "watch/drift" in logged
    assert service.mock_calls[-1] == call.finish()
    assert watched(tracked).code == 7 and len(alerts(service)) == 1  # the cool-down


def test_an_alert_that_the_service_does_not_take_is_sent_again(service: MagicMock, tracked: Path) -> None:
    service.alert.side_effect = OSError
    failed = watched(tracked)
    assert failed.code == 7 and "Weights & Biases did not take the alerts: OSError" in failed.err
    service.alert.side_effect = None
    assert watched(tracked).code == 7 and len(alerts(service)) == 2


@pytest.mark.slow
def test_an_offline_run_holds_the_alert_of_a_watch_and_ends_well(tmp_path: Path) -> None:
    header, *rows = seller_lines(150)
    write_lines(tmp_path / "seller.csv", [header, *rows[:90]])
    write_lines(tmp_path / "fresh.csv", [header, *rows])
    fast = ("--model.algorithm.actor_horizon", "0", "--trainer.max_steps", "20", "--data.eval_every", "20")
    assert fit(tmp_path, *fast, "--data.path", "seller.csv").returncode in (0, 4)
    done = start(tmp_path, "watch", "--data.path", "fresh.csv", "--today", "2025-09-01")
    assert done.returncode == 7, done.stderr
    *_, newest = sorted((tmp_path / "checkpoints/w").glob("gen-*/wandb/offline-run-*/*.wandb"))
    records = {record.WhichOneof("record_type"): record for record in read_records(newest)}
    assert records["alert"].alert.title == "pricerl alarm: w" and records["alert"].alert.level == "ERROR"
    assert records["exit"].exit.exit_code == 0


def test_predict_refuses_to_add_to_a_run_that_was_not_tracked(tracked: Path) -> None:
    (tracked / "checkpoints/seller/current").resolve().joinpath(WANDB_FILE).unlink()
    refused = predict(tracked, seller_lines(), "--wandb", "true")
    assert refused.code == 2 and refused.err.count("\n") == 1
    assert "was not tracked; leave --wandb out" in refused.err
    scored = run(tracked, "validate", "--ckpt_path", "checkpoints/seller/best.ckpt", "--wandb", "true")
    assert scored.code == 0 and "--wandb has no effect: validate logs nothing" in scored.err
