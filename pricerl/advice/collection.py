"""Advice on all products of a file as one Python object: a sequence, a table, a page and text."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import pandas as pd

from pricerl.advice.block import block_lines
from pricerl.advice.files import COLUMNS, AdviceFiles
from pricerl.advice.result import ProductAdvice
from pricerl.advice.sentences.next_steps import Place
from pricerl.advice.stored import day_rows
from pricerl.formatting import Formatter, csv_text


@dataclass(frozen=True, repr=False)
class Advice(Sequence[ProductAdvice]):
    """Advice on the products of a file, in their order of first appearance."""

    products: tuple[ProductAdvice, ...]
    files: AdviceFiles
    formatter: Formatter
    """Locale, currency and price digits of the text."""

    @overload
    def __getitem__(self, index: int) -> ProductAdvice: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[ProductAdvice, ...]: ...

    def __getitem__(self, index: int | slice) -> ProductAdvice | tuple[ProductAdvice, ...]:
        return self.products[index]

    def __len__(self) -> int:
        return len(self.products)

    def __repr__(self) -> str:
        """Return the text that ``pricerl advise`` prints."""
        records = [item.to_dict() for item in self.products]
        return "\n".join(block_lines(records, self.formatter, Place(self.files.report)))

    def _repr_html_(self) -> str:
        """Return the page in a frame, where its styles stay apart from the notebook's."""
        page = html.escape(self.report().read_text(encoding="utf-8"))
        return f'<iframe srcdoc="{page}" title="price report" style="width: 100%; height: 60em; border: 0"></iframe>'

    def report(self) -> Path:
        """Return the path of the page; of several products, their index."""
        return self.files.report

    def table(self) -> pd.DataFrame:
        """Return ``advice.csv`` as a frame: a row per product and day, unknown cells missing."""
        texts = {"Product": "string", "Grade": "string", "Source": "string", "Reason": "string"}
        rows = (row for item in self.products for row in day_rows(item.to_dict(), self.formatter))
        text = io.StringIO(f"{COLUMNS}\n{csv_text(rows)}")
        return pd.read_csv(text, parse_dates=["Date"], dtype=texts, keep_default_na=False, na_values=[""])
