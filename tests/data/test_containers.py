"""Files, folders, frames and databases of the same rows give the same history; what cannot be read is refused."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from shop_samples import SAMPLES

from pricerl.advice.sentences.data_report import report_lines
from pricerl.data.config import DataConfig
from pricerl.data.history import History
from pricerl.data.reading.reader import read_history
from pricerl.data.reading.sources import containers, sizes
from pricerl.data.reading.sources.frames import write_frame
from pricerl.data.reading.sources.typed_files import to_text
from pricerl.errors import EXIT_BAD_DATA, DataError, UsageError

DAYS = [datetime.date(2025, 1, 1) + datetime.timedelta(day) for day in range(20)]
ROWS = [(day, 10.05 + at % 3, round((10.05 + at % 3) * (at + 2), 2), "Café") for at, day in enumerate(DAYS)]
HEADER = ("Report Date", "Product Price", "Total Sales", "Product")
FRAME = pd.DataFrame(ROWS, columns=list(HEADER))


def csv_of(rows: list[tuple[object, ...]] = ROWS, separator: str = ",", decimal: str = ".") -> str:
    lines = [separator.join(str(cell).replace(".", decimal) for cell in row) for row in rows]
    return "\n".join([separator.join(HEADER), *lines, ""])


def parquet_of(frame: pd.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.to_parquet(out, index=False)
    return out.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def workbook_of(sheets: dict[str, list[list[object]]]) -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def json_of(rows: list[tuple[object, ...]] = ROWS) -> bytes:
    return "\n".join(json.dumps(dict(zip(HEADER, row, strict=True)), default=str) for row in rows).encode()


SHEET = [list(HEADER), *map(list, ROWS)]
FILES: dict[str, Callable[[], bytes]] = {
    "comma.csv": lambda: csv_of().encode(),
    "semicolon.csv": lambda: csv_of(separator=";", decimal=",").encode(),
    "tab.tsv": lambda: csv_of(separator="\t").encode(),
    "pipe.txt": lambda: csv_of(separator="|").encode(),
    "old mac.csv": lambda: csv_of().replace("\n", "\r").encode(),
    "windows.csv": lambda: csv_of(separator=";").replace("\n", "\r\n").encode("utf-8-sig"),
    "utf16.csv": lambda: csv_of().encode("utf-16"),
    "utf16le.csv": lambda: ("\ufeff" + csv_of()).encode("utf-16-le"),
    "cp1252.csv": lambda: csv_of().encode("cp1252"),
    "sales.csv.gz": lambda: gzip.compress(csv_of().encode()),
    "sales.zip": lambda: zip_of({"deep/sales.csv": csv_of().encode(), "__MACOSX/x": b"\0"}),
    "sales.xlsx": lambda: workbook_of({"Sales": SHEET}),
    "sheets.xlsx": lambda: workbook_of({"Notes": [["Made by hand"]], "Sales": SHEET}),
    "book.zip": lambda: zip_of({"sales.xlsx": workbook_of({"Sales": SHEET})}),
    "sales.parquet": lambda: parquet_of(FRAME),
    "times.parquet": lambda: parquet_of(FRAME.assign(**{"Report Date": pd.to_datetime(FRAME["Report Date"])})),
    "float32.parquet": lambda: parquet_of(FRAME.astype({"Product Price": "float32", "Product": "category"})),
    "sales.jsonl": json_of,
    "sales.json": lambda: b"[" + json_of().replace(b"\n", b",\n") + b"]",
}


def check_equal(history: History) -> None:
    (product,) = history.products
    assert product.product == "Café"
    np.testing.assert_array_equal(product.dates, np.array(DAYS, dtype="datetime64[D]"))
    np.testing.assert_array_equal(product.price, FRAME["Product Price"])
    np.testing.assert_array_equal(product.sales, FRAME["Total Sales"])
    np.testing.assert_array_equal(product.units, np.arange(2.0, 22.0))


def refuse(path: Path | str, config: DataConfig | None = None) -> str:
    with pytest.raises(DataError) as caught:
        read_history(path, config)
    assert caught.value.exit_code == EXIT_BAD_DATA
    return str(caught.value)


def refuse_file(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return refuse(path)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_any_format_gives_the_same_history(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name]())
    history = read_history(path)
    check_equal(history)
    assert any("Windows-1252" in note for note in history.reports[0].notes) == (name == "cp1252.csv")


def write_months(folder: Path, *parts: list[tuple[object, ...]]) -> None:
    for month, rows in enumerate(parts, 1):
        (folder / f"sales-{month:02}.csv").write_text(csv_of(rows), encoding="utf-8")


@pytest.mark.parametrize("pattern", ["", "/sales-*.csv"])
def test_dated_files_are_read_as_one_and_rows_in_common_once(pattern: str, tmp_path: Path) -> None:
    write_months(tmp_path, ROWS[:8], ROWS[6:14], ROWS[12:])
    history = read_history(f"{tmp_path}{pattern}")
    check_equal(history)
    assert history.reports[0].notes[:2] == (
        "3 files were read as one: sales-01.csv to sales-03.csv.",
        "Rows that files have in common, read once: 4.",
    )


def test_dated_files_may_have_several_formats_folders_and_orders_of_columns(tmp_path: Path) -> None:
    parts = {"csv": csv_of(ROWS[:6]).encode(), "jsonl": json_of(ROWS[6:11]), "parquet": parquet_of(FRAME[11:15])}
    parts["txt"] = FRAME.iloc[15:, ::-1].to_csv(index=False).encode()
    for ending, data in parts.items():
        (tmp_path / ending).mkdir()
        (tmp_path / ending / "sales").write_bytes(data)
    history = read_history(f"{tmp_path}/*/sales")
    check_equal(history)
    assert history.reports[0].notes[0] == "4 files were read as one: csv/sales to txt/sales."


def test_contradicting_rows_of_two_files_are_named_with_their_files(tmp_path: Path) -> None:
    write_months(tmp_path, ROWS[:8], [(ROWS[7][0], 99.0, 99.0, "Café"), *ROWS[8:]])
    assert refuse(tmp_path).endswith(
        "line 2 of sales-02.csv, Report Date: 2025-01-08 is already on line 9 of sales-01.csv; keep one row per day"
    )


def test_files_of_two_reports_in_a_folder_are_refused(tmp_path: Path) -> None:
    write_months(tmp_path, ROWS)
    (tmp_path / "stock.csv").write_text("Item,Stock\nA,3\n", encoding="utf-8")
    assert "stock.csv has other columns than sales-01.csv" in refuse(tmp_path)


@pytest.mark.parametrize("column", ["Product", "Report Date"])
@pytest.mark.parametrize("end", ["", "/*=*", "/*/*.parquet"])
def test_folders_that_name_a_value_are_a_column_of_their_files(column: str, end: str, tmp_path: Path) -> None:
    for value, rows in FRAME.groupby(column):
        folder = tmp_path / f"{column.replace(' ', '%20')}={value}".replace("é", "%C3%A9")
        folder.mkdir()
        (folder / "part-0.parquet").write_bytes(parquet_of(rows.drop(columns=column)))
    (tmp_path / "_SUCCESS").touch()
    check_equal(read_history(f"{tmp_path}{end}"))


def test_a_columns_own_values_come_before_that_of_its_folder_and_an_unnamed_value_is_blank(tmp_path: Path) -> None:
    (tmp_path / "product=Tea").mkdir()
    (tmp_path / "product=Tea" / "a.parquet").write_bytes(parquet_of(FRAME))
    check_equal(read_history(tmp_path))
    (tmp_path / "product=Tea").rename(tmp_path / "Units=__HIVE_DEFAULT_PARTITION__")
    check_equal(read_history(tmp_path))


BROKEN = {
    "empty.csv": (b"", "is empty; a header line and one row per day are needed"),
    "cut.parquet": (parquet_of(FRAME)[:200], "is not a whole Parquet file"),
    "binary.csv": (bytes(range(256)), "byte 129 is not text; export the file as CSV in UTF-8"),
    "page.csv": (b"<!DOCTYPE html>\n<p>Log in", "is a web page or XML, not a table; download it again, as CSV"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_read_is_named_and_the_others_are_read(name: str, tmp_path: Path) -> None:
    data, finding = BROKEN[name]
    write_months(tmp_path, ROWS[:8], ROWS[8:])
    (tmp_path / name).write_bytes(data)
    history = read_history(tmp_path)
    check_equal(history)
    (problem,) = history.problems
    assert str(problem).startswith(f"{name}: {finding}") and problem.where == name
    skipped = f"Skipped, as they cannot be read: 1 of 3 files ('{name}'). check FILE lists the problems."
    assert skipped in history.reports[0].notes
    assert f"{name}: {finding}" in refuse(tmp_path, DataConfig(strict=True))
    (tmp_path / "sales-02.csv").unlink()
    assert f"{name}: {finding}" in refuse(tmp_path)  # as many as can be read


MIXED = FRAME.astype({"Product Price": object})
MIXED.loc[3, "Product Price"] = str(MIXED.loc[3, "Product Price"])
FRAMES = {
    "pandas": FRAME,
    "index": FRAME.set_index("Report Date"),
    "times": FRAME.assign(**{"Report Date": pd.to_datetime(FRAME["Report Date"])}),
    "mixed": MIXED,
    "arrow": pa.Table.from_pandas(FRAME),
    "batch": pa.RecordBatch.from_pandas(FRAME.astype({"Product": "category"})),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_gives_the_same_history(name: str, tmp_path: Path) -> None:
    check_equal(read_history(FRAMES[name]))
    write_frame(FRAMES[name], tmp_path / "frame.csv")
    check_equal(read_history(tmp_path / "frame.csv"))


def test_standard_input_is_read_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    containers._read_stdin.cache_clear()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(csv_of().encode())))
    check_equal(read_history("-"))
    check_equal(read_history("-"))
    containers._read_stdin.cache_clear()


def test_problems_are_named_by_the_lines_of_json_and_the_rows_of_a_sheet(tmp_path: Path) -> None:
    rows = json_of(ROWS[:9]).replace(b"10.05", b"-1.50", 1)
    assert "line 11: is not a JSON object" in refuse_file(tmp_path / "a.jsonl", rows + b"\n\nnot json\n")
    assert refuse_file(tmp_path / "a.jsonl", rows).endswith("line 1, Product Price: must be positive, found -1.50")
    sheet: list[list[object]] = [[], ["Export of May"], [], *SHEET[:1], [DAYS[0], -10.05, 20, "Café"], *SHEET[2:]]
    data = workbook_of({"S": sheet})
    assert refuse_file(tmp_path / "a.xlsx", data).endswith("line 5, Product Price: must be positive, found -10.05")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.gz", lambda: gzip.compress(csv_of().encode())[:-9], "is not a whole compressed file"),
        ("a.zip", lambda: zip_of({"a.csv": b"1", "b.csv": b"2"}), "zip archive of 2 files ('a.csv', 'b.csv')"),
        ("a.zip", lambda: zip_of({"a.csv": csv_of().encode()})[:-30], "is not a whole zip archive"),
        ("a.parquet", lambda: parquet_of(FRAME[:0]), "has no rows"),
        ("a.jsonl", lambda: json_of(ROWS[:3]) + b'\n{"Product": "\\ud800"}', "line 4: is not a JSON object"),
        ("a.xlsx", lambda: zip_of({"[Content_Types].xml": b"<x/>"}), "is not an Excel workbook that can be read"),
        ("a.xlsx", lambda: workbook_of({"S": []}), "is empty"),
        ("a.xlsx", lambda: workbook_of({"North": SHEET, "South": SHEET}), "has several sheets ('North', 'South')"),
    ],
)
def test_a_damaged_container_is_refused(name: str, data: Callable[[], bytes], words: str, tmp_path: Path) -> None:
    assert words in refuse_file(tmp_path / name, data())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        *[(data, "is empty") for data in (b"  \n\n", b",,,\n,,,\n")],
        (b"Report Date,Product Price,Total Sales\n", "has a header but no rows"),
        *[(data, "binary data") for data in (b"Report Date\0\x01\x02", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")],
        (b"PK\x03\x04rest of a workbook", "Excel workbook"),
        (b"PAR1rest", "Parquet"),
        (b"\x1f\x8b\x08rest", "compressed"),
        *[(data, "is not text") for data in (b"Report Date,\x81\x8d\n", b"\xff\xfeR")],
        (csv_of().replace("2025-01-03,", '2025-01-03,"').encode(), "line 4: malformed quotes or cells"),
    ],
)
def test_a_csv_file_that_is_no_table_is_refused(data: bytes, words: str, tmp_path: Path) -> None:
    assert words in refuse_file(tmp_path / "a.csv", data)


def test_what_is_no_file_that_can_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is a folder without files" in refuse(tmp_path)
    assert "there is no such file" in refuse(tmp_path / "nowhere" / "sales.csv")
    assert "there is no such file" in refuse(f"{tmp_path}/*.txt")
    assert "no such file" in refuse(f"{tmp_path}/a\0b.csv")
    assert "cannot be read" in refuse(tmp_path / ("a" * 400))
    assert "not a regular file" in refuse("/dev/zero")
    write_months(tmp_path, ROWS)
    assert refuse(tmp_path / "sale-01.csv").endswith("there is no such file; did you mean 'sales-01.csv'?")
    with pytest.raises(UsageError, match="expected a file, folder, database or DataFrame, found int"):
        read_history(5)
    with pytest.raises(DataError, match="has no rows"):
        read_history(FRAME[:0])

    def forbid(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbid)
    assert "ask for read permission" in refuse(tmp_path / "sales-01.csv")


def test_files_above_a_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_months(tmp_path, ROWS)
    for limit, value, words in (
        ("MAX_COLUMNS", 3, "has 4 columns"),
        ("MAX_BYTES", 100, "too large"),
    ):
        monkeypatch.setattr(sizes, limit, value)
        assert words in refuse(tmp_path / "sales-01.csv")


def test_rows_have_no_limit_of_their_own() -> None:
    sizes.check_size("sales.csv", 50_000_000, 10)
    with pytest.raises(DataError, match="has more than 536,870,912 cells; remove columns or split the file"):
        sizes.check_size("sales.csv", 60_000_000, 10)


def test_trailing_blank_cells_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(csv_of().replace("Café", "Café,,", 4), encoding="utf-8")
    check_equal(read_history(tmp_path / "a.csv"))


def test_line_numbers_are_those_of_the_users_own_file(problems: Callable[..., tuple[str, ...]]) -> None:
    lines = ["Report Date,Product Price,Total Sales,Memo", "2025-01-01,10,20,", "", '2025-01-02,10,20,"two', 'lines"']
    lines += [",,,", "2025-01-03,-1,20,", "2025-01-04,10,20,", "2025-01-05,10,x,"]
    assert problems(lines) == (
        "line 7, Product Price: must be positive, found -1",
        "line 9, Total Sales: must be a number, found 'x'",
    )


UNPACKED: list[Callable[[bytes], bytes]] = [
    gzip.compress,
    lambda data: zip_of({"a.csv": data}),
    lambda data: zip_of({"[Content_Types].xml": data}),
]


@pytest.mark.parametrize("pack", UNPACKED)
def test_a_file_that_is_too_large_unpacked_is_refused(
    pack: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "MAX_BYTES", 2**20)
    data = pack(b"a,b\n" * 2**20)
    assert len(data) < 2**20
    assert "more than 1 MiB unpacked" in refuse_file(tmp_path / "bomb", data)


@pytest.mark.parametrize("pack", [bytes, *UNPACKED[:2]])
def test_a_file_that_unpacks_to_far_more_than_its_size_is_refused_on_the_way(
    pack: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(sizes, "FREE_BYTES", 2**21)
    monkeypatch.setattr(sizes, "check_bytes", lambda source, size, state: seen.append(size))
    found = refuse_file(tmp_path / "bomb.gz", gzip.compress(pack(bytes(2**25))))
    assert found.endswith("unpacks to more than 100 times its size; unpack it yourself")
    assert max(seen) <= 2**22 + 2**20


def test_nested_columns_of_parquet_are_left_out_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet_of(FRAME.assign(tags=[["a"]] * 20)))
    history = read_history(path)
    check_equal(history)
    assert "Column 'tags' holds nested values and was ignored." in history.reports[0].notes


@pytest.mark.parametrize("driver", ["sqlite", "duckdb"])
def test_the_result_of_a_query_gives_the_same_history(driver: str, tmp_path: Path) -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    if driver == "duckdb":
        pytest.importorskip("duckdb_engine")
    url, config = f"{driver}:///{tmp_path}/shop.db", DataConfig(query='select * from sales order by "Report Date"')
    assert "there is no database file" in refuse(url, config)
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        columns = (
            '"Report Date" date, "Product Price" double precision, "Total Sales" decimal(18, 2), "Product" varchar'
        )
        connection.exec_driver_sql(f"create table sales ({columns})")
        rows = [(str(day), *others) for day, *others in ROWS]
        connection.exec_driver_sql("insert into sales values (?, ?, ?, ?)", rows)
    engine.dispose()
    check_equal(read_history(url, config))
    for table in ("sales", "main.sales"):
        check_equal(read_history(url, DataConfig(query=table)))
    assert "the query failed" in refuse(url, DataConfig(query="stock"))
    assert "the query failed" in refuse(url, DataConfig(query="select * from stock"))
    with pytest.raises(UsageError, match="needs its query"):
        read_history(url)
    with pytest.raises(UsageError, match="must not hold a password"):
        read_history("postgresql://anna:secret@host/shop", config)


def test_a_query_without_a_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a database"):
        read_history(tmp_path / "sales.csv", DataConfig(query="select 1"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        (0.1 + 0.2, "0.3"),
        (1200.0, "1200"),
        (True, "true"),
        (datetime.datetime(2025, 2, 3), "2025-02-03"),
        (datetime.datetime(2025, 2, 3, 4, 5), "2025-02-03 04:05:00"),
        (datetime.datetime(2025, 2, 3, tzinfo=datetime.timezone.utc), "2025-02-03 00:00:00+00:00"),
        (" 1,50 ", " 1,50 "),
    ],
)
def test_values_become_the_text_that_a_person_would_write(value: object, text: str) -> None:
    assert to_text(value) == text


def test_sheet_of_a_known_export_is_read_among_others(tmp_path: Path) -> None:
    lines = csv.reader(io.StringIO(SAMPLES["bol_invoice_specification"]().text), delimiter=";")
    rows: list[list[object]] = [list(line) for line in lines]
    path = tmp_path / "specification.xlsx"
    path.write_bytes(workbook_of({"Factuur": [["Factuurnummer", "1"], ["Totaal", "2"]], "Specificatie": rows}))
    history = read_history(path)
    assert [product.product for product in history.products] == ["MUG-1", "SOFA-9"]
    assert "Sheet 'Specificatie' was read, the others were not." in "\n".join(report_lines(history.reports[0]))
