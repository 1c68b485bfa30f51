"""Each setting is described once, in ``GuardrailConfig``: the YAML, the documentation and the order of rules follow."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import yaml

from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.limits import FIXED, MOVING

ROOT = Path(__file__).parents[2]
YAML = (ROOT / "configs/guardrails.yaml").read_text(encoding="utf-8")
PAGE = (ROOT / "docs/guardrails.md").read_text(encoding="utf-8")
DEFAULTS = {item.name: item.default for item in fields(GuardrailConfig)}
AFTER_THE_BOUNDS = ("min_hold_days", "price_ladder", "charm_endings", "min_change")


def descriptions() -> dict[str, str]:
    """The docstring under each field of ``GuardrailConfig``, on one line."""
    tree = ast.parse((ROOT / "pricerl/guardrails/config.py").read_text(encoding="utf-8"))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "GuardrailConfig")
    return {
        field.target.id: " ".join(text.value.value.split()).replace("``", "`")
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
    }


def comments() -> dict[str, str]:
    """The comment above each setting of ``configs/guardrails.yaml``."""
    found = re.findall(r"((?:    #[^\n]*\n)+)    (\w+):", YAML)
    return {name: " ".join(line.strip()[2:] for line in block.splitlines()) for block, name in found}


def table() -> str:
    """The table of rules in the order in which they are applied."""
    kinds = {rule.setting: "soft" if rule.soft else "hard" for rule in (*FIXED, *MOVING)}
    rows = ["| Setting (`data.guardrails.…`) | Meaning | Default | Kind |", "|---|---|---|---|"]
    for name in ("pause", *kinds, *AFTER_THE_BOUNDS):
        default = {None: "none", False: "false"}.get(DEFAULTS[name], DEFAULTS[name])
        default = "`max_change`" if name in ("max_rise", "max_drop") else default
        rows.append(f"| `{name}` | {descriptions()[name]} | {default} | {kinds.get(name, '')} |")
    return "\n".join(rows)


def test_the_yaml_describes_every_setting_in_the_words_of_its_field() -> None:
    assert {name: text.replace("`", "") for name, text in descriptions().items()} == comments()
    assert all(len(line) <= 120 for line in YAML.splitlines())


def test_the_yaml_holds_every_default() -> None:
    found = yaml.safe_load(YAML)["data"]["guardrails"]
    assert found == DEFAULTS


def test_the_page_lists_every_rule_in_the_order_in_which_it_is_applied() -> None:
    assert table() in PAGE, table()
    assert set(descriptions()) - set(re.findall(r"^\| `(\w+)`", table(), re.MULTILINE)) == {
        "max_change",
        "products",
        "relations",
        "test_change",
    }
    assert "`max_change`" in PAGE and "`products`" in PAGE and "`relations`" in PAGE
