"""The command line: training and advice, and what people decide about them.

Results go to stdout, progress and problems to stderr. Heavy packages are imported by the command that needs them,
so that ``--help`` and ``--version`` answer at once.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pricerl import __version__
from pricerl.errors import (
    EXIT_BUG,
    EXIT_INTERRUPTED,
    EXIT_NOT_ENOUGH_EVIDENCE,
    EXIT_OK,
    EXIT_USAGE,
    PricerlError,
    UsageError,
    did_you_mean,
)

if TYPE_CHECKING:
    from pricerl.advice import ProductAdvice
    from pricerl.cli.lightning import PricingCLI
    from pricerl.operations.decision_log import Entry

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

HELP = f"""pricerl {__version__}: learn a daily price policy from a seller's own history

usage: python main.py COMMAND [options]        pricerl COMMAND [options]

  check FILE                                   what the file holds, or every problem with its line number
  simulate --out FILE [--market M] [--days N] [--units U] [--seed S] [--products P]
                                               a seller with known demand; FILE.truth.json beside it
  fit --config FILE [--data.path FILE]         train, evaluate and advise; without a path on a simulated seller
  validate | test --ckpt_path FILE             score a trained policy on held-out days, beside the rules
  predict --ckpt_path FILE --data.path FILE [--out DIR] [--horizon 14]
                                               advise on a fresher file
  what-if --ckpt_path FILE --data.path FILE --price X [--product P]
                                               what a price would bring against keeping the one now
  override --price X --until DAY --reason WHY  charge this price, whatever the model says, within the hard limits
  pause --until DAY --reason WHY               keep the price, whatever the model says
  approve [ID] | history                       record an approval; what was decided, by whom and why
  audit verify [FILE] | replay ID              prove that the log is unbroken; make a decision again
  (override, pause, approve, history and audit take --run_name R or --ckpt_path FILE, and --product P)

  COMMAND --help lists its options; fit, validate, test and predict take all of Lightning's trainer flags
  --version, --debug (show the traceback of an error)

exit codes: 0 ok, 1 bug, 2 usage, 3 bad data, 4 not enough evidence (the advice is to keep the price),
            5 bad checkpoint, 130 interrupted
"""


def main(args: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        args: the command and its options; the process's own if absent.
    """
    words = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        return _run(words)
    except PricerlError as error:
        return _fail(str(error), error.exit_code, debug)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED, debug)
    except SystemExit as leaving:  # a parser's --help
        return leaving.code if isinstance(leaving.code, int) else EXIT_OK
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            return _fail(f"{error.filename or 'the output'} cannot be written: {error.strerror}", EXIT_USAGE, debug)
        if not debug:
            traceback.print_exc()
        return _fail(f"a bug in pricerl, please report it: {type(error).__name__}: {error}", EXIT_BUG, debug)


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return EXIT_OK if words else EXIT_USAGE
    if words[0] == "--version":
        print(__version__)
        return EXIT_OK
    command = COMMANDS.get(words[0])
    if command is None:
        raise UsageError(f"unknown command {words[0]!r}{did_you_mean(words[0], COMMANDS)} (see --help)")
    return command(words)


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"error: {message}", file=sys.stderr)
    return code


def _check(words: list[str]) -> int:
    """Print what a file holds."""
    parser = _Parser(prog="pricerl check", description="Print what a history file holds.")
    reading: dict[str, dict[str, Any]] = {
        "date_format": {"help": "strptime format of Report Date, such as %%d.%%m.%%Y"},
        "decimal": {"choices": ("auto", ".", ","), "default": "auto", "help": "decimal mark of numbers"},
        "sales": {"choices": ("auto", "revenue", "units"), "default": "auto", "help": "what Total Sales counts"},
        "forecaster": {"default": "mean_7", "help": "what predicts sales, if it is closer than the 7-day mean"},
        "country": {"help": "country whose public holidays count, such as GB or DE-BY"},
    }
    parser.add_argument("file", nargs="?", help="the seller's CSV")
    parser.add_argument("--data.path", dest="path", help="the same, as the other commands name it")
    for name, settings in reading.items():
        parser.add_argument(f"--{name}", f"--data.reading.{name}", dest=name, **settings)
    options = parser.parse_args(words[1:])
    file = options.path or options.file
    if file is None:
        raise UsageError("check needs a FILE, the seller's CSV (see check --help)")
    from pricerl.data import DataConfig, DataPreprocessor, read_history
    from pricerl.market import CostConfig, describe_costs

    config = DataConfig(**{name: getattr(options, name) for name in reading})
    known = DataPreprocessor.fit(read_history(file, config), config)
    for product, report in zip(known.products, known.reports, strict=True):
        print("\n".join(report.lines()))
        print(f"  {'costs':<16} {describe_costs(product, CostConfig())}")
    return EXIT_OK


def _simulate(words: list[str]) -> int:
    """Write a seller with known demand."""
    from pricerl.simulation.seller import MARKETS, SellerConfig, write_seller

    default = SellerConfig()
    parser = _Parser(prog="pricerl simulate", description="Write a seller whose demand is known.")
    parser.add_argument("--out", required=True, help="CSV to write; the truth lies in FILE.truth.json")
    parser.add_argument("--market", choices=MARKETS, default=default.market, help="family of demand")
    parser.add_argument("--days", type=int, default=default.days, help="days of history")
    parser.add_argument("--units", type=float, default=default.units, help="mean units a day at the first price")
    parser.add_argument("--seed", type=int, default=default.seed, help="same seed, same file")
    parser.add_argument("--products", type=int, default=default.products, help="number of products in the file")
    options = vars(parser.parse_args(words[1:]))
    out = Path(options.pop("out"))
    write_seller(SellerConfig(**options), out)
    print(f"{out}\n{out}.truth.json")
    return EXIT_OK


def _fit(words: list[str]) -> int:
    """Train, then advise with the best policy."""
    command = _lightning(words)
    if not command.trainer.is_global_zero or command.options.trainer.fast_dev_run:
        return EXIT_OK
    if not command.advises:
        print("\n".join(command.training_summary()))
        return EXIT_OK
    command.load_best()
    return _advise(command, Path(command.options.out or command.run_dir))


def _predict(words: list[str]) -> int:
    """Advise on a fresh file with a trained policy."""
    command = _lightning(words)
    return _advise(command, Path(command.options.out or command.run_dir))


def _decide(words: list[str]) -> int:
    """Write down what people decide, or print it."""
    from pricerl.cli import decisions as desk

    command = {"approve": desk.approve, "history": desk.history}.get(words[0], desk.order)
    return command(words, _Parser(prog=f"pricerl {words[0]}"))


def _look(words: list[str]) -> int:
    """Ask what a price would bring, prove the log of decisions, or make one of them again."""
    from pricerl.cli.questions import Tools, audit, what_if

    tools = Tools(_Parser(prog=f"pricerl {words[0]}", allow_abbrev=False), _lightning, _make_advice)
    return (what_if if words[0] == "what-if" else audit)(words[1:], tools)


def _score(words: list[str]) -> int:
    """Validate or test: print the scores of the held-out episodes, and every product's policy beside the rules."""
    command = _lightning(words)
    for name, value in sorted(command.scores.items()):
        print(f"{name:<22} {value:>12.4f}")
    if command.advises and command.trainer.is_global_zero:
        from pricerl.cli import session
        from pricerl.cli.scores import MOST_SHOWN, print_scores

        everything, data = command.options.out is not None, command.datamodule
        advice = _make_advice(command, session.entries_of(command), None if everything else MOST_SHOWN)
        print_scores(advice, data.guardrails.price_step, data.market.num_products)
        if everything:
            session.write_files(command, advice, Path(command.options.out))
    return EXIT_OK


def _lightning(words: list[str]) -> PricingCLI:
    """Run a Lightning command; its chatter stays quiet, its usage errors become one message."""
    warnings.filterwarnings("ignore", module="lightning")
    from pricerl.advice import DecisionConfig, ReportConfig
    from pricerl.cli.lightning import run_command

    for name in ("lightning.pytorch", "lightning.fabric"):  # lightning sets its levels when it is imported
        logging.getLogger(name).setLevel(logging.ERROR)
    words = ["--report.pdf=true" if word == "--pdf" else word for word in words]
    return run_command(words, {"decision": DecisionConfig, "report": ReportConfig}, _refuse_early)


def _refuse_early(command: PricingCLI) -> None:
    """Refuse options of the advice before a training that would end in vain."""
    from pricerl.advice import check_folder, check_horizon
    from pricerl.cli import session

    if not command.advises and command.config.subcommand == "predict":
        raise UsageError("predict advises on a seller's file; score a policy of a Gymnasium environment with test")
    check_horizon(command.options.horizon)
    if command.options.out:
        check_folder(Path(command.options.out), "--out ")
    if command.config.subcommand in ("fit", "predict"):
        check_folder(command.run_dir, "the run's folder ")
    if command.advises:
        session.formatter_of(command)
        session.entries_of(command)
        session.check_report(command)


def _advise(command: PricingCLI, out: Path) -> int:
    """Write and print the advice of a trained policy for the history it was given."""
    from pricerl.cli import session
    from pricerl.cli.summary import print_summary

    entries = session.entries_of(command)
    advice = _make_advice(command, entries)
    recorded = session.record(command, advice, len(entries)) if command.trainer.is_global_zero else ""
    files = session.write_files(command, advice, out)
    print_summary(advice, files, command.datamodule.guardrails.price_step)
    print(recorded)
    return EXIT_NOT_ENOUGH_EVIDENCE if all(item.decision.lacks_evidence for item in advice) else EXIT_OK


def _make_advice(command: PricingCLI, entries: list[Entry], most: int | None = None) -> list[ProductAdvice]:
    """Advise on the command's products, or the first ``most``; ``entries`` are those of the run's log."""
    from pricerl.advice import advise
    from pricerl.cli import session
    from pricerl.evaluation.backtest import backtest

    data = command.datamodule
    dynamics = data.build_dynamics("cpu")
    backtests = backtest(data.preprocessor, data.market_config, data.cost, data.seed)
    decision = command.settings("decision")
    model = advise(command.model.cpu().policy, dynamics, decision, command.options.horizon, backtests, data.seed, most)
    return session.supervise(command, dynamics, model, entries)


class _Parser(argparse.ArgumentParser):
    """Reports a wrong option as a ``UsageError`` instead of leaving the process."""

    def error(self, message: str) -> None:  # type: ignore[override]  # argparse types it NoReturn; raising is that
        from pricerl.cli.usage import explain_usage

        options = [name.removeprefix("--") for action in self._actions for name in action.option_strings]
        raise UsageError(f"{explain_usage(message, options)} (see {self.prog} --help)")


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "check": _check,
    "simulate": _simulate,
    "fit": _fit,
    "validate": _score,
    "test": _score,
    "predict": _predict,
    "what-if": _look,
    "override": _decide,
    "pause": _decide,
    "approve": _decide,
    "history": _decide,
    "audit": _look,
}
