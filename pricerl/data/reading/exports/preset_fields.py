"""Fields of a preset, which describe an export, and the arithmetic expressions in them."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.reading.columns import PRODUCT_PRICE, TOTAL_SALES, UNITS

LONGEST_EXPRESSION = 500
"""Characters; keeps the syntax tree of a faulty preset small."""

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
_NODES = (*_OPERATORS, ast.BinOp, ast.UnaryOp, ast.Name, ast.Load)


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
        elif not isinstance(node, _NODES) and not (isinstance(node, ast.Constant) and type(node.value) in (int, float)):
            raise ValueError(f'{text!r} may contain only + - * / ( ), numbers, "columns" in quotes and names of sums')
    return Expression(text, tuple(columns), tuple(sums), tree)


def _evaluate(node: ast.expr, values: Mapping[str, FloatArray]) -> Any:
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_evaluate(node.left, values), _evaluate(node.right, values))
    if isinstance(node, ast.UnaryOp):
        return _OPERATORS[type(node.op)](_evaluate(node.operand, values))
    if isinstance(node, ast.Name):
        return values[node.id]
    assert isinstance(node, ast.Constant) and isinstance(node.value, str | int | float)
    return values[node.value] if isinstance(node.value, str) else np.float64(node.value)


ANY = "*"
"""Any text inside of a value of a status; alone in one list, every value that the other list does not name."""

DERIVED = {UNITS: "units", TOTAL_SALES: "revenue", PRODUCT_PRICE: "revenue / units"}
"""Columns of every sales preset, unless it defines them itself."""


class Dates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Column with the day of a row."""

    column: str
    formats: tuple[str, ...] = ()
    zone: str = ""


class FillDown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cells that the export writes on the first line of an order only."""

    columns: tuple[str, ...]
    by: str | None = None


class Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Column that decides whether a row counts as a sale; without it in the file, every row counts."""

    column: str
    keep: tuple[str, ...]
    drop: tuple[str, ...]
    unpaid: tuple[str, ...] = ()


class OrderDiscount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Discount on a whole order, spread over its lines in proportion to their revenue."""

    by: str
    column: str
    subtotal: str | None = None

    @property
    def amounts(self) -> tuple[str, ...]:
        """Columns of money."""
        return (self.column, self.subtotal) if self.subtotal else (self.column,)


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cell with all lines of an order, such as ``Product Qty: 1, Product SKU: A|Product Qty: 2, Product SKU: B``."""

    column: str
    separator: str
    fields: tuple[str, ...]


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Export of a platform: how to recognise it, and how its columns become a history.

    The table of fields in docs/presets.md has the meaning of each.
    """

    name: str
    platform: str
    report: str
    download: str
    confirmed: str
    grain: Literal["order line", "day", "week", "period"]
    header: tuple[str, ...]
    names: dict[str, tuple[str, ...]] = {}
    kind: Literal["sales", "ads"] = "sales"
    skip: dict[str, str] = {}
    footer: int = 0
    fill_down: FillDown | None = None
    split: Split | None = None
    date: Dates | None = None
    product: tuple[str, ...] = ()
    product_pattern: str | None = None
    currency: str | None = None
    decimal: Literal[".", ","] | None = None
    status: tuple[Status, ...] = ()
    optional: tuple[str, ...] = ()
    sums: dict[str, str] = {}
    order_discount: OrderDiscount | None = None
    columns: dict[str, str] = {}
    lists_sales_only: bool = False
    caution: str = ""
    instead: str = ""

    @property
    def title(self) -> str:
        """Platform and report, as in messages."""
        return f"{self.platform}, {self.report}"

    def expressions(self) -> dict[str, Expression]:
        """Return the expressions of the sums."""
        return {name: parse_expression(text) for name, text in self.sums.items()}

    def derived(self) -> dict[str, Expression]:
        """Return the expressions of the history's columns."""
        texts = {**DERIVED, **self.columns} if self.kind == "sales" else self.columns
        return {name: parse_expression(text) for name, text in texts.items()}

    def used(self) -> dict[str, None]:
        """Return the columns that identify the export and those that the preset reads, in order."""
        names = [*self.header, *self.product, *(rule.column for rule in self.status), *self.skip]
        names += [name for expression in self.expressions().values() for name in expression.columns]
        names += [rule.column for rule in (self.date, self.split) if rule]
        names += [self.currency] if self.currency else []
        if self.fill_down:
            names += [*([self.fill_down.by] if self.fill_down.by else []), *self.fill_down.columns]
        if self.order_discount:
            names += [self.order_discount.by, *self.order_discount.amounts]
        return dict.fromkeys(names)
