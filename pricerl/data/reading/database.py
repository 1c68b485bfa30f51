"""Databases: the result of an SQL query as a table of text, by SQLAlchemy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pricerl.data.reading.csv_file import TextTable, check_size
from pricerl.data.reading.typed_files import table_of, to_text
from pricerl.errors import DataError, UsageError, import_extra

_URL = re.compile(r"[A-Za-z][\w+.-]*://")
_FILES = ("sqlite", "duckdb")
"""Databases that are one file, which their drivers would create."""
_ROWS = 10_000
"""Rows fetched at a time."""


def is_url(source: str) -> bool:
    """Return whether a source is the URL of a database."""
    return _URL.match(source) is not None


def read_query(url: str, query: str | None) -> TextTable:
    """Return the result of a query.

    Args:
        url: SQLAlchemy URL without a password, as files of the run record it.
        query: SQL query.

    Raises:
        DataError: the database cannot be opened, or the query fails.
        UsageError: there is no query, or SQLAlchemy or the driver is not installed.
    """
    remedy = "reading databases needs SQLAlchemy and the database's driver: pip install 'pricerl[sql]'"
    alchemy: Any = import_extra("sqlalchemy", remedy)
    try:
        address = alchemy.make_url(url)
        if address.password is not None:
            raise UsageError(
                "a database URL must not hold a password, as the run records it; use the driver's own file"
            )
        if query is None:
            raise UsageError("a database needs a query: set --data.reading.query, such as 'select * from sales'")
        if address.get_backend_name() in _FILES and not Path(address.database or "").is_file():
            raise DataError(url, [f"there is no database file {address.database!r}"])
        engine = alchemy.create_engine(address)
    except (alchemy.exc.NoSuchModuleError, ImportError) as error:
        raise UsageError(f"{error}; {remedy}") from error
    except alchemy.exc.ArgumentError as error:
        raise DataError(url, [f"is not the URL of a database: {error}"]) from None
    try:
        with engine.connect().execution_options(stream_results=True) as connection:
            result = connection.execute(alchemy.text(query))
            if not result.returns_rows:
                raise DataError(url, ["the query returns no rows; it must select them"])
            names: list[str] = list(result.keys())
            columns: list[list[str]] = [[] for _ in names]
            while rows := result.fetchmany(_ROWS):
                for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
                    column += map(to_text, cells)
                check_size(url, len(columns[0]), len(names))
    except alchemy.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise DataError(url, [f"the query failed: {reason}"]) from None
    finally:
        engine.dispose()
    return table_of(url, names, columns)
