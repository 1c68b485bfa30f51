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


ANY = "*"
"""Any text inside of a value of a status; alone in one list, every value that the other list does not name."""

DERIVED = {UNITS: "units", TOTAL_SALES: "revenue", PRODUCT_PRICE: "revenue / units"}
"""Columns of every sales preset, unless it defines them itself."""


class Dates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Column with the day of a row."""

    column: str
    """Name of the column."""

    formats: tuple[str, ...] = ()
    """strptime formats of the date without its time. The only one that fits all rows is used; if none or several do,
    dates must be ISO or unambiguous."""

    zone: str = ""
    """Zone of time stamps that do not write theirs, such as ``UTC``."""


class FillDown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cells that the export writes on the first line of an order only."""

    columns: tuple[str, ...]
    """Columns whose blank cells take the value of the line above."""

    by: str | None = None
    """Column with the order's number, on every line: cells are copied within an order only."""


class Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Column that decides whether a row counts as a sale."""

    column: str
    """Name of the column; without it in the file, every row counts."""

    keep: tuple[str, ...]
    """Values of rows that count; an empty text is a blank cell."""

    drop: tuple[str, ...]
    """Values of rows that do not count. In one of the two lists ``*`` is any other value; without it, a value in
    neither list is refused. Inside of a value ``*`` is any text."""

    unpaid: tuple[str, ...] = ()
    """Values of ``keep`` that mean an order without payment so far: counted as demand, with a note on their number."""


class OrderDiscount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Discount on a whole order, spread over its lines in proportion to their revenue."""

    by: str
    """Column with the order's number, on every line."""

    column: str
    """Column with the discount, positive, on the order's first line or on each."""

    subtotal: str | None = None
    """Column with the value of all lines after every discount. The discount spread is at most the amount by which the
    lines exceed it, so that discounts on shipping, and those of lines counted already, are left out."""


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cell with all lines of an order, such as ``Product Qty: 1, Product SKU: A|Product Qty: 2, Product SKU: B``."""

    column: str
    """Name of the column."""

    separator: str
    """Text between two lines."""

    fields: tuple[str, ...]
    """Names in front of the values, which become columns; every line starts with the first one."""


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Export of a platform: how to recognise it, and how its columns become a history."""

    name: str
    """Name for ``--data.reading.preset``."""

    platform: str
    """Platform that writes the export."""

    report: str
    """The export's name on the platform."""

    download: str
    """Menu of the platform that leads to it."""

    confirmed: str
    """Source of the header, and its date."""

    grain: Literal["order line", "day", "week", "period"]
    """Meaning of one row; rows of a period without dates are refused."""

    header: tuple[str, ...]
    """Columns that identify the export; case, spaces, hyphens and underscores do not matter."""

    names: dict[str, tuple[str, ...]] = {}
    """Other names of a column, in other languages and versions."""

    kind: Literal["sales", "ads"] = "sales"
    """``ads``: joined to a sales report by product and day."""

    skip: dict[str, str] = {}
    """Rows that are no data, such as totals: a regular expression for a cell, by column."""

    footer: int = 0
    """Largest number of lines of another width, next to the first or last row, that belong to the export."""

    fill_down: FillDown | None = None
    """Cells left out on later lines of an order."""

    split: Split | None = None
    """Column that holds all lines of an order."""

    date: Dates | None = None
    """Column with the day."""

    product: tuple[str, ...] = ()
    """Columns that can name the product; the first one without a blank is used. None: the file is one product."""

    product_pattern: str | None = None
    """Regular expression of a cell that names one product, in its first group."""

    currency: str | None = None
    """Column with the currency; all rows that count must have the same."""

    decimal: Literal[".", ","] | None = None
    """Decimal sign, if the platform always writes the same."""

    status: tuple[Status, ...] = ()
    """Rules that decide whether a row counts."""

    optional: tuple[str, ...] = ()
    """Columns that may be absent or blank; they then count as 0."""

    sums: dict[str, str] = {}
    """Expressions over columns in quotes, summed per product and day; sales presets need ``units`` and ``revenue``."""

    order_discount: OrderDiscount | None = None
    """Discount on whole orders, to spread over their lines."""

    columns: dict[str, str] = {}
    """Columns of a history as expressions over the sums, in addition to price, units and sales."""

    lists_sales_only: bool = False
    """True if the export leaves out days without a sale: they are zeros, not unknown."""

    caution: str = ""
    """Sentence that every reading of the export adds to the notes."""

    instead: str = ""
    """Better export, where this one does not suffice."""

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

    def other_names(self, column: str) -> tuple[str, ...]:
        """Return every name of a column, the preset's own first."""
        return (column, *self.names.get(column, ()))

    def used(self) -> tuple[str, ...]:
        """Return the columns that the preset reads."""
        lists = [self.product, tuple(rule.column for rule in self.status), tuple(self.skip)]
        lists += [expression.columns for expression in self.expressions().values()]
        lists += [(self.date.column,)] if self.date else []
        lists += [(self.currency,)] if self.currency else []
        fill = self.fill_down
        discount = self.order_discount
        lists += [(*([fill.by] if fill.by else []), *fill.columns)] if fill else []
        lists += [(discount.by, *discount_columns(discount))] if discount else []
        lists += [(self.split.column,)] if self.split else []
        return tuple(dict.fromkeys(name for names in lists for name in names))


def discount_columns(rule: OrderDiscount) -> tuple[str, ...]:
    """Return the columns of money of a discount on whole orders."""
    return (rule.column, rule.subtotal) if rule.subtotal else (rule.column,)
