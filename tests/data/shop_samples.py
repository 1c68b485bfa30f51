"""Realistic exports of the shop from other marketplaces, tills and shop systems; importing this module adds them."""

from __future__ import annotations

import csv
import io

import more_export_samples
from export_samples import Line, Row, Sample, comma, days, orders, row_of, sample, write_table

SAMPLES = more_export_samples.SAMPLES

WALMART_ITEMS = (
    "Date,Product Name,Item ID,SKU ID,Super Department,Department,Category,Sub Category,Brand,GMV,Commission,"
    "GMV-Commission,AUR,Total Units Sold"
)


@sample
def walmart_item_sales() -> Sample:
    cells = (
        "Date: {time:%m/%d/%Y}; Product Name: {name}; Item ID: {item}; SKU ID: {sku}; GMV: ${net:,.2f}; "
        "Commission: ${fee:,.2f}; GMV-Commission: ${rest:,.2f}; AUR: ${price:,.2f}; Total Units Sold: {units}"
    )
    rows = []
    for line in days():
        net, fee = line.money * 0.9, line.money * 0.15  # after refunds, which do not change the price
        rows.append(row_of(cells, line, net=net, fee=fee, rest=net - fee, item=5012345670 + len(line.sku)))
    return Sample("walmart-item-sales", write_table(WALMART_ITEMS, rows))


@sample
def walmart_daily_performance() -> Sample:
    cells = (
        "Date: {time:%Y-%m-%d}; GMV: {money:.2f}; GMV % Change: 12.5%; GMV - Commission: {rest:.2f}; "
        "Units Sold: {units}; Orders: {units}; AUR: {price:.2f}"
    )
    rows = [row_of(cells, line, rest=line.money * 0.85) for line in days() if line.sku == "MUG-1"]
    return Sample("walmart-daily-performance", write_table(",".join(rows[0]), rows), "mug")


MERCADO_LIBRE = (
    "# de venta,Fecha de venta,Estado,Descripción del estado,Paquete de varios productos,Pertenece a un kit,Unidades,"
    "Ingresos por productos (MXN),Cargo por venta e impuestos (MXN),Ingresos por envío (MXN),Costos de envío (MXN),"
    "Anulaciones y reembolsos (MXN),Total (MXN),Mes de facturación de tus cargos,Venta por publicidad,SKU,"
    "# de publicación,Canal de venta,Título de la publicación,Variante,"
    "Precio unitario de venta de la publicación (MXN),Tipo de publicación,Factura adjunta,"
    "Datos personales o de empresa,Comprador,Negocio,Domicilio,Municipio,Estado#,Código postal,País,"
    "Forma de entrega,Fecha en camino,Fecha entregado,Transportista,"
    "Número de seguimiento,URL de seguimiento,Unidades#,Reclamo abierto,Reclamo cerrado"
)
MERCADO_LIVRE = (
    "N.º de venda,Data da venda,Estado,Descrição do status,Pacote de diversos produtos,Pertence a um kit,Unidades,"
    "Receita por produtos (BRL),Tarifa de venda e impostos (BRL),Receita por envio (BRL),Tarifas de envio (BRL),"
    "Cancelamentos e reembolsos (BRL),Total (BRL),Venda por publicidade,SKU,# de anúncio,Canal de venda,"
    "Título do anúncio,Variação,Preço unitário de venda do anúncio (BRL),Tipo de anúncio,Comprador,Endereço,Cidade,"
    "Estado#,CEP,País,Forma de entrega,Unidades#"
)
MONTHS = {"es": {9: "septiembre", 10: "octubre"}, "pt": {9: "setembro", 10: "outubro"}}
ABOVE = [
    "Ventas MX",
    "En este reporte encontrarás tus ventas",
    "Fecha: 14 de octubre de 2024",
    "",
    "Ventas,,,,,,,Pagos",
]


def _mercado_libre(header: str, language: str, package: str, cancelled: str, separator: str) -> str:
    names = header.split(",")

    def named(prefix: str) -> str:
        return next(name for name in names if name.startswith(prefix))

    number, date, price = names[0], names[1], named("Pre")
    rows: list[Row] = []
    for order, time, lines in orders():
        months = MONTHS[language]
        stamp = f"{time.day} de {months[time.month]} de {time.year} {time:%H:%M} hs."
        if len(lines) > 1:
            total = sum(line.money for line in lines)
            rows.append({number: order, date: stamp, "Estado": package, names[7]: f"{total:.2f}"})
        for line in lines:
            money = comma(line.price) if separator == ";" else f"{line.price:g}"
            row: Row = {number: 2000 + line.number, "Estado": "Entregado", "Unidades": line.units, "SKU": line.sku}
            row |= {named("Título"): line.name, price: money, "Estado#": "Sonora"}
            row[date] = "" if len(lines) > 1 else stamp  # the package's row has the date
            rows.append(row)
        if order == 1003:
            rows.append({**rows[-1], date: stamp, "Estado": cancelled})
    return write_table(header, rows, separator).replace("#" + separator, separator).replace("#\n", "\n")


@sample
def mercadolibre_sales() -> Sample:
    text = _mercado_libre(MERCADO_LIBRE, "es", "Paquete de 2 productos", "Cancelada por el comprador", ",")
    return Sample("mercadolibre-sales", "\n".join([*ABOVE, text]))


@sample
def mercadolibre_sales_in_portuguese() -> Sample:
    returned = "Devolução finalizada com reembolso para o comprador"
    return Sample("mercadolibre-sales", _mercado_libre(MERCADO_LIVRE, "pt", "Pacote de 2 produtos", returned, ";"))


BOL = [
    *["Type", "EAN", "Artikelomschrijving", "Datum", "Bestelnummer", "Aantal", "Tarief-\ngroep", "Tarief", "Bedrag"],
    *["BTW %", "Btw-bedrag", "Bedrag\n(incl. BTW)", "Land van verzending", "Reden", "Opmerking"],
]
BOL_SALE = "Verkoopprijs artikel(en), ontvangen van kopers en door bol.com door te storten"


@sample
def bol_invoice_specification() -> Sample:
    rows = []
    for order, time, lines in orders():
        for line in lines:
            shared = [line.sku, line.name, f"{time:%d-%m-%Y}", order, line.units, "", ""]
            net = comma(-line.money / 1.21)
            rows.append([BOL_SALE, *shared, net, "21", comma(-line.money * 0.21 / 1.21), comma(-line.money), "NL"])
            rows.append(["Commissie", *shared, "1,50", "21", "0,32", "1,82", "NL"])
        rows.append(
            ["Verzendkosten", "", "", f"{time:%d-%m-%Y}", order, "1", "", "", "3,00", "21", "0,63", "3,63", "NL"]
        )
    rows.append(["Correctie verkoopprijs artikel(en)", *rows[0][1:11], "16,50", "NL", "Retour"])
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\n")
    writer.writerows([["Specificatie bij factuur"], ["Verkopernummer:", "1234567"], ["Periode:", "20-09-2024"], []])
    writer.writerows([BOL, *([*row, "", "", ""][: len(BOL)] for row in rows)])
    return Sample("bol-invoice-specification", out.getvalue())


OTTO = (
    "salesOrderId,orderNumber,orderDate,lastModifiedDate,positionItemId,fulfillmentStatus,product.sku,"
    "product.productTitle,product.vatRate,itemValueGrossPrice.amount,itemValueGrossPrice.currency,"
    "itemValueDiscount.amount,itemValueReducedGrossPrice.amount"
)


@sample
def otto_orders() -> Sample:
    cells = (
        "salesOrderId: f9de{order}; orderDate: {time:%Y-%m-%dT%H:%M:%S}.000+0000; product.sku: {sku}; "
        "positionItemId: {order}-{sku}-{unit}; itemValueGrossPrice.amount: {price:.2f}; fulfillmentStatus: SENT; "
        "itemValueGrossPrice.currency: EUR"
    )
    rows: list[Row] = []
    for order, time, lines in orders():
        others = {1004: {"fulfillmentStatus": "ANNOUNCED"}, 1005: {"itemValueDiscount.amount": "2.50"}}.get(order, {})
        for line in lines:
            units = range(line.units)
            rows += [row_of(cells, line, time=time, order=order, unit=unit) | others for unit in units]
    lost = ["RETURNED", "CANCELLED_BY_PARTNER", "CANCELLED_BY_MARKETPLACE"]
    rows += [{**rows[0], "positionItemId": status, "fulfillmentStatus": status} for status in lost]
    units = sum(line.units for line in orders()[4][2])
    return Sample("otto-orders", write_table(OTTO, rows), coupons=2.5 * units)


STRIPE = (
    "id,Description,Seller Message,Created date (UTC),Amount,Amount Refunded,Currency,Converted Amount,"
    "Converted Amount Refunded,Fee,Taxes On Fee,Converted Currency,Mode,Status,Statement Descriptor,Customer ID,"
    "Customer Description,Customer Email,Captured,Card ID,Card Last4,Card Brand,Invoice ID,Transfer"
)


def _stripe(header: str, date: str) -> Sample:
    cells = (
        "id: ch_{order}{sku}{unit}; Description: {sku}; Currency: usd; Amount: {price:.2f}; Amount Refunded: 0.00; "
        "Fee: 0.79; Mode: Live; Status: Paid"
    )
    rows: list[Row] = []
    for order, time, lines in orders():
        for line in lines:
            paid = {date: f"{time:%Y-%m-%d %H:%M:%S}"}
            rows += [row_of(cells, line, order=order, unit=unit) | paid for unit in range(line.units)]
    lost = [{"Status": "Refunded"}, {"Status": "Failed"}, {"Status": "requires_payment_method"}, {"Mode": "Test"}]
    rows += [{**rows[0], "id": f"ch_{at}", **changed} for at, changed in enumerate(lost)]
    return Sample("stripe-payments", write_table(header, rows))


SAMPLES.update(
    {
        "stripe_payments": lambda: _stripe(STRIPE, "Created date (UTC)"),
        "stripe_payments_of_former_version": lambda: _stripe(
            STRIPE.replace("Created date (UTC)", "Created (UTC)").replace("Taxes On Fee", "Tax"), "Created (UTC)"
        ),
    }
)

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


PRODUCT_DETAILS = (
    "Product ID: {id}, Product Qty: {units}, Product SKU: {sku}, Product Name: {name}, Product Weight: 0.8000, "
    "Product Variation Details: Size: S, Colour: red | blue, Product Unit Price: {price:.2f}, "
    "Product Total Price: {money:.2f}"
)


@sample
def bigcommerce_orders() -> Sample:
    rows: list[Row] = []
    for order, time, lines in orders():
        details = (PRODUCT_DETAILS.format(**line._asdict(), money=line.money, id=70 + len(line.sku)) for line in lines)
        rows.append({"Order ID": order, "Order Date": f"{time:%d/%m/%Y}", "Product Details": "|".join(details)})
        rows[-1] |= {"Order Status": "Awaiting Payment" if order == 1006 else "Shipped", "Order Currency Code": "USD"}
        rows[-1] |= {"Subtotal (ex tax)": f"{sum(line.money for line in lines):.2f}", "Exchange Rate": "1.0000000000"}
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


def _till(cells: str, separator: str = ",") -> str:
    rows = [
        row_of(cells, line, order=order, time=time, cost=comma(line.price), total=comma(line.money))
        for order, time, lines in orders()
        for line in lines
    ]
    return write_table(",".join(rows[0]), rows, separator)


@sample
def order_lines_of_a_wholesaler() -> Sample:
    cells = (
        "InvoiceNo: {order}; InvoiceDate: {time:%m/%d/%Y %H:%M}; StockCode: {sku}; Description: {name}; "
        "Quantity: {units}; UnitPrice: {price:.2f}"
    )
    first, line, *others = _till(cells).splitlines()
    returned = line.replace("1001,", "C1009,").replace(",1,", ",-1,")
    return Sample("order-lines", "\n".join([first, line, returned, *others, ""]))


@sample
def order_lines_in_german() -> Sample:
    cells = (
        "Bestellnummer: {order}; Bestelldatum: {time:%d.%m.%Y}; Artikelnummer: {sku}; Bezeichnung: {name}; "
        "Menge: {units}; Einzelpreis: {cost}; Gesamtpreis: {total}"
    )
    return Sample("order-lines", _till(cells, ";"))


@sample
def order_lines_in_dutch_with_totals_alone() -> Sample:
    cells = (
        "Factuurnummer: {order}; Besteldatum: {time:%Y-%m-%d}; Artikelcode: {sku}; Omschrijving: {name}; "
        "Aantal: {units}; Opmerking: {price:.2f}; Regeltotaal: {money:.2f}"
    )
    return Sample("order-lines", _till(cells))


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
