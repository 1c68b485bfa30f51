"""How files were read, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any

from pricerl.advice.sentences.data_report import report_lines
from pricerl.data.cleaning.quality import Quality
from pricerl.data.cleaning.rows import Rows
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.days import day_texts
from pricerl.data.history import History
from pricerl.data.platforms.sales_reports import choose_preset
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading import columns
from pricerl.data.reading.dates import open_readings
from pricerl.data.reading.header import match_header
from pricerl.data.reading.reader import read_rows
from pricerl.data.reading.sources.containers import open_tables
from pricerl.errors import DataError, PricerlError
from pricerl.market.cost import describe_costs
from pricerl.operations.log.staging import groups_of
from pricerl.operations.shop import Shop
from pricerl.shop.names import NEW
from pricerl.terminal import clean

DRAWN, MOST_DRAWN = 90, 6
"""Days of a picture of sales, and products that get one."""


@dataclass(frozen=True)
class Column:
    """Column of a file."""

    name: str
    read_as: str
    """Column of ours; empty if it is ignored."""
    corrected: bool
    """Whether the seller, not its name, says so."""


@dataclass(frozen=True)
class ReadProduct:
    """Product of a file as it was read."""

    product: str
    current_price: float
    quality: Quality
    report: list[str]
    """Verdict on its data, counts and notes on columns, one line each."""
    costs: str


@dataclass(frozen=True)
class Reading:
    """How files were read, before anything is trained."""

    files: Sequence[str]
    shop: str = ""
    """Name of the shop that the files belong to, or of the one that an advice makes."""
    format: str = ""
    """Platform and report of an export; empty for a table of days with our columns."""
    currency: str = ""
    columns: list[Column] = field(default_factory=list)
    """Of the first file; empty if it is no table, or an export, whose preset knows them."""
    products: list[ReadProduct] = field(default_factory=list)
    costs: list[Mapping[str, Any]] = field(default_factory=list)
    """Rows of costs of these products and their groups, of which a product without any has a blank one."""
    days: int = 0
    """Days of the longest history."""
    until: str = ""
    """Last day, ISO format."""
    adds: int = 0
    """Days after the last one that the shop has."""
    recent: list[dict[str, Any]] = field(default_factory=list)
    """Dates, prices and units of the last days of the first products."""
    problems: list[str] = field(default_factory=list)
    """Problems that leave products or days out."""
    refusal: str = ""
    """Why nothing can be read; empty if something can."""
    dates: list[str] = field(default_factory=list)
    """A day as read with the day first and with the month first, ISO format, if the file does not show the order."""
    remembered: str = ""
    """First part of the dates, day or month, if only the shop's earlier files show it."""
    prices: list[dict[str, Any]] = field(default_factory=list)
    """Products whose last row has another price than the one in force: ``product``, ``last`` and ``in_force``."""


@dataclass(frozen=True)
class SellerFiles:
    """Files that are read together, as a person says and as earlier ones of their shop were."""

    names: Sequence[str]
    corrected: Mapping[str, str]
    """Columns of ours by their names in these files and in others."""
    costs: Sequence[Mapping[str, Any]]
    """Rows of costs.csv, of these products and of others."""
    meant: Mapping[str, Any]
    """Settings of reading that a person chose."""
    own: str
    """Name of their shop if no other has their products."""
    shops: Sequence[str]
    open_shop: Callable[[str], Shop]

    @cached_property
    def config(self) -> DataConfig:
        """Settings of reading, with the corrected columns that the files have."""
        tables = open_tables(self.names) if self.corrected else []
        header = {name.strip() for table in tables for name in table.header}
        columns = {name: ours for name, ours in self.corrected.items() if name in header}
        return DataConfig(columns=columns or None, **self.meant)

    def read(self) -> tuple[DataConfig, Rows, str, Shop | None]:
        """Return settings and rows, the name of their shop, and the shop itself if it can be opened.

        Dates that have two readings are read as the shop's earlier files were.
        """
        shops = dict[str, Shop | None].fromkeys(self.shops)
        for name in shops:
            with suppress(PricerlError):  # which its own page says
                shops[name] = self.open_shop(name)

        def read(config: DataConfig) -> tuple[DataConfig, Rows, str, Shop | None]:
            rows = read_rows(self.names, config)
            name = find_shop(self.own, rows, shops)
            return config, rows, name, shops.get(name)

        try:
            return read(self.config)
        except DataError:
            days = ((name, shop and shop.days(())) for name, shop in shops.items() if self.config.date_order == "auto")
            orders: dict[str, Any] = {name: found.means["date_order"] for name, found in days if found}
            likely = []
            for order in {*orders.values()} - {"auto"}:
                with suppress(DataError):
                    likely.append(read(replace(self.config, date_order=order)))
            likely = [found for found in likely if found[0].date_order == orders.get(found[2])]
            if len(likely) != 1:
                raise
            return likely[0]

    def costs_in(self, rows: Rows, shop: Shop | None) -> list[Mapping[str, Any]]:
        """Return the costs of the products and groups of some rows and of their shop."""
        known = {*shop.products} if shop else set()
        groups = rows.groups.union(groups_of(shop).values() if shop and known else ())
        return self._costs_of(known if rows.unnamed and len(known) == 1 else known.union(rows.names), groups)

    def _costs_of(self, names: Collection[str], groups: Collection[str]) -> list[Mapping[str, Any]]:
        only = [None] if len(names) == 1 else []
        return [row for row in self.costs if row.get("product") in (*names, *groups, *only)]

    def describe(self) -> Reading:
        """Return what was found in the files, or why they cannot be read."""
        about: dict[str, Any] = {}
        try:
            about |= describe_table(self.names[0], self.config)
            config, rows, about["shop"], _ = self.read()
            if config is not self.config:
                about |= {"dates": [], "remembered": config.date_order}
            shop = self.open_shop(about["shop"]) if about["shop"] in self.shops else None
            history = (shop.join(shop.named(rows)) if shop else rows).clean()
            known = [last for *_, last in shop.summary()] if shop else []
            about |= self._describe(history, config, max(known, default=""))
        except DataError as error:
            about["refusal"] = str(error.among(self.names))
        return Reading(self.names, **about)

    def _describe(self, history: History, config: DataConfig, known: str) -> dict[str, Any]:
        """Return currency, extent, products and problems of a history that its shop has until the day ``known``."""
        prepared = DataPreprocessor.fit(history, config)
        prices = prepared.current_prices
        products = history.products
        rows = self._costs_of(prepared.names, {item.group for item in products} - {""})
        typed = [{"product": prepared.names[0], **row} for row in rows]
        listed = {row["product"] for row in typed}
        costs = CostConfig(products=rows)
        until = max(item.dates[-1].astype(date) for item in products)
        return {
            "currency": history.currency,
            "costs": [*typed, *({"product": name} for name in prepared.names if name not in listed)],
            "problems": [clean(str(problem)) for problem in history.problems],
            "days": max(len(item.dates) for item in products),
            "until": until.isoformat(),
            "adds": (until - date.fromisoformat(known)).days if known else 0,
            "products": [
                ReadProduct(
                    name, prices[name], report.judge().quality, report_lines(report), describe_costs(item, costs)
                )
                for name, item, report in zip(prepared.names, prepared.products, prepared.reports, strict=True)
            ],
            "prices": [
                {"product": report.product, **found.numbers}
                for report in prepared.reports
                for found in report.judge().findings
                if found.code == "price_differs" and config.current_price == "ask"
            ],
            "recent": [
                {
                    "dates": day_texts(item.dates[-DRAWN:]),
                    "prices": item.price[-DRAWN:].tolist(),
                    "units": item.units[-DRAWN:].tolist(),
                }
                for item in prepared.products[:MOST_DRAWN]
            ],
        }


def describe_table(file: str, config: DataConfig) -> dict[str, Any]:
    """Return format and columns of a file, as in a `Reading`."""
    (table,) = open_tables([file])
    corrected = config.columns or {}
    if not corrected and (preset := choose_preset(table, config.preset)):
        return {"format": preset.title}
    positions, *_ = match_header(table.header, 1, corrected)
    ours = {place: name for name, place in positions.items()}
    names = {place: name.strip() for place, name in enumerate(table.header) if name.strip()}
    asked = columns.REPORT_DATE in positions and config.date_order == "auto"
    days = open_readings(table.frame.iloc[:, positions[columns.REPORT_DATE]]) if asked else []
    return {
        "dates": [*map(str, days)],
        "columns": [Column(name, ours.get(at, ""), name in corrected) for at, name in names.items()],
    }


def find_shop(own: str, rows: Rows, shops: Mapping[str, Shop | None]) -> str:
    """Return the name of the shop with the products of some rows, else their ``own``, of a new one.

    Rows without a product's name belong to the only shop with one product, if they join the days that it has read. Of
    the ``shops``, those that cannot be opened are None.
    """
    known = {name: {*shop.products} if shop else set() for name, shop in shops.items()}
    shared = {name: len(products.intersection(_named(shops[name], rows).names)) for name, products in known.items()}
    if own in known and (rows.unnamed or shared[own]):
        return own
    likely = sorted(filter(shared.get, shared), key=shared.__getitem__, reverse=True)
    if rows.unnamed:
        single = [name for name, products in known.items() if len(products) == 1]
        likely = single if len(single) == 1 else []
    return next((name for name in likely if _takes(shops[name], rows)), own)


def _named(shop: Shop | None, rows: Rows) -> Rows:
    """Return the rows under a shop's names of their products, without a question; as they are if it has none."""
    with suppress(PricerlError):
        return shop.named(rows, {NEW}) if shop else rows
    return rows


def _takes(shop: Shop | None, rows: Rows) -> bool:
    """Return whether rows join the days of a shop; changed values are a reason against it only without a name."""
    with suppress(DataError):
        return shop is not None and shop.join(_named(shop, rows), accepts_changes=not rows.unnamed) is not None
    return False
