"""What validate and test print of a product."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import OUTPUTS, run

from pricerl.advice.reasons import signed
from pricerl.cli.scores import _hidden, _log_line
from pricerl.evaluation import OffPolicyValue, Sensitivity
from pricerl.evaluation.pricing_rules import RULES


@pytest.fixture(scope="module")
def printed(trained: Path) -> str:
    result = run(trained.parents[1], "validate", "--ckpt_path", str(trained / "best.ckpt"), "--out", "scored")
    assert result.code == 0, result.err
    return result.out


def test_every_rule_planner_and_the_policy_stand_in_one_table(printed: str, trained: Path) -> None:
    (product,) = json.loads((trained / "advice.json").read_text(encoding="utf-8"))["products"]
    lines = printed.splitlines()
    for row in product["baselines"]:
        (line,) = [line for line in lines if line.startswith(f"  {row['rule']} ")]
        chance = "–" if row["probability_better"] is None else f"{row['probability_better']:.3f}"
        limits = f"{row['profit_low']:.2f} to {row['profit_high']:.2f}"
        numbers = [f"{row[name]:.2f}" for name in ("price", "units", "sales", "profit")]
        assert line.split()[-8:] == [*numbers, *limits.split(), chance]
    assert {row["rule"] for row in product["baselines"]} >= {*RULES, "planner, profit alone", "policy (SAC)"}


def test_the_policys_value_is_that_of_the_document(printed: str, trained: Path) -> None:
    (product,) = json.loads((trained / "advice.json").read_text(encoding="utf-8"))["products"]
    value = product["policy_value"]
    assert (value["days"], value["markets"]) == (14, 16)
    assert f"over keeping the price, 14 days, 16 markets: {signed(value['over_keep']['mean'], 2)} a day" in printed
    assert f"mean of the unluckiest tenth {signed(value['over_log']['cvar'], 2)}" in printed
    assert value["over_keep"]["mean"] == pytest.approx(product["proposed_gain"]["mean"], abs=0.01)


def test_the_document_says_what_the_log_alone_tells(printed: str, trained: Path) -> None:
    (product,) = json.loads((trained / "advice.json").read_text(encoding="utf-8"))["products"]
    now = product["off_policy"]["now"]
    assert now["price"] == product["current_price"]
    assert (now["value"] is None) == bool(now["reason"])
    assert printed.count("the log alone on ") == 2


def test_with_out_the_files_of_the_advice_are_written_too(printed: str, trained: Path) -> None:
    for name in OUTPUTS:
        assert (trained.parents[1] / "scored" / name).read_bytes() == (trained / name).read_bytes()


def test_a_value_that_is_not_identifiable_is_no_number() -> None:
    found = OffPolicyValue(12.0, None, None, None, None, 3.2, "3 effective days in 1 weeks at similar prices")
    line = "  the log alone on 12.00 (settled): not identifiable, 3 effective days in 1 weeks at similar prices"
    assert _log_line("settled", found, 2) == line


def test_the_hidden_cause_is_told_by_its_shares_and_beside_the_strongest_observed_one() -> None:
    text = _hidden(Sensitivity(0.012, 0.15, 1.4, "season", ()))
    assert "with 15.0 % of what is unexplained" in text and "1.40 times the strength of the season" in text
    assert "1.2 % bring its chance below the gate" in text
    assert "strength" not in _hidden(Sensitivity(0.012, 0.15, None, "", ()))
    assert "nothing to undo" in _hidden(Sensitivity(0.0, 0.0, 0.0, "season", ()))
