"""Terminal output: the table printer, and the scores that validate and test print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from advice_outputs import without_head
from command_line import OUTPUTS, run

from pricerl.advice.reasons import gain_words, list_alternatives
from pricerl.cli.advise import off_policy_line, sensitivity_line
from pricerl.evaluation import OffPolicyValue, Sensitivity
from pricerl.evaluation.pricing_rules import RULES
from pricerl.evaluation.rule_names import BEST_FOR_OBJECTIVE, POLICY
from pricerl.formatting import PLAIN, unit_digits
from pricerl.terminal import table, write_lines


@pytest.fixture(scope="module")
def printed(trained_once: Path) -> str:
    result = run(trained_once.parents[1], "validate", "--ckpt_path", str(trained_once / "best.ckpt"), "--out", "scored")
    assert result.code == 0, result.err
    return result.out


def test_every_rule_planner_and_the_policy_stand_in_one_table(printed: str, trained_once: Path) -> None:
    (product,) = json.loads((trained_once / "advice.json").read_text(encoding="utf-8"))["products"]
    lines = printed.splitlines()
    draws = product["num_draws"]
    for row in list_alternatives(product):
        (line,) = [line for line in lines if line.startswith(f"  {row['rule']} ")]
        better = "–" if row["probability_better"] is None else f"{round(row['probability_better'] * draws)} of {draws}"
        (units, *_), (sales, *_), (mean, low, high) = (row["outcome"][name] for name in ("units", "sales", "profit"))
        digits = PLAIN.money_digits(mean, low, high)
        cells = [PLAIN.price(row["price"]), PLAIN.number(units, unit_digits(units))]
        cells += [PLAIN.money(sales), PLAIN.money(mean, digits)]
        assert line.endswith(f"{better}") and PLAIN.span(low, high, digits) in line
        assert line.removeprefix(f"  {row['rule']} ").split()[:4] == cells
    assert {row["rule"] for row in list_alternatives(product)} == {*RULES, BEST_FOR_OBJECTIVE, POLICY}


def test_the_policys_value_is_that_of_the_document(printed: str, trained_once: Path) -> None:
    (product,) = json.loads((trained_once / "advice.json").read_text(encoding="utf-8"))["products"]
    policy = product["proposal"]
    assert (len(policy["prices"]), product["num_draws"]) == (14, 16)
    assert f"over keeping the price, 14 days: {gain_words(policy['over_keep']['profit'], PLAIN)}" in printed
    assert (
        f"16 plausible scenarios, mean of the worst tenth {PLAIN.money(policy['over_log']['cvar'], plus='+')}"
        in printed
    )


def test_the_document_holds_the_off_policy_estimates(printed: str, trained_once: Path) -> None:
    (product,) = json.loads((trained_once / "advice.json").read_text(encoding="utf-8"))["products"]
    now = product["off_policy"]["current"]
    assert now["price"] == product["current_price"]
    assert (now["value"] is None) == bool(now["reason"])
    same = now["price"] == product["off_policy"]["settled"]["price"]
    assert printed.count("off-policy estimate at ") == (1 if same else 2)


def test_with_out_the_files_of_the_advice_are_written_too(printed: str, trained_once: Path) -> None:
    for name in OUTPUTS:
        scored, fitted = ((folder / name).read_bytes() for folder in (trained_once.parents[1] / "scored", trained_once))
        assert without_head(scored) == without_head(fitted)


def test_a_value_that_is_not_identifiable_is_no_number() -> None:
    found = OffPolicyValue(12.0, None, None, 3.2, "3 effective days in 1 weeks at similar prices")
    line = "  off-policy estimate at 12.00 (settled): not identifiable, 3 effective days in 1 weeks at similar prices"
    assert off_policy_line("settled", found._asdict(), PLAIN) == line


def test_an_unobserved_cause_is_described_by_its_shares_and_by_the_strongest_observed_one() -> None:
    text = sensitivity_line(Sensitivity(0.012, 0.15, 1.4, "season", ())._asdict(), PLAIN)
    assert "with 15.0 % of the unexplained variation" in text and "1.40 times the strength of the season" in text
    assert "1.2 % bring its probability below the gate" in text
    assert "strength" not in sensitivity_line(Sensitivity(0.012, 0.15, None, "", ())._asdict(), PLAIN)
    assert "nothing to undo" in sensitivity_line(Sensitivity(0.0, 0.0, 0.0, "season", ())._asdict(), PLAIN)


def test_a_table_aligns_numbers_to_the_right_and_words_to_the_left() -> None:
    rows = [("rule", "price"), ("keep", "9.50"), ("median price", "10.00")]
    assert table(rows) == ["  rule          price", "  keep           9.50", "  median price  10.00"]
    assert table([("a", "b", "c"), ("aa", "bb", "")], numbers=False) == ["  a   b   c", "  aa  bb"]


def test_control_characters_never_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(["Mug\x1b[31m\u202e", "  next"])
    assert capsys.readouterr().out == "Mug[31m\n  next\n"
