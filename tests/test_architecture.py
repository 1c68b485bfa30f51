"""The design's rules about the code itself, enforced by reading it."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "pricerl"
FILES = sorted(ROOT.rglob("*.py"))

CHAIN = (
    *(
        "data",
        "shop",
        "simulation",
        "guardrails",
        "market",
        "env",
        "planner",
        "evaluation",
        "decide",
        "experiments",
        "runs",
    ),
    "training",
    *("advice", "operations", "tasks", "cli"),
    *("api", "__main__"),
    "serve",
    "mcp",
)
"""Each part may import those to its left, and itself."""

FREE_FOR_ALL = {
    "arrays",
    "entry_parts",
    "errors",
    "formatting",
    "progress",
    "reasons",
    "runtime",
    "terminal",
    "writing",
    "__version__",
}
SAC_FORBIDS = {"pandas", "gymnasium", "lightning"}
MAY_IMPORT = {
    "sac": {"training"},
    "lightning": {"training", "cli"},
    "pandas": {"data", "shop", "simulation", "evaluation", "advice", "operations"},
}
"""Who may import a part or a package; everyone may import what is not listed."""

MAX_FILES = 12
MAX_FILE_LINES = 400
MOST_STATEMENTS = {
    ".": 363,
    "advice": 343,
    "advice/report": 371,
    "advice/sentences": 384,
    "cli": 535,
    "cli/commands": 312,
    "cli/experiments": 168,
    "data": 472,
    "data/cleaning": 569,
    "data/platforms": 405,
    "data/reading": 673,
    "data/reading/sources": 369,
    "decide": 455,
    "env": 505,
    "env/stock": 237,
    "evaluation": 426,
    "evaluation/card": 87,
    "evaluation/stock": 221,
    "experiments": 381,
    "guardrails": 436,
    "market": 481,
    "market/demand": 926,
    "mcp": 159,
    "operations": 844,
    "operations/log": 554,
    "operations/watching": 269,
    "planner": 215,
    "runs": 234,
    "sac": 393,
    "serve": 455,
    "shop": 353,
    "simulation": 123,
    "tasks": 493,
    "training": 500,
    "training/callbacks": 233,
}
"""Budget of statements in the functions of each folder, without its subfolders: what it holds, and raising one needs a
deletion of the same size elsewhere."""

SPARE = 25
"""Statements that a folder may have less than its budget before the budget is lowered."""

MAX_FUNCTION_LINES = 50

MOST_COUNTER_LINES = 1_900
"""Lines of ``serve`` and ``mcp`` together, which translate and hold no rule."""

MOST_LATE_IMPORTS = 30
"""Imports inside functions, each of something slow that most calls do without."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module and name a module imports, dotted, inside functions and ``TYPE_CHECKING``, too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def import_faults(part: str, tree: ast.AST) -> list[str]:
    """What a module of ``part`` imports but must not."""
    return [f"{part} imports {name}" for name in imports(tree) if not _allowed(part, name)]


def _allowed(part: str, name: str) -> bool:
    package, _, rest = name.partition(".")
    target = rest.split(".")[0] if package == "pricerl" else package
    if part == "sac" and (package in SAC_FORBIDS or (package == "pricerl" and target not in {"sac", *FREE_FOR_ALL})):
        return False
    if target in MAY_IMPORT and target != part:
        return part in MAY_IMPORT[target]
    if package != "pricerl" or target in FREE_FOR_ALL or target == part:
        return True
    return part in CHAIN and target in CHAIN and CHAIN.index(target) < CHAIN.index(part)


def function_faults(tree: ast.AST) -> list[str]:
    """Functions that are too long, and public ones that swallow keywords."""
    faults = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            faults += _swallowers(node.body, [ast.unparse(base) for base in node.bases])
        if isinstance(node, Function) and _length(node) > MAX_FUNCTION_LINES:
            faults.append(f"{node.name} has {_length(node)} lines")
    assert isinstance(tree, ast.Module)
    return faults + _swallowers(tree.body, [])


def _swallowers(body: list[ast.stmt], bases: list[str]) -> list[str]:
    """Public functions with ``**kwargs``; a subclass of Lightning's overrides what takes them."""
    overrides = any(base.startswith(("Lightning", "ModelCheckpoint", "SaveConfig")) for base in bases)
    return [
        f"{node.name} takes **{node.args.kwarg.arg}"
        for node in body
        if isinstance(node, Function) and node.args.kwarg and not node.name.startswith("_") and not overrides
    ]


def _length(node: Function) -> int:
    """Lines of a function without its docstring."""
    assert node.end_lineno is not None
    lines = node.end_lineno - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        assert first.end_lineno is not None
        lines -= first.end_lineno - first.lineno + 1
    return lines


def _part(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_keeps_the_rules(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    faults = import_faults(_part(path), tree) + function_faults(tree)
    if (lines := len(text.splitlines())) > MAX_FILE_LINES:
        faults.append(f"{lines} lines")
    assert not faults, f"{path.relative_to(ROOT)}: {'; '.join(faults)}"


def mirrored(files: Iterable[Path]) -> list[list[str]]:
    """Modules whose names hold the same words in another order."""
    names: dict[tuple[str, ...], set[str]] = {}
    for path in files:
        names.setdefault(tuple(sorted(path.stem.split("_"))), set()).add(path.stem)
    return [sorted(found) for found in names.values() if len(found) > 1]


def hides_its_module(stem: str, tree: ast.Module) -> bool:
    """Whether a module defines a function or class of its own name, so that ``from package import name`` is two things.

    ``main.main`` is the entry point, which no package exports.
    """
    return any(isinstance(node, Function | ast.ClassDef) and node.name == stem != "main" for node in tree.body)


def test_a_folder_holds_at_most_twelve_files() -> None:
    assert {name: count for name, count in folder_sizes(lambda path: 1).items() if count > MAX_FILES} == {}


def test_the_counter_and_its_tools_for_agents_stay_small() -> None:
    lines = folder_sizes(lambda path: len(path.read_text(encoding="utf-8").splitlines()))
    assert lines["serve"] + lines["mcp"] <= MOST_COUNTER_LINES


def test_a_folder_keeps_its_budget_of_statements_and_gives_back_what_it_saves() -> None:
    found = folder_sizes(lambda path: statements(ast.parse(path.read_text(encoding="utf-8"))))
    assert found.keys() == MOST_STATEMENTS.keys()
    assert {name: count for name, count in found.items() if not 0 <= MOST_STATEMENTS[name] - count < SPARE} == {}


def statements(tree: ast.AST) -> int:
    """Number of statements inside functions, without docstrings."""
    count = 0
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            inner = [item for item in ast.walk(node) if isinstance(item, ast.stmt) and item is not node]
            count += sum(not (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)) for item in inner)
        else:
            count += statements(node)
    return count


def test_statements_are_those_of_functions_without_docstrings() -> None:
    method = '    def f(self):\n        """F."""\n        def g():\n            return 1\n        g()'
    code = f'x = 1\nclass A:\n    """A."""\n{method}'
    assert statements(ast.parse(code)) == 3


def late_imports(tree: ast.AST) -> list[str]:
    """Imports inside functions."""
    functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
    found = {item for node in functions for item in ast.walk(node) if isinstance(item, ast.Import | ast.ImportFrom)}
    return [ast.unparse(item) for item in found]


def test_few_imports_stand_inside_functions() -> None:
    assert late_imports(ast.parse("import a\n\ndef f():\n    import b")) == ["import b"]
    found = [line for path in FILES for line in late_imports(ast.parse(path.read_text(encoding="utf-8")))]
    assert len(found) <= MOST_LATE_IMPORTS, found


def folder_sizes(measure: Callable[[Path], int]) -> Counter[str]:
    """The sum of a measure over the files of each folder."""
    sizes: Counter[str] = Counter()
    for path in FILES:
        sizes[path.parent.relative_to(ROOT).as_posix()] += measure(path)
    return sizes


def find_cycle(trees: Mapping[str, ast.AST]) -> list[str]:
    """Modules that import each other, also inside functions and ``TYPE_CHECKING``; the first is also the last."""
    graph = {}
    for name, tree in trees.items():
        found = {target if target in trees else target.rpartition(".")[0] for target in imports(tree)}
        graph[name] = (found & trees.keys()) - {name}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert not find_cycle({_dotted(path): ast.parse(path.read_text(encoding="utf-8")) for path in FILES})


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize(
    "back", ["import p.a", "def f():\n    from p.a import x", "if TYPE_CHECKING:\n    from p import a"]
)
def test_a_circle_of_imports_is_found_where_it_is_hidden(back: str) -> None:
    assert set(find_cycle({"p.a": ast.parse("from p.b import y"), "p.b": ast.parse(back)})) == {"p.a", "p.b"}
    assert not find_cycle({"p.a": ast.parse("from p.b import y"), "p.b": ast.parse("import p.c")})


def test_no_function_hides_the_module_of_its_own_name() -> None:
    hiding = {path for path in FILES if hides_its_module(path.stem, ast.parse(path.read_text(encoding="utf-8")))}
    assert {path for path in hiding if path.parent.name != "commands"} == set()  # which are named for their function


def test_no_file_mirrors_the_name_of_another() -> None:
    repository = ROOT.parent
    assert mirrored([*FILES, *(repository / "benchmarks").rglob("*.py"), *(repository / "tests").rglob("*.py")]) == []


def test_mirrors_and_hidden_modules_are_found() -> None:
    assert mirrored([Path("env_speed.py"), Path("speed_env.py")]) == [["env_speed", "speed_env"]]
    assert hides_its_module("publish", ast.parse("def publish(): ..."))
    assert not hides_its_module("main", ast.parse("def main(): ..."))
    assert not hides_its_module("files", ast.parse("class A:\n    def files(self): ..."))


def test_every_part_of_the_package_has_a_place_in_the_chain() -> None:
    assert {_part(path) for path in FILES} <= {*CHAIN, *FREE_FOR_ALL, "sac", "__init__"}


@pytest.mark.parametrize(
    ("part", "line"),
    [
        *((left, f"from pricerl.{right} import x") for at, left in enumerate(CHAIN) for right in CHAIN[at + 1 :]),
        *((part, "import pandas as pd") for part in ("market", "env", "sac", "training", "cli", "errors")),
        *((part, "from lightning.pytorch import Trainer") for part in ("data", "env", "sac", "evaluation", "advice")),
        *((part, "from pricerl.sac import Actor") for part in ("advice", "cli", "env", "evaluation", "errors")),
        *(("sac", f"from pricerl.{part} import x") for part in CHAIN),
        ("sac", "import gymnasium"),
        ("errors", "from pricerl.data import x"),
        ("data", "def f():\n    from pricerl.advice import x"),
        ("data", "if TYPE_CHECKING:\n    import pricerl.cli.main"),
    ],
)
def test_a_forbidden_import_is_found(part: str, line: str) -> None:
    assert len(import_faults(part, ast.parse(line))) == 1


@pytest.mark.parametrize(
    ("part", "line"),
    [
        *((right, f"from pricerl.{left} import x") for at, right in enumerate(CHAIN) for left in CHAIN[:at]),
        *((part, "from pricerl.errors import UsageError") for part in (*CHAIN, "sac")),
        *((part, f"from pricerl.{part}.x import y") for part in (*CHAIN, "sac")),
        ("training", "from pricerl.sac import Actor"),
        ("training", "from lightning.pytorch import Trainer"),
        ("data", "import pandas"),
        ("sac", "import torch"),
    ],
)
def test_an_allowed_import_is_none_of_the_faults(part: str, line: str) -> None:
    assert import_faults(part, ast.parse(line)) == []


def test_a_long_function_is_found_and_its_docstring_does_not_count() -> None:
    body = "    x = 1\n" * MAX_FUNCTION_LINES
    assert function_faults(ast.parse(f"def long():\n{body}")) == ["long has 51 lines"]
    docstring = '    """Text.\n\n    More.\n    """\n'
    assert function_faults(ast.parse(f"def fits():\n{docstring}{body[10:]}")) == []


def test_keywords_that_swallow_flags_are_found_but_not_in_overrides_of_lightning() -> None:
    assert function_faults(ast.parse("def f(**kwargs): ...")) == ["f takes **kwargs"]
    assert function_faults(ast.parse("class A:\n    def f(self, **options): ...")) == ["f takes **options"]
    assert function_faults(ast.parse("class A(LightningCLI):\n    def f(self, **kwargs): ...")) == []
