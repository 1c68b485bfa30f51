"""Import forms of platforms: the files in which they take new prices of products that they have."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import msgspec

from pricerl.errors import DataError, named
from pricerl.formatting import csv_text

FORMS = Path(__file__).with_name("import_forms")


class ImportForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """File in which a platform takes new prices."""

    name: str
    platform: str
    upload: str
    """Place of the upload."""
    product: str
    """Name of a product in the seller's file by which the platform finds it."""
    confirmed: str
    """Source of the columns."""
    file: str
    columns: dict[str, str] = {}
    """Text of each column by its name; columns of ``prices.csv`` in braces are filled in."""
    delimiter: str = ","
    fills: str = ""
    """Column for the price in the seller's own export of products; empty for a form that needs none."""
    keys: tuple[str, ...] = ()
    """Columns of the export, any of which names a product."""

    @property
    def undo(self) -> str:
        """Name of the file that undoes the other."""
        path = Path(self.file)
        return f"{path.stem}.undo{path.suffix}"

    def render(self, table: Iterable[Sequence[str]]) -> str:
        """Return the file of a table of ``prices.csv``, its header first."""
        heads, *lines = table
        cells = [dict(zip(heads, line, strict=True)) for line in lines]
        filled = ([text.format(**row) for text in self.columns.values()] for row in cells)
        return csv_text([list(self.columns), *filled], "\r\n", self.delimiter)

    def fill(self, export: Path, table: Iterable[Sequence[str]]) -> str:
        """Return the seller's export of products with the prices of a table of ``prices.csv``, else unchanged.

        An export that lacks columns or one of the products is a ``DataError``.
        """
        prices = {row[0].removeprefix("'"): row[2] for row in [*table][1:]}
        with named(str(export)):
            heads, *lines = csv.reader(io.StringIO(export.read_bytes().decode("utf-8-sig"), newline=""))
        places = [heads.index(name) for name in self.keys if name in heads]
        if self.fills not in heads or not places:
            raise DataError(
                str(export),
                [
                    f"is no product export of {self.platform}: it needs the columns {self.fills!r} and one of "
                    f"{', '.join(self.keys)}"
                ],
            )
        price = heads.index(self.fills)
        found = set()
        for line in (line for line in lines if len(line) == len(heads) and line[price]):
            meant = prices.keys() & {line[place] for place in places}
            found |= meant
            line[price] = next((prices[name] for name in meant), line[price])
        if lacking := [name for name in prices if name not in found]:
            raise DataError(str(export), [f"has no row of {name!r} with a price" for name in lacking])
        return csv_text([heads, *lines])


@cache
def own_forms() -> dict[str, ImportForm]:
    """Return the forms of the package by name."""
    found = (msgspec.yaml.decode(path.read_bytes(), type=ImportForm) for path in sorted(FORMS.glob("*.yaml")))
    return {form.name: form for form in found}
