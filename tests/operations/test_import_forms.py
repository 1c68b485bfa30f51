"""Import forms of platforms, and the files that undo them."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from pathlib import Path

import pytest
from test_outbox import FIRST, HEAD, STEPS, advice, order

from pricerl.data.platforms.import_forms import ImportForm, own_forms
from pricerl.errors import DataError
from pricerl.operations.log.decision_log import Log
from pricerl.operations.outbox import COLUMNS
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder

DOCS = Path(__file__).parents[2] / "docs" / "log.md"
FORMS = list(own_forms().values())
MADE = [form for form in FORMS if not form.fills]


def shop(*products: str, today: date = FIRST) -> Shop:
    """A shop whose newest advice raises the first product from 10.00 to 10.50 on the second day, the others at once."""
    entries = [advice(STEPS if at == 0 else STEPS[1:], product=name) for at, name in enumerate(products)]
    numbered = [{**entry, "id": number, "hash": HEAD.hash} for number, entry in enumerate(entries, 1)]
    return Shop(RunFolder(Path("none")), Log(numbered, HEAD), "gen-0001", today)


def rows(form: ImportForm, text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=form.delimiter))


def test_a_form_has_the_platforms_columns_and_its_undo_the_prices_until_now() -> None:
    files = shop("A-1", "B 2", today=FIRST + timedelta(days=1)).import_files(own_forms()["amazon"])
    heads = "sku\tprice\tminimum-seller-allowed-price\tmaximum-seller-allowed-price\tquantity\thandling-time"
    assert files["amazon.txt"] == f"{heads}\tfulfillment-channel\r\nA-1\t10.50\t\t\t\t\t\r\nB 2\t10.50\t\t\t\t\t\r\n"
    assert files["amazon.undo.txt"] == files["amazon.txt"].replace("10.50", "10.00")
    ebay = shop("1234", today=FIRST + timedelta(days=1)).import_files(own_forms()["ebay"])
    assert ebay["ebay.csv"] == "Action,Item number,Start price\r\nRevise,1234,10.50\r\n"


@pytest.mark.parametrize("form", MADE, ids=lambda form: form.name)
def test_a_price_of_a_later_day_waits_for_it(form: ImportForm) -> None:
    for text in shop("later", "now").import_files(form).values():
        heads, *others = rows(form, text)
        assert heads == list(form.columns) and [["now" in line, "later" in line] for line in others] == [[True, False]]


@pytest.mark.parametrize("form", MADE, ids=lambda form: form.name)
def test_a_hostile_name_stays_in_its_cell_and_is_no_formula(form: ImportForm) -> None:
    name = '=cmd("{Price}"),\t;x'
    _, line = rows(form, shop("mug", name).import_files(form)[form.file])
    assert f"'{name}" in line and len(line) == len(form.columns)


def test_every_form_fills_product_and_price_from_columns_of_the_outbox_and_is_named_as_its_file() -> None:
    for name, form in own_forms().items():
        texts = [*form.columns.values()]
        assert form.fills or {"{Product}", "{Price}"} <= {*texts}
        assert form.file.startswith(f"{name}.") and form.name == name
        assert {text for text in texts if "{" in text} <= {f"{{{column}}}" for column in COLUMNS}


EXPORT = """Handle,Title,Body (HTML),Variant SKU,Variant Price,Image Src
mug,Blue mug,"<p>A ""mug"",
with a line",A-1,10.00,https://x/1.png
mug,,,,,https://x/2.png
cup,=Cup,,B 2,12.00,
"""


def test_the_sellers_own_export_is_filled_with_the_prices_and_otherwise_unchanged(tmp_path: Path) -> None:
    export = tmp_path / "products.csv"
    export.write_text(EXPORT, encoding="utf-8-sig")
    opened = shop("A-1", today=FIRST + timedelta(days=1))
    files = opened.import_files(own_forms()["shopify"], export)
    assert files == {"shopify.csv": EXPORT.replace("10.00", "10.50"), "shopify.undo.csv": EXPORT}
    by_handle = shop("mug", today=FIRST + timedelta(days=1)).import_files(own_forms()["shopify"], export)
    assert by_handle["shopify.csv"] == EXPORT.replace("10.00", "10.50")
    for text, message in (
        (EXPORT.replace("A-1", "A-2"), "has no row of 'A-1' with a price"),
        (EXPORT.replace("Variant Price", "Price"), "is no product export of Shopify"),
    ):
        export.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            opened.import_files(own_forms()["shopify"], export)


def test_the_documents_list_every_form() -> None:
    text = DOCS.read_text(encoding="utf-8")
    found = [line for line in text.splitlines() if line.startswith("| `") and ".undo." in line]
    assert found == [
        f"| `{form.name}` | {form.upload} | {form.product} | `{form.file}`, `{form.undo}` |" for form in FORMS
    ]


def test_an_order_is_undone_to_the_price_of_the_file() -> None:
    ordered = shop("mug")
    entry = {**order("override", price=9.6), "id": 2, "hash": HEAD.hash}
    ordered = Shop(ordered.folder, Log([*ordered.log.entries, entry], HEAD), "gen-0001", FIRST)
    files = ordered.import_files(own_forms()["woocommerce"])
    assert files["woocommerce.csv"] == "SKU,Regular price\r\nmug,9.60\r\n"
    assert files["woocommerce.undo.csv"] == "SKU,Regular price\r\nmug,10.00\r\n"
