"""Advice on one product as the shop keeps it: its lines of the files, and what totals over all products need."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from pricerl.advice.exports import values_of
from pricerl.advice.sentences.verdict import Record, exception_words, find_decided, gain_of
from pricerl.formatting import PLAIN, PLAIN_DIGITS, Formatter, csv_text, safe_text


class Summary(msgspec.Struct, array_like=True, frozen=True):
    """Numbers of one product for the totals of many and the order of their work list."""

    kind: str
    """An ``exception``, a ``change``, or ``keep``."""
    move: int
    """Whether the price goes up (1), down (-1) or stays (0)."""
    stake: float
    """Gain of a change, or of one that was weighed, in money; of an exception, all that the product earns."""
    grade: str
    measure: str
    gain: list[float] | None
    """Known gain of the measure, mean and 90 % limits."""
    scores: list[dict[str, Any]]
    """Scores of the forecasts; none without a backtest."""
    orders: list[Any]
    """Planned orders at the supplier."""
    lacks_evidence: bool
    category: str = ""
    """Category that shows an effect; empty for none."""
    together: list[float] | None = None
    """Gain of all its changes, mean and 90 % limits, or None if unknown or if a person decided otherwise."""

    @classmethod
    def of(cls, product: Record) -> Summary:
        """Return the summary of an entry of ``products`` in ``advice.json``."""
        decided = find_decided(product, PLAIN)
        change = (decided.price if decided else product["recommended_price"]) - product["current_price"]
        category = product.get("substitution") or {}
        followed = decided is None or decided.followed
        gains = product["uplift"] or product["proposal"]["over_keep"]
        outcome = product["keep"] if exception_words(product) else gains
        return cls(
            kind=kind_of(product),
            move=(change > 0) - (change < 0),
            stake=float(abs((outcome[product["measure"]] or outcome["sales"])[0])),
            grade=product["decision"]["grade"],
            measure=product["measure"],
            gain=gain_of(product) if followed else None,
            scores=list((product["backtest"] or {}).get("scores", ())),
            orders=list((product.get("stock") or {}).get("orders", ())),
            lacks_evidence=product["decision"]["lacks_evidence"],
            category=category.get("category", ""),
            together=category.get("together") if followed else None,
        )


class StoredAdvice(NamedTuple):
    """Advice on a product as the shop keeps it."""

    product: str
    summary: Summary
    days: bytes
    """Its lines of ``advice.csv``, in UTF-8."""
    record: bytes
    """Its line of ``advice.json``, in UTF-8."""

    @classmethod
    def of(cls, product: Record, formatter: Formatter) -> StoredAdvice:
        """Return an entry of ``products`` in ``advice.json`` as it is kept."""
        days = csv_text(day_rows(product, formatter))
        return cls(product["product"], Summary.of(product), days.encode(), json_of(product).encode())

    def to_dict(self) -> dict[str, Any]:
        """Return the product's entry of ``products``."""
        return msgspec.json.decode(self.record, type=dict[str, Any])


def kind_of(product: Record) -> str:
    """Return whether a product is an ``exception``, a ``change``, or neither: ``keep``."""
    if exception_words(product):
        return "exception"
    decided = find_decided(product, PLAIN)
    prices = [decided.price] if decided else [day["recommended_price"] for day in product["days"]]
    return "change" if any(price != product["current_price"] for price in prices) else "keep"


def json_of(record: Record) -> str:
    """Return JSON in one line."""
    return json.dumps(record, ensure_ascii=False, allow_nan=False, default=float)


def day_rows(item: Record, formatter: Formatter) -> Iterator[Sequence[str]]:
    """Yield the rows of a product in ``advice.csv``, unknown cells empty."""
    decimals = max(PLAIN_DIGITS, formatter.price_decimals)
    better = None if item["uplift"] is None else item["uplift"]["probability_better"]
    for day in item["days"]:
        prices = (item["current_price"], *(day[name] for name in ("recommended_price", "price_low", "price_high")))
        conversions = [None if day[name] is None else day[name][0] for name in ("organic", "ad")]
        yield [
            safe_text(item["product"]),
            day["date"],
            *(f"{price:.{decimals}f}" for price in prices),
            *("" if value is None else f"{value:.2f}" for value in (*values_of(day), *conversions)),
            "" if better is None else f"{better:.3f}",
            item["decision"]["grade"],
            item["decision"]["source"],
            safe_text(f"{item['reason']} ({day['note']})" if day["note"] else item["reason"]),
        ]
