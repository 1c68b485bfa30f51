"""Presets, which describe the exports of platforms: their fields, their arithmetic expressions, and their files."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.reading import columns
from pricerl.data.reading.columns import fold
from pricerl.data.reading.currencies import split_currency
from pricerl.data.reading.header import ALIASES
from pricerl.errors import UsageError, did_you_mean, refuse

AUTO = "auto"
NONE = "none"
ORDER_LINES = "order-lines"
"""Name of the preset of no platform."""
PRICE = "price"
"""Name of the posted price of one unit among the sums of order lines; its median is taken, not its sum."""

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
_NODES = (*_OPERATORS, ast.BinOp, ast.UnaryOp, ast.Name, ast.Load, ast.Constant)


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
        """Return the value for each row ``(N,)``; NaN where an operand is NaN or a divisor is 0."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            result = _evaluate(self.tree, values) + np.zeros(next(iter(values.values())).shape)
        return np.where(np.isfinite(result), result, np.nan)


def parse_expression(text: str) -> Expression:
    """Parse an expression, or raise a ``ValueError`` that quotes a text that is not arithmetic."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f"{text[:80]!r} is not an arithmetic expression") from None
    nodes = list(ast.walk(tree))
    values = [node.value for node in nodes if isinstance(node, ast.Constant)]
    if not (all(isinstance(node, _NODES) for node in nodes) and {*map(type, values)} <= {str, int, float}):
        raise ValueError(f'{text!r} may contain only + - * / ( ), numbers, "columns" in quotes and names of sums')
    names = dict.fromkeys(value for value in values if isinstance(value, str))
    sums = dict.fromkeys(node.id for node in nodes if isinstance(node, ast.Name))
    return Expression(text, tuple(names), tuple(sums), tree)


def _evaluate(node: ast.expr, values: Mapping[str, FloatArray]) -> Any:
    if isinstance(node, ast.BinOp | ast.UnaryOp):
        operands = (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))
        return _OPERATORS[type(node.op)](*(_evaluate(operand, values) for operand in operands))
    value = node.id if isinstance(node, ast.Name) else ast.literal_eval(node)
    return values[value] if isinstance(value, str) else np.float64(value)


ANY = "*"
"""Any text inside of a value of a status; alone in one list, every value that the other list does not name."""

DERIVED = {columns.UNITS: "units", columns.TOTAL_SALES: "revenue", columns.PRODUCT_PRICE: "revenue / units"}
"""Columns of every sales preset, unless it defines them itself."""
OF_LINES = {columns.PRODUCT_PRICE: PRICE, columns.COUPONS: f"100 - 100 * revenue / ({PRICE} * units)"}
"""Columns of order lines, likewise."""


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


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cell with all lines of an order, such as ``Product Qty: 1, Product SKU: A|Product Qty: 2, Product SKU: B``."""

    column: str
    separator: Annotated[str, msgspec.Meta(min_length=1)]
    fields: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Export of a platform: how to recognise it, and how its columns become a history; see docs/presets.md."""

    name: str
    platform: str
    report: str
    download: str
    confirmed: str
    grain: Literal["order line", "day", "week", "period"]
    header: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    names: dict[str, tuple[str, ...]] = {}
    kind: Literal["sales", "ads"] = "sales"
    skip: dict[str, str] = {}
    footer: int = 0
    fill_down: FillDown | None = None
    split: Split | None = None
    date: Dates | None = None
    order: str | None = None
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
    max_above_median: float | None = None
    caution: str = ""
    instead: str = ""

    @property
    def title(self) -> str:
        """Platform and report, as in messages."""
        return f"{self.platform}, {self.report}"

    @property
    def far_above(self) -> tuple[str, float] | None:
        """Platform, if it hides offers far above their recent prices, and the largest share above these."""
        return None if self.max_above_median is None else (self.platform, self.max_above_median)

    @property
    def has_lines(self) -> bool:
        """Whether rows are order lines, each with a price."""
        return self.kind == "sales" and self.grain == "order line"

    def expressions(self) -> dict[str, Expression]:
        """Return the expressions of the sums."""
        return {name: parse_expression(text) for name, text in self.sums.items()}

    def derived(self) -> dict[str, Expression]:
        """Return the expressions of the history's columns."""
        usual = {} if self.kind == "ads" else DERIVED | OF_LINES if self.has_lines else DERIVED
        return {name: parse_expression(text) for name, text in {**usual, **self.columns}.items()}

    def used(self) -> dict[str, None]:
        """Return the columns that identify the export and those that the preset reads, in order."""
        names: list[str | None] = [
            *self.header,
            *self.product,
            *(rule.column for rule in self.status),
            *self.skip,
            *(name for expression in self.expressions().values() for name in expression.columns),
            *(rule.column for rule in (self.date, self.split) if rule),
            self.currency,
            self.order,
            *((self.fill_down.by, *self.fill_down.columns) if self.fill_down else ()),
            *(msgspec.structs.astuple(self.order_discount) if self.order_discount else ()),
            columns.GROUP if self.kind == "sales" else None,
        ]
        return dict.fromkeys(name for name in names if name)


def locate(preset: Preset, cells: Sequence[str]) -> dict[str, str]:
    """Return the name in the file, with these header cells, of each column of the preset that it has."""
    own = {fold(cell): cell for cell in reversed(cells)}
    if preset.name == ORDER_LINES:
        own = {fold(split_currency(cell).name): cell for cell in reversed(cells)} | own
    aliases = {columns.GROUP: ALIASES[columns.GROUP], **preset.names}
    names = {name: map(fold, (name, *aliases.get(name, ()))) for name in preset.used()}
    found = {name: next((own[other] for other in others if other in own), "") for name, others in names.items()}
    return {name: cell for name, cell in found.items() if cell}


def find_missing(preset: Preset, header: Sequence[str]) -> list[str]:
    """Return the columns that identify an export and are not in a header."""
    found = locate(preset, header)
    return [name for name in preset.header if name not in found]


def find_order_lines(header: Sequence[str]) -> dict[str, str]:
    """Return the name in a header of each column of a list of order lines that it has; none if it lacks some."""
    preset = find_preset(ORDER_LINES)
    found = locate(preset, header)
    whole = set(preset.header) <= set(found) and {*preset.product} & {*found} and {*preset.optional} & {*found}
    return found if whole else {}


def recognise(header: Sequence[str]) -> Preset | None:
    """Return the platform's preset whose columns are all in a header; of several, a usable one with most columns."""
    fitting = [item for item in own_presets() if item.name != ORDER_LINES and not find_missing(item, header)]
    return max(fitting, key=lambda preset: (bool(preset.sums), len(preset.header)), default=None)


@cache
def own_presets() -> tuple[Preset, ...]:
    """Return the presets of the package, by name."""
    return tuple(map(read_preset, sorted(Path(__file__).with_name("presets").glob("*.yaml"))))


def find_preset(name: str) -> Preset:
    """Return the preset with a name, or in a YAML file, or raise a ``UsageError`` that names the fault."""
    if name.endswith((".yaml", ".yml")):
        return read_preset(Path(name))
    known = {preset.name: preset for preset in own_presets()}
    if name not in known:
        raise UsageError(
            f"there is no preset {name!r}{did_you_mean(name, known)} docs/presets.md lists them; a file's name ends in "
            ".yaml"
        )
    return known[name]


def read_preset(path: Path) -> Preset:
    """Read and check one preset, or raise a ``UsageError`` that names the fault."""
    try:
        preset = msgspec.yaml.decode(path.read_bytes(), type=Preset)
        _check(preset)
    except OSError as error:
        raise UsageError(f"preset {path}: cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, ValueError, re.error) as error:
        raise UsageError(f"preset {path}: {' '.join(str(error).split())}; docs/presets.md lists the fields") from None
    return preset


def _check(preset: Preset) -> None:
    """Raise a ``ValueError`` that names every field that contradicts another."""
    for pattern in (*preset.skip.values(), preset.product_pattern or ""):
        re.compile(pattern)
    if preset.grain == "period" or not preset.sums:
        refuse(
            {"instead must state what to download, as the export has no dates or no sums": not preset.instead},
            ValueError,
        )
        return
    lacking = sorted({"units", "revenue"} - set(preset.sums)) if preset.kind == "sales" else []
    allowed = columns.CONVERSIONS if preset.kind == "ads" else (*columns.REQUIRED[1:], *columns.OPTIONAL_NUMBERS)
    cells = {*preset.header, *preset.optional, *(preset.split.fields if preset.split else ())}
    faults = [
        *(
            ["date must name the column with the day, one of the header"]
            if preset.date is None or preset.date.column not in preset.header
            else ()
        ),
        *([f"sums must define {' and '.join(lacking)}"] if lacking else ()),
        *(
            f"columns: {name!r} cannot come from {preset.kind}{did_you_mean(name, allowed)}"
            for name in preset.columns
            if name not in allowed
        ),
        *_find_strays("sums", preset.expressions(), cells, set(), "columns of header, optional or split in quotes"),
        *_find_strays("columns", preset.derived(), set(), {*preset.sums, PRICE}, "names of sums without quotes"),
    ]
    refuse(dict.fromkeys(faults, True), ValueError)


def _find_strays(
    field: str, found: Mapping[str, Expression], cells: set[str], sums: set[str], known: str
) -> Iterator[str]:
    """Yield the faults of expressions that use other columns than ``cells``, or other names than ``sums``."""
    for name, expression in found.items():
        for stray in sorted({*expression.columns} - cells | {*expression.sums} - sums):
            yield f"{field}: {name}: {stray!r} in {expression.text!r} is not defined; it may use {known} only"
