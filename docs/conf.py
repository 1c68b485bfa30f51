"""Settings of the documentation's build: ``sphinx-build -n -W docs build/site``."""

from __future__ import annotations

import sys
from pathlib import Path

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

myst_heading_anchors = 4

autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": True}
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# References into other libraries need their inventories, which a build without a network cannot fetch. Ours are checked
# where a page documents their module; private bases and type variables have no entry.
nitpick_ignore_regex = [
    ("py:.*", r"(?!pricerl\.(sac|training|env|guardrails)\.).*"),
    ("py:class", r".*\.(_\w+|Number)"),
]


def _mark_headings(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Turn the Markdown headings of an environment's docstring into those of a docstring in reStructuredText."""
    lines[:] = [f".. rubric:: {line[3:]}\n" if line.startswith("## ") else line for line in lines]
    lines[:] = "\n".join(lines).split("\n")


def setup(app: object) -> None:
    """Write the generated pages before Sphinx looks for sources."""
    write_pages(HERE)
    app.connect("autodoc-process-docstring", _mark_headings)  # type: ignore[attr-defined]
