"""Cards of evidence on files that are only read."""

from __future__ import annotations

from pricerl.data.preprocessor import DataPreprocessor
from pricerl.evaluation.card.evidence_card import CardLine, draw_card
from pricerl.evaluation.card.prior_share import find_prior_share
from pricerl.market.fitting import fit_market
from pricerl.market.working_fit import fit_demand


def draw_cards(prepared: DataPreprocessor) -> list[tuple[CardLine, ...]]:
    """Return the card of every product, none of which has a price test."""
    fitted = fit_market(prepared, conversions=False).products
    cards = []
    for history, market in zip(prepared.products, fitted, strict=True):
        fit = fit_demand(history, market.fit)
        cards.append(draw_card(fit, find_prior_share(fit, history, market), history, market, tested=False))
    return cards
