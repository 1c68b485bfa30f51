"""Other names of the columns, in English, German, French, Spanish, Italian and Portuguese."""

from __future__ import annotations

ALIASES: dict[str, tuple[str, ...]] = {
    "Report Date": (
        *("Date", "Day", "Order Date", "Sale Date", "Sales Date", "Calendar Date", "Week", "Week Start"),
        *("Datum", "Tag", "Berichtsdatum", "Bestelldatum", "Verkaufsdatum", "Woche"),
        *("Jour", "Date du rapport", "Date de commande", "Date de vente", "Semaine"),
        *("Fecha", "Día", "Fecha del informe", "Fecha de pedido", "Fecha de venta", "Semana"),
        *("Data", "Giorno", "Data del rapporto", "Data ordine", "Data dell'ordine", "Data di vendita", "Settimana"),
        *("Dia", "Data do relatório", "Data do pedido", "Data da venda"),
    ),
    "Product Price": (
        *("Price", "Unit Price", "Selling Price", "Sales Price", "Sale Price", "Average Price", "Item Price"),
        *("Preis", "Stückpreis", "Einzelpreis", "Verkaufspreis", "Produktpreis", "Artikelpreis"),
        *("Prix", "Prix unitaire", "Prix de vente", "Prix du produit"),
        *("Precio", "Precio unitario", "Precio de venta", "Precio del producto"),
        *("Prezzo", "Prezzo unitario", "Prezzo di vendita", "Prezzo del prodotto"),
        *("Preço", "Preço unitário", "Preço de venda", "Preço do produto"),
    ),
    "Total Sales": (
        *("Sales", "Revenue", "Total Revenue", "Sales Amount", "Turnover", "Net Sales", "Gross Sales"),
        *("Umsatz", "Gesamtumsatz", "Umsätze", "Erlös", "Erlöse", "Nettoumsatz", "Bruttoumsatz"),
        *("Ventes", "Ventes totales", "Total des ventes", "Chiffre d'affaires", "CA"),
        *("Ventas", "Ventas totales", "Total de ventas", "Ingresos", "Facturación"),
        *("Vendite", "Vendite totali", "Totale vendite", "Ricavi", "Fatturato"),
        *("Vendas", "Vendas totais", "Total de vendas", "Receita", "Faturamento", "Faturação"),
    ),
    "Organic Conversion Percentage": (
        *("Conversion Rate", "Organic Conversion", "Organic Conversion Rate", "Conversion"),
        *("Konversionsrate", "Conversion-Rate", "Organische Konversionsrate"),
        *("Taux de conversion", "Tasa de conversión", "Tasso di conversione", "Taxa de conversão"),
    ),
    "Ad Conversion Percentage": (
        *("Ad Conversion", "Ad Conversion Rate", "Ads Conversion Rate", "Advertising Conversion Rate"),
        *("Anzeigen-Konversionsrate", "Konversionsrate Anzeigen", "Taux de conversion publicitaire"),
        *("Tasa de conversión de anuncios", "Tasso di conversione annunci", "Taxa de conversão de anúncios"),
    ),
    "Total Profit": (
        *("Profit", "Net Profit", "Gross Profit", "Gewinn", "Gesamtgewinn", "Reingewinn"),
        *("Bénéfice", "Profit total", "Beneficio", "Beneficio total", "Ganancia", "Profitto", "Utile"),
        *("Lucro", "Lucro total"),
    ),
    "Predicted Sales": (
        *("Forecast", "Sales Forecast", "Forecast Sales", "Prognose", "Umsatzprognose"),
        *("Prévision", "Prévision des ventes", "Pronóstico", "Previsión de ventas", "Previsione"),
        *("Previsione di vendita", "Previsão", "Previsão de vendas"),
    ),
    "Product": (
        *("Product Name", "Product Title", "Item", "Item Name", "SKU", "ASIN", "Article", "Product ID"),
        *("Produkt", "Produktname", "Artikel", "Artikelname", "Artikelnummer", "Produktbezeichnung"),
        *("Produit", "Nom du produit", "Référence", "Nom de l'article"),
        *("Producto", "Nombre del producto", "Artículo", "Referencia"),
        *("Prodotto", "Nome prodotto", "Nome del prodotto", "Articolo"),
        *("Produto", "Nome do produto", "Artigo"),
    ),
    "Group": (
        *("Product Group", "Product Family", "Produktgruppe", "Artikelgruppe", "Warengruppe", "Groupe de produits"),
        *("Grupo de productos", "Gruppo di prodotti", "Grupo de produtos"),
    ),
    "Units": (
        *("Units Sold", "Quantity", "Qty", "Quantity Sold", "Units Ordered", "Items Sold"),
        *("Menge", "Stück", "Stückzahl", "Verkaufte Einheiten", "Einheiten", "Verkaufte Menge", "Anzahl"),
        *("Quantité", "Unités", "Unités vendues", "Quantité vendue"),
        *("Cantidad", "Unidades", "Unidades vendidas", "Cantidad vendida"),
        *("Quantità", "Unità", "Unità vendute", "Quantità venduta"),
        *("Quantidade", "Quantidade vendida"),
    ),
    "Unit Cost": (
        *("Cost per Unit", "Cost per Item", "Item Cost", "Landed Cost", "Landed Unit Cost"),
        *("Cost Price", "Purchase Price", "Buying Price", "Unit COGS", "COGS per Unit"),
        *("Stückkosten", "Einkaufspreis", "EK-Preis", "Einstandspreis", "Bezugspreis", "Wareneinsatz pro Stück"),
        *("Coût unitaire", "Coût d'achat", "Prix d'achat", "Prix de revient", "Kostprijs", "Inkoopprijs"),
        *("Coste unitario", "Precio de compra", "Precio de costo", "Precio de coste", "Costo por unidad"),
        *("Costo unitario", "Costo d'acquisto", "Prezzo d'acquisto", "Prezzo di acquisto"),
        *("Custo unitário", "Custo por unidade", "Preço de compra", "Preço de custo"),
    ),
    "In Stock": (
        *("Stock", "Stock Level", "Available", "Availability", "Inventory", "Lagerbestand", "Bestand"),
        *("Auf Lager", "Verfügbar", "En stock", "Disponible", "En existencia", "Existencias", "Inventario"),
        *("Disponibile", "Giacenza", "In magazzino", "Em estoque", "Estoque", "Em stock", "Disponível"),
    ),
    "Competitor Price": (
        *("Competitor's Price", "Competitors Price", "Competing Price", "Market Price"),
        *("Konkurrenzpreis", "Wettbewerbspreis", "Wettbewerberpreis", "Marktpreis"),
        *("Prix concurrent", "Prix du concurrent", "Prix de la concurrence"),
        *("Precio competidor", "Precio del competidor", "Precio de la competencia"),
        *("Prezzo concorrente", "Prezzo del concorrente", "Prezzo della concorrenza"),
        *("Preço concorrente", "Preço do concorrente", "Preço da concorrência"),
    ),
    "Promotion": (
        *("Promo", "On Promotion", "Is Promotion", "Promotional", "Deal", "Aktion", "Werbeaktion", "Rabattaktion"),
        *("En promotion", "Promoción", "En promoción", "Promozione", "In promozione"),
        *("Promoção", "Em promoção"),
    ),
}
"""Other names by column; an unknown name that is one of them is read as that column if no other cell can be it."""

VAGUE_COSTS = (
    *("Cost", "Costs", "Product Cost", "COGS", "Cost of Goods", "Cost of Goods Sold", "Wareneinsatz", "Kosten"),
    *("Coût", "Coûts", "Costo", "Costos", "Coste", "Costes", "Costi", "Custo", "Custos"),
)
"""Names of a column that may hold the cost of one unit, of all units of a row, or of something else."""
