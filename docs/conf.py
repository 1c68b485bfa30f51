"""Settings of the documentation's build: ``sphinx-build -n -W docs build/site``."""

from __future__ import annotations

import sys
from dataclasses import is_dataclass
from inspect import isfunction
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule
from sphinx.addnodes import desc_annotation
from sphinx.application import Sphinx
from sphinx.util.inspect import signature, stringify_signature

sys.path.insert(0, str(Path(__file__).parent))

from generate import write_pages

import pricerl

HERE = Path(__file__).parent

project = "pricerl"
version = release = pricerl.__version__
copyright = "the authors of pricerl"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["examples", "plots.py"]
smartquotes = False  # options begin with two hyphens
html_theme = "furo"
html_title = f"pricerl {version}"

default_role = "py:obj"  # a name in single backticks is a link where its page exists, else code
python_maximum_signature_line_length = 120  # longer signatures have a line per parameter

myst_heading_anchors = 4

autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": True}
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
autodoc_type_aliases = {name: name for name in ("FloatArray", "BoolArray", "IntArray", "DateArray", "Measure")}
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# References into other libraries need their inventories, which a build without a network cannot fetch. Ours are checked
# where a page documents their module; private bases and type variables have no entry.
nitpick_ignore_regex = [
    ("py:.*", r"(?!pricerl\.(sac|training|env|guardrails)\.).*"),
    ("py:class", r".*\.(_\w+|Number)"),
]


LONGEST_VALUE = 120
"""Characters of a constant's value; longer ones are left out."""


def _prepare_docstring(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Turn Markdown headings into rubrics, and keep napoleon from reading a type before a colon."""
    lines[:] = [f".. rubric:: {line[3:]}\n" if line.startswith("## ") else line for line in lines]
    lines[:] = "\n".join(lines).split("\n")
    if lines[0].startswith("Alias for field number"):
        lines.clear()
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]  # an empty comment


class _Default:
    """Default settings, shown without their values, which have a place of their own."""

    def __init__(self, settings: Any) -> None:
        self.name = type(settings).__name__

    def __repr__(self) -> str:
        return f"{self.name}()"


def _show_constructor(app: Sphinx, what: str, name: str, obj: Any, *given: Any) -> tuple[str, str] | None:
    """Return the signature of a constructor of data or a module without long defaults; a protocol has none."""
    if getattr(obj, "_is_protocol", False):
        return "", ""
    if what != "class" or not issubclass(obj, (LightningDataModule, LightningModule)) or "__init__" not in vars(obj):
        return None
    found = signature(obj.__init__, bound_method=True, type_aliases=autodoc_type_aliases)
    short = [
        item.replace(default=_Default(item.default)) if is_dataclass(item.default) else item
        for item in found.parameters.values()
    ]
    found = found.replace(parameters=short)
    return stringify_signature(found, show_return_annotation=False, unqualified_typehints=True), ""


def _is_of_others(app: object, what: str, name: str, obj: Any, skip: bool, options: object) -> bool | None:
    """Skip methods that a class takes unchanged from a library."""
    return True if isfunction(obj) and not obj.__module__.startswith("pricerl") else None


def _drop_long_values(app: object, domain: str, kind: str, content: Any) -> None:
    """Drop values of constants that are too long to read."""
    for part in list(content.parent.findall(desc_annotation)) if kind == "data" else []:
        if len(part.astext()) > LONGEST_VALUE:
            part.parent.remove(part)


def setup(app: Sphinx) -> None:
    """Write the generated pages before Sphinx looks for sources."""
    write_pages(HERE)
    app.connect("autodoc-process-docstring", _prepare_docstring, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", _show_constructor)
    app.connect("autodoc-skip-member", _is_of_others)
    app.connect("object-description-transform", _drop_long_values)
