"""Mutation test of the guardrails: one changed operator or constant at a time must make a test fail.

    python benchmarks/mutation.py pricerl/guardrails/gate.py
    python benchmarks/mutation.py                          # all six modules

Every mutant is a copy of the module with one comparison, arithmetic or boolean operator, ``min`` or ``max``, ``not`` or
number changed. It is imported in a child process instead of the module, and the guardrails' tests run until one fails.
Surviving mutants are printed with their line. Each is a gap in the tests or an equivalent mutant: one that differs only
within a rounding slack, beyond the numbers that single precision holds, or for an object that nothing assigns to.
Linux and macOS only: child processes are forked to avoid repeated imports.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import importlib
import io
import os
import signal
import sys
import time
from collections.abc import Iterator
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from runner import ROOT, read_options

GATE, CONFIG, BATCH = (f"tests/guardrails/test_{name}.py" for name in ("gate", "guardrail_config", "limits"))
TESTS = {
    "pricerl/guardrails/gate.py": (GATE,),
    "pricerl/guardrails/today.py": (GATE,),
    "pricerl/guardrails/projection.py": (BATCH, GATE),
    "pricerl/guardrails/price_grid.py": (CONFIG, GATE),
    "pricerl/guardrails/config.py": (CONFIG, GATE),
    "pricerl/guardrails/limits.py": (BATCH, GATE),
}
"""Mutated modules and the tests that cover them."""

SECONDS = 120
"""Timeout per mutant; a timeout counts as a failed test."""

PAIRS = (
    *((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn)),
    *((ast.Add, ast.Sub), (ast.Mult, ast.Div), (ast.And, ast.Or), (ast.BitAnd, ast.BitOr)),
    *(("min", "max"), ("minimum", "maximum"), ("amin", "amax"), ("floor", "ceil")),
)
SWAPS: dict[Any, Any] = {one: other for pair in PAIRS for one, other in (pair, pair[::-1])}
"""Operators and names with what replaces them."""


class Mutant(NamedTuple):
    """Changed copy of a module."""

    line: int
    change: str
    source: str


class MutatedModule(MetaPathFinder, Loader):
    """Importer of a mutant's source under the module's name."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Return a spec for the module's name only."""
        return ModuleSpec(fullname, self, origin=str(self.path)) if fullname == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        """Execute the mutant's source."""
        exec(compile(self.source, str(self.path), "exec"), module.__dict__)


def main() -> None:
    options = read_options(__doc__, words="modules")
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "guardrails")]
    importlib.import_module("pricerl.market")
    for module in options.modules or TESTS:
        report(module, time.perf_counter())


def report(module: str, started: float) -> None:
    """Test every mutant of a module and print the survivors."""
    source, killed = Path(module).read_text(encoding="utf-8"), 0
    if not survives(module, Mutant(0, "none", source)):
        raise SystemExit(f"{module}: the tests fail on the module as it is")
    mutants = list(mutate(source))
    for mutant in mutants:
        if survives(module, mutant):
            print(f"{module}:{mutant.line}: {mutant.change}", flush=True)
        else:
            killed += 1
    seconds = time.perf_counter() - started
    print(f"{module}: {killed} of {len(mutants)} mutants noticed, {seconds:.0f} s", flush=True)


def mutate(source: str) -> Iterator[Mutant]:
    """Yield every mutant of a source; docstrings, annotations and strings are not changed."""
    tree = ast.parse(source)
    for index, node in enumerate(ast.walk(tree)):
        for change in changes(node):
            mutant = copy.deepcopy(tree)
            twin = next(item for place, item in enumerate(ast.walk(mutant)) if place == index)
            before = ast.unparse(twin)
            setattr(twin, *change)
            ast.fix_missing_locations(mutant)
            line = getattr(node, "lineno", 0)
            yield Mutant(line, f"{before}  ->  {ast.unparse(twin)}", ast.unparse(mutant))


def changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """Yield the possible changes of a node, each an attribute and its new value."""
    if isinstance(node, ast.Compare):
        for position, operator in enumerate(node.ops):
            if type(operator) in SWAPS:
                yield "ops", [*node.ops[:position], SWAPS[type(operator)](), *node.ops[position + 1 :]]
    elif isinstance(node, (ast.BinOp, ast.BoolOp)) and type(node.op) in SWAPS and not _is_type(node):
        yield "op", SWAPS[type(node.op)]()
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "op", ast.UAdd()
    elif isinstance(node, ast.Name) and node.id in SWAPS:
        yield "id", SWAPS[node.id]
    elif isinstance(node, ast.Attribute) and node.attr in SWAPS and isinstance(node.ctx, ast.Load):
        yield "attr", SWAPS[node.attr]
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
        yield "value", not node.value if type(node.value) is bool else node.value + 1


def _is_type(node: ast.BinOp | ast.BoolOp) -> bool:
    """Return whether ``A | B`` is a type annotation, which is not evaluated."""
    words = {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}
    return bool(words & {"float", "int", "str", "object", "Tensor"}) or "None" in ast.unparse(node)


def survives(module: str, mutant: Mutant) -> bool:
    """Return whether all of the module's tests pass on a mutant, in a child process."""
    child = os.fork()
    if not child:
        signal.alarm(SECONDS)
        os._exit(run_tests(module, mutant.source))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def run_tests(module: str, source: str) -> int:
    """Import the mutant in place of the module and return pytest's exit code."""
    for name in [name for name in sys.modules if name.split(".")[0] == "pricerl"]:
        del sys.modules[name]
    name = module.removesuffix(".py").replace("/", ".")
    sys.meta_path.insert(0, MutatedModule(name, ROOT / module, source))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--no-header", *TESTS[module]]))
        except BaseException:  # a mutant that fails on import
            return 1


if __name__ == "__main__":
    main()
