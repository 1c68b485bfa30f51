"""Cards of evidence on files that are only read."""

from __future__ import annotations

from pricerl.data.preprocessor import DataPreprocessor
from pricerl.evaluation.card.evidence_card import CardLine, draw_card
from pricerl.evaluation.working_fit import fit_demand
from pricerl.market.fitting import fit_market


def draw_cards(prepared: DataPreprocessor) -> list[tuple[CardLine, ...]]:
    """Return the card of every product, none of which has a price test."""
    fitted = fit_market(prepared, conversions=False).products
    pairs = zip(prepared.products, fitted, strict=True)
    return [draw_card(fit_demand(product, market.motions), product, market, tested=False) for product, market in pairs]
