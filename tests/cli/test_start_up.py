"""Start-up: commands that need no network answer without importing torch."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from command_line import FAST, Result, run, seller_lines, write_lines

from pricerl.cli.main import COMMANDS, ended_by_signals
from pricerl.cli.parse import PricingCLI
from pricerl.cli.settings_help import GROUPS, settings_of
from pricerl.errors import InterruptedRunError
from pricerl.tasks.imports import OWN

TODAY = "--run_name seller --today 2025-04-01"
UNTIL = f"{TODAY} --until 2025-04-05 --reason x --by anna"

NOTHING: frozenset[str] = frozenset()
ARRAYS = frozenset({"numpy"})
SETTINGS = ARRAYS | {"jsonargparse"}
TABLES = ARRAYS | {"pandas", "pyarrow"}
FILES = TABLES | {"scipy", "jsonargparse"}
MARKET = FILES | {"torch"}
TRAINING = MARKET | {"lightning", "torchmetrics", "gymnasium", "torch._dynamo", "sympy", "scipy.signal", "scipy.stats"}
WATCHED = sorted(TRAINING | {"matplotlib", "wandb", "duckdb", "sklearn", "statsmodels"})
"""Packages that take time or memory to import; the compiler of torch and parts of scipy come with Lightning."""

ONCE = (*FAST, "--trainer.max_steps", "1", "--data.eval_every", "1")

TABLE: dict[str, tuple[frozenset[str], int]] = {
    "": (NOTHING, 2),
    "fitt": (NOTHING, 2),
    "--help": (NOTHING, 0),
    "--version": (NOTHING, 0),
    f"predict {TODAY}": (ARRAYS, 4),
    f"what-if 10.4 {TODAY}": (ARRAYS, 0),
    f"history {TODAY}": (ARRAYS, 0),
    f"prices {TODAY}": (ARRAYS, 0),
    "report --run_name seller": (ARRAYS, 0),
    f"override 10.5 {UNTIL}": (ARRAYS, 0),
    f"resume {TODAY}": (ARRAYS, 0),
    f"pause {UNTIL}": (ARRAYS, 0),
    f"approve 1 {TODAY}": (ARRAYS, 2),
    f"reject 1 {TODAY}": (ARRAYS, 2),
    f"rollback {TODAY}": (ARRAYS, 2),
    "shop seller": (ARRAYS, 0),
    "backup copy.db": (ARRAYS, 0),
    "audit verify": (ARRAYS, 0),
    "fit --help": (SETTINGS, 0),
    "check seller.csv": (TABLES, 0),
    "add seller.csv": (TABLES, 0),
    "reconcile no.csv": (TABLES, 3),
    "serve --help": (TABLES, 0),
    "mcp --help": (TABLES, 0),
    "init": (FILES, 0),
    "add-test no.csv": (FILES, 3),
    "simulate --out simulated.csv --days 60": (FILES, 0),
    f"predict --horizon 7 {TODAY}": (MARKET, 0),
    f"what-if 11.0001 {TODAY}": (MARKET, 0),
    f"watch {TODAY}": (MARKET, 0),
    f"review {TODAY}": (MARKET, 3),
    f"export --format weights {TODAY}": (MARKET, 0),
    f"clear --by 2025-06-01 {TODAY}": (MARKET, 2),
    f"roll-out {TODAY}": (MARKET, 2),
    f"price-test plan {TODAY}": (MARKET, 4),
    "advise made.csv --today 2025-04-01 --data.market.num_draws 16": (MARKET, 4),
    f"fit --data.path seller.csv --run_name again {' '.join(ONCE)}": (TRAINING, 0),
    f"retrain {TODAY} {' '.join(ONCE)}": (TRAINING, 0),
    f"validate {TODAY}": (TRAINING, 0),
    f"test {TODAY}": (TRAINING, 0),
}
"""Commands, the packages of those watched that each may import, and its exit code, on a trained shop."""

UNUSED = ("torch._dynamo", "torch._inductor", "sympy", "scipy.signal", "scipy.stats", "matplotlib", "wandb")
"""The compiler of torch, signal processing and statistics of scipy, plots and logging: 2 to 3 s, and 75 MB."""

HEAVY = ("torch", "lightning", "gymnasium")
CODE = """
import contextlib, gc, io, json, sys
from pricerl.cli.main import main
results = []
for words, heavy in json.loads(sys.argv[1]):
    gc.freeze()
    if benchmark := sys.modules.get("pricerl.planner.plan_benchmark"):
        benchmark.MOST_ROWS = 256
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    loaded = sorted(set(heavy) & set(sys.modules))
    results.append([f"loaded {loaded}" if loaded else code, out.getvalue(), err.getvalue()])
json.dump(results, sys.stdout)
"""
Command = tuple[Sequence[str], Sequence[str]]
"""Words of a command, and packages that must not be imported when it has ended."""


def python(folder: Path, code: str, *words: str) -> str:
    """Output of code that runs in a process of its own."""
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_alone(folder: Path, *commands: Command) -> list[Result]:
    """Run commands one after the other in a process of their own; the code of one that imported too much says so."""
    return [Result(*result) for result in json.loads(python(folder, CODE, json.dumps(commands)))]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file."""
    folder = tmp_path_factory.mktemp("shop")
    write_lines(folder / "seller.csv", seller_lines())
    return folder


@pytest.fixture
def trained_shop(trained_once: Path, tmp_path: Path) -> Path:
    """A folder with a file and a trained run."""
    write_lines(tmp_path / "seller.csv", seller_lines())
    write_lines(tmp_path / "made.csv", seller_lines(60, seed=3))
    shutil.copytree(trained_once, tmp_path / "checkpoints" / "seller")
    return tmp_path


@pytest.mark.parametrize("steps", [(SETTINGS,), (NOTHING, ARRAYS, TABLES, FILES, MARKET, TRAINING)], ids=len)
def test_a_command_imports_nothing_that_the_table_does_not_allow(
    steps: tuple[frozenset[str], ...], trained_shop: Path
) -> None:
    """In a process, each command may import all that those before it may."""
    assert all(one < other for one, other in pairwise(steps))
    wanted = {line: code for may in steps for line, (packages, code) in TABLE.items() if packages == may}
    results = run_alone(trained_shop, *((line.split(), [*{*WATCHED} - TABLE[line][0]]) for line in wanted))
    assert {line: item.code for line, item in zip(wanted, results, strict=True)} == wanted, results


def test_the_table_has_every_command() -> None:
    assert {line.partition(" ")[0] for line in TABLE} >= {*COMMANDS}


LOAD = f"""
import sys
from pathlib import Path
from cloudpickle import dumps
from pricerl.operations.catalogue import split
assert "lightning" not in sys.modules
import pricerl
trained = pricerl.load("checkpoints/seller/best.ckpt")
trained.policy
assert not set({UNUSED}) & set(sys.modules)
chunk = next(split(trained.run, ()))._replace(backtests={{}})
Path("chunk.pkl").write_bytes(dumps(chunk))
"""
WORK = f"""
import pickle, sys
from pathlib import Path
pickle.loads(Path("chunk.pkl").read_bytes()).run()
assert not {{"lightning", *{UNUSED}}} & set(sys.modules)
"""
"""A process that loads a policy and packs the work of another, and that other process."""


@pytest.mark.slow
def test_a_loaded_policy_and_a_worker_of_a_catalogue_import_no_compiler(trained_shop: Path) -> None:
    for code in (LOAD, WORK):
        python(trained_shop, code)


HEED_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""Programs started in the background ignore SIGINT."""

RUN_MAIN = "from pricerl.cli.main import main; raise SystemExit(main())"

INTERRUPTED = """
import signal, time
try:
    signal.raise_signal({number})
except BaseException:  # some packages survive any failure of an optional import
    pass
time.sleep(60)
"""


@pytest.mark.parametrize(("line", "package"), [("fit --run_name x", "torch"), ("check seller.csv", "numpy")])
@pytest.mark.parametrize(("number", "words"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_signal_during_imports_ends_the_command_with_one_sentence(
    number: signal.Signals, words: str, line: str, package: str, shop: Path, tmp_path: Path
) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(INTERRUPTED.format(number=int(number)), encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", f"{HEED_CTRL_C}; {RUN_MAIN}", *line.split()]
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, capture_output=True, text=True, cwd=shop, env=environment, check=False, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", f"error: {words}\n")


@pytest.fixture
def ctrl_c_is_heeded() -> Iterator[None]:
    own = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, own)


@pytest.mark.usefixtures("ctrl_c_is_heeded")
def test_signals_outside_imports_raise_and_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(InterruptedRunError, match="terminated") as raised, ended_by_signals():
        signal.raise_signal(signal.SIGTERM)
    assert raised.value.exit_code == 143
    with pytest.raises(KeyboardInterrupt), ended_by_signals():
        signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_help_fits_on_a_screen_and_names_every_group_without_torch(tmp_path: Path) -> None:
    commands = [([command, "--help"], HEAVY) for command in ("fit", "predict", "validate", "test")]
    for result in run_alone(tmp_path, *commands):
        assert result.code == 0 and len(result.out.splitlines()) <= 65
        assert all(f"  {name} " in result.out for name in GROUPS)
        assert "--data.path" in result.out and "--help=all" in result.out


def test_help_of_a_group_explains_its_settings_with_their_docstrings(tmp_path: Path) -> None:
    commands = [(["fit", f"--help={group}"], HEAVY) for group in ("data.guardrails", "data.guardrail")]
    right, wrong = run_alone(tmp_path, *commands)
    assert "--data.guardrails.max_change The largest change at one decision" in " ".join(right.out.split())
    assert wrong.code == 2 and "did you mean 'data.guardrails'?" in wrong.err


def test_the_help_has_every_setting_of_the_parser_with_its_default_and_a_text(tmp_path: Path) -> None:
    gym, pricing = (PricingCLI("fit", more, OWN) for more in (["--data.env_id", "Pendulum-v1"], []))
    parsed = dict(gym.parser.get_defaults().items()) | dict(pricing.parser.get_defaults().items())
    listed = {name: item for group in ("", *GROUPS) for name, item in settings_of(group).items()}
    assert {*listed} - {*parsed} == {"costs", "stock", "excel", "strict", "allow"}  # rewritten before it sees them
    assert {*parsed} <= {*listed} and len(listed) > 150 and all(item.text for item in listed.values())
    differing = [name for name in parsed if json.dumps(listed[name].default) != json.dumps(parsed[name])]
    assert differing == ["seed_everything", "print_config"]
    full = run(tmp_path, "fit", "--help=all").out
    assert all(f"--{name}" in full for name in listed if "." in name)
