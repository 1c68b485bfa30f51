"""Sentences on what prices have earned: the receipt of a roll-out, and the review of past advice."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pricerl.experiments.receipt import CARRIED, Receipt
from pricerl.formatting import Formatter, plural, translate

CARRY_OVER = " The first two weeks after a start differ from later ones: buyers remember the old price."
FOUND = {
    "profit": "earned {amount} {more} than your old ones would have{limits}{chance}",
    "sales": "brought in {amount} {more} than your old ones would have{limits}{chance}",
}
"""Clauses on what new prices have done, by the measure."""
TOO_FEW = {
    "profit": "had too few weeks or products to say what they have earned",
    "sales": "had too few weeks or products to say what they have brought in",
}
"""The same where nothing is known."""


CHANGED = ", which changed their {measure:measure} by {share}"
SINCE = "Since {first:date} the new prices have"
FROM = "From {first:date} to {last:date} the new prices have"


def receipt_words(receipt: Receipt, f: Formatter) -> str:
    """Return what the new prices of a roll-out have earned, as one sentence."""
    mean, low, high, own = receipt.effect
    chance = not (low > 0 or high < 0)
    known = math.isfinite(high - low)
    given = {
        "amount": f.money(abs(mean)),
        "more": translate("more" if mean > 0 else "less"),
        "limits": f.limits(low, high, f.money_digits(mean, low, high), label="90 %: ") if known else "",
        "chance": translate(", no more than chance") if chance else "",
    }
    changed = {"measure": receipt.measure, "share": f.percent(own, plus="+")}
    return f.say(
        "{time} {found}; {following} of {products} follow{gain}; the claim by the advice was {claim:money}.{carried}",
        {
            "time": f.say(FROM if receipt.last else SINCE, {"first": receipt.first, "last": receipt.last}),
            "found": f.say((FOUND if known else TOO_FEW)[receipt.measure], given),
            "following": receipt.following,
            "products": plural(receipt.products, "product"),
            "gain": "" if chance or not math.isfinite(own) else f.say(CHANGED, changed),
            "claim": receipt.claim,
            "carried": translate(CARRY_OVER) if receipt.carried < CARRIED else "",
        },
    )


IGNORED = "The advised change was not made"
KEPT = "Until now the advice was to keep the price"


def review_words(
    gain: Sequence[float], days: int, measure: str, f: Formatter, ignored: bool = False
) -> tuple[str, str]:
    """Return headline and sentence of a review of the days at the advised price.

    The ``gain`` of the measure, profit or sales, over the kept price, in money, has 90 % limits. Changes may have
    been advised and ``ignored``.
    """
    _, low, high = gain
    changed = {"measure": measure, "gain": f.estimate(gain, plus="+")}
    headline = f.say("Following the advice changed {measure:measure} by {gain}", changed)
    if low == high == 0:
        headline = translate(IGNORED if ignored else KEPT)
    found = {
        "gains are measured against keeping it, so there is none": low == high == 0,
        "the whole range is a gain": low > 0,
        "the whole range is a loss": high < 0,
        "whether that is a gain or a loss is not clear yet": True,
    }
    what = next(words for words, holds in found.items() if holds)
    return headline, f.say("On {days:days} at the advised price; {what:word}.", {"days": days, "what": what})
