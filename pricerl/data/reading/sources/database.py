"""Databases: the result of an SQL query, or a table, as a table of text, by SQLAlchemy."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa

from pricerl.data.reading.problems import refuse_if
from pricerl.data.reading.sources.sizes import check_size
from pricerl.data.reading.sources.typed_files import table_of_arrow, to_text
from pricerl.data.reading.tables import TextTable
from pricerl.errors import DataError, UsageError, import_extra

_REMEDY = 'reading databases needs SQLAlchemy and the database\'s driver: pip install -e ".[sql]"'
_URL = re.compile(r"[A-Za-z][\w+.-]*://")
_READ_ONLY = {
    "sqlite": "PRAGMA query_only = on",
    "postgresql": "SET default_transaction_read_only = on",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
}
"""Statement by which a connection becomes read-only."""
_LOCKED = {"enable_external_access": "false", "lock_configuration": "true"}
"""Settings by which DuckDB opens no other file and no network connection, for good."""
ROWS_PER_PART = 10_000
"""Rows of a result that are held one by one, before their columns hold each different text once."""


def is_url(source: str) -> bool:
    """Return whether a source is the URL of a database."""
    return _URL.match(source) is not None


def read_query(url: str, query: str | None) -> TextTable:
    """Return the result of an SQL query, or a table, whose name takes the query's place.

    It can read the database only, and neither write nor reach other files.

    Raises:
        DataError: the database cannot be opened, or the query fails.
        UsageError: there is no query, the URL is no database's, or SQLAlchemy or the driver is not installed.
    """
    if query is None:
        raise UsageError(
            "a database needs its query in every command, as no checkpoint holds it: set --data.reading.query, such as "
            "'select * from sales'"
        )
    alchemy: Any = import_extra("sqlalchemy", _REMEDY)
    try:
        engine = _open_read_only(alchemy, alchemy.make_url(url), url)
    except (alchemy.exc.ArgumentError, ImportError) as error:
        raise UsageError(f"{error}; {_REMEDY}") from error
    try:
        with engine.connect().execution_options(stream_results=True) as connection:
            name = re.fullmatch(r"(?:(\w+)\.)?(\w+)", query.strip())
            statement = (
                alchemy.select(alchemy.text("*")).select_from(alchemy.table(name[2], schema=name[1]))
                if name
                else alchemy.text(query)
            )
            result = connection.execute(statement)
            names = list(result.keys())
            columns: list[list[pa.Array]] = [[] for _ in names]
            for number, rows in enumerate(result.partitions(ROWS_PER_PART), 1):
                for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
                    column.append(pa.array(map(to_text, cells), pa.string()).dictionary_encode())
                check_size(url, ROWS_PER_PART * number, len(names))
    except alchemy.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise DataError(url, [f"the query failed: {reason}"]) from None
    finally:
        engine.dispose()
    schema = pa.schema([(name, pa.dictionary(pa.int32(), pa.string())) for name in names])
    return table_of_arrow(url, schema, lambda at: pa.chunked_array(columns[at], schema[at].type))


def _open_read_only(alchemy: Any, address: Any, url: str) -> Any:
    """Return an engine whose connections cannot write; raise a ``DataError`` if the database's file does not exist."""
    kind = address.get_backend_name()
    file = Path(address.database or "")
    refuse_if(  # one file, which the driver would create
        url,
        {f"there is no database file {address.database!r}": kind in ("sqlite", "duckdb") and not file.is_file()},
    )
    if kind == "sqlite":
        address = alchemy.URL.create(kind, database=file.resolve().as_uri(), query={"mode": "ro", "uri": "true"})
    elif kind == "duckdb":
        address = address.set(query={})
    engine = alchemy.create_engine(
        address, connect_args={"read_only": True, "config": _LOCKED} if kind == "duckdb" else {}
    )

    def restrict(connection: Any, _: Any) -> None:
        if kind in _READ_ONLY:
            with closing(connection.cursor()) as cursor:
                cursor.execute(_READ_ONLY[kind])
            connection.commit()
        if kind == "sqlite":  # no other file is opened, or made by "vacuum into"
            connection.set_authorizer(
                lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK
            )

    alchemy.event.listen(engine, "connect", restrict)
    return engine
