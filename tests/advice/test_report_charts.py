"""The report's SVG: where things are drawn, and that nothing runs off or grows."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest

from pricerl.advice.report import svg
from pricerl.advice.report.charts import MOST_MEMBERS, _days_as_of_now, _marks, _reach, _who_takes_whose
from pricerl.formatting import PLAIN


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.0, 100.0, [0, 20, 40, 60, 80, 100]), (9.9, 18.7, [10, 12, 14, 16, 18]), (-0.4, 0.4, [-0.4, -0.2, 0, 0.2, 0.4])],
)
def test_ticks_are_round_and_inside(low: float, high: float, expected: list[float]) -> None:
    assert svg.ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize("size", [1e-6, 0.013, 1.0, 37.0, 1e9])
@pytest.mark.parametrize("shift", [-3.0, 0.0, 100.0])
def test_no_axis_has_more_than_a_handful_of_ticks_or_two_of_the_same_name(size: float, shift: float) -> None:
    low, high = shift * size, (shift + 1.7) * size
    found = svg.number_ticks(low, high, PLAIN)
    assert 2 <= len(found) <= 6 and len({label for _, label in found}) == len(found)


def test_values_are_drawn_at_their_height_inside_a_frame_and_dots_at_one_place_once() -> None:
    frame = svg.Frame(0.0, 10.0, 0.0, 100.0)
    assert frame.y(80) < frame.y(20) and frame.x(8) > frame.x(2)
    assert (frame.y(1e9), frame.y(-5)) == (svg.TOP, svg.HEIGHT - svg.BOTTOM)
    frame = svg.frame_of([10.0, 10.0], [0.0, 0.0])
    assert frame.x_low < 10 < frame.x_high and frame.y_low < frame.y_high
    frame = svg.Frame(0.0, 10.0, 0.0, 10.0)
    assert svg.dots(frame, [1.0, 1.0, 2.0], [5.0, 5.0, 5.0]).count("h0") == 2
    assert svg.dots(frame, [], []) == ""


def test_words_are_escaped_and_never_read_as_a_formula() -> None:
    drawn = svg.chart("x", '<b>"$\\alpha$"', "<i>", [svg.text(1, 2, "$x^2$ </text><script>", "end", "tick")])
    root = ElementTree.fromstring(drawn)
    assert [element.tag for element in root.iter()] == ["svg", "title", "desc", "text"]
    assert [element.text for element in root] == ['<b>"$\\alpha$"', "<i>", "$x^2$ </text><script>"]


def test_a_day_far_out_does_not_flatten_the_others() -> None:
    near = [float(value) for value in range(20)]
    assert _reach([*near, 5000.0], [2.0], [15.0]) == (0.0, 19.0)
    assert _reach([], [2.0], [15.0]) == (2.0, 15.0)


def test_days_are_drawn_at_todays_level_of_demand_and_without_one_as_sold() -> None:
    own = {"price": [10.0, 12.0], "units": [8.0, 3.0], "profit": [20.0, None], "level": [2.0, 0.5]}
    product = {"details": {"own_days": own}, "cost_means": {"share_kept": 0.8, "unit_cost": 5.0}}
    assert _days_as_of_now("units", product) == [(10.0, 4.0), (12.0, 6.0)]
    assert _days_as_of_now("sales", product) == [(10.0, 40.0), (12.0, 72.0)]
    assert _days_as_of_now("profit", product) == [(10.0, 8.0)], "4 units fewer at a margin of 3"
    own["level"] = []
    assert _days_as_of_now("units", product) == [(10.0, 8.0), (12.0, 3.0)]


@pytest.mark.parametrize(("now", "advised"), list(itertools.permutations([10.0, 10.01, 14.9, 20.0], 2)))
def test_the_names_of_now_and_advised_never_meet_or_leave_the_chart(now: float, advised: float) -> None:
    texts = [part for part in _marks(svg.Frame(10.0, 20.0, 0.0, 1.0), now, advised) if part.startswith("<text")]
    first, second = (float(re.search(r'x="([\d.]+)"', part).group(1)) for part in texts)  # type: ignore[union-attr]
    assert 20 <= first < second <= svg.WIDTH - 20
    assert 'text-anchor="end"' in texts[0] and 'text-anchor="start"' in texts[1]
    assert (">now<" in texts[0]) == (now < advised)


def test_circles_are_the_lost_buyers_of_the_row_who_take_the_column_and_words_say_it() -> None:
    members = {"<Tea>": (0.6, 10.0), "Big": (0.3, 20.0), "Small": (0.6, 10.0)}
    product = {"product": "<Tea>", "substitution": {"category": "tea", "share": [0.6, 0.5, 0.7], "members": members}}
    (figure,) = _who_takes_whose(product, PLAIN)
    root = ElementTree.fromstring(figure.svg)
    _, text, *parts = root
    assert text.text == "Of 100 buyers whom a higher price of <Tea> loses, 40 take Big, 20 take Small."
    assert [part.text for part in parts if part.tag == "text"] == ["1", "2", "3", "1 <Tea>", "2 Big", "3 Small"]
    area = [float(part.get("r", "0")) ** 2 for part in parts if part.tag == "circle"]
    assert [value / max(area) for value in area] == pytest.approx([1, 0.5, 0.375, 0.375, 0.5, 1], abs=0.01)
    assert "40 of 100" in figure.caption
    many = {**product["substitution"], "members": {**members, **{f"p{at}": (0.5, 1.0) for at in range(40)}}}
    (larger,) = _who_takes_whose({**product, "substitution": many}, PLAIN)
    assert larger.svg.count("<circle") == MOST_MEMBERS * (MOST_MEMBERS - 1)
    assert _who_takes_whose({**product, "substitution": None}, PLAIN) == []
