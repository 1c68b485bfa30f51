"""Advice on a catalogue in chunks and processes: the same as on each product alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pricerl.data.costs import CostConfig
from pricerl.decide.decision import DecisionConfig
from pricerl.env.config import EnvConfig
from pricerl.evaluation import backtest
from pricerl.evaluation.backtest import run_backtests
from pricerl.formatting import PLAIN
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.reward import RewardConfig
from pricerl.operations.catalogue import Advisor, Chunk, advise_chunks
from pricerl.operations.engine import Engine
from pricerl.simulation.seller import SellerConfig

DEMAND = DemandConfig(num_draws=16)
ALONE = Engine(1, "highest")
TRIO = SellerConfig(days=90, units=30.0, products=3, seed=5)


class Rise(torch.nn.Module):
    """Policy that raises the more, the higher the first feature."""

    def forward(self, observation):
        return 0.5 * observation[:, :1]


@pytest.fixture(scope="module")
def prepared(fitted):
    return fitted(TRIO, DEMAND).preprocessor


@pytest.fixture(scope="module")
def advisor():
    settings = DEMAND, CostConfig(), RewardConfig("balanced"), GuardrailConfig(), EnvConfig(describe=True)
    return Advisor(Rise(), 0.97**3, *settings, DecisionConfig(min_chance=0.0), 14, 0, PLAIN, 3)


ORIGIN = {"seen": 0, "terms": {"relations": []}}


def _chunks(advisor, prepared, *groups):
    tested = backtest.tested_products(prepared.names)
    return [
        Chunk(advisor, prepared.select(rows), [None] * len(rows), None, tested=tested, origin=ORIGIN) for rows in groups
    ]


@pytest.fixture(scope="module")
def together(advisor, prepared):
    return _chunks(advisor, prepared, [0, 1, 2])[0].run()


def test_a_product_alone_gets_the_advice_that_it_gets_in_its_catalogue(advisor, prepared, together):
    (item,) = _chunks(advisor, prepared, [1])[0].run().advice
    assert item.to_dict() == together.advice[1].to_dict()


@pytest.mark.slow
def test_120_products_in_chunks_get_the_advice_that_each_gets_alone_to_the_cent(advisor, fitted):
    prepared = fitted(replace(TRIO, products=120), DEMAND).preprocessor
    many = replace(advisor, catalogue=120, decision=DecisionConfig())
    rows = range(120)
    parts, alone = (
        [item for chunk in _chunks(many, prepared, *groups) for item in chunk._replace(tested=frozenset()).run().advice]
        for groups in ([rows[first : first + 25] for first in rows[::25]], [[row] for row in rows])
    )
    for one, other in zip(parts, alone, strict=True):
        assert (one.product, one.decision) == (other.product, other.decision)
        for day, same in zip(one.days, other.days, strict=True):
            assert day.recommended_price == pytest.approx(same.recommended_price, abs=1e-4)
    assert len({item.decision.follow for item in parts}) > 1


@pytest.fixture
def faulty(prepared, monkeypatch):
    """Name of a product whose market cannot be fitted."""
    name = prepared.names[1]

    def fit(preprocessor, *settings, **others):
        if name in preprocessor.names:
            raise ValueError("no fit")
        return fit_market(preprocessor, *settings, **others)

    monkeypatch.setattr("pricerl.operations.catalogue.fit_market", fit)
    return name


@pytest.mark.slow
def test_a_product_that_fails_leaves_the_advice_on_the_others_as_it_is(advisor, prepared, together, faulty):
    parts, failed = advise_chunks(_chunks(advisor, prepared, [0, 1], [2]), ALONE)
    assert failed == {faulty: "ValueError('no fit')"}
    expected = [together.advice[row].to_dict() for row in (0, 2)]
    assert [item.to_dict() for part in parts for item in part.advice] == expected
    with pytest.raises(ValueError, match="no fit"):
        advise_chunks(_chunks(replace(advisor, catalogue=1), prepared, [1]), ALONE)


@pytest.mark.slow
def test_a_product_that_fails_holds_back_those_related_to_it(advisor, prepared, together, faulty):
    rising = together.advice[0]
    assert rising.recommended_price != rising.current_price
    line = GuardrailConfig(relations=[{"kind": "one_price", "products": [rising.product, faulty]}])
    parts, failed = advise_chunks(_chunks(replace(advisor, guardrails=line), prepared, [0, 1, 2]), ALONE)
    assert list(failed) == [faulty] and parts[0].advice[0].recommended_price == rising.current_price


def test_a_relation_holds_back_the_products_that_break_it(advisor, prepared, together):
    now = {item.product: item.current_price for item in together.advice}
    low, high = sorted(now, key=lambda name: now[name])[:2]
    relation = {"kind": "size_order", "products": [high, low]}  # broken today, so neither may move
    guarded = replace(advisor, guardrails=GuardrailConfig(relations=[relation]))
    chunks = _chunks(guarded, prepared, [0, 1, 2])
    (part,), failed = advise_chunks(chunks, ALONE)
    assert not failed
    for before, after in zip(together.advice, part.advice, strict=True):
        moves = {day.recommended_price for day in before.days} != {before.current_price}
        if after.product in (low, high) and moves:
            assert {day.recommended_price for day in after.days} == {after.current_price}
            assert after.guardrails[-1].rule == "relations" and "would cost more" in after.guardrails[-1].why
            assert after.decision.reasons[0].code == "relation" and after.model.days == before.days
        else:
            assert after.to_dict() == before.to_dict()
    assert any(item.guardrails and item.guardrails[-1].rule == "relations" for item in part.advice)


def test_a_price_test_heeds_relations_to_products_of_other_chunks(advisor, prepared):
    names, cautious = prepared.names, replace(advisor, decision=DecisionConfig(min_chance=0.9999, claim_chance=0.9999))
    line = replace(cautious, guardrails=GuardrailConfig(relations=[{"kind": "one_price", "products": list(names)}]))
    current = {item.product: item.current_price for item in prepared.products}
    for used, offered in ((cautious, True), (replace(line, current=current), False)):
        (part,) = (chunk.run() for chunk in _chunks(used, prepared, [0]))
        assert part.advice[0].decision.unsure and (part.advice[0].details.price_test is not None) == offered


def test_the_desk_of_a_run_knows_the_prices_of_the_products_in_relations(advisor, prepared):
    first, second, _ = prepared.products
    relation = {"kind": "size_order", "products": [first.product, second.product]}
    settings = dict.fromkeys(("market_config", "cost", "stocks", "reward", "env_config", "seed"))
    run = SimpleNamespace(
        folder=Path("checkpoints/run"),
        policy=None,
        module=SimpleNamespace(step_discount=0.9),
        configs={"decision": DecisionConfig()},
        options=SimpleNamespace(horizon=14, today="2025-04-01"),
        formatter=None,
        pricing=SimpleNamespace(
            preprocessor=prepared, catalogue=(), guardrails=GuardrailConfig(relations=[relation]), **settings
        ),
    )
    assert Advisor.of(run).current == {item.product: item.current_price for item in (first, second)}


def test_of_a_large_catalogue_a_sample_is_backtested_and_its_share_keeps_the_cost_low(prepared, monkeypatch):
    def sample(count):
        names = [f"product-{number}" for number in range(count)]
        return backtest.tested_products(names)

    assert {count: len(sample(count)) for count in (1, 8, 9, 50, 200, 1000)} == dict(
        zip((1, 8, 9, 50, 200, 1000), (1, 8, 8, 8, 20, 40), strict=True)
    )
    places = sorted(int(name.partition("-")[2]) for name in sample(1000))
    assert 300 < sum(places) / 40 < 700 and len({place % 10 for place in places}) == 10, "no pattern of the names"
    monkeypatch.setattr(backtest, "FEWEST_TESTED", 1)
    (tested,) = backtest.tested_products(prepared.names)
    assert backtest.tested_products(prepared.names[::-1]) == {tested}
    small = replace(DEMAND, num_draws=8)
    assert list(run_backtests(prepared, small, CostConfig())) == [tested]


def test_a_fresh_file_in_another_order_gives_the_same_draws(prepared):
    fresh = prepared.select([2, 0])
    assert fresh.numbers == (2, 0) and fresh.first_days(0, 60).numbers == (2,)
