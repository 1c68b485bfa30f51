"""Exports of platforms, read unedited, have the units, prices and revenue of the shop that they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from export_samples import DAYS, FIRST_DAY, SHOP, Sample, base_rows, order_lines, write_table
from shop_samples import SAMPLES

from pricerl.advice.sentences.data_report import report_lines
from pricerl.data.config import DataConfig
from pricerl.data.days import DAY
from pricerl.data.history import History, ProductHistory
from pricerl.data.platforms.presets import Preset, own_presets
from pricerl.data.reading.reader import read_history
from pricerl.errors import DataError

REPORTS = [preset for preset in own_presets() if preset.grain == "period" or not preset.sums]
"""Presets of reports without dates or units."""
MUG = "Speckled Mug, large"


def read_text(folder: Path, *texts: str, **settings: str) -> History:
    paths = [folder / f"export_{number}.csv" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return read_history(paths, DataConfig(**settings))  # type: ignore[arg-type]


def refusal(folder: Path, *texts: str, **settings: str) -> str:
    with pytest.raises(DataError) as caught:
        read_text(folder, *texts, **settings)
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


def check_product(known: ProductHistory, sku: str) -> float:
    """Check days, units and posted prices of a product; return what its buyers did not pay of these."""
    base = [(units, price) for _, other, units, price in base_rows() if other == sku]
    assert known.dates[0] == np.datetime64(FIRST_DAY, "D")
    assert len(known.dates) == DAYS
    assert known.observed.all()
    np.testing.assert_allclose(known.units, [units for units, _ in base])
    np.testing.assert_allclose(known.price, [price for _, price in base])
    given = known.price * known.units - known.sales
    assert (given > -1e-6).all()
    return float(given.sum())


def change(sample: str, old: str, new: str, count: int = -1) -> str:
    text = SAMPLES[sample]().text
    assert old in text
    return text.replace(old, new, count)


def check_export(sample: Sample, folder: Path, data: bytes | None = None) -> None:
    """Check that an export, as text or as the bytes of a file, has the history of its shop."""
    path = folder / "export_0.csv"
    path.write_bytes(sample.text.encode() if data is None else data)
    history = read_history(path)
    by_name = {name: sku for sku, (name, *_) in SHOP.items()}
    names = {"sku": {sku: sku for sku in SHOP}, "name": by_name, "mug": {"export_0": "MUG-1"}}[sample.key]
    assert {item.product for item in history.products} == set(names)
    given = sum(check_product(item, names[item.product]) for item in history.products)
    assert given == pytest.approx(sample.coupons, abs=1e-6)
    assert f"(preset {sample.preset})" in "\n".join(report_lines(history.reports[0]))


@pytest.mark.parametrize("name", SAMPLES)
def test_export_has_the_history_of_its_shop(name: str, tmp_path: Path) -> None:
    check_export(SAMPLES[name](), tmp_path)


def test_samples_cover_every_preset_of_sales_and_ten_platforms() -> None:
    usable = [preset for preset in own_presets() if preset.kind == "sales" and preset not in REPORTS]
    assert {build().preset for build in SAMPLES.values()} == {preset.name for preset in usable}
    assert len({preset.platform for preset in usable}) >= 10


@pytest.mark.parametrize("preset", REPORTS, ids=lambda preset: preset.name)
def test_report_without_dates_or_units_is_refused_with_what_to_download(preset: Preset, tmp_path: Path) -> None:
    others = ["(Parent) ASIN", "Title", "Sessions - Total", "Category", "Total sales", "Taxes", "Shipping"]
    header = [*preset.header, *(other for other in others if other not in preset.header)]
    text = refusal(tmp_path, write_table(",".join(header), [dict.fromkeys(header, "1")] * 9))
    assert text.startswith(f"{preset.title}, has no ")
    assert text.endswith(f"; {preset.instead}")


def test_the_category_of_an_export_is_the_group_of_its_products(tmp_path: Path) -> None:
    header, *lines = SAMPLES["square_items"]().text.splitlines()
    place = header.split(",").index("Category")
    rows = [line.split(",") for line in lines]
    named = [",".join([*cells[:place], "Mugs", *cells[place + 1 :]]) for cells in rows]
    history = read_text(tmp_path, "\n".join([header, *named]))
    assert {product.group for product in history.products} == {"Mugs"}
    assert "Column 'Category' was read as Group." in history.reports[0].notes


def test_rows_that_do_not_count_are_in_the_notes(tmp_path: Path) -> None:
    lines = "\n".join(report_lines(read_text(tmp_path, SAMPLES["amazon_all_orders"]().text).reports[0]))
    assert "2 rows are not counted as sales: order-status Cancelled (1), Pending (1)." in lines
    assert "1 row is not counted as sales: sales-channel Non-Amazon (1)." in lines


REFUSED = [
    ("walmart_orders", "Delivered", "Lost", "{}, Status: 'Lost' is not a known status; list it in keep or drop"),
    ("etsy_sold_orders", ",EUR,", ",USD,", "Currency: has 2 currencies: EUR (85 rows), USD (1 row);"),
    (
        "woocommerce_orders",
        f"1× {MUG}",
        f"1× {MUG}, 2× Sofa",
        "{}, Product(s): '1× Speckled Mug, large, 2× Sofa' is not",
    ),
    ("kaufland_sales", "4006381333931;MUG-1;", ";;", "{}, offer_id: is blank; every sale needs a product"),
    ("walmart_orders", "1,MUG-1,16.5", "1,MUG-1,", "{}, Item Cost: is blank in a row that counts as a sale; Walmart,"),
]


@pytest.mark.parametrize(("name", "old", "new", "words"), REFUSED)
def test_an_export_with_a_row_that_cannot_be_read_is_refused(
    name: str, old: str, new: str, words: str, tmp_path: Path
) -> None:
    text = change(name, old, new, 1)
    rows = zip(SAMPLES[name]().text.splitlines(), text.splitlines(), strict=True)
    line = next(at for at, (before, after) in enumerate(rows, start=1) if before != after)
    assert refusal(tmp_path, text).startswith(words.format(f"line {line}"))


def test_currency_of_rows_that_do_not_count_does_not_matter(tmp_path: Path) -> None:
    *lines, cancelled = SAMPLES["etsy_sold_orders"]().text.splitlines()
    assert "Canceled" in cancelled
    history = read_text(tmp_path, "\n".join([*lines, cancelled.replace(",EUR,", ",USD,")]))
    check_product(history.products[0], "MUG-1")


def test_blank_sku_of_one_row_names_all_products_by_the_next_column(tmp_path: Path) -> None:
    text = change("shopify_orders", ",SOFA-9,", ",,")
    assert {item.product for item in read_text(tmp_path, text).products} == {MUG, "Sofa"}


def test_file_in_which_no_row_counts_is_refused(tmp_path: Path) -> None:
    text = change("kaufland_sales", "not_cancelled", "cancelled")
    assert refusal(tmp_path, text).startswith("Kaufland, Sales report: none of ")


def test_more_short_lines_than_the_export_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="5 of 92 rows do not have as many cells as the header"):
        read_text(tmp_path, SAMPLES["ebay_orders"]().text + "a,b\nc,d\ne,f\n")


def test_dated_files_of_one_export_are_read_as_one(tmp_path: Path) -> None:
    above, header, padding, *rows = SAMPLES["ebay_orders"]().text.splitlines()
    lines, footer = rows[:-3], rows[-3:]
    for number, part in enumerate((lines[:50], lines[45:])):
        (tmp_path / f"orders_{number}.csv").write_text("\n".join([above, header, padding, *part, *footer]))
    check_product(read_history(tmp_path).products[0], "MUG-1")


@pytest.mark.parametrize(("missing_days", "observed"), [("auto", True), ("zero", True), ("unknown", False)])
def test_days_without_an_order_are_zeros(missing_days: str, observed: bool, tmp_path: Path) -> None:
    lines = [line for line in SAMPLES["walmart_orders"]().text.splitlines() if "2024-09-25" not in line]
    mug = read_text(tmp_path, "\n".join(lines), missing_days=missing_days).products[0]
    (day,) = np.flatnonzero(mug.dates == np.datetime64("2024-09-25"))
    assert mug.observed[day] == (mug.units[day] == 0) == observed


def test_names_that_differ_in_case_are_one_product(tmp_path: Path) -> None:
    mug, _ = read_text(tmp_path, change("walmart_orders", ",MUG-1,", ",mug-1 ,", 20)).products
    check_product(mug, "MUG-1")
    assert mug.product == "mug-1"


def test_short_line_between_rows_is_refused(tmp_path: Path) -> None:
    first, second, *lines = SAMPLES["walmart_orders"]().text.splitlines()
    assert refusal(tmp_path, "\n".join([first, second, "a,b", *lines])).startswith("line 3: has 2 cells")


@pytest.mark.parametrize("name", ["amazon_all_orders", "stripe_payments"])
def test_days_move_to_the_time_zone_of_the_seller(name: str, tmp_path: Path) -> None:
    text = SAMPLES[name]().text
    as_written, ahead = (read_text(tmp_path, text, **zone) for zone in ({}, {"time_zone": "Pacific/Kiritimati"}))
    known, _ = as_written.products
    moved, _ = ahead.products
    assert moved.dates[-1] == known.dates[-1] + DAY and moved.units.sum() == known.units.sum()  # 14 hours ahead
    assert "Days are in UTC" in "\n".join(report_lines(as_written.reports[0]))
    second_orders = [line.units for line in order_lines() if line.sku == "MUG-1" and line.time.hour == 14]
    assert moved.units[-1] == second_orders[-1]


def test_named_preset_that_does_not_fit_is_refused_with_the_missing_column(tmp_path: Path) -> None:
    text = refusal(tmp_path, SAMPLES["walmart_orders"]().text, preset="kaufland-sales")
    assert text.startswith("preset kaufland-sales needs column 'date_inserted'; the header has: PO#, Order#")


def test_preset_none_reads_the_columns_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column 'Report Date' is missing"):
        read_text(tmp_path, SAMPLES["kaufland_sales"]().text, preset="none")


def test_two_sales_reports_are_refused(tmp_path: Path) -> None:
    texts = (SAMPLES[name]().text for name in ("walmart_orders", "kaufland_sales"))
    assert "; read one sales report at a time" in refusal(tmp_path, *texts)
