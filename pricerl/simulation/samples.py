"""Sample shops, with names that people give, for who has no file at hand."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Literal, NamedTuple

from pricerl.data.reading.columns import PRODUCT, PRODUCT_PRICE


class Sample(NamedTuple):
    """A simulated shop."""

    products: tuple[str, ...]
    currency: str
    market: Literal["constant", "linear"]
    units: float
    days: int
    seed: int
    about: str


SAMPLES = {
    "Oak and Linen": Sample(
        ("Oak candle, 250 g", "Linen spray", "Gift box", "Wax melts", "Wick trimmer"),
        *("USD", "linear", 20.0, 240, 11),
        "five products, candles and linen",
    ),
    "Bean Street": Sample(
        ("House blend, 1 kg", "Espresso, 500 g", "Paper filters"),
        *("EUR", "constant", 35.0, 365, 5),
        "three products, a coffee roaster",
    ),
    "Garlic press": Sample(("Garlic press",), "GBP", "linear", 60.0, 365, 1, "one product, sold every day"),
}
"""Sample shops by name."""


def write_sample(name: str, today: date) -> str:
    """Return the file of a sample shop whose last day is the one before today, as CSV."""
    from pricerl.simulation.seller import SellerConfig, simulate  # imports scipy, which a page of samples needs not

    sample = SAMPLES[name]
    start = (today - timedelta(days=sample.days)).isoformat()
    frame, _ = simulate(
        SellerConfig(sample.market, sample.days, sample.units, sample.seed, len(sample.products), start)
    )
    frame[PRODUCT] = [product for product in sample.products for _ in range(sample.days)]
    priced = frame.rename(columns={PRODUCT_PRICE: f"{PRODUCT_PRICE} ({sample.currency})"})
    return str(priced.to_csv(index=False, lineterminator="\n"))
