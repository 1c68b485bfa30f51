"""Realistic exports of the shop from the other platforms; importing this module adds them to ``SAMPLES``."""

from __future__ import annotations

from export_samples import SAMPLES, Row, Sample, days, order_lines, row_of, sample, write_table

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


def _woo_orders(header: str, revenue: str) -> Sample:
    cells = "Date: {time:%Y-%m-%d %H:%M:%S}; Order #: {number}; Product(s): {units}× {name}; Items sold: {units}"
    rows = [row_of(f"{cells}; {revenue}: {{money:.2f}}; Status: completed", line) for line in order_lines()]
    for row in rows[2::3]:
        row["Status"] = "processing"
    text = write_table(header, [*rows, {**rows[0], "Status": "cancelled"}, {**rows[1], "Status": "failed"}])
    return Sample("woocommerce-orders", text, "name")


SAMPLES.update(
    {
        "woocommerce_orders": lambda: _woo_orders(WOO_ORDERS, "Net sales"),
        "woocommerce_orders_by_mail": lambda: _woo_orders(WOO_ORDERS_BY_MAIL, "N. Revenue"),
    }
)


@sample
def woocommerce_order_export() -> Sample:
    rows: list[Row] = []
    for line in order_lines():
        order: Row = {"Order Number": line.number // 2}
        if not rows or rows[-1]["Order Number"] != order["Order Number"]:
            order |= {"Order Status": "Completed", "Order Date": f"{line.time:%Y-%m-%d %H:%M}"}
        rows.append(
            order | row_of("SKU: {sku}; Item Name: {name}; Quantity (- Refund): {units}; Item Cost: {price}", line)
        )
    draft = {"Order Number": 9, "Order Status": "Pending payment", "Order Date": "2024-09-21 10:00", "SKU": "MUG-1"}
    return Sample("woocommerce-order-export", write_table(WOO_PLUGIN, [*rows, draft]))


ETSY_ITEMS = (
    "Sale Date,Item Name,Buyer,Quantity,Price,Coupon Code,Coupon Details,Discount Amount,Shipping Discount,"
    "Order Shipping,Order Sales Tax,Item Total,Currency,Transaction ID,Listing ID,Date Paid,Date Shipped,Ship Name,"
    "Ship Address1,Ship Address2,Ship City,Ship State,Ship Zipcode,Ship Country,Order ID,Variations,Order Type,"
    "Listings Type,Payment Type"
)
ETSY_LATER = ",InPerson Discount,InPerson Location,VAT Paid by Buyer,SKU"


def _etsy_items(header: str, product: str) -> Sample:
    cells = (
        "Sale Date: {time:%m/%d/%y}; Item Name: {name}; Quantity: {units}; Price: {price:.2f}; Discount Amount: 0.00; "
        f"Item Total: {{money:.2f}}; Currency: USD; Transaction ID: {{at}}; Listing ID: 4347345198; {product}: {{sku}}"
    )
    rows = [row_of(cells, line, at=5031352290 + at) for at, line in enumerate(order_lines())]
    rows[7]["Discount Amount"] = "3.00"
    return Sample("etsy-sold-order-items", write_table(header, rows), coupons=3.0)


SAMPLES.update(
    {
        "etsy_sold_order_items": lambda: _etsy_items(ETSY_ITEMS + ETSY_LATER, "SKU"),
        "etsy_sold_order_items_of_older_version": lambda: _etsy_items(ETSY_ITEMS, "Listing ID"),
    }
)

ETSY_ORDERS = (
    "Sale Date,Order ID,Buyer User ID,Full Name,First Name,Last Name,Number of Items,Payment Method,Date Shipped,"
    "Street 1,Street 2,Ship City,Ship State,Ship Zipcode,Ship Country,Currency,Order Value,Coupon Code,Coupon Details,"
    "Discount Amount,Shipping Discount,Shipping,Sales Tax,Order Total,Status,Card Processing Fees,Order Net,"
    "Adjusted Order Total,Adjusted Card Processing Fees,Adjusted Net Order Amount,Buyer,Order Type,Payment Type,"
    "InPerson Discount,InPerson Location,SKU"
)


@sample
def etsy_sold_orders() -> Sample:
    cells = (
        "Sale Date: {time:%m/%d/%Y}; Order ID: {number}; Number of Items: {units}; Currency: EUR; "
        "Order Value: {money:,.2f}; Discount Amount: 0.00; Order Total: {paid:,.2f}; Status: Shipped; SKU: {sku}"
    )
    rows = [row_of(cells, line, paid=line.money + 5) for line in order_lines()]
    for row in rows[3::4]:
        row["Status"] = ""
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
    cells = (
        "Sales Record Number: {at}; Order Number: 04-{number}; Item Number: {item}; Item Title: {name}; "
        "Custom Label: {sku}; Quantity: {units}; Sold For: ${price:,.2f}; Total Price: ${paid:,.2f}; "
        "Sale Date: {time:%b-%d-%y %H:%M:%S}"
    )
    rows = [
        row_of(cells, line, at=at, item=110000000000 + len(line.sku), paid=line.money + 5)
        for at, line in enumerate(order_lines(), 1)
    ]
    # An order of two items has a line of its own, and no date on the items.
    rows.insert(6, {**rows[6], "Item Number": "", "Item Title": "", "Custom Label": "", "Sold For": ""})
    rows[7]["Sale Date"] = ""
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
    cells = (
        "Sales Record Number: {at}; User Id: buyer; Item ID: 110000000000; Item Title: {name}; Quantity: {units}; "
        "Sale Price: ${price:,.2f}; Sale Date: {time:%b-%d-%y}; Custom Label: {sku}"
    )
    rows = [row_of(cells, line, at=at) for at, line in enumerate(order_lines(), 1)]
    text = write_table(EBAY_SALES, rows)
    return Sample("ebay-sales-record", f"{text}\n\n{len(rows)},record(s) downloaded\nSeller ID: studio\n")


@sample
def ga4_items() -> Sample:
    cells = (
        "Date: {time:%Y%m%d}; Item ID: {sku}; Item name: {name}; Items viewed: {views}; Items purchased: {units}; "
        "Item revenue: {money}"
    )
    rows = [row_of(cells, line, views=line.units * 25) for line in days()]
    rule = "# ----------------------------------------"
    first, *lines = write_table(",".join(rows[0]), rows).splitlines()
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
    cells = (
        "PO#: 105792930{number}; Order#: 483000000{number}; Order Date: {time:%Y-%m-%d}; Line#: 1; UPC: 012345678905; "
        "Status: Shipped; Item Description: {name}; Qty: {units}; SKU: {sku}; Item Cost: {price}; Tax: 1.44"
    )
    rows = [row_of(cells, line) | ({"Status": "Delivered"} if line.number % 2 else {}) for line in order_lines()]
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


@sample
def tiktok_orders() -> Sample:
    cells = (
        "Order ID: 576461{number}\t; Order Status: Completed; SKU ID: 1729\t; Seller SKU: {sku}; Product Name: {name}; "
        "Quantity: {units}; SKU Unit Original Price: {original:.2f}; SKU Subtotal Before Discount: {money:.2f}; "
        "SKU Platform Discount: 1.00; SKU Seller Discount: {units:.2f}; SKU Subtotal After Discount: {paid:.2f}; "
        "Created Time: {time:%m/%d/%Y %I:%M:%S %p}\t"
    )
    names = {"Order ID": "Platform unique order ID.", "Order Status": "Order status.", "Quantity": "SKU sold quantity."}
    lines = order_lines()
    rows = [row_of(cells, line, original=line.price + 2, paid=line.money - 1 - line.units) for line in lines]
    text = write_table(TIKTOK, [names, *rows, {**rows[0], "Order Status": "Canceled"}])
    return Sample("tiktok-orders", text, coupons=sum(line.units for line in lines))


SQUARE = (
    "Date,Time,Time Zone,Category,Item,Qty,Price Point Name,SKU,Modifiers Applied,Gross Sales,Discounts,Net Sales,Tax,"
    "Transaction ID,Payment ID,Device Name,Notes,Details,Event Type,Location,Dining Option,Customer ID,Customer Name,"
    "Customer Reference ID"
)
SQUARE_LATER = (
    ",Unit,Count,GTIN,Itemization Type,Commission,Employee,Fulfillment Note,Channel,Token,Card Brand,PAN Suffix"
)


def _square(header: str) -> Sample:
    cells = (
        "Date: {time:%Y-%m-%d}; Time: {time:%H:%M:%S}; Time Zone: Eastern Time (US & Canada); Item: {name}; "
        "Qty: {units}.0; SKU: {sku}; Gross Sales: ${money:,.2f}; Discounts: $0.00; Net Sales: ${money:,.2f}; "
        "Transaction ID: {number}; Event Type: Payment"
    )
    rows = [row_of(cells, line) for line in order_lines()]
    refund = {**rows[0], "Qty": "-1.0", "Gross Sales": "-$18.00", "Net Sales": "-$18.00", "Event Type": "Refund"}
    return Sample("square-items", write_table(header, [*rows, refund]))


SAMPLES.update(
    {
        "square_items": lambda: _square(SQUARE),
        "square_items_of_2026": lambda: _square(SQUARE + SQUARE_LATER),
    }
)


@sample
def kaufland_sales() -> Sample:
    cells = (
        "date_inserted: {time:%Y-%m-%d %H:%M:%S}; order_number: A{number}; id_order_unit: U{number}{unit}; "
        "ean: 4006381333931; offer_id: {sku}; price: {cents:.0f}; cancel_status: not_cancelled; "
        "return_status: not_returned"
    )
    rows = [
        row_of(cells, line, unit=unit, cents=line.price * 100) for line in order_lines() for unit in range(line.units)
    ]
    text = write_table(",".join(rows[0]), [*rows, rows[0] | {"cancel_status": "cancelled"}], ";")
    return Sample("kaufland-sales", text)
