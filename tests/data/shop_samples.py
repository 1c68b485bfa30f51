"""Realistic exports of the shop from Stripe, Lightspeed, BigCommerce and Magento; importing this module adds them."""

from __future__ import annotations

from collections.abc import Callable

import more_export_samples
from export_samples import Line, Row, Sample, sample, write_table
from marketplace_samples import comma, orders

SAMPLES = more_export_samples.SAMPLES

STRIPE = (
    "id,Description,Seller Message,Created date (UTC),Amount,Amount Refunded,Currency,Converted Amount,"
    "Converted Amount Refunded,Fee,Taxes On Fee,Converted Currency,Mode,Status,Statement Descriptor,Customer ID,"
    "Customer Description,Customer Email,Captured,Card ID,Card Last4,Card Brand,Invoice ID,Transfer"
)


def _stripe(header: str, date: str) -> str:
    rows: list[Row] = []
    for order, time, lines in orders():
        for line in lines:
            for unit in range(line.units):
                row: Row = {"id": f"ch_{order}{line.sku}{unit}", "Description": line.sku, "Currency": "usd"}
                row |= {date: f"{time:%Y-%m-%d %H:%M:%S}", "Amount": f"{line.price:.2f}", "Amount Refunded": "0.00"}
                rows.append({**row, "Fee": "0.79", "Mode": "Live", "Status": "Paid"})
    lost: list[Row] = [{"Status": "Refunded"}, {"Status": "Failed"}, {"Status": "requires_payment_method"}]
    rows += [{**rows[0], "id": f"ch_{at}", **cells} for at, cells in enumerate([*lost, {"Mode": "Test"}])]
    return write_table(header, rows)


@sample
def stripe_payments() -> Sample:
    return Sample("stripe-payments", _stripe(STRIPE, "Created date (UTC)"))


@sample
def stripe_payments_of_former_version() -> Sample:
    header = STRIPE.replace("Created date (UTC)", "Created (UTC)").replace("Taxes On Fee", "Tax")
    return Sample("stripe-payments", _stripe(header, "Created (UTC)"))


LIGHTSPEED = (
    "Date,Receipt Number,Line Type,Customer Code,Customer Name,Note,Quantity,Subtotal,Sales Tax,Discount,Loyalty,Total,"
    "Paid,Details,Register,User,Status,Sku,AccountCodeSale,AccountCodePurchase"
)


def _lightspeed_sale(order: int, time: str, status: str, lines: list[Line], sign: int = 1) -> list[Row]:
    total = sign * sum(line.money for line in lines)
    sale: Row = {"Receipt Number": order, "Date": time, "Line Type": "Sale", "Quantity": "1.00000", "Status": status}
    rows: list[Row] = [{**sale, "Total": f"{total:.5f}", "Register": "Main", "Details": "1 X all"}]
    for line in lines:
        money = {"Quantity": f"{sign * line.units:.5f}", "Total": f"{sign * line.money:.5f}"}
        money |= {"Subtotal": f"{line.price / 1.1:.5f}", "Sales Tax": f"{line.price / 11:.5f}", "Discount": "0.00000"}
        rows.append({"Receipt Number": order, "Line Type": "Sale Line", "Sku": line.sku, "Details": line.name, **money})
    return [*rows, {"Receipt Number": order, "Line Type": "Payment", "Paid": f"{total:.5f}", "Details": "Cash"}]


@sample
def lightspeed_sales() -> Sample:
    rows: list[Row] = []
    for order, time, lines in orders():
        status = "ONACCOUNT" if order == 1002 else "CLOSED"
        rows += _lightspeed_sale(order, f"{time:%Y-%m-%d %H:%M:%S}", status, lines)
    lines = orders()[0][2]
    rows += _lightspeed_sale(2001, "2024-09-22 10:00:00", "VOIDED", lines)
    rows += _lightspeed_sale(2002, "2024-09-23 10:00:00", "CLOSED", lines, -1)
    return Sample("lightspeed-sales", write_table(LIGHTSPEED, rows))


BIGCOMMERCE = (
    "Order ID,Customer ID,Customer Name,Customer Email,Customer Phone,Order Date,Order Status,Subtotal (inc tax),"
    "Subtotal (ex tax),Tax Total,Shipping Cost (inc tax),Shipping Cost (ex tax),Ship Method,Handling Cost (inc tax),"
    "Handling Cost (ex tax),Store Credit Redeemed,Gift Certificate Amount Redeemed,Gift Certificate Code,"
    "Gift Certificate Expiration Date,Coupon Details,Order Total (inc tax),Order Total (ex tax),Payment Method,"
    "Total Quantity,Total Shipped,Date Shipped,Order Currency Code,Exchange Rate,Order Notes,Customer Message,"
    "Billing First Name,Billing Last Name,Billing Company,Billing Street 1,Billing Street 2,Billing Suburb,"
    "Billing State,Billing Zip,Billing Country,Billing Phone,Billing Email,Shipping First Name,Shipping Last Name,"
    "Shipping Company,Shipping Street 1,Shipping Street 2,Shipping Suburb,Shipping State,Shipping Zip,"
    "Shipping Country,Shipping Phone,Shipping Email,Product Details,Refund Amount,Channel ID,Channel Name,Fee Details"
)


def _product_details(lines: list[Line]) -> str:
    return "|".join(
        f"Product ID: {70 + len(line.sku)}, Product Qty: {line.units}, Product SKU: {line.sku}, "
        f"Product Name: {line.name}, Product Weight: 0.8000, Product Variation Details: Size: S, Colour: red | blue, "
        f"Product Unit Price: {line.price:.2f}, Product Total Price: {line.money:.2f}"
        for line in lines
    )


@sample
def bigcommerce_orders() -> Sample:
    rows: list[Row] = [
        {
            "Order ID": order,
            "Order Date": f"{time:%d/%m/%Y}",
            "Order Status": "Awaiting Payment" if order == 1006 else "Shipped",
            "Subtotal (ex tax)": f"{sum(line.money for line in lines):.2f}",
            "Order Currency Code": "USD",
            "Exchange Rate": "1.0000000000",
            "Product Details": _product_details(lines),
        }
        for order, time, lines in orders()
    ]
    lost = ["Cancelled", "Refunded", "Declined", "Incomplete"]
    rows += [{**rows[0], "Order ID": 1, "Order Status": status, "Order Currency Code": "EUR"} for status in lost]
    return Sample("bigcommerce-orders", write_table(BIGCOMMERCE, rows))


BIGCOMMERCE_LINES = (
    "Order ID,Order Date,Order Time,Order Status,Subtotal (inc tax),Subtotal (ex tax),Tax Total,Coupon Value,"
    "Order Total (inc tax),Order Total (ex tax),Refund Amount,Customer ID,Customer Name,Ship Method,Product ID,"
    "Product Qty,Product SKU,Product Name,Product Variation Details,Product Unit Price,Transaction ID"
)


@sample
def bigcommerce_order_lines() -> Sample:
    rows: list[Row] = []
    for order, time, lines in orders():
        half = order == 1003  # a coupon of half the order
        for at, line in enumerate(lines):
            row: Row = {"Order ID": order, "Product ID": 70 + len(line.sku), "Product SKU": line.sku}
            row |= {"Product Qty": line.units, "Product Unit Price": f"{line.price:.2f}"}
            if at == 0:
                row |= {"Order Date": f"{time:%m/%d/%Y}", "Order Time": f"{time:%H:%M:%S}", "Order Status": "Completed"}
                row["Coupon Value"] = f"{sum(other.money for other in lines) / 2:.2f}" if half else "0.00"
            rows.append(row)
    rows.append({**rows[0], "Order ID": 1, "Order Status": "Cancelled"})
    half = sum(line.money for line in orders()[2][2]) / 2
    return Sample("bigcommerce-order-lines", write_table(BIGCOMMERCE_LINES, rows), coupons=half)


def _till(header: str, date: str, money: Callable[[float], str], separator: str) -> str:
    """Write order lines under the given names: number, time, code, name, units, price and, if named, total."""
    names = header.split(",")
    rows: list[Row] = []
    for order, time, lines in orders():
        for line in lines:
            cells = [order, f"{time:{date}}", line.sku, line.name, line.units, money(line.price), money(line.money)]
            rows.append(dict(zip(names, cells, strict=False)))
    return write_table(header, rows, separator)


@sample
def order_lines_of_a_wholesaler() -> Sample:
    header = "InvoiceNo,InvoiceDate,StockCode,Description,Quantity,UnitPrice"
    first, line, *others = _till(header, "%m/%d/%Y %H:%M", "{:.2f}".format, ",").splitlines()
    returned = line.replace("1001,", "C1009,").replace(",1,", ",-1,")
    return Sample("order-lines", "\n".join([first, line, returned, *others, ""]))


@sample
def order_lines_in_german() -> Sample:
    header = "Bestellnummer,Bestelldatum,Artikelnummer,Bezeichnung,Menge,Einzelpreis,Gesamtpreis"
    return Sample("order-lines", _till(header, "%d.%m.%Y", comma, ";"))


@sample
def order_lines_in_dutch_with_totals_alone() -> Sample:
    header = "Factuurnummer,Besteldatum,Artikelcode,Omschrijving,Aantal,Opmerking,Regeltotaal"
    return Sample("order-lines", _till(header, "%Y-%m-%d", "{:.2f}".format, ","))


MAGENTO = (
    "item_id,order_id,parent_item_id,quote_item_id,store_id,created_at,updated_at,product_id,product_type,sku,name,"
    "qty_backordered,qty_canceled,qty_invoiced,qty_ordered,qty_refunded,qty_shipped,base_cost,price,base_price,"
    "original_price,tax_percent,tax_amount,discount_percent,discount_amount,row_total,base_row_total,price_incl_tax"
)


@sample
def magento_order_items() -> Sample:
    rows: list[Row] = []
    for order, time, lines in orders():
        for line in lines:
            lost = 2 if order == 1004 else 0  # units that were ordered in addition, and cancelled or refunded
            ordered, discount = line.units + lost, 1.0 if order == 1007 else 0.0
            row: Row = {"item_id": len(rows) + 1, "order_id": order, "sku": line.sku, "product_type": "configurable"}
            row |= {"created_at": f"{time:%Y-%m-%d %H:%M:%S}", "name": line.name, "qty_ordered": f"{ordered:.4f}"}
            row |= {"qty_canceled": f"{lost / 2:.4f}", "qty_refunded": f"{lost / 2:.4f}"}
            row |= {"price": f"{line.price:.4f}", "discount_amount": f"{discount * ordered:.4f}"}
            rows.append({**row, "row_total": f"{line.price * ordered:.4f}"})
            child = {"parent_item_id": row["item_id"], "product_type": "simple", "price": "0.0000"}
            rows.append({**row, "item_id": len(rows) + 1, **child, "row_total": "0.0000", "discount_amount": "0.0000"})
    units = sum(line.units for line in orders()[6][2])
    return Sample("magento-order-items", write_table(MAGENTO, rows), coupons=1.0 * units)
