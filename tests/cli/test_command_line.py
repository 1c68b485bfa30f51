"""The command line: exit codes, streams, messages."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import FAST, OUTPUTS, SMALL_NETWORK, listing, run, seller_lines, write_lines

from pricerl.sac.replay import Transition
from pricerl.training.module import SACModule

MAIN = Path(__file__).parents[2] / "main.py"


@pytest.mark.parametrize("program", [[str(MAIN)], ["-m", "pricerl"]])
def test_a_users_mistake_leaves_the_process_with_one_line_on_stderr(program: list[str], tmp_path: Path) -> None:
    words = [sys.executable, *program, "check", "sales.csv"]
    path = {**os.environ, "PYTHONPATH": str(MAIN.parent)}
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=path, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "error: sales.csv: there is no such file\n")


def test_a_full_disk_is_no_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines(20))

    def full(*given: object) -> list[str]:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pricerl.cli.commands.check.report_lines", full)
    result = run(tmp_path, "check", "sales.csv")
    assert (result.code, result.err) == (2, "error: the output cannot be written: No space left on device\n")


def test_check_prints_the_card_of_evidence(tmp_path: Path) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines(120))
    result = run(tmp_path, "check", "sales.csv", "--evidence")
    lines = result.out.splitlines()[result.out.splitlines().index("  evidence") + 1 :]
    verdicts = [line.split()[0] for line in lines if line[1:2].strip()]
    assert result.code == 0 and len(verdicts) == 7 and set(verdicts) <= {"PASS", "REVIEW", "FAIL"}
    assert " REVIEW     Experiment: No price was set at random or tested." in result.out
    assert "evidence" not in run(tmp_path, "check", "sales.csv").out


WRONG_COMMANDS = {
    "fitt": "unknown command 'fitt'; did you mean 'fit'?",
    "--versoin": "unknown command '--versoin'",
    "check": "check needs a FILE",
    "check a --country XX": "country must be an ISO code such as GB",
    "fit --data.reading.country DE-XX": "country must be an ISO code such as GB",
    "check a --decimal x": "decimal must be one of 'auto', '.', ',', found 'x'",
    "simulate --out x.csv --market lineer": "found 'lineer'; did you mean 'linear'?",
    "simulate --out x.csv --days abc": "--days: must be a whole number, found 'abc'",
    "simulate --out .": ". cannot be written: it is a folder",
    "simulate --out x.csv --days 0": "days must be 8 to",
    "simulate --out x.csv --dayss 9": "unknown option --dayss; did you mean '--days'?",
    "fit extra": "unrecognized arguments: extra",
    "fit --nonsense 3": "unknown option --nonsense",
    "fit --decision.account_policy true": "unknown option --decision.account_policy",
    "fit --data.market.bandwidth 0.1": "unknown option --data.market.bandwidth",
    "fit --report.interactive true": "unknown option --report.interactive",
    "predict --pdf": "unknown option --pdf",
    "fit --trainer.max_stepps 3": "unknown option --trainer.max_stepps; did you mean '--trainer.max_steps'?",
    "fit --data.pth x.csv": "did you mean '--data.path'?",
    "fit --trainer.max_steps abc": "--trainer.max_steps: must be a whole number, found 'abc'",
    "fit --wandb maybe": "--wandb: must be true or false, found 'maybe'",
    "fit --data.reward.preset balancd": "one of balanced, profit, revenue, upward, found 'balancd'; did you mean",
    "fit --data.guardrails.floor 20 --data.guardrails.ceiling 10": "floor 20.0 lies above guardrails.ceiling 10.0",
    "fit --data.num_envs 0": "data.num_envs and data.eval_every must be positive",
    "fit --model.algorithm.gamma 2": "gamma must be at least 0 and below 1",
    "fit --data.reading.window 0": "window must be 1 to 365 days",
    "fit --decision.min_chance 3": "decision.min_chance must lie between 0 and 1",
    "fit --decision.min_days 0": "decision.min_days must be at least 1",
    "fit --horizon 0": "--horizon: must be 1 to 365 days, found 0",
    "fit --horizon 366": "--horizon: must be 1 to 365 days, found 366",
    "fit --horizon abc": "--horizon: must be a whole number, found 'abc'",
    "fit --locale de_DEE": "--locale: must be a locale such as en_US or de_DE, found 'de_DEE'; did you mean 'de_DE'?",
    "fit --data.currency euro": "--data.currency: must be an ISO 4217 code such as EUR, or empty, found 'euro'; did",
    "predict --ckpt_path": "--ckpt_path: expected one argument",
    "what-if 20 --data GymDataModule": "--data: Unable to load config 'GymDataModule'",
    "fit --config nosuch.yaml": "--config nosuch.yaml cannot be read: No such file or directory",
    "fit --config .": "--config . cannot be read: Is a directory",
}


@pytest.mark.parametrize("words", WRONG_COMMANDS)
def test_a_wrong_command_is_answered_with_one_line_and_nothing_starts(words: str, tmp_path: Path) -> None:
    result = run(tmp_path, *words.split())
    assert result.code == 2
    assert result.err.startswith("error: ") and result.err.count("\n") == 1
    assert WRONG_COMMANDS[words] in result.err
    assert result.out == "" and listing(tmp_path) == {}


WRONG_CONFIGS = {
    "data:\n  rewrd:\n    preset: profit\n": "unknown option --data.rewrd.preset; did you mean '--data.reward.preset'?",
    "data:\n  reward:\n    presett: profit\n": "did you mean '--data.reward.preset'?",
    "trainer:\n  max_stepps: 3\n": "unknown option --trainer.max_stepps; did you mean '--trainer.max_steps'?",
    "a: [1, 2\n b: }{": "--config run.yaml is not valid YAML: ",
    "- 1\n- 2\n": "--config run.yaml must hold settings",
    "hello": "--config run.yaml must hold settings",
    "\x00\x01": "--config run.yaml is not valid YAML",
    "trainer:\n  max_steps: many\n": "--trainer.max_steps: must be a whole number, found 'many'",
    "data:\n  guardrails:\n    floor: 20\n    ceiling: 10\n": "guardrails.floor 20.0 lies above guardrails.ceiling",
}


@pytest.mark.parametrize("text", WRONG_CONFIGS)
def test_a_wrong_configuration_is_answered_with_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
    result = run(tmp_path, "fit", "--config", "run.yaml")
    assert result.code == 2
    assert result.err.count("\n") == 1 and WRONG_CONFIGS[text] in result.err
    assert list(listing(tmp_path)) == ["run.yaml"]


FOREIGN_CLASSES = [
    "trainer:\n  callbacks:\n    - class_path: foreign.Thing\n",
    "trainer:\n  callbacks: foreign.Thing\n",
    "trainer:\n  logger:\n    class_path: foreign.Thing\n",
    "trainer:\n  logger: foreign.Thing\n",
    "trainer:\n  strategy:\n    class_path: foreign.Thing\n",
]


@pytest.mark.parametrize("text", FOREIGN_CLASSES)
def test_a_configuration_imports_no_foreign_class(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "foreign.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "run.yaml").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    result = run(tmp_path, "fit", "--config", "run.yaml")
    assert result.code == 2
    assert "foreign.Thing is not imported without --allow foreign" in result.err
    assert "foreign" not in sys.modules


@pytest.mark.slow
def test_lightnings_own_classes_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(
        "trainer:\n  logger:\n    class_path: lightning.pytorch.loggers.CSVLogger\n    init_args: {save_dir: logs}\n"
    )
    assert run(tmp_path, "fit", "--config", "run.yaml", *FAST).code in (0, 4)
    assert (tmp_path / "logs").is_dir()


def test_debug_shows_the_traceback_and_its_absence_hides_it(tmp_path: Path) -> None:
    assert "Traceback" in run(tmp_path, "--debug", "check", "sales.csv").err
    assert "Traceback" not in run(tmp_path, "check", "sales.csv").err


def test_a_commands_help_is_no_error(tmp_path: Path) -> None:
    for command in ("check", "simulate", "fit", "what-if", "override", "pause", "approve", "history", "audit"):
        result = run(tmp_path, command, "--help")
        assert result.code == 0 and "usage" in result.out


def test_check_prints_what_the_file_holds_on_stdout_alone(tmp_path: Path) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines())
    result = run(tmp_path, "check", "sales.csv")
    assert (result.code, result.err) == (0, "")
    assert "90" in result.out and "costs" in result.out


def test_simulate_writes_a_file_that_check_accepts_and_its_truth(tmp_path: Path) -> None:
    result = run(tmp_path, "simulate", "--out", "made/shop.csv", "--days", "60", "--seed", "3")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[2].endswith("pricerl advise made/shop.csv --today 2025-03-02")
    truth = json.loads((tmp_path / "made" / "shop.csv.truth.json").read_text())
    assert truth
    assert run(tmp_path, "check", "made/shop.csv").code == 0


def test_fit_says_nothing_on_stderr_without_the_bar_and_results_on_stdout(tmp_path: Path) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines())
    result = run(tmp_path, "fit", "--data.path", "sales.csv", *FAST)
    assert result.err == ""
    assert result.out.startswith(" sales · 90 days, last day 31 Mar 2025") and " Next       open " in result.out
    run_dir = tmp_path / "checkpoints" / "sales"
    own = {"shop.db", "gen-0001", "current", "config.yaml", "last.ckpt", "best.ckpt", "metrics.csv", *OUTPUTS}
    assert {path.name for path in run_dir.iterdir() if not path.name.startswith(".")} == own
    assert run(tmp_path, "fit", "--data.path", "sales.csv", *FAST).code == result.code


def test_predict_finds_the_best_checkpoint_of_a_named_run(trained: Path, tmp_path: Path) -> None:
    folder = trained.parents[1]
    words = ["--data.path", "seller.csv", "--out", str(tmp_path)]
    by_name = run(folder, "predict", "--ckpt_path", "best", "--run_name", "seller", *words)
    assert by_name.code in (0, 4), by_name.err
    assert (tmp_path / "advice.csv").read_bytes() == (trained / "advice.csv").read_bytes()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--data.nope", "unknown option --data.nope; did you"),
        ("--horizon", "--horizon: must be a whole number"),
    ],
)
def test_a_mistyped_option_is_not_blamed_on_the_checkpoint(
    option: str, message: str, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.yaml").write_text("horizon: 7\n")
    words = ["--run_name", "seller", "--config", str(tmp_path / "own.yaml"), option, "abc"]
    result = run(trained.parents[1], "predict", *words)
    assert (result.code, result.out) == (2, "") and result.err.startswith(f"error: {message}")


@pytest.mark.parametrize("command", ["validate", "test"])
def test_scores_are_printed_for_a_checkpoint(command: str, trained: Path, tmp_path: Path) -> None:
    result = run(tmp_path, command, "--ckpt_path", str(trained / "best.ckpt"))
    assert result.code == 0
    assert "eval/episode_return" in result.out + result.err
    assert listing(tmp_path) == {}


def test_a_bug_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError("somewhere")

    monkeypatch.setattr("pricerl.cli.commands.check.read_history", broken)
    result = run(tmp_path, "check", "sales.csv")
    assert result.code == 1
    assert result.err.endswith("error: a bug in pricerl, please report it: ZeroDivisionError: somewhere\n")


def _interrupt_after(monkeypatch: pytest.MonkeyPatch, updates: int) -> None:
    real = SACModule.training_step

    def step(self: SACModule, batch: Transition, batch_idx: int) -> object:
        if self.trainer.global_step >= updates:
            if updates == 0:
                raise KeyboardInterrupt
            signal.raise_signal(signal.SIGINT)
        return real(self, batch, batch_idx)

    monkeypatch.setattr(SACModule, "training_step", step)


def test_ctrl_c_saves_the_last_checkpoint_and_fit_goes_on_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines())
    words = ["fit", "--data.path", "sales.csv", *FAST]
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patched:
        _interrupt_after(patched, 19)  # once: a second signal ends at once
        result = run(tmp_path, *words)
    folder = Path("checkpoints", "sales")
    last = folder / "gen-0001" / "last.ckpt"
    assert result.code == 130 and result.out == ""
    assert result.err == f"error: SIGINT after 20 updates; {last} is saved, resume with fit --ckpt_path last\n"
    assert signal.getsignal(signal.SIGINT) is handler
    assert (tmp_path / folder / "last.ckpt").exists() and not (tmp_path / folder / "advice.csv").exists()
    assert run(tmp_path, *words, "--ckpt_path", "last").code in (0, 4)
    assert (tmp_path / folder / "advice.csv").exists()


def test_ctrl_c_before_the_first_update_promises_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _interrupt_after(monkeypatch, 0)
    result = run(tmp_path, "fit", *FAST)
    assert result.code == 130
    assert result.err == "error: interrupted; this run has saved no checkpoint yet\n"
    assert not list(tmp_path.iterdir()), "an empty generation is removed"


def test_ctrl_c_outside_a_training_is_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pricerl.cli.commands.check.read_history", interrupted)
    result = run(tmp_path, "check", "sales.csv")
    assert (result.code, result.err) == (130, "error: interrupted\n")


@pytest.mark.slow
def test_a_real_ctrl_c_ends_the_process_with_130(tmp_path: Path) -> None:
    words = [*SMALL_NETWORK, "--trainer.max_steps", "1000000", "--trainer.enable_progress_bar", "false"]
    words += ["--model.algorithm.actor_horizon", "0"]
    process = subprocess.Popen(
        [sys.executable, str(MAIN), "fit", "--run_name", "r", *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "checkpoints" / "r" / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "last.ckpt is saved" in err
