"""Several files at once: ads reports joined to a sales report, and dated files of one report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from export_samples import ads_report, base_rows
from more_export_samples import SAMPLES

from pricerl.advice.sentences.data_report import report_lines
from pricerl.data.config import DataConfig
from pricerl.data.history import History
from pricerl.data.reading.reader import read_history
from pricerl.errors import DataError, UsageError

ADS_TITLE = "Amazon, Sponsored Products advertised product report"
ORDERS = SAMPLES["amazon_all_orders"]().text
ROWS = [f"{day:%Y-%m-%d},{sku},{price},{units * price}" for day, sku, units, price in base_rows()]
HISTORY = ["Report Date,Product,Product Price,Total Sales", *ROWS]
GOOGLE = [
    *["Shopping products", '"20 September 2024 - 29 September 2024"'],
    "Day,Item ID,Currency code,Clicks,Impr.,CTR,Cost,Conversions",
    *[f"2024-09-{20 + at},MUG-1,EUR,50,900,5.00%,12.40,2.00" for at in range(10)],
    'Total: Account,--,--,500,"9,000",5.00%,124.00,20.00',
]


def write_texts(folder: Path, *texts: str) -> list[Path]:
    paths = [folder / f"export_{number}.csv" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def read_texts(folder: Path, *texts: str) -> History:
    return read_history(write_texts(folder, *texts))


def refusal(folder: Path, *texts: str) -> str:
    with pytest.raises(DataError) as caught:
        read_texts(folder, *texts)
    assert len(caught.value.problems) == 1
    return str(caught.value).removeprefix(f"{folder}/")


def halves(text: str) -> list[str]:
    """Return a table as two, which have two rows in common."""
    header, *rows = text.splitlines()
    return ["\n".join([header, *part]) for part in (rows[:12], rows[10:])]


JOINED = {
    "amazon": [ads_report(), ORDERS],
    "by item where the SKU is unknown": [ORDERS, ads_report().replace(",MUG-1,B0MUG-1,", ",OTHER,MUG-1,")],
    "to history columns": ["\n".join(HISTORY), ads_report()],
    "google, with its title and totals": [SAMPLES["shopify_orders"]().text, "\n".join(GOOGLE)],
    "dated files": [ORDERS, *halves(ads_report())],
}


@pytest.mark.parametrize("name", JOINED)
def test_ads_report_gives_the_conversion_of_ads_by_product_and_day(name: str, tmp_path: Path) -> None:
    history = read_texts(tmp_path, *JOINED[name])
    mug, sofa = history.products
    np.testing.assert_allclose(mug.ad[:10], 100 * 2 / 50)
    assert np.isnan(sofa.ad).all()
    if name == "amazon":
        cost = "(preset amazon-advertised-product) on 10 of 48 rows, ad cost 20,005.00."
        assert cost in "\n".join(report_lines(history.reports[0]))


@pytest.mark.parametrize(
    ("ads", "theirs"),
    [
        (ads_report("OTHER"), "'OTHER' from 2024-09-20 to 2024-09-29"),
        (ads_report(day="Sep {}, 2022"), "'MUG-1' from 2022-09-20 to 2022-09-29"),
    ],
)
def test_an_ads_report_of_other_products_or_days_is_refused(ads: str, theirs: str, tmp_path: Path) -> None:
    ours = "'MUG-1', 'SOFA-9' from 2024-09-20 to 2024-10-13"
    words = f"no product and day are in both reports: it has {theirs}, the sales report {ours}"
    assert refusal(tmp_path, ORDERS, ads) == f"export_1.csv: {ADS_TITLE}: {words}"


def test_a_file_of_unknown_columns_or_ads_without_sales_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, ORDERS, "Date,Clicks,Weather\n2024-09-20,3,rain\n").startswith("export_1.csv: is neither ")
    lacking = refusal(tmp_path, ORDERS, ads_report().replace("Spend", "Money", 1))
    assert f"looks like {ADS_TITLE}, but has no column 'Spend'" in lacking
    sales = "Report Date,Product Price,Total Sales\n2024-09-20,10,20\n"
    other = refusal(tmp_path, sales, "Day,Weather\n2024-09-20,rain\n")
    assert "export_1.csv has other columns than " in other
    misspelt = refusal(tmp_path, sales.replace("Total Sales", "Totl Sales"), ads_report())
    assert misspelt.startswith("export_0.csv: line 1: column 'Total Sales' is missing; did you mean 'Totl Sales'?")
    assert "has no sales; name it together with a sales report" in refusal(tmp_path, ads_report())


def test_dated_files_of_a_list_are_read_as_one_and_lines_are_named_with_their_files(tmp_path: Path) -> None:
    texts = ["\n".join([HISTORY[0], *part]) for part in (ROWS[:20], ROWS[20:30], ROWS[30:])]
    paths = write_texts(tmp_path, *texts)
    assert [len(item.dates) for item in read_history(paths).products] == [24, 24]
    (deep := tmp_path / "early").mkdir()
    for path in paths[:2]:
        path.rename(deep / path.name)
    paths[2].write_text(texts[2].replace(",18.0,", ",x,", 1), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_history([deep, paths[2]], DataConfig(strict=True))
    (problem,) = caught.value.problems
    assert problem.startswith("line ") and f" of {paths[2]}, Product Price: must be a number, found 'x'" in problem


def test_the_command_that_lists_the_problems_names_all_files(tmp_path: Path) -> None:
    paths = write_texts(tmp_path, "Report Date,Product Price,Total Sales\n" + "2024-09-20,x,y\n" * 30, ads_report())
    with pytest.raises(DataError, match=f"`check {paths[0]} {paths[1]} --problems problems.csv` lists them"):
        read_history(paths)
    with pytest.raises(UsageError, match="must name at least one file"):
        read_history([])
