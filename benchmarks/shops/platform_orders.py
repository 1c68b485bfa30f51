"""Order exports of simulated sellers, in the columns of five platforms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from pricerl.data.reading import columns

LINE_UNITS = (1, 2, 3)
LINE_SHARES = (0.75, 0.18, 0.07)
"""Units of an order line, and the share of lines with them."""
COUPON_SHARE = 0.2
COUPONS = (0.10, 0.15, 0.20)
"""Share of orders with a coupon, and what coupons take off."""
GIFT_SHARE = 0.05
REFUND_SHARE = 0.03
"""Share of orders with a free unit, and number of further orders that are refunded, per order."""
WHOLESALE_DAYS = 100
WHOLESALE_UNITS = (40, 80)
WHOLESALE_PRICE = 0.65
"""Days per wholesale order, its units, and its price over the posted one."""


class Platform(msgspec.Struct, frozen=True):
    """Form of a platform's order export, as platform_orders.yaml describes it."""

    time: str
    sold: str
    columns: dict[str, str]
    refunded: str = ""
    separator: str = ","
    negative: bool = False


PLATFORMS = msgspec.yaml.decode(Path(__file__).with_suffix(".yaml").read_bytes(), type=dict[str, Platform])
"""Forms of order exports, by the platform's short name."""


def write_orders(frame: pd.DataFrame, platform: str, generator: np.random.Generator) -> str:
    """Return a table of days as a platform's order export, with coupons, gifts, refunds and wholesale orders."""
    form = PLATFORMS[platform]
    rows = []
    for number, line in enumerate(sorted(_draw_lines(frame, generator), key=lambda line: line["day"]), 10_001):
        status = form.sold if line.pop("sold") else form.refunded
        if not status:
            continue
        gross = round(line["units"] * line["price"], 2)
        cells = {**line, "line": number, "status": status, "gross": gross, "net": gross - line["discount"]}
        if form.negative and status == form.refunded:
            cells |= {name: -cells[name] for name in ("units", "gross", "net")}
        cells["time"] = f"{line['day']:{form.time}}"
        rows.append({name: text.format(**cells) for name, text in form.columns.items()})
    return str(pd.DataFrame(rows).to_csv(index=False, sep=form.separator, lineterminator="\n"))


def _draw_lines(frame: pd.DataFrame, generator: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Yield the lines of all orders, product by product."""
    names = frame[columns.PRODUCT] if columns.PRODUCT in frame else ["product-1"] * len(frame)
    days = pd.to_datetime(frame[columns.REPORT_DATE])
    sales = zip(names, days, frame[columns.PRODUCT_PRICE], frame[columns.TOTAL_SALES], strict=True)
    order = 1_000
    for sku, day, price, sold in sales:
        left = round(sold / price)
        while left > 0:
            order += 1
            units = min(left, int(generator.choice(LINE_UNITS, p=LINE_SHARES)))
            left -= units
            coupon = generator.choice(COUPONS) if generator.random() < COUPON_SHARE else 0.0
            time = day + pd.Timedelta(minutes=int(generator.integers(8 * 60, 22 * 60)))
            line = {"order": order, "day": time, "sku": sku, "units": units, "price": price, "sold": True}
            line["discount"] = round(coupon * units * price, 2)
            yield line
            if generator.random() < GIFT_SHARE:
                yield {**line, "units": 1, "price": 0.0, "discount": 0.0}
            if generator.random() < REFUND_SHARE:
                order += 1
                yield {**line, "order": order, "sold": False}
        if generator.random() < 1 / WHOLESALE_DAYS:
            order += 1
            units = int(generator.integers(*WHOLESALE_UNITS))
            whole = {"order": order, "day": day, "sku": sku, "units": units, "discount": 0.0, "sold": True}
            yield {**whole, "price": round(WHOLESALE_PRICE * price, 2)}
