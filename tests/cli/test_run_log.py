"""The log of a run: what it holds, and what it never holds."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
from command_line import run, train

from pricerl.runs import run_log
from pricerl.runs.run_log import RUN_LOG, without_folders, without_secrets


@pytest.fixture
def shop(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "checkpoints" / "seller", symlinks=True)
    (tmp_path / "checkpoints" / "seller" / RUN_LOG).unlink(missing_ok=True)
    return tmp_path


def text_of(shop: Path) -> str:
    return (shop / "checkpoints" / "seller" / RUN_LOG).read_text(encoding="utf-8")


def test_training_and_its_stages_are_logged(tmp_path: Path) -> None:
    text = (train(tmp_path) / RUN_LOG).read_text(encoding="utf-8")
    assert "INFO command: fit --data.path seller.csv" in text and "fitting the market: " in text
    assert "INFO ended after " in text


def test_an_error_is_logged_with_its_traceback_and_no_absolute_path(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "abcdef123456")
    words = ("--until", "2020-01-01", "--reason", "abcdef123456 https://user:pw@host/x")
    assert run(shop, "pause", *words).code == 2
    text = text_of(shop)
    assert "command: pause --until 2020-01-01 --reason … …" in text
    assert "ERROR exit code 2: --until: 2020-01-01 is before" in text
    assert "Traceback (most recent call last)" in text and 'File "…/decisions.py"' in text
    assert str(shop) not in text and "/site-packages" not in text and "abcdef123456" not in text and "pw@" not in text


def test_the_log_is_rotated(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "LOG_BYTES", 300)
    for _ in range(12):
        assert run(shop, "history").code == 0
    names = {path.name for path in (shop / "checkpoints" / "seller").glob("run.log*")}
    assert names == {RUN_LOG, *(f"{RUN_LOG}.{number}" for number in range(1, 1 + run_log.OLD_LOGS))}


def test_a_command_without_a_run_logs_nothing_and_no_handler_stays(tmp_path: Path) -> None:
    assert run(tmp_path, "history", "--run_name", "none").code == 2
    assert list(tmp_path.iterdir()) == []
    assert [type(handler) for handler in logging.getLogger("pricerl").handlers] in ([], [logging.NullHandler])


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("--data.path /srv/shop/sales.csv", "--data.path …/sales.csv"),
        ('File "/usr/lib/python3/x.py", line 3', 'File "…/x.py", line 3'),
        ("reads checkpoints/seller/best.ckpt", "reads checkpoints/seller/best.ckpt"),
        ("3 / 4 of days", "3 / 4 of days"),
    ],
)
def test_folders_are_cut_from_absolute_paths_only(text: str, clean: str) -> None:
    assert without_folders(text) == clean


@pytest.mark.parametrize(
    "text", ["mailto://me:s3cretpass@mail.org", "--api_key s3cretpass", "password=s3cretpass", "TOKEN: s3cretpass"]
)
def test_secrets_are_removed(text: str) -> None:
    assert "s3cretpass" not in without_secrets(text)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_a_full_disk_under_the_log_changes_nothing_of_a_command(shop: Path) -> None:
    usual = [run(shop, "history"), run(shop, "pause", "--until", "2020-01-01", "--reason", "none")]
    (shop / "checkpoints" / "seller" / RUN_LOG).unlink()
    (shop / "checkpoints" / "seller" / RUN_LOG).symlink_to("/dev/full")
    assert [run(shop, "history"), run(shop, "pause", "--until", "2020-01-01", "--reason", "none")] == usual
    assert [result.code for result in usual] == [0, 2]
