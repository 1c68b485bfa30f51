"""Terminal output: the table printer, and the scores that validate and test print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import run

from pricerl.advice.report.view import RULES as WORDS
from pricerl.advice.report.view import View
from pricerl.advice.sentences.grounds import (
    judge_proposal,
    list_alternatives,
)
from pricerl.advice.sentences.next_steps import Place
from pricerl.advice.sentences.verdict import gain_words
from pricerl.evaluation.pricing_rules import RULES
from pricerl.evaluation.rule_names import BEST_FOR_OBJECTIVE, KEEP, POLICY
from pricerl.formatting import PLAIN
from pricerl.terminal import table, write_lines


@pytest.fixture(scope="module")
def printed(trained_once: Path) -> str:
    result = run(trained_once.parents[1], "validate", "--ckpt_path", str(trained_once / "best.ckpt"))
    assert result.code == 0, result.err
    return result.out


def test_every_rule_planner_and_the_policy_stand_in_one_table(printed: str, trained_once: Path) -> None:
    (product,) = json.loads((trained_once / "advice.json").read_text(encoding="utf-8"))["products"]
    lines = printed.splitlines()
    draws = product["num_draws"]
    for row in list_alternatives(product):
        rule = WORDS.get(row["rule"], row["rule"])
        (line,) = [line for line in lines if line.startswith(f"  {rule} ")]
        better = "–" if row["probability_better"] is None else f"{round(row['probability_better'] * draws)} of {draws}"
        mean, low, high = row["outcome"]["profit"]
        digits = View.of(product, PLAIN, Place()).digits["profit"]
        assert line.endswith(f"{better}") and PLAIN.span(low, high, digits) in line
        assert line.removeprefix(f"  {rule} ").split()[:2] == [
            PLAIN.price(row["price"]),
            PLAIN.money(mean, digits),
        ]
    assert {row["rule"] for row in list_alternatives(product)} == {KEEP, *RULES, BEST_FOR_OBJECTIVE, POLICY}


def test_the_policys_value_is_that_of_the_document(printed: str, trained_once: Path) -> None:
    (product,) = json.loads((trained_once / "advice.json").read_text(encoding="utf-8"))["products"]
    policy = product["proposal"]
    assert (len(policy["prices"]), product["num_draws"]) == (14, 16)
    assert all(f"  {line}" in printed.splitlines() for line in judge_proposal(product, PLAIN))
    assert f"charged again: {gain_words(policy['over_log']['profit'], PLAIN)}." in printed


def test_a_table_aligns_numbers_to_the_right_and_words_to_the_left() -> None:
    rows = [("rule", "price"), ("keep", "9.50"), ("median price", "10.00")]
    assert table(rows) == ["  rule          price", "  keep           9.50", "  median price  10.00"]
    assert table([("a", "b", "c"), ("aa", "bb", "")], numbers=False) == ["  a   b   c", "  aa  bb"]


def test_control_characters_never_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(["Mug\x1b[31m\u202e", "  next"])
    assert capsys.readouterr().out == "Mug[31m\n  next\n"
