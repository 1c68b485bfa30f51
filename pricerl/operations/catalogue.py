"""Advice on one product of a catalogue from its frame alone: a pure function for engines such as Dask, Ray or Spark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from pricerl.advice import ProductAdvice
from pricerl.data import DataPreprocessor
from pricerl.data.reading.reader import history_from_text
from pricerl.errors import DataError
from pricerl.market.demand.pooling import Pool
from pricerl.operations.desk import Desk

if TYPE_CHECKING:
    from pricerl.training.run import Run


@dataclass(frozen=True)
class Catalogue:
    """Everything but a product's own history that its advice depends on: it can be pickled, and reads no file."""

    desk: Desk
    trained: Mapping[str, Any]
    """State of the training's preprocessor, by ``DataPreprocessor.trained_state``."""
    pool: Pool | None
    """Evidence on the elasticities of the products trained on; None without a pooled prior."""

    @classmethod
    def of(cls, run: Run) -> Catalogue:
        """Return the catalogue of a run, with the history of its checkpoint or file."""
        data = run.pricing
        return cls(Desk.of(run), data.preprocessor.trained_state(), data.pool)

    def advise(self, frame: pd.DataFrame) -> ProductAdvice:
        """Advise on the days after the history of one product.

        Args:
            frame: rows of one product that was trained on, with the columns of a seller's file.

        Raises:
            DataError: the rows cannot be used, or are of several products or of an unknown one.
        """
        config = DataPreprocessor.trained_config(self.trained)
        history = history_from_text(frame.to_csv(index=False), "frame", config)
        if len(history.products) != 1:
            raise DataError("frame", [f"must hold one product, found {len(history.products)}; group it by Product"])
        prepared = DataPreprocessor.refit(history, self.trained)
        (advice,) = self.desk.advise(self.desk.dynamics(prepared, self.pool)).advice
        return advice


def advise_product(frame: pd.DataFrame, catalogue: Catalogue) -> dict[str, Any]:
    """Return the advice on one product as one flat row.

    It depends on its arguments only, so that any engine can apply it to the groups of a table. Orders, kill switch and
    track record, which need the log of a run, are left out, and so is the backtest.

    >>> import pandas
    >>> catalogue = pricerl.load("checkpoints/sales/best.ckpt").catalogue
    >>> row = pricerl.advise_product(pandas.read_csv("sales.csv"), catalogue)
    >>> row["product"], row["recommended_price"] > 0
    ('sales', True)

    Args:
        frame: rows of one product that was trained on, with the columns of a seller's file.
        catalogue: from ``pricerl.load(checkpoint).catalogue``.

    Returns:
        Values by name: text, numbers, or None if unknown; gains are money per day.

    Raises:
        DataError: the rows cannot be used, or are of several products or of an unknown one.
    """
    item = catalogue.advise(frame)
    gain = None if item.uplift is None else item.uplift.profit
    low, mean, high = (None, None, None) if gain is None else (gain.low, gain.mean, gain.high)
    return {
        "product": item.product,
        "date": item.days[0].date,
        "current_price": item.current_price,
        "recommended_price": item.recommended_price,
        "settled_price": item.settled_price,
        "grade": item.decision.grade,
        "source": item.decision.source,
        "profit_gain": mean,
        "profit_gain_low": low,
        "profit_gain_high": high,
        "probability_better": None if item.uplift is None else item.uplift.probability_better,
        "reason": item.reason,
    }
