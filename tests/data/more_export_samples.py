"""Realistic exports of the shop from the other platforms; importing this module adds them to ``SAMPLES``."""

from __future__ import annotations

from export_samples import SAMPLES, SHOP, Line, Row, Sample, base_rows, order_lines, sample, write_table

__all__ = ["SAMPLES"]

WOO_ORDERS = "Date,Order #,Status,Customer,Customer type,Product(s),Items sold,Coupon(s),Net sales,Attribution"
WOO_ORDERS_BY_MAIL = (
    "Date,Order #,N. Revenue (formatted),Status,Customer,Customer type,Product(s),Items sold,Coupon(s),N. Revenue,"
    "Attribution"
)
WOO_PLUGIN = (
    "Order Number,Order Status,Order Date,Customer Note,First Name (Billing),Last Name (Billing),Email (Billing),"
    "Payment Method Title,Cart Discount Amount,Order Subtotal Amount,Shipping Method Title,Order Shipping Amount,"
    "Order Refund Amount,Order Total Amount,Order Total Tax Amount,SKU,Item #,Item Name,Quantity (- Refund),Item Cost,"
    "Coupon Code,Discount Amount,Discount Amount Tax"
)


def _woo_orders(header: str, revenue: str) -> str:
    rows: list[Row] = [
        {
            "Date": f"{line.time:%Y-%m-%d %H:%M:%S}",
            "Order #": line.number,
            "Status": "completed" if line.number % 3 else "processing",
            "Product(s)": f"{line.units}× {line.name}",
            "Items sold": line.units,
            revenue: f"{line.money:.2f}",
        }
        for line in order_lines()
    ]
    return write_table(header, [*rows, {**rows[0], "Status": "cancelled"}, {**rows[1], "Status": "failed"}])


@sample
def woocommerce_orders() -> Sample:
    return Sample("woocommerce-orders", _woo_orders(WOO_ORDERS, "Net sales"), "name")


@sample
def woocommerce_orders_by_mail() -> Sample:
    return Sample("woocommerce-orders", _woo_orders(WOO_ORDERS_BY_MAIL, "N. Revenue"), "name")


@sample
def woocommerce_order_export() -> Sample:
    rows: list[Row] = []
    for line in order_lines():
        first = not rows or rows[-1]["Order Number"] != line.number // 2
        order = {"Order Status": "Completed", "Order Date": f"{line.time:%Y-%m-%d %H:%M}"} if first else {}
        cells = {"SKU": line.sku, "Item Name": line.name, "Quantity (- Refund)": line.units, "Item Cost": line.price}
        rows.append({"Order Number": line.number // 2, **order, **cells})
    return Sample("woocommerce-order-export", write_table(WOO_PLUGIN, [*rows, _plugin_draft()]))


def _plugin_draft() -> Row:
    return {"Order Number": 9, "Order Status": "Pending payment", "Order Date": "2024-09-21 10:00", "SKU": "MUG-1"}


ETSY_ITEMS = (
    "Sale Date,Item Name,Buyer,Quantity,Price,Coupon Code,Coupon Details,Discount Amount,Shipping Discount,"
    "Order Shipping,Order Sales Tax,Item Total,Currency,Transaction ID,Listing ID,Date Paid,Date Shipped,Ship Name,"
    "Ship Address1,Ship Address2,Ship City,Ship State,Ship Zipcode,Ship Country,Order ID,Variations,Order Type,"
    "Listings Type,Payment Type"
)
ETSY_LATER = ",InPerson Discount,InPerson Location,VAT Paid by Buyer,SKU"


def _etsy_items(header: str, sku: bool) -> str:
    rows: list[Row] = []
    for at, line in enumerate(order_lines()):
        discount = 3.0 if at == 7 else 0.0
        row: dict[str, object] = {
            "Sale Date": f"{line.time:%m/%d/%y}",
            "Item Name": line.name,
            "Quantity": line.units,
            "Price": f"{line.price:.2f}",
            "Discount Amount": f"{discount:.2f}",
            "Item Total": f"{line.money:.2f}",
            "Currency": "USD",
            "Transaction ID": 5031352290 + at,
            "Listing ID": line.sku if not sku else 4347345198,
        }
        rows.append(row | ({"SKU": line.sku} if sku else {}))
    return write_table(header, rows)


@sample
def etsy_sold_order_items() -> Sample:
    return Sample("etsy-sold-order-items", _etsy_items(ETSY_ITEMS + ETSY_LATER, sku=True), coupons=3.0)


@sample
def etsy_sold_order_items_of_older_version() -> Sample:
    return Sample("etsy-sold-order-items", _etsy_items(ETSY_ITEMS, sku=False), coupons=3.0)


ETSY_ORDERS = (
    "Sale Date,Order ID,Buyer User ID,Full Name,First Name,Last Name,Number of Items,Payment Method,Date Shipped,"
    "Street 1,Street 2,Ship City,Ship State,Ship Zipcode,Ship Country,Currency,Order Value,Coupon Code,Coupon Details,"
    "Discount Amount,Shipping Discount,Shipping,Sales Tax,Order Total,Status,Card Processing Fees,Order Net,"
    "Adjusted Order Total,Adjusted Card Processing Fees,Adjusted Net Order Amount,Buyer,Order Type,Payment Type,"
    "InPerson Discount,InPerson Location,SKU"
)


@sample
def etsy_sold_orders() -> Sample:
    rows: list[Row] = [
        {
            "Sale Date": f"{line.time:%m/%d/%Y}",
            "Order ID": line.number,
            "Number of Items": line.units,
            "Currency": "EUR",
            "Order Value": f"{line.money:,.2f}",
            "Discount Amount": "0.00",
            "Order Total": f"{line.money + 5:,.2f}",
            "Status": "Shipped" if line.number % 4 else "",
            "SKU": line.sku,
        }
        for line in order_lines()
    ]
    return Sample("etsy-sold-orders", write_table(ETSY_ORDERS, [*rows, {**rows[0], "Status": "Canceled"}]))


EBAY_ORDERS = (
    "Sales Record Number,Order Number,Buyer Username,Buyer Name,Buyer Email,Buyer Note,Buyer Address 1,"
    "Buyer Address 2,Buyer City,Buyer State,Buyer Zip,Buyer Country,Buyer Tax Identifier Name,"
    "Buyer Tax Identifier Value,Ship To Name,Ship To Phone,Ship To Address 1,Ship To Address 2,Ship To City,"
    "Ship To State,Ship To Zip,Ship To Country,Item Number,Item Title,Custom Label,Sold Via Promoted Listings,Quantity,"
    "Sold For,Shipping And Handling,Item Location,Item Zip Code,Item Country,eBay Collect And Remit Tax Rate,"
    "eBay Collect And Remit Tax Type,eBay Reference Name,eBay Reference Value,Tax Status,Seller Collected Tax,"
    "eBay Collected Tax,Electronic Waste Recycling Fee,Mattress Recycling Fee,Battery Recycling Fee,"
    "White Goods Disposal Tax,Tire Recycling Fee,Additional Fee,Lumber Fee,Prepaid Wireless Fee,"
    "Road Improvement And Food Delivery Fee,eBay Collected Charges,Total Price,"
    "eBay Collected Tax and Fees Included in Total,Payment Method,Sale Date,Paid On Date,Ship By Date,"
    "Minimum Estimated Delivery Date,Maximum Estimated Delivery Date,Shipped On Date,Feedback Left,Feedback Received,"
    "My Item Note,PayPal Transaction ID,Shipping Service,Tracking Number,Transaction ID,Variation Details,"
    "Global Shipping Program,Global Shipping Reference ID,Click And Collect,Click And Collect Reference Number,"
    "eBay Plus,Authenticity Verification Program,Authenticity Verification Status,"
    "Authenticity Verification Outcome Reason,PSA Vault Program,Vault Fulfillment Type,eBay Fulfillment Program,"
    "Tax City,Tax State,Tax Zip,Tax Country,eBay International Shipping"
)


@sample
def ebay_orders() -> Sample:
    rows: list[Row] = []
    for at, line in enumerate(order_lines()):
        row: dict[str, object] = {
            "Sales Record Number": at + 1,
            "Order Number": f"04-{line.number}",
            "Item Number": 110000000000 + len(line.sku),
            "Item Title": line.name,
            "Custom Label": line.sku,
            "Quantity": line.units,
            "Sold For": f"${line.price:,.2f}",
            "Total Price": f"${line.money + 5:,.2f}",
            "Sale Date": f"{line.time:%b-%d-%y %H:%M:%S}",
        }
        if at == 6:  # an order of two items has a line of its own, and no date on the items
            rows.append({**row, "Item Number": "", "Item Title": "", "Custom Label": "", "Sold For": ""})
            row["Sale Date"] = ""
        rows.append(row)
    header, *lines = write_table(EBAY_ORDERS, rows).splitlines()
    padding = "," * EBAY_ORDERS.count(",")
    footer = ["", f'{len(rows)},"record(s) downloaded, from Sep-20-24 00:00:00"', "Seller ID : studio"]
    return Sample("ebay-orders", "\n".join([padding, header, padding, *lines, *footer, ""]))


EBAY_SALES = (
    "Sales Record Number,User Id,Buyer Fullname,Buyer Phone Number,Buyer Email,Buyer Address 1,Buyer Address 2,"
    "Buyer City,Buyer State,Buyer Zip,Buyer Country,Order ID,Item ID,Transaction ID,Item Title,Quantity,Sale Price,"
    "Shipping And Handling,Sales Tax,Insurance,Total Price,Payment Method,PayPal Transaction ID,Sale Date,"
    "Checkout Date,Paid on Date,Shipped on Date,Shipping Service,Feedback Left,Feedback Received,Notes to Yourself,"
    "Custom Label,Listed On,Sold On,Private Notes,Product ID Type,Product ID Value,Product ID Value 2,"
    "Variation Details,Product Reference ID,Tracking Number"
)


@sample
def ebay_sales_record() -> Sample:
    rows: list[Row] = [
        {
            "Sales Record Number": at + 1,
            "User Id": "buyer",
            "Item ID": 110000000000,
            "Item Title": line.name,
            "Quantity": line.units,
            "Sale Price": f"${line.price:,.2f}",
            "Sale Date": f"{line.time:%b-%d-%y}",
            "Custom Label": line.sku,
        }
        for at, line in enumerate(order_lines())
    ]
    text = write_table(EBAY_SALES, rows)
    return Sample("ebay-sales-record", f"{text}\n\n{len(rows)},record(s) downloaded\nSeller ID: studio\n")


@sample
def ga4_items() -> Sample:
    header = "Date,Item ID,Item name,Items viewed,Items purchased,Item revenue"
    rows: list[Row] = [
        {
            "Date": f"{day:%Y%m%d}",
            "Item ID": sku,
            "Item name": SHOP[sku][0],
            "Items viewed": units * 25,
            "Items purchased": units,
            "Item revenue": round(units * price, 2),
        }
        for day, sku, units, price in base_rows()
    ]
    rule = "# ----------------------------------------"
    first, *lines = write_table(header, rows).splitlines()
    above = [rule, "# Free form 1", "# Studio - GA4", "# 20240920-20241013", rule, ""]
    return Sample("ga4-items", "\n".join([*above, first, ",,,9000,360,99999,Grand total", *lines, ""]))


WALMART = (
    "PO#,Order#,Order Date,Ship By,Delivery Date,Customer Name,Customer Shipping Address,Customer Phone Number,"
    "Ship to Address 1,Ship to Address 2,City,State,Zip,Segment,FLIDS,Line#,UPC,Status,Item Description,"
    "Shipping Method,Shipping Tier,Shipping SLA,Shipping Config SOurce,Qty,SKU,Item Cost,Shipping Cost,Tax,"
    "Update Status,Update Qty,Carrier,Tracking Number,Tracking Url,Seller Order NO,Fulfillment Entity,"
    "Replacement Order,Original Customer Order Id"
)


@sample
def walmart_orders() -> Sample:
    rows: list[Row] = [
        {
            "PO#": 1057929300000 + line.number,
            "Order#": 4830000000000 + line.number,
            "Order Date": f"{line.time:%Y-%m-%d}",
            "Line#": 1,
            "UPC": "012345678905",
            "Status": "Delivered" if line.number % 2 else "Shipped",
            "Item Description": line.name,
            "Qty": line.units,
            "SKU": line.sku,
            "Item Cost": line.price,
            "Tax": 1.44,
        }
        for line in order_lines()
    ]
    return Sample("walmart-orders", write_table(WALMART, [*rows, {**rows[0], "Status": "Cancelled"}]))


TIKTOK = (
    "Order ID,Order Status,Order Substatus,Cancelation/Return Type,Normal or Pre-order,SKU ID,Seller SKU,Product Name,"
    "Variation,Quantity,Sku Quantity of return,SKU Unit Original Price,SKU Subtotal Before Discount,"
    "SKU Platform Discount,SKU Seller Discount,SKU Subtotal After Discount,Shipping Fee After Discount,"
    "Original Shipping Fee,Shipping Fee Seller Discount,Shipping Fee Platform Discount,Payment platform discount,Taxes,"
    "Order Amount,Order Refund Amount,Created Time,Paid Time,RTS Time,Shipped Time,Delivered Time,Cancelled Time,"
    "Cancel By,Cancel Reason,Fulfillment Type,Warehouse Name,Tracking ID,Delivery Option,Shipping Provider Name,"
    "Buyer Message,Buyer Username,Recipient,Phone #,Country,Province,District,Commune,Detail Address,"
    "Additional address information,Payment Method,Weight(kg),Product Category,Package ID,Seller Note,Checked Status,"
    "Checked Marked by"
)


def _tiktok(line: Line) -> Row:
    return {
        "Order ID": f"576461{line.number}\t",
        "Order Status": "Completed",
        "SKU ID": "1729\t",
        "Seller SKU": line.sku,
        "Product Name": line.name,
        "Quantity": line.units,
        "SKU Unit Original Price": f"{line.price + 2:.2f}",
        "SKU Subtotal Before Discount": f"{line.money:.2f}",
        "SKU Platform Discount": "1.00",
        "SKU Seller Discount": f"{line.units:.2f}",
        "SKU Subtotal After Discount": f"{line.money - 1 - line.units:.2f}",
        "Created Time": f"{line.time:%m/%d/%Y %I:%M:%S %p}\t",
    }


@sample
def tiktok_orders() -> Sample:
    names = {"Order ID": "Platform unique order ID.", "Order Status": "Order status.", "Quantity": "SKU sold quantity."}
    rows = [names, *map(_tiktok, order_lines())]
    text = write_table(TIKTOK, [*rows, {**rows[1], "Order Status": "Canceled"}])
    return Sample("tiktok-orders", text, coupons=sum(line.units for line in order_lines()))


SQUARE = (
    "Date,Time,Time Zone,Category,Item,Qty,Price Point Name,SKU,Modifiers Applied,Gross Sales,Discounts,Net Sales,Tax,"
    "Transaction ID,Payment ID,Device Name,Notes,Details,Event Type,Location,Dining Option,Customer ID,Customer Name,"
    "Customer Reference ID"
)
SQUARE_LATER = (
    ",Unit,Count,GTIN,Itemization Type,Commission,Employee,Fulfillment Note,Channel,Token,Card Brand,PAN Suffix"
)


def _square(header: str) -> str:
    rows: list[Row] = [
        {
            "Date": f"{line.time:%Y-%m-%d}",
            "Time": f"{line.time:%H:%M:%S}",
            "Time Zone": "Eastern Time (US & Canada)",
            "Item": line.name,
            "Qty": f"{line.units}.0",
            "SKU": line.sku,
            "Gross Sales": f"${line.money:,.2f}",
            "Discounts": "$0.00",
            "Net Sales": f"${line.money:,.2f}",
            "Transaction ID": line.number,
            "Event Type": "Payment",
        }
        for line in order_lines()
    ]
    refund = {**rows[0], "Qty": "-1.0", "Gross Sales": "-$18.00", "Net Sales": "-$18.00", "Event Type": "Refund"}
    return write_table(header, [*rows, refund])


@sample
def square_items() -> Sample:
    return Sample("square-items", _square(SQUARE))


@sample
def square_items_of_2026() -> Sample:
    return Sample("square-items", _square(SQUARE + SQUARE_LATER))


@sample
def kaufland_sales() -> Sample:
    header = "date_inserted,order_number,id_order_unit,ean,offer_id,price,cancel_status,return_status"
    rows: list[Row] = [
        {
            "date_inserted": f"{line.time:%Y-%m-%d %H:%M:%S}",
            "order_number": f"A{line.number}",
            "id_order_unit": f"U{line.number}{unit}",
            "ean": 4006381333931,
            "offer_id": line.sku,
            "price": round(line.price * 100),
            "cancel_status": "not_cancelled",
            "return_status": "not_returned",
        }
        for line in order_lines()
        for unit in range(line.units)
    ]
    rows.append(rows[0] | {"cancel_status": "cancelled"})
    return Sample("kaufland-sales", write_table(header, rows, ";"))
