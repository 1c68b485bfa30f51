"""Settings of older versions are read under their present names."""

from __future__ import annotations

from pricerl.runs.older_settings import with_present_names


def test_a_required_approval_is_a_manual_one() -> None:
    assert with_present_names({"decision": {"require_approval": True}}) == {"decision": {"approval": "manual"}}
    assert with_present_names({"decision": {"require_approval": False}}) == {"decision": {"approval": "auto"}}


def test_a_share_of_random_prices_is_left_out() -> None:
    stored = {"decision": {"explore_share": 0.02, "min_chance": 0.8}}
    assert with_present_names(stored) == {"decision": {"min_chance": 0.8}}


def test_a_present_setting_counts_and_others_stay() -> None:
    both = {"decision": {"require_approval": True, "approval": "shadow", "min_chance": 0.8}, "data": {"horizon": 14}}
    assert with_present_names(both) == {"decision": {"approval": "shadow", "min_chance": 0.8}, "data": {"horizon": 14}}
    assert with_present_names({"data": {}}) == {"data": {}}
