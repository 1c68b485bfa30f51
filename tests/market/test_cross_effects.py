"""Cross effects: the price of the rest of a category, what it shows of diversion, and what a lost unit is worth."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from categories import Category

from pricerl.advice.sentences.verdict import substitution_words
from pricerl.advice.what_if import answer_lines
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.history import LARGEST_CATEGORY, SOLD_OUT, History, ProductHistory, categories_of, relate
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.reader import history_from_text
from pricerl.decide.category import Claim, claim_of, join_claims
from pricerl.decide.decision import DecisionConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.valuation import value_paths
from pricerl.experiments.plan import ArmPrices, value_prices
from pricerl.formatting import PLAIN
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.cross_effects import APART, CrossEffect, _pool, find_cross_effects
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.tasks.ask import compare_prices

FEW = DemandConfig(num_draws=64)
LIMITS = GuardrailConfig()


def read(prices: dict[str, list[float]], group: str = "tea", first: str = "2025-01-01") -> History:
    """Return the history of products with these prices, ten units a day each."""
    frames = [
        pd.DataFrame(
            {
                "Report Date": pd.date_range(first, periods=len(price)).strftime("%Y-%m-%d"),
                "Product": name,
                "Group": group,
                "Product Price": price,
                "Organic Conversion Percentage": 10.0,
                "Ad Conversion Percentage": 8.0,
                "Total Profit": 20.0,
                "Total Sales": 10.0 * np.array(price),
            }
        )
        for name, price in prices.items()
    ]
    text = io.StringIO()
    pd.concat(frames).to_csv(text, index=False)
    return history_from_text(text.getvalue(), "tea.csv", DataConfig())


@pytest.fixture(scope="module")
def substitutes() -> tuple[Category, DataPreprocessor]:
    """Four substitutes of a logit over a year."""
    rng = np.random.default_rng(5)
    category = Category.draw("logit", 4, 20.0, rng)
    return category, category.history(365, rng)


@pytest.fixture(scope="module")
def priced(substitutes: tuple[Category, DataPreprocessor]) -> tuple[Market, Market]:
    """Their market without and with cross effects."""
    prepared = substitutes[1]
    effects = find_cross_effects(prepared.products, FEW, CostConfig(), "profit")
    alone = fit_market(prepared, FEW, conversions=False)
    return alone, fit_market(prepared, FEW, conversions=False, cross=effects)


def test_the_price_of_the_rest_is_the_others_mean_by_sales_over_their_latest() -> None:
    days = 30
    prices = {"a": [10.0] * days, "b": [20.0] * 20 + [22.0] * 10, "c": [5.0] * 10 + [4.0] * 20}
    products = relate(read(prices).products)
    a, b, c = (product.category_price for product in products)
    assert a is not None and b is not None and c is not None
    assert a[-1] == b[-1] == c[-1] == 0.0
    sales = [float(product.sales.mean()) for product in products]
    expected = (sales[1] * np.log(20 / 22) + sales[2] * np.log(5 / 4)) / (sales[1] + sales[2])
    assert a[0] == pytest.approx(expected) and c[0] == pytest.approx(sales[1] * np.log(20 / 22) / sum(sales[:2]))
    assert b[15] == pytest.approx(0.0)


def test_a_product_without_stock_counts_at_a_price_that_sends_its_buyers_away() -> None:
    history = read({"a": [10.0] * 40, "b": [20.0] * 40})
    a, b = history.products
    assert a.sold_out is not None and not a.sold_out.any() and relate([a, b])[0].category_price.any() == 0
    away = np.arange(40) < 5
    first, second = relate([a, replace(b, sold_out=away)])
    assert first.category_price == pytest.approx(np.where(away, SOLD_OUT, 0.0))
    assert second.category_price is not None and not second.category_price.any()


def test_days_without_stock_are_marked_whether_reported_or_found_by_the_sales() -> None:
    rng = np.random.default_rng(0)
    category = Category.draw("stockouts", 2, 40.0, rng)
    rows = category.sell(365, rng)
    for reported in (True, False):
        text = io.StringIO()
        (rows if reported else rows.drop(columns="In Stock")).to_csv(text, index=False)
        found = history_from_text(text.getvalue(), "tea.csv", DataConfig(suspicious="keep")).products
        for product in found:
            out = (rows[rows["Product"] == product.product]["In Stock"] == "no").to_numpy()
            assert product.sold_out is not None
            assert (product.sold_out & ~out).sum() == 0 and product.sold_out.sum() > 0.9 * out.sum()


def test_stock_outs_of_the_others_show_the_effect_more_surely() -> None:
    sds = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        history = Category.draw("stockouts", 4, 20.0, rng).history(365, rng)
        bare = relate([replace(item, sold_out=None) for item in history.products])
        found = [find_cross_effects(each, FEW, CostConfig(), "profit") for each in (history.products, bare)]
        sds.append([effects["p00"].sd if effects else np.nan for effects in found])
    known, unknown = np.array(sds).T
    assert np.isfinite(known).all() and np.nanmean(known / unknown) < 0.7


def test_only_groups_of_two_to_fifty_products_are_categories() -> None:
    (one,) = read({"a": [10.0] * 30}).products
    many = [replace(one, product=f"p{number}") for number in range(LARGEST_CATEGORY + 1)]
    assert categories_of(many[:1]) == [] and categories_of([replace(item, group="") for item in many[:2]]) == []
    assert categories_of(many) == [] and len(categories_of(many[:-1])[0]) == LARGEST_CATEGORY
    assert relate(many[:1])[0].category_price is None


def test_a_product_that_comes_later_counts_at_its_first_price_before() -> None:
    early, late = read({"a": [10.0] * 40}), read({"b": [20.0] * 10 + [25.0] * 20}, first="2025-01-11")
    first, second = relate([*early.products, *late.products])
    assert first.category_price is not None and second.category_price is not None
    assert first.category_price[[0, 15, 25]] == pytest.approx([np.log(0.8), np.log(0.8), 0.0])
    assert len(second.category_price) == 30


@pytest.mark.parametrize("seed", [1, 2])
def test_substitutes_show_their_effect_and_strangers_none(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = {}
    for kind in ("logit", "none"):
        category = Category.draw(kind, 4, 20.0, rng)
        found[kind] = find_cross_effects(category.history(365, rng).products, FEW, CostConfig(), "profit")
    assert len(found["logit"]) == 4 and found["none"] == {}


def test_the_share_of_lost_buyers_who_stay_is_near_the_truth(
    substitutes: tuple[Category, DataPreprocessor], priced: tuple[Market, Market]
) -> None:
    category, _ = substitutes
    for row, product in enumerate(priced[1].products):
        assert product.diversion is not None
        share = product.diversion.share
        assert ((share >= 0) & (share <= 0.95)).all()
        assert abs(share.mean() - category.diversion(row)) < 2.5 * share.std()


def test_a_lost_unit_costs_less_by_what_the_others_earn(priced: tuple[Market, Market]) -> None:
    alone, together = priced
    assert (alone.opportunity == 0).all() and (together.opportunity >= 0).all()
    assert (together.opportunity[:, together.mean_draw] > 0).all()
    assert torch.allclose(together.counted_cost, together.unit_cost + together.opportunity)
    assert torch.equal(together.rows(torch.tensor([0]), torch.tensor([0])).unit_cost, together.unit_cost[0, :1])


def test_the_gain_of_a_path_is_the_categorys_and_its_profit_the_products_own(priced: tuple[Market, Market]) -> None:
    product = Product(Dynamics(priced[1], RewardConfig("profit"), GuardrailConfig()), 0)
    prices = product.money([product.current_price, 1.05 * product.current_price])[:, None]
    keep, dearer = value_paths(product, prices, 7)
    worth = priced[1].opportunity[0, :-1].double().numpy()
    saved = worth * (keep.units - dearer.units)
    assert dearer.minus(keep).profit == pytest.approx(dearer.profit - keep.profit + saved)
    assert dearer.over(keep).profit is not None and dearer.outcome().profit is not None
    assert dearer.worth - keep.worth == pytest.approx(dearer.minus(keep).profit)


def test_what_if_and_price_tests_count_the_category_too(priced: tuple[Market, Market]) -> None:
    product = Product(Dynamics(priced[1], RewardConfig("profit"), GuardrailConfig()), 0)
    now, dearer = product.current_price, round(1.05 * product.current_price, 2)
    asked, kept = value_paths(product, product.money([dearer, now])[:, None], 14)
    gain = float(asked.minus(kept).profit.mean())
    assert gain > float((asked.profit - kept.profit).mean())
    answer = compare_prices(product, dearer, 14)
    assert answer.measures["profit"].gain.mean == pytest.approx(gain, rel=1e-4)
    assert "rest of the category" in "\n".join(answer_lines(answer, PLAIN))
    arms = [ArmPrices(now, dearer, 0, 0)]
    prices = value_prices(product, "profit", DecisionConfig(), arms, 14)
    assert float((prices.earned(dearer) - prices.earned(now)).mean()) == pytest.approx(gain, rel=0.1)
    assert prices.daily == pytest.approx(float(kept.profit.mean()), rel=0.1), "what keeping earns is the product's own"


def test_a_category_without_effect_is_priced_as_without_a_category() -> None:
    rng = np.random.default_rng(3)
    prepared = Category.draw("none", 2, 20.0, rng).history(130, rng)
    assert find_cross_effects(prepared.products, FEW, CostConfig(), "profit") == {}
    bare = replace(prepared, products=tuple(replace(item, category_price=None) for item in prepared.products))
    known, unknown = (fit_market(item, FEW, conversions=False) for item in (prepared, bare))
    assert torch.equal(known.log_curves, unknown.log_curves) and torch.equal(known.counted_cost, unknown.counted_cost)


def test_prices_that_follow_demand_show_no_effect(
    substitutes: tuple[Category, DataPreprocessor], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, prepared = substitutes
    follows = prepared.products[0].setting._replace(kind="repricer")
    monkeypatch.setattr(ProductHistory, "setting", follows)
    assert find_cross_effects([replace(item) for item in prepared.products], FEW, CostConfig(), "profit") == {}


def test_the_share_is_bounded_and_the_others_loss_is_one() -> None:
    share, worth, data = CrossEffect(2.0, 0.1, 0.8, 3.0, 3.0).divert(100, 0, 0)
    assert (share == 0.95).all() and worth == pytest.approx(2.85) and data == 0.8
    loss = CrossEffect(0.3, 0.1, 0.8, 3.0, -3.0).divert(100, 0, 0)
    assert (loss.share >= 0).all() and (loss.worth <= 0).all()


def test_products_share_the_draws_of_their_category_but_for_what_sets_them_apart() -> None:
    effect = CrossEffect(0.45, 0.1, 0.8, 3.0)
    first, second = (effect.divert(4096, 0, number).share for number in (0, 1))
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.5, abs=0.05)
    assert first.std() == pytest.approx(np.hypot(0.1, APART), rel=0.05)
    assert effect.prior == pytest.approx((3 * 0.45, 3 * first.std()), rel=0.05)


def test_steeper_demand_of_a_whole_category_leaves_the_share_as_it_is() -> None:
    rows = [(1.0, 16.0, 2.0, 25.0), (1.4, 9.0, 2.4, 25.0)]
    steeper = [(2 * gamma, known / 4, 2 * fall, fall_known / 4) for gamma, known, fall, fall_known in rows]
    flat, steep = (_pool(found) for found in (rows, steeper))
    assert flat is not None and steep is not None
    assert steep[:3] == pytest.approx(flat[:3]) and steep.response == pytest.approx(2 * flat.response)
    assert steep.prior == pytest.approx([2 * value for value in flat.prior])


def test_more_products_of_a_category_say_less_anew_as_their_shocks_are_common() -> None:
    found = [_pool(size * [(1.0, 9.0, 2.0, 25.0)]) for size in (2, 4, 12)]
    parts = [effect.data / (1 - effect.data) for effect in found if effect is not None]
    assert parts[1] / parts[0] == pytest.approx(2 / 1.6) and parts[2] / parts[0] == pytest.approx(6 / 4)
    assert _pool([(0.1, 9.0, 2.0, 25.0)]) is None and _pool([]) is None


def test_the_sentence_names_the_category_and_the_share_with_its_limits() -> None:
    found = {"category": "tea", "share": [0.38, 0.2, 0.57], "data": 0.64}
    words = substitution_words({"substitution": found}, PLAIN)
    assert substitution_words({"substitution": None}, PLAIN) == ""
    assert "“tea”" in words and "38" in words and "20" in words and "57" in words
    assert words.endswith("(64 % of this estimate comes from your sales)")


def true_claims(category: Category, price: np.ndarray) -> list[Claim]:
    """Return what each price of a category changes alone by its true demand, as a claim of one draw."""
    claims = []
    units = category.units(category.price)
    for row, own in enumerate(price):
        alone = np.where(np.arange(len(price)) == row, own, category.price)
        there = category.units(alone)
        gain = category.profit(alone) - category.profit(category.price)
        kept = (category.price[row] - category.cost[row]) * units[row]
        earned = (own - category.cost[row]) * there[row]
        sent = np.delete(there - units, row).sum()
        claims.append(Claim(*(np.array([value]) for value in (gain, kept, earned, units[row], sent))))
    return claims


@pytest.mark.parametrize("moves", [0.08, -0.08, "both"])
def test_changes_of_a_logit_together_earn_what_their_claims_say_and_no_buyer_counts_twice(moves: float | str) -> None:
    rng = np.random.default_rng(1)
    for size in (2, 4, 12):
        category = Category.draw("logit", size, 20.0, rng)
        move = rng.choice([-0.08, 0.08], size) if moves == "both" else np.full(size, moves)
        price = category.price * np.exp(move)
        claims = true_claims(category, price)
        truth = category.profit(price) - category.profit(category.price)
        assert join_claims(claims)[0] == pytest.approx(truth)
        assert abs(sum(claim.gain[0] for claim in claims) - truth) > 0.01 * abs(truth)
    alone = [
        claims[0],
        *(claim._replace(gain=claim.gain * 0, earned=claim.kept, sent=claim.sent * 0) for claim in claims[1:]),
    ]
    assert join_claims(alone)[0] == pytest.approx(claims[0].gain[0]), "where one product changes, its own gain"


@pytest.mark.slow
def test_the_estimated_gain_of_all_changes_together_is_unbiased() -> None:
    missed = []
    for seed in range(12):
        rng = np.random.default_rng([seed, 7])
        category = Category.draw("logit", 4, 20.0, rng)
        prepared = category.history(365, rng)
        effects = find_cross_effects(prepared.products, FEW, CostConfig(), "profit")
        if not effects:
            continue
        dynamics = Dynamics(fit_market(prepared, FEW, conversions=False, cross=effects), RewardConfig("profit"), LIMITS)
        claims = []
        for row in range(4):
            product = Product(dynamics, row)
            now = product.current_price
            paths = product.money([now, 1.08 * now])[:, None].expand(-1, 14)
            claims.append(claim_of(product, *value_paths(product, paths)))
        drawn = join_claims(claims)
        truth = category.profit(1.08 * category.price) - category.profit(category.price)
        missed.append((drawn.mean() - truth) / drawn.std())
    assert len(missed) > 8 and abs(np.mean(missed)) < 2.5 / len(missed) ** 0.5
