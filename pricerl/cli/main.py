"""Entry point of the command line: dispatch, signals, error messages and exit codes.

Results go to stdout, progress and problems to stderr.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from pricerl import __version__, errors
from pricerl.cli import settings_help, usage
from pricerl.progress import show_stages
from pricerl.terminal import write_lines

COMMANDS = {
    "check": "pricerl.cli.commands.check:check",
    "simulate": "pricerl.cli.commands.simulate:simulate",
    "advise": "pricerl.cli.advise:train_and_advise",
    "init": "pricerl.cli.commands.init:init",
    "fit": "pricerl.cli.advise:fit",
    "validate": "pricerl.cli.advise:validate",
    "test": "pricerl.cli.advise:test",
    "predict": "pricerl.cli.standing:predict",
    "what-if": "pricerl.cli.standing:what_if",
    "override": "pricerl.cli.commands.decisions:override",
    "pause": "pricerl.cli.commands.decisions:pause",
    "clear": "pricerl.cli.advise:clear",
    "resume": "pricerl.cli.commands.decisions:resume",
    "approve": "pricerl.cli.commands.decisions:approve",
    "reject": "pricerl.cli.commands.decisions:reject",
    "report": "pricerl.cli.commands.report:report",
    "watch": "pricerl.cli.commands.watch:watch",
    "retrain": "pricerl.cli.commands.retrain:retrain",
    "review": "pricerl.cli.commands.review:review",
    "export": "pricerl.cli.commands.export:export",
    "price-test": "pricerl.cli.commands.decisions:price_test",
    "roll-out": "pricerl.cli.experiments.roll_out:begin_or_read",
    "add-test": "pricerl.cli.experiments.made_elsewhere:add_test",
    "history": "pricerl.cli.commands.decisions:history",
    "prices": "pricerl.cli.commands.decisions:prices",
    "reconcile": "pricerl.cli.commands.reconcile:reconcile",
    "rollback": "pricerl.cli.commands.decisions:rollback",
    "add": "pricerl.cli.commands.shop:add",
    "shop": "pricerl.cli.commands.shop:show",
    "backup": "pricerl.cli.commands.shop:back_up",
    "audit": "pricerl.cli.commands.shop:audit_log",
    "serve": "pricerl.serve.server:serve",
    "mcp": "pricerl.mcp.protocol:mcp",
}
"""Module and function of each command, imported only when it runs."""

EXTRAS = {"serve": "fastapi", "mcp": "mcp"}
"""Commands that need the extra of their name, with a package that it brings."""

HELP = f"""pricerl {__version__}: learn a daily price policy from a seller's own history

usage: python main.py COMMAND [options]        pricerl COMMAND [options]

  check FILE                                   print the content of a file, or every problem with its line
  simulate --out FILE [--market M] [--days N] [--units U] [--seed S] [--products P]
                                               write a seller with known demand, and FILE.truth.json
  advise FILE [ADS_FILE]                       everything with the defaults: read, train, advise, write the page
  init                                         write guardrails.yaml, the limits on prices, to edit
  fit --config FILE [--data.path FILE]         train, evaluate and advise; without a path on a simulated seller
  validate | test                              score a trained policy on held-out days, next to the rules
  predict [--data.path FILE] [--out DIR] [--horizon 14]
                                               advise on a newer file, or on the last one again
  what-if PRICE [--data.path FILE]             compare a price with keeping the current one
  override PRICE --until DAY --reason WHY      charge this price instead of the model's, within the hard limits
  pause --until DAY --reason WHY               keep the price instead of following the model
  clear PRODUCT --by DAY                       plan the prices that sell its stock by a day, which predict then follows
  resume                                       end an override, pause, test or clearance; undo an approval
  approve [ID] | reject ID | history           approve the newest advice, or decide on what an agent prepared; print
                                               decisions with author and reason
  prices [--as PLATFORM]                       print the prices to charge; write them in the import form of a platform
  reconcile EXPORT                             compare the platform's own prices with those that you decided
  price-test plan|start|read RUN [--data.path FILE]
                                               plan, start and read randomised tests of two prices
  roll-out [--weeks 6] [--keep-control] [--stop]
                                               follow the advice in a random order, and say what that has earned
  add-test FILE                                count a test of prices that you made elsewhere as evidence
  report [--product P]                         make the page of a product from the last advice
  watch [--data.path FILE]                     check new days, send alerts, exit code by severity
  retrain [--data.path FILE]                   train on a newer file with the settings that the shop keeps
  review [--data.path FILE]                    compare past advice with what happened
  export [--format onnx|weights] [--out DIR]
                                               write the policy with scaler and price rule, to be served elsewhere
  rollback [--to gen-0003]                     use an earlier generation of weights and advice again
  add FILE                                     add the days of a file to those that the shop has read
  shop | backup FILE                           print what the shop has; copy its database
  audit verify [FILE]                          check that the log is unbroken
  serve [FOLDER]                               the same in a browser: drop a file, advise, decide
  mcp [FOLDER]                                 tools for an agent, which reads all and prepares decisions
  (from validate on, the only run is found; else its name comes first, or after --run_name, or --ckpt_path FILE;
  --product P; --today DAY)

  COMMAND --help lists its options; fit, validate and test take all of Lightning's trainer flags
  --version, --debug (show the traceback of an error), --shop postgresql://… (a team's server, also PRICERL_SHOP)

exit codes: 0 ok, 1 bug, 2 usage, 3 bad data, 4 not enough evidence (the advice is to keep the price),
            5 bad checkpoint, 6 warning of watch, or a product has no advice,
            7 alarm of watch, or more than 10 % of the products have no advice,
            130 interrupted (SIGINT), 143 terminated (SIGTERM)
"""


SIGNALS = {int(signal.SIGINT): "interrupted", int(signal.SIGTERM): "terminated"}
"""Message of a command that a signal ended."""

RUN_FIRST = {"validate", "test", "predict", "watch", "retrain", "review", "report", "export", "history"}
RUN_FIRST |= {"prices", "pause", "resume", "roll-out", "rollback", "shop"}
FIRST = dict.fromkeys(RUN_FIRST, "--run_name") | {"what-if": "--price", "override": "--price", "clear": "--product"}
"""Option whose value may be the first word of a command."""

SETTINGS_HELP = {"advise", "fit", "validate", "test", "predict"}
"""Commands whose help lists all settings of a run."""

NUMBER_FIRST = {"what-if", "override", "approve", "reject"}
"""Commands whose first word is a number, before which the run may stand; one that starts with a letter."""


def prepare_process() -> None:
    """Prepare this process for commands, before anything of numpy is imported."""
    gc.set_threshold(20_000)  # looking for cycles after 700 new objects took 5 % of a command's time
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # processes import nothing from a folder that may be a stranger's
    # Regressions are small: on several threads numpy's algebra only keeps cores busy. torch has ``--threads``.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a pipe on Windows has a code page without minus and arrow
            stream.reconfigure(encoding="utf-8", errors="replace")


def main(args: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; its words are ``sys.argv`` without arguments."""
    if args is None:
        prepare_process()
    words = list(sys.argv[1:] if args is None else args)
    with ended_by_signals():
        return _run_explained([word for word in words if word != "--debug"], debug="--debug" in words)


def _run_explained(words: list[str], debug: bool) -> int:
    """Run a command; print its error, if it has one, as a sentence."""
    try:
        return _run(words)
    except errors.PricerlError as error:
        return _fail(str(error), error.exit_code, debug)
    except KeyboardInterrupt:
        return _fail(SIGNALS[errors.EXIT_INTERRUPTED - 128], errors.EXIT_INTERRUPTED, debug)
    except SystemExit as leaving:  # --help of a parser
        return leaving.code if isinstance(leaving.code, int) else errors.EXIT_OK
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return errors.EXIT_OK
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):  # the disk is full
            place = error.filename or "the output"
            return _fail(f"{place} cannot be written: {error.strerror}", errors.EXIT_USAGE, debug)
        from pricerl.cli.failures import explain_failure  # needed for others' failures alone

        if (explained := explain_failure(error, words)) is not None:
            return _fail(*explained, debug, head="")
        found = f"a bug in pricerl, please report it: {type(error).__name__}: {error}"
        return _fail(found, errors.EXIT_BUG, debug=True)
    finally:
        show_stages(False)  # main may be called from a program


def _run(words: list[str]) -> int:
    taken, words = usage.take_options(words, "--shop")
    if taken["shop"]:
        os.environ["PRICERL_SHOP"] = taken["shop"][-1]
    if not words or words[0] in ("-h", "--help", "help"):
        write_lines(HELP.splitlines())
        return errors.EXIT_OK if words else errors.EXIT_USAGE
    if words[0] == "--version":
        write_lines([__version__])
        return errors.EXIT_OK
    name, *rest = words
    if name not in COMMANDS:
        raise errors.UsageError(f"unknown command {name!r}{errors.did_you_mean(name, COMMANDS)} (see --help)")
    if name in SETTINGS_HELP and (topics := settings_help.topics_in(rest)):
        write_lines(settings_help.help_lines(name, topics[-1]))
        return errors.EXIT_OK
    if name in NUMBER_FIRST and rest and rest[0][:1].isalpha():
        run, *rest = usage.with_first(rest, "--run_name")
        rest.append(run)
    if name in FIRST:
        rest = usage.with_first(rest, FIRST[name])
    if name in EXTRAS:
        errors.import_extra(EXTRAS[name], f'{name} needs the extra: pip install -e ".[{name}]"')
    return usage.function_of(COMMANDS[name])(rest) or errors.EXIT_OK


def _fail(message: str, code: int, debug: bool, head: str = "error: ") -> int:
    trace = traceback.format_exc().splitlines() if debug else []
    write_lines([*trace, *f"{head}{message}".split("\n")], problems=True)
    return code


def ended_by_signals() -> AbstractContextManager[None]:
    """End the process with one sentence and exit code 130 or 143 on SIGINT and SIGTERM.

    Parts of a command that save something replace these handlers by their own. Signals whose handling the program
    that started this one has turned off, or changed, stay as they are.
    """
    usual: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    return errors.signals_handled(
        {number: _end for number, handler in usual.items() if signal.getsignal(number) is handler}
    )


def _end(number: int, frame: Any) -> None:
    """Raise an error that the command line prints; within an import, which may swallow errors, end at once."""
    if any("importlib._bootstrap" in caller.f_code.co_filename for caller, _ in traceback.walk_stack(frame)):
        write_lines([f"error: {SIGNALS[number]}"], problems=True)
        os._exit(128 + number)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise errors.InterruptedRunError(SIGNALS[number], number)
