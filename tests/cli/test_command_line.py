"""The command line: exit codes, streams, messages, tables, and texts of files that would move the cursor."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest
from command_line import FAST, HEADER, OUTPUTS, SMALL_NETWORK, Result, listing, run, seller_lines, write_lines
from saying import refuses, says

from pricerl.advice.report.view import RULES as WORDS
from pricerl.advice.report.view import View
from pricerl.advice.sentences.grounds import judge_proposal, list_alternatives
from pricerl.advice.sentences.next_steps import Place
from pricerl.advice.sentences.verdict import gain_words
from pricerl.evaluation.pricing_rules import RULES
from pricerl.evaluation.rule_names import BEST_FOR_OBJECTIVE, KEEP, POLICY
from pricerl.formatting import PLAIN
from pricerl.sac.replay import Transition
from pricerl.terminal import table
from pricerl.training.module import SACModule

MAIN = Path(__file__).parents[2] / "main.py"


@pytest.mark.parametrize("program", [[str(MAIN)], ["-m", "pricerl"]])
def test_a_users_mistake_leaves_the_process_with_one_line_on_stderr(program: list[str], tmp_path: Path) -> None:
    words = [sys.executable, *program, "check", "sales.csv"]
    path = {**os.environ, "PYTHONPATH": str(MAIN.parent)}
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=path, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "error: sales.csv: there is no such file\n")


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (FULL, 2, "the output cannot be written: No space left on device"),
        (ZeroDivisionError("here"), 1, "a bug in pricerl, please report it: ZeroDivisionError: here"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_a_user_or_the_machine_caused_is_no_bug_and_a_bug_is_called_one(
    error: BaseException, code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines(20))
    monkeypatch.setattr("pricerl.cli.commands.check.report_lines", Mock(side_effect=error))
    result = run(tmp_path, "check", "sales.csv")
    assert result.code == code and result.err.endswith(f"error: {said}\n")
    assert ("Traceback" in result.err) == (code == 1)


def test_check_prints_what_the_file_holds_and_if_asked_the_card_of_evidence(tmp_path: Path) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines(120))
    result = run(tmp_path, "check", "sales.csv", "--evidence")
    lines = result.out.splitlines()[result.out.splitlines().index("  evidence") + 1 :]
    verdicts = [line.split()[0] for line in lines if line[1:2].strip()]
    assert result.code == 0 and len(verdicts) == 7 and set(verdicts) <= {"PASS", "REVIEW", "FAIL"}
    assert " REVIEW     Experiment: No price was set at random or tested." in result.out
    plain = run(tmp_path, "check", "sales.csv")
    assert (plain.code, plain.err) == (0, "") and "120" in plain.out and "costs" in plain.out
    assert "evidence" not in plain.out


WRONG_COMMANDS = {
    "fitt": "unknown command 'fitt'; did you mean 'fit'?",
    "--versoin": "unknown command '--versoin'",
    "check": "check needs a FILE",
    "check a --country XX": "country must be an ISO code such as GB",
    "fit --data.reading.country DE-XX": "country must be an ISO code such as GB",
    "check a --decimal x": "decimal must be one of 'auto', '.', ',', found 'x'",
    "simulate --out x.csv --days abc": "--days: must be a whole number, found 'abc'",
    "simulate --out .": ". cannot be written: it is a folder",
    "simulate --out x.csv --dayss 9": "unknown option --dayss; did you mean '--days'?",
    "fit extra": "unrecognized arguments: extra",
    "fit --nonsense 3": "unknown option --nonsense",
    "predict --pdf": "unknown option --pdf",
    "fit --trainer.max_stepps 3": "unknown option --trainer.max_stepps; did you mean '--trainer.max_steps'?",
    "fit --data.pth x.csv": "did you mean '--data.path'?",
    "fit --trainer.max_steps abc": "--trainer.max_steps: must be a whole number, found 'abc'",
    "fit --wandb maybe": "--wandb: must be true or false, found 'maybe'",
    "fit --data.reward.preset balancd": "one of balanced, profit, revenue, upward, found 'balancd'; did you mean",
    "fit --data.num_envs 0": "data.num_envs and data.eval_every must be positive",
    "fit --decision.min_chance 3": "decision.min_chance must lie between 0 and 1",
    "fit --decision.min_days 0": "decision.min_days must be at least 1",
    "fit --horizon 0": "--horizon: must be 1 to 365 days, found 0",
    "fit --horizon 366": "--horizon: must be 1 to 365 days, found 366",
    "fit --horizon abc": "--horizon: must be a whole number, found 'abc'",
    "fit --locale de_DEE": "--locale: must be a locale such as en_US or de_DE, found 'de_DEE'; did you mean 'de_DE'?",
    "fit --data.currency euro": "--data.currency: must be an ISO 4217 code such as EUR, or empty, found 'euro'; did",
    "predict --ckpt_path": "--ckpt_path: expected one argument",
    "fit --allow no/package": "--allow: must be the name of a package such as my_package, found 'no/package'",
    "fit --allow absent_package.x": "there is no module 'absent_package'; correct its name, install it or put",
    "fit --config '{allow: foreign}'": "unknown option --allow",
    "what-if 20 --data GymDataModule": "--data: Unable to load config 'GymDataModule'",
    "fit --config nosuch.yaml": "--config nosuch.yaml cannot be read: No such file or directory",
    "fit --config .": "--config . cannot be read: Is a directory",
}


@pytest.mark.parametrize("words", WRONG_COMMANDS)
def test_a_wrong_command_is_answered_with_one_line_and_nothing_starts(words: str, tmp_path: Path) -> None:
    refuses(tmp_path, words, WRONG_COMMANDS[words])


WRONG_CONFIGS = {
    "data:\n  rewrd:\n    preset: profit\n": "unknown option --data.rewrd.preset; did you mean '--data.reward.preset'?",
    "data:\n  reward:\n    presett: profit\n": "did you mean '--data.reward.preset'?",
    "trainer:\n  max_stepps: 3\n": "unknown option --trainer.max_stepps; did you mean '--trainer.max_steps'?",
    "a: [1, 2\n b: }{": "--config run.yaml is not valid YAML: ",
    "- 1\n- 2\n": "--config run.yaml must hold settings",
    "hello": "--config run.yaml must hold settings",
    "\x00\x01": "--config run.yaml is not valid YAML",
    "data: !!python/object/apply:pathlib.Path.touch [[executed]]\n": "--config run.yaml is not valid YAML",
    "!!python/object/apply:os.system ['touch executed']\n": "--config run.yaml is not valid YAML",
    "data: {reading: *unknown}\n": "--config run.yaml is not valid YAML",
    "data: 3\n": "data must hold settings such as 'data: {...}', found 3",
    "trainer:\n  max_steps: many\n": "--trainer.max_steps: must be a whole number, found 'many'",
    "data:\n  guardrails:\n    floor: 20\n    ceiling: 10\n": "guardrails.floor 20.0 lies above guardrails.ceiling",
}


@pytest.mark.parametrize("text", WRONG_CONFIGS)
def test_a_wrong_configuration_is_answered_with_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
    refuses(tmp_path, "fit --config run.yaml", WRONG_CONFIGS[text])


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
    words = f"predict --ckpt_path best --run_name seller --data.path seller.csv --out {tmp_path}"
    says(trained.parents[1], words)
    assert (tmp_path / "advice.csv").read_bytes() == (trained / "advice.csv").read_bytes()


@pytest.mark.parametrize("command", ["validate", "test"])
def test_scores_are_printed_for_a_checkpoint(command: str, trained: Path, tmp_path: Path) -> None:
    says(tmp_path, f"{command} --ckpt_path {trained / 'best.ckpt'}", "eval/episode_return", code=0)
    assert listing(tmp_path) == {}


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


def test_every_rule_planner_and_the_policy_stand_in_one_table_with_the_numbers_of_the_document(
    trained_once: Path,
) -> None:
    printed = says(trained_once.parents[1], f"validate --ckpt_path {trained_once / 'best.ckpt'}", code=0)
    lines = printed.splitlines()
    (product,) = json.loads((trained_once / "advice.json").read_text(encoding="utf-8"))["products"]
    policy, draws = product["proposal"], product["num_draws"]
    assert (len(policy["prices"]), draws) == (14, 16)
    for row in list_alternatives(product):
        rule = WORDS.get(row["rule"], row["rule"])
        (line,) = [line for line in lines if line.startswith(f"  {rule} ")]
        better = "–" if row["probability_better"] is None else f"{round(row['probability_better'] * draws)} of {draws}"
        mean, low, high = row["outcome"]["profit"]
        digits = View.of(product, PLAIN, Place()).digits["profit"]
        assert line.endswith(f"{better}") and PLAIN.span(low, high, digits) in line
        assert line.removeprefix(f"  {rule} ").split()[:2] == [PLAIN.price(row["price"]), PLAIN.money(mean, digits)]
    assert {row["rule"] for row in list_alternatives(product)} == {KEEP, *RULES, BEST_FOR_OBJECTIVE, POLICY}
    assert all(f"  {line}" in lines for line in judge_proposal(product, PLAIN))
    assert gain_words(policy["over_keep"]["profit"], PLAIN) in printed


def test_a_table_aligns_numbers_to_the_right_and_words_to_the_left() -> None:
    rows = [("rule", "price"), ("keep", "9.50"), ("median price", "10.00")]
    assert table(rows) == ["  rule          price", "  keep           9.50", "  median price  10.00"]
    assert table([("a", "b", "c"), ("aa", "bb", "")], numbers=False) == ["  a   b   c", "  aa  bb"]


ESCAPE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp\u2066\u200f"
"""Clears the screen, sets the window's title, colours, and reverses what follows."""

NAME = f"Mug {ESCAPE}"
FOLDER = f"run {ESCAPE}"
BEST = f"checkpoints/{FOLDER}/best.ckpt"
RUN = ("--ckpt_path", BEST)
DATA = ("--data.path", "seller.csv", "--trainer.enable_progress_bar", "false")


def harmless(result: Result) -> bool:
    """Whether both streams of a command hold nothing but printable characters and line ends."""
    return all(char.isprintable() or char == "\n" for char in result.out + result.err)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose name, and whose product's name, are hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    write_lines(folder / "seller.csv", seller_lines(product=NAME))
    result = run(folder, "fit", *DATA, "--run_name", "run", *FAST)
    assert result.code in (0, 4), result.err
    assert harmless(result) and "Mug" in result.out
    (folder / "checkpoints" / "run").rename(folder / "checkpoints" / FOLDER)
    return folder


ORDER = ("--until", "2025-05-01", "--reason", f"{ESCAPE}x", "--by", ESCAPE)
COMMANDS = {
    "check": ("check", "seller.csv"),
    "validate": ("validate", *RUN, *DATA),
    "predict": ("predict", *RUN, *DATA),
    "what-if": ("what-if", *RUN, *DATA, "--price", "10"),
    "override": ("override", *RUN, "--price", "10", *ORDER),
    "pause": ("pause", *RUN, *ORDER),
    "history": ("history", *RUN),
    "audit verify": ("audit", "verify", *RUN),
    "an unknown product": ("what-if", *RUN, *DATA, "--price", "10", "--product", f"Bowl{ESCAPE}"),
    "an unknown run": ("history", "--run_name", f"other{ESCAPE}"),
    "an unknown command": (f"fit{ESCAPE}",),
    "an unknown option": ("predict", *RUN, f"--data.{ESCAPE}", "1"),
    "an absent file": ("check", f"{ESCAPE}.csv"),
    "an absent checkpoint": ("predict", "--ckpt_path", f"{ESCAPE}.ckpt"),
    "a wrong value": ("predict", *RUN, *DATA, "--horizon", ESCAPE),
    "a wrong setting": ("predict", *RUN, *DATA, "--config", json.dumps({"data": {"reading": {"country": ESCAPE}}})),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_and_no_message_prints_control_or_direction_characters(command: str, shop: Path) -> None:
    result = run(shop, *COMMANDS[command])
    mistaken = command.startswith(("a ", "an "))
    assert harmless(result) and result.code in ((2, 3, 5) if mistaken else (0, 4)), result
    assert result.err.startswith("error: ") if mistaken else result.out


@pytest.mark.parametrize("place", ["header", "cell", "date", "product twice"])
def test_no_problem_of_a_file_prints_control_or_direction_characters(place: str, tmp_path: Path) -> None:
    lines = seller_lines(product=NAME)
    if place == "header":
        lines[0] = lines[0].replace(HEADER[1], f"Product Prise{ESCAPE}")
    elif place == "product twice":
        lines.append(lines[-1])
    else:
        cells = lines[5].split(",")
        cells[1 if place == "date" else 3] = f"abc{ESCAPE}"
        lines[5] = ",".join(cells)
    write_lines(tmp_path / f"file {ESCAPE[:3]}.csv", lines)
    result = run(tmp_path, "check", f"file {ESCAPE[:3]}.csv")
    assert result.code == 3 and harmless(result), repr(result.err)
