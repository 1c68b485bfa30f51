"""Relations between products: an independent oracle checks what is left of random advised."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pricerl.errors import UsageError
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.relations import AdvisedPrices, broken_by, read_relations, resolve, span_between

SIZES = {"kind": "size_order", "products": ["S", "M", "L"]}
PACK = {"kind": "multipack", "products": ["S", "pack"], "count": 6}
LINE = {"kind": "one_price", "products": ["rose", "lemon"]}


def _settled(given, advised):
    bound = resolve(read_relations(given), advised)
    return {name: bound[name].prices if name in bound else item.prices for name, item in advised.items()}


def _holds(prices, current):
    """The oracle: every relation holds on every day, or its products stay as they are."""
    for day in range(2):
        s, m, large, pack, rose, lemon = (prices[name][day] for name in ("S", "M", "L", "pack", "rose", "lemon"))
        for fine, names in (
            (s <= m + 1e-9 and m <= large + 1e-9, ("S", "M", "L")),
            (pack <= 6 * s + 1e-9, ("S", "pack")),
            (abs(rose - lemon) < 1e-9, ("rose", "lemon")),
        ):
            if not fine and any(prices[name][day] != current[name] for name in names):
                return False
    return True


def test_one_price_breaks_a_relation_exactly_outside_the_span_that_the_others_leave():
    rng, outside = np.random.default_rng(1), 0
    relations = read_relations([SIZES, PACK, LINE])
    for _ in range(500):
        sizes = dict(zip(("S", "M", "L"), np.sort(np.round(rng.uniform(1, 3, 3), 2)).tolist(), strict=True))
        current = {**sizes, "pack": round(float(5.5 * sizes["S"]), 2), "rose": 4.0, "lemon": 4.0}
        name = str(rng.choice(list(current)))
        price = round(float(current[name] * rng.uniform(0.7, 1.4)), 2)
        low, high = span_between(relations, name, current)
        assert low <= current[name] <= high
        broken = broken_by(relations, name, price, current)
        assert bool(broken) == (price != current[name] and not low <= price <= high), (name, price, current)
        outside += bool(broken)
    assert 100 < outside < 450


def test_a_price_that_is_kept_breaks_nothing_even_if_the_order_is_wrong_today():
    relations, current = read_relations([SIZES]), {"S": 3.0, "M": 2.0, "L": 4.0}
    assert broken_by(relations, "S", 3.0, current) == [] and broken_by(relations, "S", 1.9, current) == []
    assert broken_by(relations, "S", 2.9, current) == [
        ("size_order", "S at 2.9 would cost more than the larger M at 2")
    ]


def test_after_random_advice_every_relation_holds_or_its_products_stay():
    rng = np.random.default_rng(0)
    moved = 0
    for _ in range(2000):
        current = dict(zip(("S", "M", "L", "pack"), np.round(rng.uniform(1, 3, 4) * (1, 1.1, 1.2, 5), 2), strict=True))
        current |= dict.fromkeys(("rose", "lemon"), 4.0)
        if rng.random() < 0.5:
            current = {"S": 2.0, "M": 2.1, "L": 2.2, "pack": 11.9, "rose": 4.0, "lemon": 4.0}
        advised = {
            name: AdvisedPrices(
                price, tuple(np.round(price * (1 + rng.integers(-1, 2) * rng.uniform(0.01, 0.1, 2)), 2))
            )
            for name, price in current.items()
        }
        settled = _settled([SIZES, PACK, LINE], advised)
        assert _holds(settled, current), (advised, settled)
        moved += sum(settled[name] != item.kept for name, item in advised.items())
        for name, prices in settled.items():  # nothing new is made up
            sources = LINE["products"] if name in LINE["products"] else [name]
            assert prices in {advised[name].kept, *(advised[source].prices for source in sources)}
    assert moved > 2000


def test_a_line_takes_the_smallest_change_of_its_products_and_says_why():
    advised = {"rose": AdvisedPrices(4.0, (4.1, 4.2)), "lemon": AdvisedPrices(4.0, (4.05, 4.08))}
    bound = resolve(read_relations([LINE]), advised)
    assert bound["rose"].prices == (4.05, 4.08) and "lemon" not in bound
    assert bound["rose"].why == "one price for rose, lemon: the smallest change among them, by lemon"


def test_products_of_a_broken_relation_keep_their_prices_with_the_reason():
    advised = {"S": AdvisedPrices(2.0, (2.0,)), "pack": AdvisedPrices(11.9, (12.2,))}
    bound = resolve(read_relations([PACK]), advised)
    assert bound["pack"].prices == (11.9,)
    assert bound["pack"].why == "multipack: pack at 12.2 would cost more than 6 times S at 2"


@pytest.mark.parametrize("order", list(itertools.permutations(["S", "M", "L"])))
def test_the_result_does_not_depend_on_the_order_of_the_products(order):
    advised = {"S": AdvisedPrices(2.0, (2.3,)), "M": AdvisedPrices(2.1, (2.0,)), "L": AdvisedPrices(2.2, (2.25,))}
    assert _settled([SIZES], {name: advised[name] for name in order}) == {"S": (2.0,), "M": (2.1,), "L": (2.2,)}


def test_an_order_by_a_person_stays_and_the_others_give_way():
    advised = {"rose": AdvisedPrices(4.0, (5.0,), fixed=True), "lemon": AdvisedPrices(4.0, (4.1,))}
    assert _settled([LINE], advised) == {"rose": (5.0,), "lemon": (4.0,)}


@pytest.mark.parametrize("odd", [(float("nan"), 4.1), (4.1,)])
def test_a_price_that_is_no_number_or_absent_keeps_all_prices_of_its_relation(odd):
    advised = {"S": AdvisedPrices(4.0, odd), "M": AdvisedPrices(5.0, (5.1, 5.1))}
    assert _settled([SIZES], advised) == {"S": (4.0,) * len(odd), "M": (5.0, 5.0)}


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ([{"kind": "size", "products": ["a", "b"]}], r"relations\[0\].kind: Invalid enum value 'size'"),
        ([LINE, {"kind": "one_price", "products": ["a", "a"]}], r"relations\[1\]: products must be different"),
        ([{"kind": "one_price", "products": ["a"]}], r"relations\[0\].products"),
        ([{"kind": "one_price", "products": "ab"}], r"relations\[0\].products"),
        ([{"kind": "one_price", "products": ["a", "b"], "counts": 2}], "counts"),
        ([{"kind": "multipack", "products": ["a", "b"]}], "a count of 2 or more"),
        ([{"kind": "multipack", "products": ["a", "b", "c"], "count": 2}], "a count of 2 or more"),
        ([{"kind": "one_price", "products": ["a", "b"], "count": 2}], "a count of 2 or more"),
        ("size_order", "relations: Expected `array`, got `str`; give such as {kind: size_order"),
    ],
)
def test_a_wrong_relation_is_refused_with_its_place(wrong, found):
    with pytest.raises(UsageError, match=found):
        GuardrailConfig(relations=wrong)


def test_relations_of_unknown_products_are_refused():
    with pytest.raises(UsageError, match="no product 'lemon'"):
        GuardrailConfig(relations=[LINE]).check_products(["rose", "lime"])
