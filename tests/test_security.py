"""SECURITY.md names every file that the package names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAME = re.compile(r"[\w-]+\.(csv|jsonl?|head|ya?ml|ckpt|html|parquet)|\.lock")
TEMPLATES = {"index.html", "column_names.yaml", "tables.yaml"}
TEMPLATES |= {path.name for path in (ROOT / "pricerl/serve").glob("*.html")}
"""Parts of the package that are no files of a user; the page made from the template is in the table."""


def named_files() -> Iterator[str]:
    """Yield the file names among the strings of the package, but for documentation."""
    for path in (ROOT / "pricerl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value):
                yield node.value


def test_every_file_that_the_package_names_is_in_the_table() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    names = {*named_files()} - TEMPLATES
    assert {"best.ckpt", "decisions.jsonl", "manifest.json"} <= names
    assert {name for name in names if f"`{name}`" not in text} == set()
