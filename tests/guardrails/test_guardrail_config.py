"""What a seller may set, what contradicts what, and what single products have otherwise."""

from __future__ import annotations

import pytest

from pricerl.errors import UsageError
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.price_grid import PriceMenu, endings_menu, is_multiple, ladder_menu, steps_per_unit

INF = float("inf")
MUG = {"floor": 6.0, "price_ladder": [7.5, 7.0]}


def test_max_change_is_the_default_of_both_directions_and_each_can_differ() -> None:
    both, own = GuardrailConfig(max_change=0.04), GuardrailConfig(max_rise=0.02, max_drop=0.0)
    names = ("max_rise", "max_drop")
    assert (both.rise, both.drop, *map(both.in_force, names)) == (0.04, 0.04, "max_change", "max_change")
    assert (own.rise, own.drop, *map(own.in_force, names)) == (0.02, 0.0, *names)
    assert own.in_force("floor") == "floor"


def test_the_lowest_price_is_the_highest_of_all_lower_limits() -> None:
    assert GuardrailConfig().lowest == 0.01 and GuardrailConfig().highest == INF
    assert GuardrailConfig(floor=5.0, min_advertised_price=6.0, ceiling=9.0).lowest == 6.0
    assert GuardrailConfig(floor=5.0, min_advertised_price=4.0).lowest == 5.0
    assert GuardrailConfig(ceiling=9.0).highest == 9.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"floor": 9.0, "ceiling": 8.0}, "floor 9.0 lies above guardrails.ceiling 8.0"),
        ({"min_advertised_price": 9.0, "ceiling": 8.0}, "min_advertised_price 9.0 lies above guardrails.ceiling 8.0"),
        ({"price_step": 0.5, "ceiling": 0.4}, "price_step 0.5 lies above guardrails.ceiling 0.4"),
        ({"max_rise": 0.0, "max_drop": 0.0}, "max_rise 0 and guardrails.max_drop 0 leave no other price; set"),
        ({"min_change": 0.06}, "min_change 0.06 lies above guardrails.max_change 0.05"),
        ({"min_change": 0.03, "max_rise": 0.02}, "min_change 0.03 lies above guardrails.max_rise 0.02"),
        ({"min_change": 0.03, "max_drop": 0.02}, "min_change 0.03 lies above guardrails.max_drop 0.02"),
        ({"price_ladder": (9.5,), "charm_endings": (0.5,)}, "price_ladder and guardrails.charm_endings exclude"),
        ({"price_ladder": (9.5, 12.0), "floor": 10.0, "ceiling": 11.0}, "price_ladder has no price between 10.0 "),
        ({"price_ladder": (9.5,), "floor": 10.0}, r"no price between 10.0 \(the higher of guardrails.floor and"),
        ({"price_ladder": (9.5,), "ceiling": 9.0}, r"and 9.0 \(guardrails.ceiling\); widen one of them"),
        ({"charm_endings": (0.99,), "floor": 10.0, "ceiling": 10.5}, "charm_endings has no price between 10.0 "),
        ({"price_ladder": (9.55,), "price_step": 0.5}, "9.55 is no whole multiple of guardrails.price_step 0.5"),
        ({"charm_endings": (0.99,), "price_step": 0.99}, "1.0 is no whole multiple of guardrails.price_step 0.99"),
        ({"price_ladder": (0.0, 9.5)}, "price_ladder must hold positive prices, found 0.0"),
        ({"charm_endings": (-0.5,)}, "charm_endings must hold positive prices, found -0.5"),
        ({"ceiling": 0.0}, "ceiling must be positive"),
        ({"ceiling": float("nan")}, "ceiling must be a finite number, found nan"),
        ({"floor": "ten"}, "floor must be a finite number, found 'ten'"),
        ({"floor": True}, "floor must be a finite number"),
        ({"max_change": 0.0}, "max_change must be positive"),
        ({"max_change": None}, "max_change must be a finite number, found None"),
        ({"max_week_change": 1.0}, "max_week_change must be at least 0 and below 1"),
        ({"max_rise": -0.1}, "max_rise must be at least 0 and below 1"),
        ({"max_drop": 1.0}, "max_drop must be at least 0 and below 1"),
        ({"price_step": -0.01}, "price_step must be positive"),
        ({"min_margin": 1.0}, "min_margin must be at least 0 and below 1"),
        ({"max_above_median": -0.1}, "max_above_median must be 0 or more"),
        ({"min_hold_days": 0}, "min_hold_days must be at least 1"),
        ({"min_hold_days": 1.5}, "min_hold_days must be at least 1 and whole"),
        ({"price_ladder": ()}, "price_ladder must be a list of prices"),
        ({"price_ladder": 9.5}, "price_ladder must be a list of prices"),
        ({"charm_endings": ("0.99",)}, "charm_endings must be a list of prices"),
        ({"pause": "yes"}, "pause must be true or false"),
        ({"products": ["Mug"]}, "products must hold products by their name"),
    ],
)
def test_impossible_limits_and_those_that_exclude_each_other_are_refused_by_name(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=f"^guardrails.*{message}"):
        GuardrailConfig(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"floor": 8.0, "ceiling": 8.0},
        {"min_change": 0.05},
        {"max_above_median": 0.0},
        {"price_ladder": (9.5,), "floor": 9.5, "ceiling": 9.5},
        {"price_ladder": (70_000.07,), "floor": 70_000.07},
        {"charm_endings": (0.0, 0.5)},
        {"max_drop": 0.0},
        {"min_hold_days": 1},
    ],
)
def test_limits_that_just_fit_are_accepted(settings: dict[str, object]) -> None:
    assert GuardrailConfig(**settings).lowest > 0


def test_a_product_has_its_own_limits_and_shares_the_others() -> None:
    config = GuardrailConfig(floor=5.0, ceiling=9.0, products={"Mug": MUG, "Vase": {"ceiling": None}})
    mug, bowl = config.of("Mug"), config.of("Bowl")
    assert (mug.floor, mug.ceiling, mug.price_ladder, mug.products) == (6.0, 9.0, (7.5, 7.0), None)
    assert (bowl.floor, bowl.price_ladder, bowl.products) == (5.0, None, None)
    assert mug.menu.points == (700, 750)
    assert config.of("Vase").highest == INF, "it takes off a limit of the others"


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"flor": 6.0}, "guardrails.products.Mug: unknown setting flor; did you mean 'floor'?"),
        ({"price_step": 0.5}, "guardrails.products.Mug.price_step: all products share it; set guardrails.price_step"),
        ({"min_hold_days": 5}, "guardrails.products.Mug.min_hold_days: all products share it"),
        ({"products": {}}, "guardrails.products.Mug.products: all products share it"),
        ({"floor": 10.0}, "guardrails.products.Mug: guardrails.floor 10.0 lies above guardrails.ceiling 9.0"),
        ({"floor": "ten"}, "guardrails.products.Mug: guardrails.floor must be a finite number"),
        (9.5, "guardrails.products.Mug must hold settings such as 'floor: 9.90', found 9.5"),
    ],
)
def test_a_products_own_limits_are_checked_by_its_name(own: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        GuardrailConfig(ceiling=9.0, products={"Mug": own})
    assert str(caught.value).startswith(message)


def test_products_that_do_not_exist_are_refused_all_at_once() -> None:
    config = GuardrailConfig(products={"Mugg": {}, "Mug": {}, "Lamp": {}})
    with pytest.raises(UsageError) as caught:
        config.check_products(["Mug", "Bowl"])
    expected = "guardrails.products: the history has no product 'Mugg'; did you mean 'Mug'?, and none 'Lamp'; "
    assert str(caught.value) == f"{expected}use its names: 'Bowl', 'Mug'"
    GuardrailConfig(products={"Mug": {}}).check_products(["Mug", "Bowl"])
    GuardrailConfig().check_products([])


def test_a_ladder_ends_and_endings_repeat() -> None:
    ladder, endings = ladder_menu((10.5, 9.99), 0.01), endings_menu((0.99, 0.5), 0.01)
    assert ladder == PriceMenu((999, 1050), 0) and endings == PriceMenu((50, 99), 100)
    assert [ladder.above(low) for low in (-INF, 0, 999, 1000, 1050.1, INF)] == [999, 999, 999, 1050, INF, INF]
    assert [endings.above(low) for low in (5, 1000, 1050.5, 1099, INF)] == [50, 1050, 1099, 1099, INF]


@pytest.mark.parametrize(
    ("endings", "period"),
    [((0.99,), 100), ((1.0,), 1000), ((9.99, 4.99), 1000), ((0.5, 9.99), 1000), ((80.0,), 10_000)],
)
def test_endings_repeat_after_the_next_power_of_ten(endings: tuple[float, ...], period: int) -> None:
    assert endings_menu(endings, 0.01).period == period


def test_a_float_that_is_nearly_whole_counts_as_a_multiple() -> None:
    assert is_multiple(9.99, 0.01) and is_multiple(70_000.07, 0.01) and not is_multiple(9.995, 0.01)
    assert [steps_per_unit(step) for step in (0.01, 0.25, 1.0, 0.99, 2.5)] == [100, 4, 1, None, None]
