"""Sentences of the card of evidence, and of the part that the prior has in an advice."""

from __future__ import annotations

from pricerl.advice.sentences.verdict import Record, shops_of
from pricerl.formatting import Formatter, counted, sentence


def card_rows(card: list[Record]) -> list[tuple[str, str, str]]:
    """Return question, verdict, and finding with remedy of each line of a ``card`` of ``advice.json``."""
    return [
        (
            line["question"].capitalize(),
            line["verdict"],
            " ".join(sentence(line[name]) for name in ("finding", "remedy") if line[name]),
        )
        for line in card
    ]


def prior_words(product: Record, f: Formatter) -> list[str]:
    """Return how far the estimate and the decision move under other priors, as sentences; empty without a prior."""
    if (prior := product.get("prior")) is None:
        return []
    low, high = (f.number(value, 1) for value in prior["elasticity"])
    least, most = (counted(value, product["num_draws"]) for value in prior["probability_better"])
    return [
        f"Weaker, stronger, flatter or steeper assumptions on {shops_of(prior)} give elasticities of {low} to {high}.",
        f"The change weighed is then better in {least} to {most} plausible scenarios.",
        f"The decision {'stays the same' if prior['same_decision'] else 'changes under one of them'}.",
    ]
