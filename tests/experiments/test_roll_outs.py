"""Roll-outs: their random order, and the effect and limits that follow from it alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pricerl.advice.sentences.earned import receipt_words
from pricerl.arrays import FloatArray
from pricerl.experiments.receipt import (
    CARRIED,
    Effect,
    Panel,
    Receipt,
    carry_over,
    find_limits,
    foresee_limits,
    nominal_level,
    read_effect,
)
from pricerl.experiments.roll_out import QUARTER, YEAR, draw_plan, find_clusters, find_hold, plan_of
from pricerl.formatting import PLAIN

BEFORE = 26


def test_products_of_a_group_or_relation_are_one_cluster_and_others_alone() -> None:
    related = [("a", "b"), ("d", "e"), ("b", "d"), ()]
    assert sorted(map(sorted, find_clusters("abcde", related))) == [["a", "b", "d", "e"], ["c"]]


@pytest.mark.parametrize("clusters", [2, 5, 60])
def test_clusters_begin_in_a_random_order_spread_evenly_over_the_weeks(clusters: int) -> None:
    plan = draw_plan(clusters, 6, False, 3)
    assert plan.shape == (clusters, QUARTER)
    assert (np.diff(plan) >= 0).all() and (plan[:, 6:] == 1).all()
    begins = np.bincount((plan == 0).sum(axis=1), minlength=6)
    assert begins.max() - begins[begins > 0].min() <= 1 and begins[0] >= 1
    assert (plan == draw_plan(clusters, 6, False, 3)).all()
    assert clusters == 2 or (plan != draw_plan(clusters, 6, False, 4)).any()


def test_a_control_is_a_tenth_that_turns_every_four_weeks_until_all_have_been_one() -> None:
    plan = draw_plan(40, 6, True, 1)
    assert plan.shape == (40, YEAR)
    assert ((1 - plan[:, 6:]).sum(axis=0) == 4).all()
    assert (plan[:, 6:46].sum(axis=1) == 36).all(), "each once in ten turns"


def entry_of(plan: FloatArray, first: str = "2025-03-03") -> dict[str, Any]:
    held = [np.flatnonzero(row == 0).tolist() for row in plan]
    products = {f"p{at}": {"cluster": at} for at in range(len(plan))}
    return {"first_day": first, "products": products, "probabilities": plan.mean(axis=0).tolist(), "held": held}


def test_a_plan_is_read_from_the_log_as_it_was_drawn_and_holds_products_on_its_days_alone() -> None:
    plan = draw_plan(7, 6, True, 2)
    assert (plan_of(entry_of(plan)) == plan).all()
    entry = entry_of(np.array([[0.0, 0, 1, 1, 0, 1], [1, 1, 1, 1, 1, 1]]))
    assert find_hold(entry, "p0", "2025-03-01") == (True, "2025-03-16"), "it waits from the start of the log on"
    assert find_hold(entry, "p0", "2025-03-16") == (True, "2025-03-16")
    assert find_hold(entry, "p0", "2025-03-17") is None
    assert find_hold(entry, "p0", "2025-03-31") == (False, "2025-04-06"), "a control"
    assert find_hold(entry, "p0", "2026-03-31") is find_hold(entry, "p1", "2025-03-01") is None
    assert find_hold(entry, "new", "2025-03-03") is None


def panel_of(
    clusters: int = 60, weeks: int = 13, effect: float = 0.0, sd: float = 0.1, seed: int = 0, control: bool = True
) -> Panel:
    """Products whose profit has a season, a trend and shocks that last, and that follow the plan."""
    rng = np.random.default_rng(seed)
    plan = draw_plan(clusters, 6, control, seed)[:, :13]
    shocks = rng.standard_normal((clusters, BEFORE + weeks))
    for week in range(1, BEFORE + weeks):
        shocks[:, week] = 0.5 * shocks[:, week - 1] + np.sqrt(0.75) * shocks[:, week]
    season = 1 + 0.1 * np.sin(np.arange(BEFORE + weeks) / 6)
    size = 100 * np.exp(0.5 * rng.standard_normal(clusters))
    followed = plan[:, :weeks]
    gain = 1 + effect * np.pad(followed, ((0, 0), (BEFORE, 0)))
    outcome = size[:, None] * season * gain * np.exp(sd * shocks)
    return Panel(outcome, outcome[:, :BEFORE].mean(axis=1), np.arange(clusters), plan, followed)


def test_without_noise_the_effect_is_found_whatever_season_and_shares() -> None:
    panel = panel_of(effect=0.0, sd=0.0)
    due = panel.scale[:, None] * np.pad(panel.followed, ((0, 0), (BEFORE, 0)))
    found = read_effect(panel._replace(outcome=panel.outcome + 0.04 * due), 1)
    assert found.mean == pytest.approx(0.04 * due.sum(), rel=1e-6)
    assert found == pytest.approx((*(found.mean,) * 3, 0.04), rel=1e-6)


def test_products_that_do_not_follow_count_as_assigned_and_the_others_have_the_effect() -> None:
    panel = panel_of(clusters=200, sd=0.0)
    follows = panel.followed * (np.arange(200) % 4 > 0)[:, None]
    gained = 0.04 * panel.scale[:, None] * np.pad(follows, ((0, 0), (BEFORE, 0)))
    found = read_effect(panel._replace(outcome=panel.outcome + gained, followed=follows), 1)
    assert found.mean == pytest.approx(gained.sum(), rel=0.1)
    assert found.followers == pytest.approx(0.04, rel=1e-6)
    assert np.isnan(read_effect(panel._replace(followed=0 * panel.followed), 1).followers)


def test_a_product_that_sold_nothing_before_counts_nothing() -> None:
    panel = panel_of()
    nothing = np.vstack([panel.outcome, np.zeros(BEFORE + 13)])
    more = Panel(
        nothing,
        np.append(panel.scale, 0.0),
        np.append(panel.clusters, 3),
        panel.plan,
        np.vstack([panel.followed, panel.followed[3]]),
    )
    assert read_effect(more, 1) == pytest.approx(read_effect(panel, 1))


@pytest.mark.parametrize(
    ("shops", "fewest", "most"), [(40, 1, 8), pytest.param(100, 2, 18, marks=pytest.mark.slow)], ids=("few", "many")
)
def test_the_limits_of_all_looks_together_miss_the_effect_in_about_a_tenth_of_shops(
    shops: int, fewest: int, most: int
) -> None:
    missed = low = 0
    for seed in range(shops):
        panel = panel_of(clusters=30, seed=seed)
        looks = [
            read_effect(panel._replace(outcome=panel.outcome[:, : BEFORE + week], followed=panel.followed[:, :week]), 1)
            for week in range(1, 14)
        ]
        missed += any(look.low > 0 or look.high < 0 for look in looks)
        low += any(look.low > 0 for look in looks)
    assert fewest <= missed <= most and low <= 0.11 * shops


def test_too_few_orders_prove_nothing() -> None:
    few = read_effect(panel_of(clusters=3, effect=0.5), 1)
    assert few.low == -np.inf and few.high == np.inf and np.isfinite(few.mean)


def test_limits_are_the_effects_that_no_order_speaks_against() -> None:
    rng = np.random.default_rng(5)
    earned, moved = rng.standard_normal(200), np.append(2.0, rng.uniform(-1, 1, 199))
    low, high = find_limits(earned, moved, 0.1)

    def shares(effect: float) -> tuple[float, float]:
        score = earned - effect * moved
        return float((score >= score[0]).mean()), float((score <= score[0]).mean())

    inside = np.linspace(low, high, 9)[1:-1]
    assert all(min(shares(effect)) > 0.05 for effect in inside)
    assert all(min(shares(effect)) <= 0.05 for effect in (low - 1e-6, high + 1e-6))


def test_one_look_has_the_whole_level_and_more_looks_share_it() -> None:
    assert nominal_level((7.0,)) == pytest.approx(0.1, abs=0.01)
    thirteen = nominal_level(tuple(np.arange(1.0, 14.0)))
    assert nominal_level((1.0, 1e6)) == pytest.approx(0.05, abs=0.006), "two looks that share nothing"
    assert 0.01 < thirteen < 0.04
    assert nominal_level((1.0,) * 5) == pytest.approx(0.1, abs=0.01), "looks without news"


def test_the_limits_that_are_foreseen_are_about_those_that_come() -> None:
    panel = panel_of(clusters=100)
    ahead = panel._replace(outcome=panel.outcome[:, :BEFORE], followed=panel.followed[:, :0])
    half = foresee_limits(ahead)
    assert len(half) == 13
    widths = [read_effect(panel_of(clusters=100, seed=seed), 1) for seed in range(12)]
    assert half[-1] == pytest.approx(np.mean([found.high - found.low for found in widths]) / 2, rel=0.3)


def test_buyers_who_remember_the_old_price_are_found_and_others_are_not() -> None:
    chances = []
    for seed in range(40):
        panel = panel_of(clusters=30, seed=seed, effect=0.04)
        chances.append(carry_over(panel, read_effect(panel, 1), 1))
    assert np.mean(np.array(chances) < 0.1) < 0.25 and min(chances) > 0.001
    found = []
    for seed in range(10):
        panel = panel_of(sd=0.05, seed=seed)
        fresh = panel.plan * (1 - np.pad(panel.plan, ((0, 0), (2, 0)))[:, :13])
        gained = panel.scale[:, None] * np.pad(0.04 * panel.plan - 0.06 * fresh, ((0, 0), (BEFORE, 0)))
        panel = panel._replace(outcome=panel.outcome + gained)
        found.append(carry_over(panel, read_effect(panel, 1), 1))
    assert np.mean(np.array(found) < CARRIED) >= 0.8
    assert receipt_words(EARNED._replace(carried=0.004), PLAIN).endswith("buyers remember the old price.")


EARNED = Receipt("2026-03-03", "", Effect(412.0, 120.0, 700.0, 0.021), 61, 80, 500.0, "profit")
INF = float("inf")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {},
            "Since 3 Mar 2026 the new prices have earned 412.00 more than your old ones would have (90 %: 120.00 to "
            "700.00); 61 of 80 products follow, which changed their profit by +2.1 %; the claim by the advice was "
            "500.00.",
        ),
        (
            {"effect": Effect(-40.0, -90.0, 12.0, -0.01), "last": "2026-06-01"},
            "From 3 Mar 2026 to 1 Jun 2026 the new prices have earned 40.00 less than your old ones would have (90 %: "
            "\N{MINUS SIGN}90.00 to 12.00), no more than chance; 61 of 80 products follow; the claim by the advice was "
            "500.00.",
        ),
        (
            {"effect": Effect(-40.0, -90.0, -12.0, np.nan), "measure": "sales"},
            "Since 3 Mar 2026 the new prices have brought in 40.00 less than your old ones would have (90 %: "
            "\N{MINUS SIGN}90.00 to \N{MINUS SIGN}12.00); 61 of 80 products follow; the claim by the advice was "
            "500.00.",
        ),
        (
            {"effect": Effect(5.0, -INF, INF, 0.01)},
            "Since 3 Mar 2026 the new prices have had too few weeks or products to say what they have earned; 61 of 80 "
            "products follow; the claim by the advice was 500.00.",
        ),
    ],
)
def test_a_receipt_says_how_much_and_whether_it_may_be_chance(change: dict[str, Any], words: str) -> None:
    assert receipt_words(EARNED._replace(**change), PLAIN) == words
