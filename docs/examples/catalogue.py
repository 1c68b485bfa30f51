"""Advise on a catalogue with Dask: one task per product, on one machine or on many.

    python docs/examples/catalogue.py checkpoints/RUN/best.ckpt sales.csv prices.csv

The checkpoint was trained on the products of the file, or on more. `pricerl.advise_product` is a pure function of a
product's rows, so that other engines take it as it is, such as `ray.data.Dataset.groupby("Product").map_groups`.
"""

from __future__ import annotations

import sys

import dask
import pandas as pd

import pricerl


def advise_rows(rows: pd.DataFrame, catalogue: object) -> pd.DataFrame:
    """Return the advice on one product as a table of one row."""
    return pd.DataFrame([pricerl.advise_product(rows, catalogue)])


def advise_table(table: pd.DataFrame, catalogue: object, scheduler: str = "processes") -> pd.DataFrame:
    """Advise on every product of a table, in its order."""
    sent = dask.delayed(catalogue, pure=True)
    tasks = [dask.delayed(advise_rows)(rows, sent) for _, rows in table.groupby("Product", sort=False)]
    return pd.concat(dask.compute(*tasks, scheduler=scheduler), ignore_index=True)


if __name__ == "__main__":
    checkpoint, source, out = sys.argv[1:]
    catalogue = pricerl.load(checkpoint).catalogue
    advise_table(pd.read_csv(source, dtype=str), catalogue).to_csv(out, index=False)
