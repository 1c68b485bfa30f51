"""Parameters and documentation of classes, read from their source without importing it."""

from __future__ import annotations

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from docstring_parser import google


class Parameter(NamedTuple):
    """Parameter of a constructor, or field of a dataclass."""

    annotation: ast.expr | None
    default: str | None
    """Default as written in the source; None if required."""
    text: str
    """Documentation."""


def parameters(module: str, node: ast.ClassDef) -> dict[str, Parameter]:
    """Return the parameters of a class in a module by name, those of its bases first if it is a dataclass."""
    init = next((item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None)
    found: dict[str, Parameter] = {}
    if init is None:
        for base in node.bases:
            found |= parameters(*find_class(module, ast.unparse(base)))
        for item, after in zip(node.body, [*node.body[1:], None], strict=True):
            if not isinstance(item, ast.AnnAssign) or ast.unparse(item.annotation).startswith("ClassVar"):
                continue
            if isinstance(item.target, ast.Name):
                default = ast.unparse(item.value) if item.value else None
                found[item.target.id] = Parameter(item.annotation, default, _text_under(after))
        return found
    texts = _argument_texts(node) | _argument_texts(init)
    arguments, given = init.args.args[1:], init.args.defaults  # without self
    defaults = [*[None] * (len(arguments) - len(given)), *given, *init.args.kw_defaults]
    for argument, value in zip([*arguments, *init.args.kwonlyargs], defaults, strict=True):
        default = ast.unparse(value) if value else None
        found[argument.arg] = Parameter(argument.annotation, default, texts.get(argument.arg, ""))
    return found


def summary(node: ast.ClassDef) -> str:
    """Return the first paragraph of a class's docstring, or of its first method's."""
    first = next((item for item in node.body if isinstance(item, ast.FunctionDef)), node)
    text = ast.get_docstring(node) or ast.get_docstring(first) or ""
    return " ".join(text.split("\n\n")[0].split())


def find_class(module: str, name: str) -> tuple[str, ast.ClassDef]:
    """Return the definition and the module of a class that a module, or a package's interface, defines or imports.

    Raises:
        LookupError: the module does not contain the class.
    """
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            return find_class(f"{module}.{node.module}" if node.level else str(node.module), name)
    raise LookupError(f"{name} is not in {module}")


@cache
def parse(module: str) -> ast.Module:
    """Return the syntax tree of a module, or of a package's interface."""
    package, *parts = module.split(".")
    found = find_spec(package)
    assert found is not None and found.origin is not None, f"{package} is not installed"
    path = Path(found.origin).parent.joinpath(*parts)
    path = path / "__init__.pyi" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def _argument_texts(node: ast.ClassDef | ast.FunctionDef) -> dict[str, str]:
    """Return the texts under ``Args:`` by parameter."""
    listed = google.parse(ast.get_docstring(node) or "").params
    return {item.arg_name: " ".join((item.description or "").split()) for item in listed}


def _text_under(node: ast.stmt | None) -> str:
    """Return the docstring under a field."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(node.value.value.split())
    return ""
