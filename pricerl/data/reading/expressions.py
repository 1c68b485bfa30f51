"""Arithmetic expressions of presets over named arrays: ``+ - * /``, parentheses, numbers and names, nothing else."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pricerl.arrays import FloatArray

LONGEST_EXPRESSION = 500
"""Characters; keeps the syntax tree of a faulty preset small."""

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}


@dataclass(frozen=True)
class Expression:
    """Parsed expression; call it with the arrays that its names stand for."""

    text: str
    """The expression as written in the preset."""

    columns: tuple[str, ...]
    """Names in quotes: columns of the seller's file."""

    sums: tuple[str, ...]
    """Names without quotes: sums of the preset."""

    tree: ast.expr

    def __call__(self, values: Mapping[str, FloatArray]) -> FloatArray:
        """Return the value for each row; NaN where an operand is NaN or a divisor is 0.

        Args:
            values: an array ``(N,)`` for every name.
        """
        shape = next(iter(values.values())).shape
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            result = np.broadcast_to(np.asarray(_evaluate(self.tree, values), dtype=np.float64), shape)
        return np.where(np.isfinite(result), result, np.nan)


def parse_expression(text: str) -> Expression:
    """Parse an expression.

    Raises:
        ValueError: the text is not arithmetic; the message quotes it.
    """
    try:
        if len(text) > LONGEST_EXPRESSION:
            raise ValueError
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f"{text[:80]!r} is not an arithmetic expression") from None
    columns: dict[str, None] = {}
    sums: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            columns[node.value] = None
        elif isinstance(node, ast.Name):
            sums[node.id] = None
        elif not _is_arithmetic(node):
            raise ValueError(f'{text!r} may contain only + - * / ( ), numbers, "columns" in quotes and names of sums')
    return Expression(text, tuple(columns), tuple(sums), tree)


def _is_arithmetic(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) and not isinstance(node.value, bool)
    if isinstance(node, ast.BinOp):
        return type(node.op) in _BINARY
    if isinstance(node, ast.UnaryOp):
        return type(node.op) in _UNARY
    return isinstance(node, ast.operator | ast.unaryop | ast.expr_context)


def _evaluate(node: ast.expr, values: Mapping[str, FloatArray]) -> Any:
    if isinstance(node, ast.BinOp):
        return _BINARY[type(node.op)](_evaluate(node.left, values), _evaluate(node.right, values))
    if isinstance(node, ast.UnaryOp):
        return _UNARY[type(node.op)](_evaluate(node.operand, values))
    if isinstance(node, ast.Name):
        return values[node.id]
    assert isinstance(node, ast.Constant)
    assert isinstance(node.value, str | int | float)
    return values[node.value] if isinstance(node.value, str) else np.float64(node.value)
