"""Start-up: commands that need no network answer without importing torch."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import FAST, Result, seller_lines, train, write_lines

import pricerl
from pricerl.cli.interrupts import ended_by_signals
from pricerl.cli.options import answer_early, find_groups
from pricerl.errors import InterruptedRunError

RUN = ("--run_name", "seller")
ORDER = (*RUN, "--until", "2025-04-05", "--reason", "x", "--by", "anna")
LIGHT = {
    "--help": 0,
    "--version": 0,
    "": 2,
    "fitt": 2,
    "check seller.csv": 0,
    "check --help": 0,
    "simulate --out made.csv --days 60": 0,
    "history --run_name seller": 0,
    "override --price 10.5": 0,
    "pause": 0,
    "resume --run_name seller": 0,
    "approve 3": 0,
    "report --run_name seller": 2,
    "audit verify --run_name seller": 0,
}
"""Commands and their exit codes, on a run whose log an older version wrote."""

HEAVY = ("torch", "lightning", "gymnasium")
CODE = """
import sys
from pricerl.cli.main import main
code = main(sys.argv[2:])
loaded = sorted({*sys.argv[1].split()} & set(sys.modules))
sys.exit(f"loaded {loaded}" if loaded else code)
"""


def run_alone(folder: Path, words: list[str], *heavy: str) -> Result:
    """Run a command in a process of its own, and fail it if a heavy package was imported."""
    command = [sys.executable, "-c", CODE, " ".join(heavy), *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, timeout=120)
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file and a run, of which only the log exists."""
    folder = tmp_path_factory.mktemp("shop")
    write_lines(folder / "seller.csv", seller_lines())
    log = folder / "checkpoints" / "seller" / "decisions.jsonl"
    log.parent.mkdir(parents=True)
    shutil.copy(Path(__file__).parents[1] / "operations" / "old_decisions.jsonl", log)
    return folder


@pytest.mark.parametrize("line", LIGHT)
def test_a_command_without_a_network_imports_no_torch(line: str, shop: Path) -> None:
    words = line.split()
    if words and words[0] in ("override", "pause"):
        words += ORDER
    if words and words[0] == "approve":
        words += RUN
    result = run_alone(shop, words, *HEAVY)
    assert result.code == LIGHT[line], result.err


def test_help_and_version_import_nothing_heavy(tmp_path: Path) -> None:
    heavy = (*HEAVY, "pandas", "numpy", "jsonargparse")
    assert "usage" in run_alone(tmp_path, ["--help"], *heavy).out
    assert run_alone(tmp_path, ["--version"], *heavy) == Result(0, f"{pricerl.__version__}\n", "")


def test_check_of_a_file_with_every_day_imports_no_scipy(shop: Path) -> None:
    done = run_alone(shop, ["check", "seller.csv"], *HEAVY, "scipy")
    assert done.code == 0 and "PASS" in done.out, done


POLICY_COMMANDS = {
    "fit --data.path seller.csv --run_name again --trainer.max_steps 40": "",
    "predict --ckpt_path checkpoints/seller/best.ckpt": "pyarrow.parquet",
    "what-if --ckpt_path checkpoints/seller/best.ckpt --price 10": "pyarrow.parquet",
}
"""Commands that run a policy, with the packages that they must not import in addition to those none of them may."""

UNUSED = ("torch._dynamo", "torch._inductor", "sympy", "scipy.signal", "scipy.stats", "matplotlib", "wandb")
"""The compiler of torch, signal processing and statistics of scipy, plots and logging: 2 to 3 s, and 75 MB."""


@pytest.mark.parametrize("line", POLICY_COMMANDS)
def test_a_policy_command_imports_no_package_that_it_does_not_use(line: str, tmp_path: Path) -> None:
    train(tmp_path)
    words = [*line.split(), *(FAST if line.startswith("fit") else [])]
    result = run_alone(tmp_path, words, *UNUSED, *POLICY_COMMANDS[line].split())
    assert result.code in (0, 4), result.err


IMPORT = """
import sys
from pricerl.training.lightning_import import import_lightning
import_lightning()
assert not {"torch._dynamo", "scipy.signal"} & set(sys.modules)
import torch, scipy.signal
from lightning.pytorch.utilities.compile import OptimizedModule
layer = torch.nn.Linear(2, 2)
assert not isinstance(layer, OptimizedModule)
assert isinstance(torch.compile(layer), OptimizedModule)
assert scipy.signal.lfilter([1.0], [1.0], [2.0]) == 2.0
"""


def test_packages_left_out_of_lightning_work_when_they_are_needed() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


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


WRONG = (
    "fit --trainer.max_stepps 3",
    "predict --ckpt_pth x",
    "validate --data.pth x",
    "test --horizn 3",
    "what-if --pric 3",
)


@pytest.mark.parametrize("line", WRONG)
def test_a_mistyped_option_is_refused_before_torch_is_imported(line: str, tmp_path: Path) -> None:
    command, option, _ = line.split()
    result = run_alone(tmp_path, line.split(), *HEAVY)
    assert result.code == 2
    assert (
        result.err.startswith(f"error: unknown option {option}; did you mean '") and f"{command} --help" in result.err
    )


@pytest.mark.parametrize("command", ["fit", "predict", "validate", "test"])
def test_help_fits_on_a_screen_and_names_every_group_without_torch(command: str, tmp_path: Path) -> None:
    result = run_alone(tmp_path, [command, "--help"], *HEAVY)
    assert result.code == 0 and len(result.out.splitlines()) <= 60
    assert all(f"  {name} " in result.out for name in find_groups() if name not in ("", "data"))
    assert "--data.path" in result.out and "--help=all" in result.out


def test_help_of_a_group_explains_its_settings_with_their_docstrings(tmp_path: Path) -> None:
    text = " ".join(run_alone(tmp_path, ["fit", "--help=data.guardrails"], *HEAVY).out.split())
    assert "--data.guardrails.max_change The largest change at one decision" in text
    wrong = run_alone(tmp_path, ["fit", "--help=data.guardrail"], *HEAVY)
    assert wrong.code == 2 and "did you mean 'data.guardrails'?" in wrong.err


def test_the_quick_help_and_the_parser_know_the_same_settings(tmp_path: Path) -> None:
    full = run_alone(tmp_path, ["fit", "--help=all"]).out  # classes of other tests would be listed, too
    assert "The largest change at one decision" in " ".join(full.split())
    heads = [line for line in full.splitlines() if line.lstrip().startswith("-")]
    parsed = {name for line in heads for name in re.findall(r"--([\w.]+)", line) if not name.endswith("help")}
    groups = find_groups()
    short = {"pdf", "excel", "strict", "allow"}  # not the parser's
    quick = {name for group in groups.values() for name in group.settings} - short
    assert quick == parsed - set(groups)
    assert not any(answer_early("fit", [f"--{name}=x"]) for name in parsed)
