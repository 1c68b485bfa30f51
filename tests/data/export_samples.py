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


def price_of(sku: str, day: int) -> float:
    """Return the price of a product on a day: two prices, which take turns."""
    _, low, high = SHOP[sku]
    return low if day // 6 % 2 else high


def units_of(sku: str, day: int) -> int:
    """Return the units of a product sold on a day, from 1 to 5."""
    return 1 + (day * 7 + len(sku)) % 5


def base_rows() -> Iterator[tuple[datetime, str, int, float]]:
    """Yield day, SKU, units and price of the whole history."""
    for day in range(DAYS):
        for sku in SHOP:
            yield FIRST_DAY + timedelta(days=day), sku, units_of(sku, day), price_of(sku, day)


def order_lines() -> list[Line]:
    """Return the same as order lines: the first unit of a day in an order of its own, the others in a second one."""
    lines = []
    for number, (day, sku, units, price) in enumerate(base_rows()):
        parts = [1, units - 1] if units > 1 else [1]
        for part, count in enumerate(parts):
            time = day + timedelta(hours=9 + part * 5, minutes=number % 60, seconds=7)
            lines.append(Line(1000 + 2 * number + part, time, sku, SHOP[sku][0], count, price))
    return lines


def write_table(names: str, rows: Sequence[Row], separator: str = ",") -> str:
    """Return a table as text, from a header separated by commas; cells that a row does not name are blank."""
    header = names.split(",")
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        stray = set(row) - set(header)
        assert not stray, stray
        writer.writerow([row.get(name, "") for name in header])
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


def _amazon_rows() -> list[Row]:
    rows: list[Row] = []
    for at, line in enumerate(order_lines()):
        discount = "2.00" if at == 3 else ""
        rows.append(
            {
                "amazon-order-id": f"112-{line.number}",
                "purchase-date": f"{line.time:%Y-%m-%dT%H:%M:%S}+00:00",
                "order-status": "Shipped" if at % 9 else "Shipped - Delivered to Buyer",
                "sales-channel": "Amazon.com",
                "product-name": line.name,
                "sku": line.sku,
                "asin": "B0" + line.sku,
                "item-status": "Shipped",
                "quantity": line.units,
                "currency": "USD",
                "item-price": f"{line.money:.2f}",
                "item-promotion-discount": discount,
            }
        )
    cancelled = {"order-status": "Cancelled", "item-status": "Cancelled", "quantity": 0, "item-price": ""}
    rows.insert(4, rows[0] | cancelled)
    rows.insert(9, {**rows[0], "order-status": "Pending", "item-status": "Unshipped", "item-price": "", "currency": ""})
    rows.insert(12, {**rows[0], "sales-channel": "Non-Amazon", "item-price": "0.0"})
    return rows


@sample
def amazon_all_orders() -> Sample:
    return Sample("amazon-all-orders", write_table(AMAZON_ORDERS, _amazon_rows(), "\t"), coupons=2.0)


@sample
def amazon_all_orders_with_business() -> Sample:
    header = AMAZON_ORDERS + ",is-business-order,purchase-order-number,price-designation"
    return Sample("amazon-all-orders", write_table(header, _amazon_rows(), "\t"), coupons=2.0)


AMAZON_DAYS = ["Ordered Product Sales", "Units Ordered", "Total Order Items"]


def _amazon_days(sessions: str, others: Sequence[str]) -> str:
    header = ["Date", *(name for base in AMAZON_DAYS for name in (base, f"{base} - B2B")), *others, sessions]
    rows: list[Row] = [
        {
            "Date": f"{day:%m/%d/%y}",
            "Ordered Product Sales": f"${units * price:,.2f}",
            "Ordered Product Sales - B2B": "$0.00",
            "Units Ordered": units,
            "Units Ordered - B2B": 0,
            "Total Order Items": units,
            "Total Order Items - B2B": 0,
            **dict.fromkeys(others, "99.89%"),
            sessions: f"{units * 1000:,}",
        }
        for day, sku, units, price in base_rows()
        if sku == "MUG-1"
    ]
    return write_table(",".join(header), rows)


@sample
def amazon_sales_and_traffic() -> Sample:
    others = ["Featured Offer (Buy Box) Percentage", "Order Item Session Percentage", "Unit Session Percentage"]
    return Sample("amazon-sales-and-traffic", _amazon_days("Sessions - Total", others), "mug")


@sample
def amazon_sales_and_traffic_before_2022() -> Sample:
    return Sample("amazon-sales-and-traffic", _amazon_days("Sessions", ["Buy Box Percentage"]), "mug")


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


def _payments(names: Sequence[str], order: str, stamp: Callable[[datetime], str], money: Callable[[float], str]) -> str:
    date, settlement, kind, number, sku, description, quantity, sales, rebates, total = names
    rows: list[Row] = []
    for at, line in enumerate(order_lines()):
        rebate = -2.0 if at == 5 else 0.0
        rows.append(
            {
                date: stamp(line.time),
                settlement: "18174059732",
                kind: order,
                number: f"112-{line.number}",
                sku: line.sku,
                description: line.name,
                quantity: line.units,
                sales: money(line.money),
                rebates: money(rebate),
                total: money(line.money * 0.7),
            }
        )
    refund = {**rows[0], kind: "Refund" if order == "Order" else "Erstattung", sales: money(-18.0)}
    transfer = {date: rows[0][date], settlement: "1", kind: "Transfer", description: "To account", total: money(-900.5)}
    return write_table(AMAZON_PAYMENTS if order == "Order" else GERMAN_PAYMENTS, [*rows, refund, transfer])


@sample
def amazon_payments() -> Sample:
    names = "date/time,settlement id,type,order id,sku,description,quantity,product sales,promotional rebates,total"
    table = _payments(
        names.split(","), "Order", lambda time: f"{time:%b} {time.day}, {time:%Y %I:%M:%S %p} PDT", "{:,.2f}".format
    )
    return Sample("amazon-payments", "\n".join([*PREAMBLE, table]), coupons=2.0)


GERMAN_PAYMENTS = (
    "Datum/Uhrzeit,Abrechnungsnummer,Typ,Bestellnummer,SKU,Beschreibung,Menge,Marketplace,Versand,Ort der Bestellung,"
    "Bundesland,Postleitzahl,Steuererhebungsmodell,Umsätze,Produktumsatzsteuer,Gutschrift für Versandkosten,"
    "Rabatte aus Werbeaktionen,Verkaufsgebühren,Gebühren zu Versand durch Amazon,Andere,Gesamt"
)


@sample
def amazon_payments_in_german() -> Sample:
    names = "Datum/Uhrzeit,Abrechnungsnummer,Typ,Bestellnummer,SKU,Beschreibung,Menge,Umsätze,Rabatte aus Werbeaktionen"
    table = _payments(
        [*names.split(","), "Gesamt"],
        "Bestellung",
        lambda time: f"{time:%d.%m.%Y %H:%M:%S} UTC",
        lambda value: f"{value:,.2f}".translate(str.maketrans(",.", ".,")),
    )
    above = '"Alle Beträge in Euro, sofern nicht anders gekennzeichnet"'
    return Sample("amazon-payments", f"{above}\n{table}", coupons=2.0)


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


def _shopify_orders(header: str, sku: bool) -> str:
    rows: list[Row] = []
    by_time: dict[datetime, list[Line]] = {}
    for line in order_lines():
        by_time.setdefault(line.time.replace(minute=0), []).append(line)
    for number, (time, lines) in enumerate(by_time.items(), 1001):
        for at, line in enumerate(lines):
            row: dict[str, object] = {
                "Name": f"#{number}",
                "Email": "buyer@example.com",
                "Created at": f"{time:%Y-%m-%d %H:%M:%S} -0400",
                "Lineitem quantity": line.units,
                "Lineitem name": line.name,
                "Lineitem price": f"{line.price:.2f}",
                "Lineitem sku": line.sku if sku else "",
            }
            if "Lineitem discount" in header:
                row["Lineitem discount"] = "0.00"
            if at == 0:  # order-level cells are blank on later lines
                row |= {"Financial Status": "paid", "Currency": "USD", "Total": "99.00", "Vendor": "Studio"}
            rows.append(row)
    cancelled = {**rows[0], "Name": "#1", "Cancelled at": "2024-09-21 10:00:00 -0400", "Financial Status": "voided"}
    refunded = {**rows[0], "Name": "#2", "Financial Status": "refunded"}
    later = {**rows[1], "Name": "#2", "Financial Status": ""}
    return write_table(header, [*rows, cancelled, refunded, later])


@sample
def shopify_orders() -> Sample:
    return Sample("shopify-orders", _shopify_orders(SHOPIFY_ORDERS + SHOPIFY_LATER, sku=True))


@sample
def shopify_orders_of_older_version() -> Sample:
    return Sample("shopify-orders", _shopify_orders(SHOPIFY_ORDERS, sku=False), "name")


def _shopify_days(header: str, cells: str) -> str:
    rows: list[Row] = []
    for day, sku, units, price in base_rows():
        money = f"{units * price:.2f}"
        row = {"day": f"{day:%Y-%m-%d}", "title": SHOP[sku][0], "sku": sku, "units": units, "money": money, "0": "0.00"}
        rows.append({name: row[cell] for name, cell in zip(header.split(","), cells.split(), strict=True)})
    return write_table(header, rows)


@sample
def shopify_sales_by_product() -> Sample:
    header = "Day,Product title,Net items sold,Gross sales,Discounts,Returns,Net sales,Taxes,Total sales"
    return Sample("shopify-sales-by-product", _shopify_days(header, "day title units money 0 0 money 0 money"), "name")


@sample
def shopify_sales_by_variant() -> Sample:
    header = "Day,Product title,Product variant SKU,Net items sold,Gross sales,Discounts,Returns,Net sales,Taxes"
    return Sample("shopify-sales-by-product", _shopify_days(header, "day title sku units money 0 0 money 0"))


@sample
def shopify_sales_by_product_before_2024() -> Sample:
    header = "day,product_title,variant_sku,net_quantity,gross_sales,discounts,returns,net_sales,taxes,total_sales"
    return Sample("shopify-sales-by-product", _shopify_days(header, "day title sku units money 0 0 money 0 money"))


ADS = (
    "Date,Portfolio name,Currency,Campaign Name,Ad Group Name,Country,Advertised SKU,Advertised ASIN,Impressions,"
    "Clicks,Click-Thru Rate (CTR),Cost Per Click (CPC),Spend,7 Day Total Sales ,"
    "Total Advertising Cost of Sales (ACOS) ,Total Return on Advertising Spend (ROAS),7 Day Total Orders (#),"
    "7 Day Total Units (#),7 Day Conversion Rate,7 Day Advertised SKU Units (#),7 Day Other SKU Units (#),"
    "7 Day Advertised SKU Sales ,7 Day Other SKU Sales "
)


def ads_report(sku: str = "MUG-1", day: str = "Sep {}, 2024") -> str:
    rows: list[Row] = [
        {
            "Date": day.format(20 + at // 2),
            "Currency": "USD",
            "Campaign Name": f"Campaign {at % 2}",
            "Advertised SKU": sku,
            "Advertised ASIN": "B0" + sku,
            "Clicks": 10 + at % 2 * 30,
            "Click-Thru Rate (CTR)": "2.50%",
            "Spend": "$1,000.25",
            "7 Day Total Orders (#)": at % 2 * 2,
        }
        for at in range(20)
    ]
    return write_table(ADS, rows)
