"""Every advised price passes the gate last, and the advice says what the guardrails changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from advice_outputs import lowering_policy, read_outputs
from command_line import run
from torch import Tensor

from pricerl.decide import final_check
from pricerl.decide.decision import Decision
from pricerl.decide.final_check import confirm, gate_path
from pricerl.decide.price_path import DayEdit, GatedPath, approach_path, propose_path
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.gate import Gated
from pricerl.guardrails.today import Edit
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.reasons import Reason

HORIZON = 30
FOLLOWED = Decision("path", "B", "policy", False, (Reason("untested"),), unsure=False)


def _product(market: Market, action: Any = "step", **guardrails: Any) -> Product:
    return Product(Dynamics(market, RewardConfig(), GuardrailConfig(**guardrails), EnvConfig(action=action)), 0)


def _wandering(observation: Tensor) -> Tensor:
    return torch.sin(1000 * observation.double().sum(1, keepdim=True)).float()


@pytest.fixture
def varied(known_demand: Callable[..., Market]) -> Market:
    return known_demand(np.repeat([9.0, 10.0, 11.0, 10.0], 15))


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"price_ladder": (9.0, 9.39, 9.79, 10.19, 10.6)},
        {"charm_endings": (0.0, 0.25, 0.49, 0.75), "max_drop": 0.03},
        {"max_above_median": 0.02, "min_hold_days": 1},
        {"max_rise": 0.02, "min_margin": 0.35},
        {"products": {"product": {"ceiling": 10.3, "floor": 9.8}}},
        {"action": "absolute"},
    ],
    ids=str,
)
def test_what_was_simulated_leaves_the_gate_unchanged(limits: dict[str, Any], varied: Market) -> None:
    product = _product(varied, **limits)
    path = propose_path(_wandering, product, HORIZON)
    gated = gate_path(product, path)
    np.testing.assert_allclose(gated.prices, path.price.numpy(), rtol=3e-7)
    assert len(set(gated.prices)) > 1
    assert "fault" not in {edit.rule for edit in gated.edits}
    assert torch.equal(gated.onto(path).price, path.price)


def test_the_unclipped_price_asked_for_stands_apart_from_the_edits(varied: Market) -> None:
    product = _product(varied, ceiling=10.3)
    gated = gate_path(product, approach_path(12.0, product, 5))
    assert gated.asked == 12.0 and gated.prices == (10.3,) * 5
    assert [edit.rule for edit in gated.edits[:1]] == ["ceiling"]
    assert (gated.edits[0].date, gated.edits[0].before, gated.edits[0].after) == ("2025-03-07", 12.0, 10.3)


def test_a_path_that_no_rule_touched_has_no_edits(varied: Market) -> None:
    product = _product(varied)
    gated = gate_path(product, approach_path(10.2, product, 5))
    assert gated == GatedPath((10.2,) * 5, None, ())


def test_the_same_edit_on_day_after_day_is_told_once(known_demand: Callable[..., Market]) -> None:
    product = _product(known_demand(10.0), floor=12.0)
    gated = gate_path(product, propose_path(lambda seen: seen.new_zeros(len(seen), 1), product, 6))
    assert gated.prices == pytest.approx([10.5, 10.5, 10.5, 11.0, 11.0, 11.0])
    first, second = gated.edits[:2]
    assert (first.rule, first.after, second.rule, second.after) == ("floor", 12.0, "max_change", 10.5)
    stuck = _product(known_demand(10.0), floor=12.0, max_rise=0.0)
    kept = gate_path(stuck, propose_path(lambda seen: seen.new_zeros(len(seen), 1), stuck, 6))
    assert kept.prices == (10.0,) * 6 and [edit.rule for edit in kept.edits] == ["floor", "max_rise", "conflict"]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1.0, 0.0, 55.0])
def test_a_wrong_price_on_the_path_never_leaves(wrong: float, varied: Market) -> None:
    product = _product(varied)
    path = propose_path(_wandering, product, 6)
    gated = gate_path(product, path._replace(price=torch.full((6,), wrong)))
    assert all(9.0 <= price <= 11.0 for price in gated.prices)
    assert gated.edits


def test_a_change_of_which_the_gate_leaves_nothing_becomes_a_hold() -> None:
    edit = DayEdit("fault", None, 10.0, "the current price is kept: boom", "2025-03-07")
    held = confirm(FOLLOWED, GatedPath((10.0, 10.0), 10.4, (edit,)), 10.0)
    assert (held.follow, held.grade, held.source) == ("hold", "C", "hold")
    assert held.reasons == (Reason("limit", {"rule": "fault", "why": "the current price is kept: boom"}),)
    assert confirm(FOLLOWED, GatedPath((10.0, 10.2), None, ()), 10.0) is FOLLOWED


def _predict(trained: Path, out: str, *words: str) -> dict[str, Any]:
    folder = trained.parents[1]
    options = ("--data.path", "seller.csv", "--decision.min_chance", "0", "--out", out, *words)
    with lowering_policy():
        result = run(folder, "predict", "--ckpt_path", str(trained / "best.ckpt"), *options)
    assert result.code == 0, result.err
    rows, (product,), html = read_outputs(folder / out)
    assert {row["Recommended Price"] for row in rows} == {f"{day['recommended_price']:.2f}" for day in product["days"]}
    return {**product, "html": html}


def test_nothing_bypasses_the_gate(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(proposed: object, now: float, *rest: object) -> Gated:
        return Gated(now, (Edit("fault", None, now, "nothing passes today"),))

    monkeypatch.setattr(final_check, "pass_gate", refuse)
    product = _predict(trained, "refused")
    assert {day["recommended_price"] for day in product["days"]} == {product["current_price"]}
    assert product["decision"]["follow"] == "hold" and "nothing passes today" in product["reason"]


def test_the_advice_carries_what_the_guardrails_changed_and_the_report_shows_it(trained: Path) -> None:
    probe = _predict(trained, "free")
    assert probe["guardrails"] == [] or probe["guardrails"][0]["rule"] != "floor"
    floor = round(probe["current_price"] - 0.2, 2)
    product = _predict(trained, "floored", "--data.guardrails.floor", f"{floor}")
    first = product["guardrails"][0]
    assert first["rule"] == "floor" and first["after"] == floor and first["why"] == f"at least {floor:g}"
    assert product["asked_price"] == first["before"] < floor
    assert "Guardrails that changed the price" in product["html"] and first["why"] in product["html"]


def test_a_paused_product_keeps_its_price_and_says_so(trained: Path) -> None:
    product = _predict(trained, "paused", "--data.guardrails.pause", "true")
    assert {day["recommended_price"] for day in product["days"]} == {product["current_price"]}
    assert "the product is paused." in product["reason"]
    assert product["decision"]["reasons"] == [{"code": "paused", "numbers": {}}]
