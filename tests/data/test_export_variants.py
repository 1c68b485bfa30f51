"""Exports in another column order, with a byte order mark, with unknown columns or with decimal commas."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from export_samples import write_table
from shop_samples import SAMPLES
from test_presets import check_export, refusal

from pricerl.data.platforms.presets import Preset, own_presets
from pricerl.data.platforms.sales_reports import choose_preset
from pricerl.data.reading.sources.typed_files import table_of
from pricerl.errors import DataError

Record = list[str]

NUMBER = re.compile(r"(?P<sign>-?\$?)(?P<whole>\d{1,3}(?:,\d{3})+|\d+)\.(?P<cents>\d+)")
"""A number with a decimal point, in a cell of its own or inside of a list of lines."""

UNKNOWN = ["Internal note", "Warehouse zone", "Erfasst von", "price_checked_by"]
"""Columns that a seller or an app adds."""


def separator_of(text: str) -> str:
    return max(",;\t", key=lambda mark: max(line.count(mark) for line in text.splitlines()))


def edit(text: str, change: Callable[[list[Record], int], list[Record]], separator: str = "") -> str:
    """Change the records of an export, given with the width of its header; other lines are left as they are."""
    mark = separator_of(text)
    records = list(csv.reader(io.StringIO(text), delimiter=mark))
    width = Counter(map(len, records)).most_common(1)[0][0]
    out = io.StringIO()
    csv.writer(out, delimiter=separator or mark, lineterminator="\n").writerows(change(records, width))
    return out.getvalue()


def reorder(records: list[Record], width: int) -> list[Record]:
    """Reverse the columns; those of the same name keep their order among themselves."""
    header = next(record for record in records if len(record) == width and all(record))
    order = sorted(range(width), reverse=True, key=lambda at: (header.index(header[at]), -at))
    return [[record[at] for at in order] if len(record) == width else record for record in records]


def extend(records: list[Record], width: int) -> list[Record]:
    """Add unknown columns in front and at the end."""
    header = next(at for at, record in enumerate(records) if len(record) == width and all(record))
    longer = []
    for at, record in enumerate(records):
        names = UNKNOWN if at == header else [] if not any(record) else ["see above", "", "1.5", "2024-01-01"]
        longer.append([*names[:2], *record, *names[2:]] if len(record) == width and names else record)
    return longer


def localize(records: list[Record], width: int) -> list[Record]:
    """Write numbers with a decimal comma, and points between thousands."""

    def number(match: re.Match[str]) -> str:
        return f"{match['sign']}{match['whole'].replace(',', '.')},{match['cents']}"

    def cell(text: str) -> str:
        if text.startswith("Product ID:"):
            return re.sub(r"(?<=: )" + NUMBER.pattern + r"(?=[,|]|$)", number, text)
        return NUMBER.sub(number, text) if NUMBER.fullmatch(text.rstrip("%")) else text

    return [[cell(text) for text in record] for record in records]


def newest_first(first_cell: str) -> Callable[[list[Record], int], list[Record]]:
    """Reverse the orders; the lines of each stay below the one whose ``first_cell`` is filled."""

    def reverse(records: list[Record], width: int) -> list[Record]:
        at = next(at for at, record in enumerate(records) if len(record) == width and all(record))
        orders: list[list[Record]] = []
        for record in records[at + 1 :]:
            if record[records[at].index(first_cell)]:
                orders.append([])
            orders[-1].append(record)
        return [*records[: at + 1], *(record for order in reversed(orders) for record in order)]

    return reverse


VARIANTS: dict[str, Callable[[str], str]] = {
    # Another order, unknown columns and a byte order mark at once.
    "columns": lambda text: codecs.BOM_UTF8.decode() + edit(edit(text, reorder), extend),
    "decimal commas": lambda text: edit(text, localize, ";"),
}
RARE: dict[str, Callable[[str], str]] = {
    "decimal commas in quotes": lambda text: edit(text, localize, ","),
    "ends of lines": lambda text: text.rstrip("\n").replace("\n", "\r\n"),
}
SEVERAL = ["shopify_orders", "ebay_orders", "lightspeed_sales", "mercadolibre_sales", "bigcommerce_order_lines"]
"""Samples with lines above or below, and with several lines per order."""

FIRST_CELLS = {
    "shopify_orders": "Financial Status",
    "lightspeed_sales": "Date",
    "mercadolibre_sales": "Fecha de venta",
    "bigcommerce_order_lines": "Order Status",
}
"""Column that is filled on the first line of an order only, by sample."""

WITHOUT_CENTS = ("kaufland_sales", "bol_invoice_specification", "order_lines_in_german")
"""Samples without a decimal point: one with cents, the others with decimal commas of their own."""


def check_edited(name: str, text: str, folder: Path) -> None:
    sample = SAMPLES[name]()
    assert text != sample.text or name in WITHOUT_CENTS
    check_export(sample._replace(text=text), folder)


@pytest.mark.parametrize(
    ("name", "variant"), [*itertools.product(SAMPLES, VARIANTS), *itertools.product(SEVERAL, RARE)]
)
def test_variant_of_an_export_has_the_history_of_its_shop(name: str, variant: str, tmp_path: Path) -> None:
    check_edited(name, (VARIANTS | RARE)[variant](SAMPLES[name]().text), tmp_path)


@pytest.mark.parametrize("name", FIRST_CELLS)
def test_newest_orders_may_come_first(name: str, tmp_path: Path) -> None:
    check_edited(name, edit(SAMPLES[name]().text, newest_first(FIRST_CELLS[name])), tmp_path)


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
@pytest.mark.parametrize("name", SEVERAL)
def test_encoding_of_an_export_does_not_matter(name: str, encoding: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]()
    check_export(sample, tmp_path, sample.text.encode(encoding))


def test_column_of_its_own_sign_in_an_export_with_decimal_points_is_read(tmp_path: Path) -> None:
    text = re.sub(r",(16|18|1249|1349)\.(\d\d),", r',"\1,\2",', SAMPLES["shopify_orders"]().text)
    assert ',"1349,50",' in text and ",0.00," in text
    check_edited("shopify_orders", text, tmp_path)


def test_names_with_accents_as_characters_of_their_own_are_known(tmp_path: Path) -> None:
    text = unicodedata.normalize("NFD", SAMPLES["mercadolibre_sales"]().text)
    check_edited("mercadolibre_sales", text, tmp_path)


REFUSED = [preset for preset in own_presets() if preset.grain == "period" or not preset.sums or preset.kind == "ads"]


@pytest.mark.parametrize("preset", REFUSED, ids=lambda preset: preset.name)
@pytest.mark.parametrize("backwards", [True, False])
def test_variant_of_a_report_that_is_refused_is_refused_in_one_sentence(
    preset: Preset, backwards: bool, tmp_path: Path
) -> None:
    header = [*preset.header, *UNKNOWN][:: -1 if backwards else 1]
    text = "\ufeff" + write_table(",".join(header), [dict.fromkeys(header, "1,5")] * 9)
    assert refusal(tmp_path, text).startswith(f"{preset.title}, has no ")


LONG = [preset for preset in own_presets() if len(preset.header) > 5]


@pytest.mark.parametrize("preset", LONG, ids=lambda preset: preset.name)
def test_export_without_one_of_its_columns_is_named_with_it_and_its_download(preset: Preset) -> None:
    others = 0
    for missing in preset.header:
        header = [name for name in preset.header if name != missing]
        with pytest.raises(DataError) as caught:
            choose_preset(table_of("export.csv", header, [["1"]] * len(header)), "auto")
        (problem,) = caught.value.problems
        assert re.match("looks like .+, but has no column '.+'; download it with all columns: ", problem)
        named = f"looks like {preset.title}, but has no column {missing!r}; download it with all columns: "
        others += problem != named + preset.download
    assert others == (4 if preset.name == "walmart-item-sales" else 0)  # closer to Walmart's other reports
