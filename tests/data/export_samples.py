"""Realistic exports of one shop, by platform: headers exactly as exported, and the oddities of each file."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

FIRST_DAY = datetime(2024, 9, 20)
DAYS = 24
SHOP = {"MUG-1": ("Speckled Mug, large", 18.0, 16.5), "SOFA-9": ("Sofa", 1249.0, 1349.5)}
"""Name and two prices of each product, by SKU."""

Row = dict[str, object]


class Line(NamedTuple):
    """One order line."""

    number: int
    time: datetime
    sku: str
    name: str
    units: int
    price: float

    @property
    def money(self) -> float:
        return self.units * self.price


def base_rows() -> Iterator[tuple[datetime, str, int, float]]:
    """Yield day, SKU, units from 1 to 5 and price, of two that take turns, of the whole history."""
    for day in range(DAYS):
        for sku, (_, low, high) in SHOP.items():
            yield FIRST_DAY + timedelta(days=day), sku, 1 + (day * 7 + len(sku)) % 5, low if day // 6 % 2 else high


def days() -> list[Line]:
    """Return what each product sold on each day as one line."""
    return [Line(0, day, sku, SHOP[sku][0], units, price) for day, sku, units, price in base_rows()]


def order_lines() -> list[Line]:
    """Return the same as order lines: the first unit of a day in an order of its own, the others in a second one."""
    lines = []
    for number, line in enumerate(days()):
        for part, count in enumerate([1, line.units - 1] if line.units > 1 else [1]):
            time = line.time + timedelta(hours=9 + part * 5, minutes=number % 60, seconds=7)
            lines.append(line._replace(number=1000 + 2 * number + part, time=time, units=count))
    return lines


def orders() -> list[tuple[int, datetime, list[Line]]]:
    """Return the order lines as orders of one or two products: number, time and lines."""
    by_time: dict[datetime, list[Line]] = {}
    for line in order_lines():
        by_time.setdefault(line.time.replace(minute=0), []).append(line)
    return [(number, time, lines) for number, (time, lines) in enumerate(by_time.items(), 1001)]


def comma(value: float) -> str:
    """Return money with a decimal comma and points between thousands."""
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


def row_of(cells: str, line: Line, **more: object) -> Row:
    """Return a row from ``column: format`` pairs between semicolons; formats name fields of the line or ``more``."""
    fields = {**line._asdict(), "money": line.money, **more}
    return {name: form.format(**fields) for name, form in (cell.split(": ", 1) for cell in cells.split("; "))}


def write_table(names: str, rows: Sequence[Row], separator: str = ",") -> str:
    """Return a table as text, from a header separated by commas; cells that a row does not name are blank."""
    out = io.StringIO()
    writer = csv.DictWriter(out, names.split(","), delimiter=separator, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


class Sample(NamedTuple):
    """One export of the shop."""

    preset: str
    """Preset that must recognise it."""

    text: str

    key: str = "sku"
    """``sku``, ``name``, or ``mug`` for a file about the mug only, without a product column."""

    coupons: float = 0.0
    """Money that coupons and discounts took off the posted prices."""


SAMPLES: dict[str, Callable[[], Sample]] = {}
"""Every sample, by name."""


def sample(build: Callable[[], Sample]) -> Callable[[], Sample]:
    """Register a sample."""
    SAMPLES[build.__name__] = build
    return build


AMAZON_ORDERS = (
    "amazon-order-id,merchant-order-id,purchase-date,last-updated-date,order-status,fulfillment-channel,sales-channel,"
    "order-channel,url,ship-service-level,product-name,sku,asin,item-status,quantity,currency,item-price,item-tax,"
    "shipping-price,shipping-tax,gift-wrap-price,gift-wrap-tax,item-promotion-discount,ship-promotion-discount,"
    "ship-city,ship-state,ship-postal-code,ship-country,promotion-ids"
)
AMAZON_LINE = (
    "amazon-order-id: 112-{number}; purchase-date: {time:%Y-%m-%dT%H:%M:%S}+00:00; sales-channel: Amazon.com; "
    "product-name: {name}; sku: {sku}; asin: B0{sku}; item-status: Shipped; quantity: {units}; currency: USD; "
    "item-price: {money:.2f}; order-status: Shipped"
)


def _amazon_orders(header: str) -> Sample:
    rows = [row_of(AMAZON_LINE, line) for line in order_lines()]
    for row in rows[::9]:
        row["order-status"] = "Shipped - Delivered to Buyer"
    rows[3]["item-promotion-discount"] = "2.00"
    cancelled = {"order-status": "Cancelled", "item-status": "Cancelled", "quantity": 0, "item-price": ""}
    rows.insert(4, rows[0] | cancelled)
    rows.insert(9, {**rows[0], "order-status": "Pending", "item-status": "Unshipped", "item-price": "", "currency": ""})
    rows.insert(12, {**rows[0], "sales-channel": "Non-Amazon", "item-price": "0.0"})
    return Sample("amazon-all-orders", write_table(header, rows, "\t"), coupons=2.0)


def _amazon_days(sessions: str, *others: str) -> Sample:
    both = [f"{name}{buyers}" for name in ("Ordered Product Sales", "Units Ordered") for buyers in ("", " - B2B")]
    cells = "; ".join(
        [
            "Date: {time:%m/%d/%y}",
            *map("{}: {}".format, both, ["${money:,.2f}", "$0.00", "{units}", "0"]),
            "Total Order Items: {units}; Total Order Items - B2B: 0",
            *(f"{name}: 99.89%" for name in others),
            f"{sessions}: {{visits:,}}",
        ]
    )
    rows = [row_of(cells, line, visits=line.units * 1000) for line in days() if line.sku == "MUG-1"]
    return Sample("amazon-sales-and-traffic", write_table(",".join(rows[0]), rows), "mug")


SHARES = ("Featured Offer (Buy Box) Percentage", "Order Item Session Percentage", "Unit Session Percentage")
SAMPLES.update(
    {
        "amazon_all_orders": lambda: _amazon_orders(AMAZON_ORDERS),
        "amazon_all_orders_with_business": lambda: _amazon_orders(
            AMAZON_ORDERS + ",is-business-order,purchase-order-number,price-designation"
        ),
        "amazon_sales_and_traffic": lambda: _amazon_days("Sessions - Total", *SHARES),
        "amazon_sales_and_traffic_before_2022": lambda: _amazon_days("Sessions", "Buy Box Percentage"),
    }
)

AMAZON_PAYMENTS = (
    "date/time,settlement id,type,order id,sku,description,quantity,marketplace,account type,fulfillment,order city,"
    "order state,order postal,tax collection model,product sales,product sales tax,shipping credits,"
    "shipping credits tax,gift wrap credits,giftwrap credits tax,Regulatory Fee,Tax On Regulatory Fee,"
    "promotional rebates,promotional rebates tax,marketplace withheld tax,selling fees,fba fees,"
    "other transaction fees,other,total"
)

PREAMBLE = [
    '"Includes Amazon Marketplace, Fulfillment by Amazon (FBA), and Amazon Webstore transactions"',
    '"All amounts in USD, unless specified"',
    '"Definitions:"',
    '"Sales tax collected: Includes sales tax collected from buyers for product sales, shipping, and gift wrap."',
    '"Selling fees: Includes variable closing fees and referral fees."',
    '"Other transaction fees: Includes shipping chargebacks, shipping holdbacks, per-item fees and sales tax."',
    '"Other: Includes non-order transaction amounts. For more details, see the ""Type"" and ""Description"" columns."',
]


GERMAN_PAYMENTS = (
    "Datum/Uhrzeit,Abrechnungsnummer,Typ,Bestellnummer,SKU,Beschreibung,Menge,Marketplace,Versand,Ort der Bestellung,"
    "Bundesland,Postleitzahl,Steuererhebungsmodell,Umsätze,Produktumsatzsteuer,Gutschrift für Versandkosten,"
    "Rabatte aus Werbeaktionen,Verkaufsgebühren,Gebühren zu Versand durch Amazon,Andere,Gesamt"
)


def _payments(header: str, cells: str, refund: str, money: Callable[[float], str], *above: str) -> Sample:
    rows = []
    for at, line in enumerate(order_lines()):
        rebate = money(-2.0 if at == 5 else 0.0)
        rows.append(row_of(cells, line, sales=money(line.money), rebate=rebate, total=money(line.money * 0.7)))
    date, settlement, kind, _, _, description, _, sales, _, total = rows[0]
    transfer = {date: rows[0][date], settlement: "1", kind: "Transfer", description: "To account", total: money(-900.5)}
    text = write_table(header, [*rows, {**rows[0], kind: refund, sales: money(-18.0)}, transfer])
    return Sample("amazon-payments", "\n".join([*above, text]), coupons=2.0)


@sample
def amazon_payments() -> Sample:
    cells = (
        "date/time: {time:%b} {time.day}, {time:%Y %I:%M:%S %p} PDT; settlement id: 18174059732; type: Order; "
        "order id: 112-{number}; sku: {sku}; description: {name}; quantity: {units}; product sales: {sales}; "
        "promotional rebates: {rebate}; total: {total}"
    )
    return _payments(AMAZON_PAYMENTS, cells, "Refund", "{:,.2f}".format, *PREAMBLE)


@sample
def amazon_payments_in_german() -> Sample:
    cells = (
        "Datum/Uhrzeit: {time:%d.%m.%Y %H:%M:%S} UTC; Abrechnungsnummer: 18174059732; Typ: Bestellung; "
        "Bestellnummer: 112-{number}; SKU: {sku}; Beschreibung: {name}; Menge: {units}; Umsätze: {sales}; "
        "Rabatte aus Werbeaktionen: {rebate}; Gesamt: {total}"
    )
    above = '"Alle Beträge in Euro, sofern nicht anders gekennzeichnet"'
    return _payments(GERMAN_PAYMENTS, cells, "Erstattung", comma, above)


SHOPIFY_ORDERS = (
    "Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Accepts Marketing,Currency,Subtotal,Shipping,"
    "Taxes,Total,Discount Code,Discount Amount,Shipping Method,Created at,Lineitem quantity,Lineitem name,"
    "Lineitem price,Lineitem compare at price,Lineitem sku,Lineitem requires shipping,Lineitem taxable,"
    "Lineitem fulfillment status,Billing Name,Billing Street,Billing Address1,Billing Address2,Billing Company,"
    "Billing City,Billing Zip,Billing Province,Billing Country,Billing Phone,Shipping Name,Shipping Street,"
    "Shipping Address1,Shipping Address2,Shipping Company,Shipping City,Shipping Zip,Shipping Province,"
    "Shipping Country,Shipping Phone,Notes,Note Attributes,Cancelled at,Payment Method,Payment Reference,"
    "Refunded Amount,Vendor"
)
SHOPIFY_LATER = (
    ",Outstanding Balance,Employee,Location,Device ID,Id,Tags,Risk Level,Source,Lineitem discount,Tax 1 Name,"
    "Tax 1 Value,Tax 2 Name,Tax 2 Value,Tax 3 Name,Tax 3 Value,Tax 4 Name,Tax 4 Value,Tax 5 Name,Tax 5 Value,Phone,"
    "Receipt Number,Duties,Billing Province Name,Shipping Province Name,Payment ID,Payment Terms Name,"
    "Next Payment Due At,Payment References"
)


SHOPIFY_LINE = (
    "Email: buyer@example.com; Lineitem quantity: {units}; Lineitem name: {name}; Lineitem price: {price:.2f}; "
    "Lineitem sku: {sku}"
)


def _shopify_orders(header: str, **cells: str) -> str:
    rows: list[Row] = []
    for number, time, lines in orders():
        order: Row = {"Name": f"#{number}", "Created at": f"{time:%Y-%m-%d %H:%M:%S} -0400"}
        rows += [{**row_of(SHOPIFY_LINE, line), **order, **cells} for line in lines]
        # Order-level cells are blank on later lines.
        rows[-len(lines)] |= {"Financial Status": "paid", "Currency": "USD", "Total": "99.00", "Vendor": "Studio"}
    cancelled = {**rows[0], "Name": "#1", "Cancelled at": "2024-09-21 10:00:00 -0400", "Financial Status": "voided"}
    refunded = {**rows[0], "Name": "#2", "Financial Status": "refunded"}
    later = {**rows[1], "Name": "#2", "Financial Status": ""}
    return write_table(header, [*rows, cancelled, refunded, later])


def _shopify_days(cells: str, key: str = "sku") -> Sample:
    rows = [row_of(cells, line) for line in days()]
    return Sample("shopify-sales-by-product", write_table(",".join(rows[0]), rows), key)


SAMPLES.update(
    {
        "shopify_orders": lambda: Sample(
            "shopify-orders", _shopify_orders(SHOPIFY_ORDERS + SHOPIFY_LATER, **{"Lineitem discount": "0.00"})
        ),
        "shopify_orders_of_older_version": lambda: Sample(
            "shopify-orders", _shopify_orders(SHOPIFY_ORDERS, **{"Lineitem sku": ""}), "name"
        ),
        "shopify_sales_by_product": lambda: _shopify_days(
            "Day: {time:%Y-%m-%d}; Product title: {name}; Net items sold: {units}; Gross sales: {money:.2f}; "
            "Discounts: 0.00; Returns: 0.00; Net sales: {money:.2f}; Taxes: 0.00; Total sales: {money:.2f}",
            "name",
        ),
        "shopify_sales_by_variant": lambda: _shopify_days(
            "Day: {time:%Y-%m-%d}; Product title: {name}; Product variant SKU: {sku}; Net items sold: {units}; "
            "Gross sales: {money:.2f}; Discounts: 0.00; Returns: 0.00; Net sales: {money:.2f}; Taxes: 0.00"
        ),
        "shopify_sales_by_product_before_2024": lambda: _shopify_days(
            "day: {time:%Y-%m-%d}; product_title: {name}; variant_sku: {sku}; net_quantity: {units}; "
            "gross_sales: {money:.2f}; discounts: 0.00; returns: 0.00; net_sales: {money:.2f}; taxes: 0.00; "
            "total_sales: {money:.2f}"
        ),
    }
)


ADS = (
    "Date,Portfolio name,Currency,Campaign Name,Ad Group Name,Country,Advertised SKU,Advertised ASIN,Impressions,"
    "Clicks,Click-Thru Rate (CTR),Cost Per Click (CPC),Spend,7 Day Total Sales ,"
    "Total Advertising Cost of Sales (ACOS) ,Total Return on Advertising Spend (ROAS),7 Day Total Orders (#),"
    "7 Day Total Units (#),7 Day Conversion Rate,7 Day Advertised SKU Units (#),7 Day Other SKU Units (#),"
    "7 Day Advertised SKU Sales ,7 Day Other SKU Sales "
)


def ads_report(sku: str = "MUG-1", day: str = "Sep {}, 2024") -> str:
    shared = {"Currency": "USD", "Advertised SKU": sku, "Advertised ASIN": "B0" + sku, "Spend": "$1,000.25"}
    rows: list[Row] = []
    for at in range(20):
        counts = {"Clicks": 10 + at % 2 * 30, "7 Day Total Orders (#)": at % 2 * 2, "Click-Thru Rate (CTR)": "2.50%"}
        rows.append({"Date": day.format(20 + at // 2), "Campaign Name": f"Campaign {at % 2}", **shared, **counts})
    return write_table(ADS, rows)
