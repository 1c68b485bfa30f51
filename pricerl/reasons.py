"""Reasons: everything that the product can answer, as a code with its numbers.

Whoever reads a file, checks a price or decides on one returns reasons; `advice.sentences.answers` puts them into words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

Code = Literal[
    # data
    "as_written",
    "price_differs",
    "missing_rows",
    "rows_undecided",
    "refunds",
    "long_gaps",
    "unlikely_zeros",
    "taken_as_empty",
    "units_not_whole",
    "sales_not_whole",
    "sales_off",
    "too_few_days",
    "few_priced_days",
    "few_sold_days",
    "one_price",
    "few_prices",
    "stock_without_cost",
    # why nothing can be estimated
    "policy_failed",
    "unfamiliar_price",
    "too_few_sold",
    "entangled",
    "prior_alone",
    # why a change is advised
    "untested",
    "tested",
    "one_step",
    "one_step_back",
    "unchecked",
    "clears",
    "measured_better",
    "proposed",
    # why the price is kept, or not changed more
    "measured_worse",
    "no_better_price",
    "costs_unknown",
    "confirm_price",
    "follows_demand",
    "repricer",
    "averages",
    "card_doubt",
    "chance_too_low",
    "not_worth_risk",
    "too_far",
    "not_worth_change",
    # limits
    "paused",
    "no_price_allowed",
    "hold_outlasts",
    "no_other_price",
    "keep_not_allowed",
    "limit",
    "limits_undo_change",
    "order_refused",
    "relation",
    "own_limits_forbid",
    "relation_does_not_pay",
    # who overruled the model
    "model_stopped",
    "at_last_good_price",
    "no_price_closer",
    "sold_at_no_margin",
    "back_does_not_pay",
    "order",
    "test_ended",
    "model_alone",
    "nothing_forecast",
]
"""Kinds of reasons; ``as_written`` is a sentence of an older version."""

Number = str | bool | int | float | None


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reason for an advised or kept price, or for a doubt about data."""

    code: Code
    """Kind of the reason."""
    numbers: dict[str, Number] = {}
    """Its numbers and names; prices and amounts are money, shares lie between 0 and 1."""


def read_reason(stored: Mapping[str, Any] | str) -> Reason:
    """Return a reason from its stored form, which older versions wrote as text."""
    return Reason("as_written", {"text": stored}) if isinstance(stored, str) else Reason(**stored)
