"""After a decision: what is expected of it, what objects, how it ends early, and what it allows to be uploaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Result, fresh_shop, run

RUN = ("--run_name", "seller")
BEST = "checkpoints/seller/best.ckpt"
UNTIL = ("--until", "2025-04-30", "--reason", "x")


@pytest.fixture
def shop(trained_once: Path, tmp_path: Path) -> Path:
    """A folder with a run of its own, one advice in its log."""
    return fresh_shop(trained_once, tmp_path)


def predict(shop: Path, *words: str) -> Result:
    quiet = ("--trainer.enable_progress_bar", "false")
    result = run(shop, "predict", "--ckpt_path", BEST, "--data.path", "seller.csv", *quiet, *words)
    assert result.code in (0, 4), result.err
    return result


def advice(shop: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shop / "checkpoints/seller/advice.json").read_text(encoding="utf-8"))
    return found


def prices(shop: Path) -> list[str]:
    lines = (shop / "checkpoints/seller/prices.csv").read_text(encoding="utf-8").splitlines()[1:]
    return [",".join(line.split(",")[:3]) for line in lines]


def test_an_override_says_what_is_expected_and_which_prices_the_limits_allow(shop: Path) -> None:
    out = run(shop, "override", *RUN, "--price", "10.80", *UNTIL).out
    product = advice(shop)["products"][0]
    curves = product["details"]["curves"]
    at = min(range(len(curves["price"])), key=lambda place: abs(curves["price"][place] - 10.8))
    assert "Expected per day, against keeping 10.00:" in out and "  profit  " in out and "  units   " in out
    said = float(out.split("  units   ")[1].split(" ")[0].replace("\N{MINUS SIGN}", "-"))
    assert said == pytest.approx(curves["gain"]["units"][at][0], abs=0.35)
    assert 10.8 in curves["price"] and 10.81 not in curves["price"] and "interpolated" not in out
    between = run(shop, "override", *RUN, "--price", "10.81", *UNTIL).out
    assert "  interpolated from the last advice; for exact figures: pricerl what-if 10.81 --run_name seller" in between
    assert (
        "The next price lies between 9.50 (largest change) and 10.50 (largest change). A change is at most 5 % up"
        in out
    )
    untried = run(shop, "override", *RUN, "--price", "12.50", "--force", *UNTIL).out
    assert "Nothing is forecast at 12.50." in untried


def test_the_run_may_stand_before_a_number(shop: Path) -> None:
    assert run(shop, "what-if", "seller", "10.40").out == run(shop, "what-if", "10.40", *RUN).out
    ordered = run(shop, "override", "seller", "10.40", *UNTIL)
    approved = run(shop, "approve", "seller", "1", "--reason", "x")
    assert "entry 2 of" in ordered.out and "no run 'seller'" not in approved.err and "invalid" not in approved.err
    assert run(shop, "approve", "nobody").err.startswith("error: checkpoints/nobody is not a folder of a run")
    twice = run(shop, "override", "seller", "10.40", *UNTIL, *RUN)
    assert twice.code == 2 and "--run_name: found two values" in twice.err
    assert "found '10,40'" in run(shop, "what-if", "10,40").err


def test_resume_ends_an_order_early_and_only_one_that_is_in_force(shop: Path) -> None:
    none = run(shop, "resume", *RUN)
    assert none.code == 2 and "no override, pause, price test or approval of seller is in force" in none.err
    assert run(shop, "pause", *RUN, *UNTIL).code == 0
    done = run(shop, "resume", *RUN, "--by", "anna", "--reason", "supplier found")
    assert done.code == 0 and "the order of entry 2 has ended (entry 3 of" in done.out
    assert run(shop, "resume", *RUN).code == 2
    predict(shop)
    product = advice(shop)["products"][0]
    assert [order["status"] for order in product["orders"]] == ["ended"] and product["decision"]["source"] != "manual"
    lines = run(shop, "history", *RUN).out
    assert "10.00 kept until 2025-04-30, ended" in lines and "the order of entry 2 has ended" in lines
    assert run(shop, "audit", "verify", *RUN).code == 0


def test_approve_names_an_order_that_is_in_force_and_takes_precedence(shop: Path) -> None:
    assert run(shop, "override", *RUN, "--price", "10.50", *UNTIL).code == 0
    predict(shop)
    assert run(shop, "pause", *RUN, *UNTIL).code == 0
    refused = run(shop, "approve", *RUN)
    assert refused.code == 2 and refused.err.count("\n") == 1
    assert "the pause keeps the price until 2025-04-30 (entry 4) is in force and takes precedence" in refused.err
    assert "end it with resume" in refused.err
    assert run(shop, "resume", *RUN).code == 0
    assert run(shop, "approve", *RUN).code == 0


def test_if_approval_is_required_only_orders_and_approvals_reach_the_price_file(shop: Path) -> None:
    predict(shop, "--decision.approval", "manual", "--data.guardrails.floor", "10.3")
    assert advice(shop)["approval"] == "manual" and prices(shop) == []
    product = advice(shop)["products"][0]
    assert product["recommended_price"] > product["current_price"]
    out = run(shop, "approve", *RUN).out
    price = f"{product['recommended_price']:.2f}"
    assert f"prices.csv: {price} from 2025-04-01" in out and prices(shop) == [f"seller,2025-04-01,{price}"]
    assert run(shop, "override", *RUN, "--price", "10.60", *UNTIL).code == 0
    assert prices(shop) == ["seller,2025-04-01,10.60"]
    assert run(shop, "resume", *RUN).code == 0 and prices(shop) == [f"seller,2025-04-01,{price}"]
    predict(shop)
    assert prices(shop) == [f"seller,2025-04-01,{price}"]
    predict(shop, "--decision.approval", "auto")
    assert advice(shop)["approval"] == "auto"


def test_report_makes_the_page_again_from_the_document_alone(shop: Path) -> None:
    folder = shop / "checkpoints/seller"
    before = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    made = run(shop, "report", *RUN)
    assert (
        made.code == 0 and made.out.strip().endswith("report.html") and (folder / "report.html").read_bytes() == before
    )
    wrong = run(shop, "report", *RUN, "--product", "sellr")
    assert wrong.code == 2 and "did you mean 'seller'?" in wrong.err
    (shop / "empty").mkdir()
    missing = run(shop, "report", "--out", "empty")
    assert missing.code == 2 and "advice.json is missing or of another version" in missing.err
