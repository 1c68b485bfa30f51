"""The proposed path: the price simulated is the price advised, inside the guardrails, and passes the gate last."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from advice_outputs import lowering_policy, read_outputs
from advising import moving
from command_line import run
from torch import Tensor

from pricerl.decide import final_check
from pricerl.decide.decision import Decision
from pricerl.decide.final_check import confirm, gate_path
from pricerl.decide.price_path import DayEdit, GatedPath, approach_path, propose_path
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.forecast import forecast_path
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.gate import Gated
from pricerl.guardrails.today import Edit, Today
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.reasons import Reason

HORIZON = 30
FOLLOWED = Decision("path", "B", "policy", False, (Reason("untested"),), unsure=False)
UP = moving(1.0)


def _product(market: Market, action: Any = "step", **guardrails: Any) -> Product:
    return Product(Dynamics(market, RewardConfig(), GuardrailConfig(**guardrails), EnvConfig(action=action)), 0)


def _wandering(observation: Tensor) -> Tensor:
    """A deterministic policy that depends on all of its observation and uses the whole range."""
    return torch.sin(1000 * observation.double().sum(1, keepdim=True)).float()


@pytest.fixture
def varied(known_demand: Callable[..., Market]) -> Market:
    return known_demand(np.repeat([9.0, 10.0, 11.0, 10.0], 15))


def test_the_price_advised_is_the_price_simulated_in_the_mean_market(varied: Market) -> None:
    product = _product(varied)
    path = propose_path(_wandering, product, HORIZON)
    dynamics, row = product.dynamics, torch.zeros(1, dtype=torch.long)
    state = dynamics.start(row, row + 59, row + varied.mean_draw)
    by_hand: list[float] = []
    while len(by_hand) < HORIZON:
        price = dynamics.decide(state, _wandering(state.observation)[:, 0])
        state, _ = dynamics.advance(state, price, dynamics.days_per_step, None)
        by_hand += [float(price)] * dynamics.days_per_step
    assert len(set(by_hand)) > 3
    np.testing.assert_allclose(path.price.numpy(), by_hand[:HORIZON], rtol=1e-6)
    assert ((path.low <= path.price) & (path.price <= path.high)).all()


@pytest.mark.parametrize(("last", "days", "change"), [(10.2, 1, 2), (10.2, 2, 1), (10.2, 3, 0), (13.0, 4, 3)])
def test_a_recent_change_is_held_until_its_days_are_over_and_the_week_allows_another(
    last: float, days: int, change: int, known_demand: Callable[..., Market]
) -> None:
    price = np.full(60, 10.0)
    price[-days:] = last
    path = propose_path(UP, _product(known_demand(price)), 10)
    assert path.limits.feasible
    assert np.flatnonzero(np.abs(path.price.numpy() - last) > 1e-4)[0] == change


@pytest.mark.parametrize(
    ("price", "guardrails", "limits"),
    [
        (10.0, {"ceiling": 5.0}, {"feasible": False}),
        (10.0, {"ceiling": 9.8}, {"feasible": True, "movable": True, "keep_allowed": False, "nearest": 9.8}),
        (10.0, {"ceiling": 10.0, "floor": 9.8}, {"keep_allowed": True, "nearest": 10.0}),
        (9.8, {"ceiling": 10.0, "floor": 9.8}, {"keep_allowed": True, "nearest": 9.8}),
        (10.0, {"price_step": 1.0}, {"movable": False}),  # coarser than a step
        (10.0, {"price_step": 0.5}, {"movable": True}),
    ],
)
def test_a_path_says_what_the_guardrails_allow_and_holds_where_they_allow_nothing(
    price: float, guardrails: dict[str, float], limits: dict[str, Any], known_demand: Callable[..., Market]
) -> None:
    path = propose_path(UP, _product(known_demand(price), **guardrails), HORIZON)
    found = path.limits._asdict()
    assert {name: found[name] for name in limits} == pytest.approx(limits)
    assert path.limits.feasible or (path.price == price).all()


def test_a_forecast_expects_what_the_known_demand_says(known_demand: Callable[..., Market]) -> None:
    forecast = forecast_path(Product(Dynamics(known_demand(10.0)), 0), torch.tensor([10.0, 12.0]), seed=0)
    np.testing.assert_allclose(forecast.units[0], [20.0, 20 * 1.2**-2], rtol=2e-3)
    np.testing.assert_allclose(forecast.profit[0], [80.0, 6 * 20 * 1.2**-2], rtol=5e-3)
    mean, low, high = forecast.units
    assert (low < mean).all() and (mean < high).all()


def test_a_forecast_repeats_with_its_seed_and_differs_with_another(varied: Market) -> None:
    price = torch.full((5,), 10.0)
    first, again, other = (forecast_path(Product(Dynamics(varied), 0), price, seed).units[2] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("target", [9.3, 10.0, 11.5])
def test_a_target_is_approached_in_steps_and_kept(target: float, varied: Market) -> None:
    path = approach_path(target, _product(varied), HORIZON).price.numpy()
    prices = np.concatenate([[10.0], path])
    assert path[-1] == pytest.approx(target) and (path[-6:] == path[-1]).all()
    assert (np.sign(np.diff(prices)) * np.sign(target - 10.0) >= 0).all()
    assert np.abs(prices[1:] / prices[:-1] - 1).max() <= 0.0501


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
        *({"min_hold_days": days} for days in (1, 3, 7)),
    ],
    ids=str,
)
def test_what_was_simulated_leaves_the_gate_unchanged(limits: dict[str, Any], varied: Market) -> None:
    product = _product(varied, **limits)
    for policy in (UP, moving(-1.0), _wandering):
        path = propose_path(policy, product, HORIZON)
        gated = gate_path(product, path)
        np.testing.assert_allclose(gated.prices, path.price.numpy(), rtol=3e-7)
        assert "fault" not in {edit.rule for edit in gated.edits} and path.limits.feasible
        assert torch.equal(gated.onto(path).price, path.price)
    assert len(set(gated.prices)) > 1


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
    gated = gate_path(product, propose_path(moving(0.0), product, 6))
    assert gated.prices == pytest.approx([10.5, 10.5, 10.5, 11.0, 11.0, 11.0])
    first, second = gated.edits[:2]
    assert (first.rule, first.after, second.rule, second.after) == ("floor", 12.0, "max_change", 10.5)
    stuck = _product(known_demand(10.0), floor=12.0, max_rise=0.0)
    kept = gate_path(stuck, propose_path(moving(0.0), stuck, 6))
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
    def refuse(proposed: object, today: Today) -> Gated:
        return Gated(today.now, (Edit("fault", None, today.now, "nothing passes today"),))

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
