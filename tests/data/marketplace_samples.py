"""Realistic exports of the shop from Walmart, Mercado Libre, bol and OTTO; importing this module adds them."""

from __future__ import annotations

import csv
import io
from datetime import datetime

import export_samples
from export_samples import Line, Row, Sample, sample, write_table


def orders() -> list[tuple[int, datetime, list[Line]]]:
    """Return the order lines as orders of one or two products: number, time and lines."""
    by_time: dict[datetime, list[Line]] = {}
    for line in export_samples.order_lines():
        by_time.setdefault(line.time.replace(minute=0), []).append(line)
    return [(number, time, lines) for number, (time, lines) in enumerate(by_time.items(), 1001)]


def comma(value: float) -> str:
    """Return money with a decimal comma and points between thousands."""
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


WALMART_ITEMS = (
    "Date,Product Name,Item ID,SKU ID,Super Department,Department,Category,Sub Category,Brand,GMV,Commission,"
    "GMV-Commission,AUR,Total Units Sold"
)


@sample
def walmart_item_sales() -> Sample:
    rows: list[Row] = [
        {
            "Date": f"{day:%m/%d/%Y}",
            "Product Name": export_samples.SHOP[sku][0],
            "Item ID": 5012345670 + len(sku),
            "SKU ID": sku,
            "GMV": f"${units * price * 0.9:,.2f}",  # after refunds, which do not change the price
            "Commission": f"${units * price * 0.15:,.2f}",
            "GMV-Commission": f"${units * price * 0.75:,.2f}",
            "AUR": f"${price:,.2f}",
            "Total Units Sold": units,
        }
        for day, sku, units, price in export_samples.base_rows()
        if units
    ]
    return Sample("walmart-item-sales", write_table(WALMART_ITEMS, rows))


@sample
def walmart_daily_performance() -> Sample:
    rows: list[Row] = [
        {
            "Date": f"{day:%Y-%m-%d}",
            "GMV": f"{units * price:.2f}",
            "GMV % Change": "12.5%",
            "GMV - Commission": f"{units * price * 0.85:.2f}",
            "Units Sold": units,
            "Orders": units,
            "AUR": f"{price:.2f}",
        }
        for day, sku, units, price in export_samples.base_rows()
        if sku == "MUG-1"
    ]
    header = "Date,GMV,GMV % Change,GMV - Commission,Units Sold,Orders,AUR"
    return Sample("walmart-daily-performance", write_table(header, rows), "mug")


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
    rows: list[Row] = []
    for order, time, lines in orders():
        for line in lines:
            for unit in range(line.units):
                discount = 2.5 if order == 1005 else 0.0
                rows.append(
                    {
                        "salesOrderId": f"f9de{order}",
                        "orderDate": f"{time:%Y-%m-%dT%H:%M:%S}.000+0000",
                        "positionItemId": f"{order}-{line.sku}-{unit}",
                        "fulfillmentStatus": "ANNOUNCED" if order == 1004 else "SENT",
                        "product.sku": line.sku,
                        "itemValueGrossPrice.amount": f"{line.price:.2f}",
                        "itemValueGrossPrice.currency": "EUR",
                        "itemValueDiscount.amount": f"{discount:.2f}" if discount else "",
                    }
                )
    lost = ["RETURNED", "CANCELLED_BY_PARTNER", "CANCELLED_BY_MARKETPLACE"]
    rows += [{**rows[0], "positionItemId": status, "fulfillmentStatus": status} for status in lost]
    units = sum(line.units for line in orders()[4][2])
    return Sample("otto-orders", write_table(OTTO, rows), coupons=2.5 * units)
