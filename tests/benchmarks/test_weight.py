"""The benchmark of parts: every part can be left out, and its worth is a paired difference."""

from contextlib import ExitStack
from unittest.mock import patch

import pandas as pd
import pytest
from runner import ROOT
from shops.pricebench import PARTS_ALONE, TRUTHS
from weight import PARTS, compare, price, size_of

from pricerl.market.demand import averaging


@pytest.mark.parametrize("name", PARTS)
def test_what_a_part_replaces_exists(name):
    part = PARTS[name]
    with ExitStack() as stack:
        for target, value in part.off.items():
            stack.enter_context(patch(target, value))
    assert set(part.truths) <= {*TRUTHS, *PARTS_ALONE}
    assert not part.files or size_of(part.files)[0] > 0, ROOT


def test_a_part_is_off_while_shops_are_priced_without_it_and_on_again_afterwards():
    part, before = PARTS["memory of prices"], averaging.NO_MEMORY
    with_part, without = (price(item, "reference", 130, 50.0, 2) for item in (None, part))
    assert before == averaging.NO_MEMORY
    assert (with_part["gain"] != without["gain"]).any()


def test_worth_is_the_share_of_the_attainable_gain_that_is_lost_without_the_part():
    shops = {"best_gain": [0.04, 0.06], "keep": [1.0, 1.0], "wrong": [False, True]}
    complete = pd.DataFrame({**shops, "gain": [0.03, -0.02]})
    rows = pd.DataFrame({**shops, "gain": [0.01, 0.0], "wrong": [False, False]})
    found = compare(complete, rows)
    assert found == pytest.approx({"gain": 10, "worth": 0, "se": 40, "harm": 50, "wrong": 50})
    nothing = complete.assign(best_gain=0.0)
    assert compare(nothing, rows.assign(gain=0.0))["worth"] == pytest.approx(0.5)
