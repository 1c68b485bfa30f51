"""Price and reorder together: what the advice does with the stock of a product, and what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import jsonschema
import numpy as np
import pytest
import torch
from advice_outputs import joined
from test_report_schema import SCHEMA

from pricerl.advice.block import block_lines
from pricerl.advice.describe import advise
from pricerl.advice.files import About, render_files
from pricerl.advice.report.render import render_page
from pricerl.advice.sentences.next_steps import Place, stock_lines
from pricerl.advice.stored import StoredAdvice
from pricerl.advice.what_if import answer_lines
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.stock import Stock
from pricerl.decide.decision import DecisionConfig
from pricerl.decide.standing import Account, Order, Standing
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.errors import UsageError
from pricerl.evaluation.pricing_data import PricingData
from pricerl.evaluation.stock.plan import plan_half_years
from pricerl.formatting import Formatter
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.reward import RewardConfig
from pricerl.simulation.seller import SellerConfig, simulated_history
from pricerl.tasks.ask import compare_prices
from pricerl.training.saved_policy import act_on_shelves

EURO = Formatter(currency="EUR")
COST = 12.0
TERMS = {"storage_fee": 0.05, "lead_weeks": 2}
PLENTY = Stock(900.0, **TERMS)
SCARCE = Stock(60.0, (0.0, 300.0), storage_fee=0.05, lead_weeks=3, due=(("2026-01-12", 300.0),))
SEASON = {**TERMS, "leftover_value": 2.0, "season_end": 8}
LEFTOVERS = Stock(1200.0, **SEASON)
BROKE = Stock(60.0, **TERMS, budget=500.0)
LATE = Stock(300.0, storage_fee=0.05, leftover_value=2.0, lead_weeks=6, season_end=5)
PACKED = Stock(100.0, (50.0,), storage_fee=0.1, lead_weeks=3, pack_size=24.0, smallest_order=100.0)
ALL = {"plenty": PLENTY, "scarce": SCARCE, "leftovers": LEFTOVERS, "broke": BROKE, "late": LATE, "packed": PACKED}


@pytest.fixture(scope="module")
def market():
    """About 10 units per day at 38, where a lower price earns more."""
    data = DataPreprocessor.fit(simulated_history(SellerConfig(days=365, units=10.0), DataConfig()), DataConfig())
    costs = CostConfig(unit_cost=COST, share_kept=0.85)
    return fit_market(data, DemandConfig(num_draws=48), costs, seed=1, conversions=False)


def stocked(market, stock, **guardrails):
    products = (replace(market.products[0], stock=stock),)
    return Dynamics(replace(market, products=products), RewardConfig(), GuardrailConfig(**guardrails))


def advised(market, stock, standing=None, config=None, **guardrails):
    dynamics = stocked(market, stock, **guardrails)
    standings = {} if standing is None else {market.preprocessor.names[0]: standing}
    return advise(None, dynamics, config or DecisionConfig(), 14, {}, formatter=EURO, standings=standings)[0]


@pytest.fixture(scope="module")
def found(market):
    return {name: advised(market, stock) for name, stock in ALL.items()}


def written(item):
    files = joined(render_files([StoredAdvice.of(item.to_dict(), EURO)], About("seller.csv", "profit"), EURO))
    document = json.loads(files["advice.json"])
    return files, document, block_lines(document["products"], EURO, Place())


def charged(item):
    return [day.recommended_price for day in item.days]


def test_plenty_needs_no_order_now_and_is_ordered_before_it_sells_out(found):
    stock = found["plenty"].stock
    assert stock.order.mean == 0 and stock.no_order == "a later order is early enough"
    ordered, _, arrives = stock.orders[0]
    assert ordered <= stock.order_by <= arrives
    assert 8 < stock.cover < 14 and stock.stock_out < 0.01
    lost, without = stock.lost
    assert lost < 0.05 * without


def test_a_price_is_not_lowered_before_the_delivery_that_ends_a_stock_out_and_a_kept_price_awaits_it(found, market):
    item = found["scarce"]
    assert set(charged(item)[:7]) == {item.current_price}
    assert item.stock.awaited and item.stock.inbound == (("2026-01-12", 300.0),)
    assert item.stock.stock_out > 0.95 and item.stock.order_by is None
    item = advised(market, SCARCE, config=DecisionConfig(min_days=10_000))
    assert item.reason.startswith("Keep €38.17 until the 300 units of 12 Jan arrive: only")
    lines = block_lines([item.to_dict()], EURO, Place())
    assert " Keep the price   €38.17 until the 300 units of 12 Jan arrive" in lines


def test_an_empty_shelf_gets_whole_packs_after_the_lead_time_and_no_lower_price_before(found):
    """Without stock, a lower price earns more at once."""
    item = found["packed"]
    assert item.stock.stock_out > 0.95 and min(charged(item)[:7]) >= item.current_price
    assert item.proposal.prices[0] >= item.current_price
    stock = item.stock
    assert stock.orders[0][:2] == ("2026-01-01", stock.order.mean)
    for ordered, units, arrives in stock.orders:
        assert units >= 120 and units % 24 == 0
        assert (date.fromisoformat(arrives) - date.fromisoformat(ordered)).days == 21
    assert stock.order.low <= stock.order.mean <= stock.order.high


def test_leftovers_are_sold_off_within_the_limits_on_prices(found):
    item = found["leftovers"]
    prices = [item.current_price, *charged(item)]
    assert prices[7] < prices[0] and prices[14] < prices[7]
    assert min(np.diff(prices) / prices[:-1]) > -0.05 - 1e-6
    assert item.decision.grade == "B" and item.stock.left < 400 and not item.stock.orders


def test_no_order_is_planned_beyond_the_budget_or_after_the_season_and_the_reason_is_named(found):
    stock = found["broke"].stock
    assert stock.no_order == "your largest order or your budget leaves no room"
    assert stock.orders and all(units * COST <= 500 for _, units, _ in stock.orders)
    assert charged(found["broke"])[0] >= found["broke"].current_price
    stock = found["late"].stock
    assert stock.no_order == "it would arrive after the season ends" and stock.orders == () and stock.order_by is None
    assert stock.lost[0] == stock.lost[1]


def test_the_gain_is_that_of_the_shelf_and_units_are_conserved(market):
    (stock,) = plan_half_years(stocked(market, replace(PLENTY, late_share=0.0)), act_on_shelves).values()
    now = stock.product.current_price
    paths = stock.product.money([[now] * 14, [0.95 * now] * 14])
    prices = stock.weekly(paths)
    whole = stock.half_year.play(stock.among(prices))
    played = type(whole)(*(values[..., 0, 0] for values in whole))
    total = PLENTY.on_hand + played.order.sum(0)
    torch.testing.assert_close(played.sold.sum(0) + played.held[-1], total, rtol=1e-4, atol=0.1)
    on_way = torch.stack([played.order[max(week - 1, 0) : week + 1].sum(0) for week in range(26)])
    arrived = played.order.roll(2, 0)
    arrived[:2] = 0
    on_hand = PLENTY.on_hand + (arrived - played.sold).cumsum(0)
    money = (0.85 * prices[:, None] - COST) * played.sold - 0.05 * on_hand
    torch.testing.assert_close(money, played.profit, rtol=1e-3, atol=0.05)
    assert float(on_way[-1].max()) == 0
    kept, lower = stock.value(paths)
    gain = money.sum(0)[:-1, 1].mean() - money.sum(0)[:-1, 0].mean()
    assert (lower.earned - kept.earned).mean() * 182 == pytest.approx(float(gain), rel=1e-3)


def test_a_plan_begins_after_the_minimum_hold_and_a_path_goes_on_as_planned_only_if_it_ends_as_planned(market):
    (stock,) = plan_half_years(stocked(market, LEFTOVERS), act_on_shelves).values()
    now, late = stock.product.current_price, stock.path(12, wait=2)
    assert (late[:2] == now).all() and (late[2:9] == stock.weeks[0]).all() and (late[9:] == stock.weeks[1]).all()
    assert stock.path(200)[-1] == stock.weeks[-1]
    planned = stock.path(14)
    other = planned * 0.99
    kept = torch.full_like(planned, now)
    weeks = stock.weekly(torch.stack([planned, other, kept]))
    assert (weeks[:, 0] == stock.weeks).all()
    assert (weeks[2:, 1] == other[-1]).all() and (weeks[:, 2] == kept[0]).all()


def test_no_other_orders_earn_much_more_on_the_same_prices(market, monkeypatch):
    (stock,) = plan_half_years(stocked(market, PLENTY), act_on_shelves).values()
    kind = type(stock.half_year)
    own = kind._base_stock

    def earned(factor):
        monkeypatch.setattr(kind, "_base_stock", lambda *words: factor * own(*words))
        return float(stock.half_year.play(stock.among(stock.weeks[:, None])).profit.sum(0)[:-1].mean())

    best = earned(1.0)
    assert best > max(earned(factor) for factor in (0.5, 0.7, 3.0))
    assert best > 0.98 * max(earned(factor) for factor in (0.8, 0.9, 1.1, 1.25, 1.5, 2.0))


def test_a_person_sets_the_price_of_products_with_stock_and_an_open_account_does_not(market):
    order = Order(1, "override", 30.0, "2026-02-01", "anna", "sale", "active")
    free, bound = advised(market, PLENTY), advised(market, PLENTY, Standing(orders=(order,)))
    assert set(charged(bound)) == {30.0} and bound.stock.cover < free.stock.cover
    open_account = advised(market, PLENTY, Standing(account=Account("2025-12-01", 38.17)))
    assert open_account.account is None and charged(open_account) == charged(free)


def test_every_sentence_is_short_and_none_is_certain(found):
    for item in found.values():
        _, document, block = written(item)
        lines = stock_lines(document["products"][0], EURO)
        texts = [text for part in lines.values() for text in part]
        assert all(len(text.split()) <= 30 and text[0].isupper() | text[0].isdigit() for text in texts), texts
        assert not any("100 %" in text for text in texts)
        assert all(len(line) <= 72 for line in block)
        assert {f" {label}" for label in lines} <= {line[:12].rstrip() for line in block}


@pytest.mark.parametrize("name", ["packed", "late"])
def test_the_document_fits_its_schema_and_an_older_one_is_still_read(name, found):
    files, document, _ = written(found[name])
    assert [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(document)] == []
    assert "<h2>Stock</h2>" in files["report.html"]
    del document["products"][0]["stock"]
    assert "<h2>Stock</h2>" not in render_page(document, document["products"][0])
    assert not any(line.startswith(" Stock") for line in block_lines(document["products"], EURO, Place()))


def test_the_first_screen_names_price_and_order_and_planned_orders_are_a_file_of_their_own(found):
    files, document, block = written(found["packed"])
    units = round(document["products"][0]["stock"]["order"][0])
    assert f"; order {units} units now</h1>" in files["report.html"]
    assert f" Order {units} units now (90" in "\n".join(block)
    head, *rows = [line.split(",") for line in files["reorders.csv"].splitlines()]
    planned = document["products"][0]["stock"]["orders"]
    assert head == ["Product", "Order On", "Units", "Arrives"] and len(rows) == len(planned) > 0
    assert rows[0][1:] == [planned[0][0], f"{planned[0][1]:g}", planned[0][2]]


def test_a_catalogue_names_the_products_to_order_and_a_stop_rule_waits_for_units_in_stock(found):
    lines = block_lines([found["packed"].to_dict(), found["late"].to_dict()], EURO, Place())
    assert " Order for  simulated seller" in lines
    assert "on three days running with units in stock" in " ".join(" ".join(written(found["leftovers"])[2]).split())


def test_a_minimum_hold_beyond_a_week_is_refused():
    stock = [{"product": "Mug", "in_stock": 40.0, "lead_days": 14.0}]
    with pytest.raises(UsageError, match="prices change weekly"):
        PricingData(stock=stock, reward=RewardConfig("profit"), guardrails=GuardrailConfig(min_hold_days=10))


def test_what_if_keeps_the_price_as_the_advice_does_and_says_how_long_stock_lasts(market, found):
    product = Product(stocked(market, PACKED), 0)
    answer = compare_prices(product, round(1.05 * product.current_price, 2), 14)
    _, kept, gain = answer.measures["profit"]
    assert kept.mean == pytest.approx(found["packed"].keep.profit.mean, rel=1e-5)
    assert answer.days == 182 and gain.low <= gain.mean <= gain.high
    higher, now = answer.outlooks
    assert higher.cover > now.cover and now.order.mean == pytest.approx(found["packed"].stock.order.mean, rel=0.5)
    lines = answer_lines(answer, EURO)
    assert sum(" lasts about " in line and "units lost to stock-outs until" in line for line in lines) == 2
