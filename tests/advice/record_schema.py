"""JSON schema of ``advice.json``, made from the records that are written and the docstrings of their fields."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import msgspec

from pricerl.advice.files import FORMAT, About
from pricerl.advice.result import PARTS, MarketFacts, ProductAdvice, ProposalChecks, Recommendation
from pricerl.arrays import Interval
from pricerl.data.cleaning import quality
from pricerl.formatting import Formatter

PLAIN = {str: "string", float: "number", int: "integer", bool: "boolean"}

ABOUT = (
    "Advice of pricerl. Money is in the file's currency; units, sales and profit are per day over the forecast horizon "
    "unless stated otherwise, with weekdays, holidays and the buyers' memory of earlier prices; an interval is mean, "
    "5 % limit and 95 % limit; unknown values are null. Every number appears once. `format` increases when a key "
    "changes its meaning or is removed, not when keys are added."
)


class Schemas:
    """Schemas of types; those of records are definitions that others refer to."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}

    def of(self, kind: Any) -> dict[str, Any]:
        """Return the schema of a type."""
        origin, parts = get_origin(kind), get_args(kind)
        if origin is typing.Annotated:
            is_bound = isinstance(parts[1], msgspec.Meta)  # or else the type as which an array is written
            return self.of(parts[0]) | bounds_of(parts[1]) if is_bound else self.of(parts[1])
        if origin in (typing.Union, types.UnionType):
            return {"anyOf": [self.of(part) for part in parts]}
        if origin is Literal:
            return {"enum": list(parts)}
        if origin is tuple and parts[-1] is not Ellipsis:
            return self.row(parts)
        if origin in (tuple, list):
            return {"type": "array", "items": self.of(parts[0])}
        if origin in (dict, Mapping):
            return {"type": "object", "additionalProperties": self.of(parts[1])}
        if kind is type(None):
            return {"type": "null"}
        return {"type": PLAIN[kind]} if kind in PLAIN else self.record(kind)

    def row(self, parts: tuple[Any, ...]) -> dict[str, Any]:
        """Return the schema of a tuple of fixed length."""
        length = {"minItems": len(parts), "maxItems": len(parts)}
        return {"type": "array", "prefixItems": [self.of(part) for part in parts], **length}

    def record(self, kind: type) -> dict[str, Any]:
        """Return a reference to the schema of a record."""
        if kind.__name__ not in self.definitions:
            self.definitions[kind.__name__] = {}  # ends the recursion
            found = self.row((float, float, float)) if kind is Interval else self.object(kind)
            self.definitions[kind.__name__] = {"description": " ".join((kind.__doc__ or "").split()), **found}
        return {"$ref": f"#/$defs/{kind.__name__}"}

    def object(self, *kinds: type, skipped: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Return the schema of an object with the fields of records; those with a default may be absent."""
        fields: dict[str, Any] = {}
        required = []
        for kind in kinds:
            own = [base for base in reversed(kind.__mro__) if base.__module__.startswith("pricerl")]
            docs = {name: text for base in own for name, text in docstrings(base).items()}
            names = {name: found for base in own for name, found in checked_imports(base.__module__).items()}
            hints = typing.get_type_hints(kind, localns=names, include_extras=True)
            parameters = inspect.signature(kind).parameters
            for name in [name for name in hints if name not in skipped]:
                fields[name] = self.of(hints[name]) | {"description": docs.get(name, "")}
                if kind is Formatter or parameters[name].default is inspect.Parameter.empty:
                    required.append(name)
        return {"type": "object", "required": required, "properties": fields}


def checked_imports(module: str) -> dict[str, Any]:
    """Return what a module imports for type checkers only."""
    names: dict[str, Any] = {}
    for block in ast.parse(inspect.getsource(sys.modules[module])).body:
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
            exec(compile(ast.Module(block.body, []), module, "exec"), names)
    return names


def docstrings(kind: type) -> dict[str, str]:
    """Return the docstrings under the fields of a class of our own."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            assert isinstance(text.value, ast.Constant)
            found[field.target.id] = " ".join(inspect.cleandoc(str(text.value.value)).split())
    return found


def bounds_of(meta: msgspec.Meta) -> dict[str, Any]:
    """Return the constraints of an annotation."""
    names = {"ge": "minimum", "le": "maximum", "pattern": "pattern", "min_length": "minItems"}
    return {key: value for name, key in names.items() if (value := getattr(meta, name)) is not None}


def make_advice_schema() -> dict[str, Any]:
    """Return the JSON schema of ``advice.json``, the content of ``advice.schema.json``."""
    schemas = Schemas()
    keys = schemas.object(About, Formatter)
    parts = (Recommendation, MarketFacts, ProposalChecks)
    product = schemas.object(ProductAdvice, *parts, skipped=frozenset({"data_quality", "claim", *PARTS}))
    report = schemas.object(quality.ProductReport, quality.Verdict, skipped=frozenset({"doubts"}))
    report["required"].append("reasons")
    words = {**schemas.of(list[str]), "description": "The findings in words, in their order."}
    report["properties"]["reasons"] = words
    report["properties"]["min_days"] = {"type": "integer", "description": "Usable days that are required."}
    product["required"].append("data_quality")
    product["properties"] |= {
        "data_quality": {**report, "description": "Report on the data of the product."},
        "chain": {**schemas.of(list[str]), "description": "The proposer and its fallbacks up to the one that decided."},
    }
    products = {"type": "array", "minItems": 1, "items": product, "description": "One entry per product."}
    head = {
        "format": {"const": FORMAT, "description": "Version of this format."},
        "pricerl": {"type": "string", "description": "Version of pricerl."},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"pricerl-advice-{FORMAT}",
        "title": "advice.json",
        "description": ABOUT,
        "type": "object",
        "required": [*head, *keys["required"], "products"],
        "properties": {**head, **keys["properties"], "products": products},
        "$defs": dict(sorted(schemas.definitions.items())),
    }
