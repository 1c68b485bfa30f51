"""Import forms of platforms: the files in which they take new prices of products that they have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import msgspec

from pricerl import data
from pricerl.formatting import csv_text

FORMS = Path(data.__file__).with_name("import_forms")


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
    columns: dict[str, str]
    """Text of each column by its name; columns of ``prices.csv`` in braces are filled in."""
    delimiter: str = ","

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


@cache
def own_forms() -> dict[str, ImportForm]:
    """Return the forms of the package by name."""
    found = (msgspec.yaml.decode(path.read_bytes(), type=ImportForm) for path in sorted(FORMS.glob("*.yaml")))
    return {form.name: form for form in found}
