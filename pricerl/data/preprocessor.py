"""Preprocessor: scaled observations of a cleaned history, with a serializable state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from pricerl.arrays import BoolArray, FloatArray, pack, unpack
from pricerl.data.cleaning.quality import ProductReport
from pricerl.data.config import DataConfig
from pricerl.data.days import STEP_WORDS, WEEK
from pricerl.data.features import PRICE_COLUMNS, MinMaxScaler, build_features
from pricerl.data.forecasters import PredictedSales, choose_forecast
from pricerl.data.history import History, ProductHistory, Reported, relate
from pricerl.data.reading.problems import list_names
from pricerl.errors import DataError, did_you_mean

HOLDOUT = 0.15
"""Share of the history, at its end, held out for evaluation."""

DATES = ("dates", "future_dates", "holidays")
"""A history's arrays of days, which a state holds as days since 1970-01-01."""


@dataclass(frozen=True, eq=False)
class DataPreprocessor(Reported):
    """Histories with their raw features, the split into training and held-out days, and the fitted scaler.

    All tuples are in the order of the products.
    """

    config: DataConfig
    """Settings with which the history was read."""
    forecasts: tuple[PredictedSales, ...]
    features: tuple[FloatArray, ...]
    """``(D_p, F)`` raw features of each product."""
    train_days: tuple[int, ...]
    """Number of training days of each product, from the first; the others are held out."""
    scaler: MinMaxScaler
    """Fitted on the training days."""
    numbers: tuple[int, ...]
    """Number of each product in the training file, from 0 on. It seeds the product's random draws, so that they do not
    depend on the other products of a fresh file."""

    @classmethod
    def fit(
        cls,
        history: History,
        config: DataConfig,
        chosen: Sequence[str | None] = (),
        numbers: Sequence[int] | None = None,
    ) -> DataPreprocessor:
        """Choose forecasts, build features and fit the scaler, all on the training days.

        ``chosen`` forecasts by product and the products' ``numbers`` may come from an earlier fit.
        """
        history = replace(history, products=relate(history.products))
        train_days = tuple(count_train_days(len(product.dates), config) for product in history.products)
        forecasts = tuple(
            choose_forecast(product, days, config.forecaster, name)
            for product, days, name in zip(
                history.products, train_days, chosen or [None] * len(train_days), strict=True
            )
        )
        features = tuple(map(build_features, history.products, [found.past for found in forecasts]))
        return cls(
            source=history.source,
            config=config,
            products=history.products,
            reports=tuple(
                replace(report, forecast_used=found.source, forecast_errors=found.errors)
                for report, found in zip(history.reports, forecasts, strict=True)
            ),
            forecasts=forecasts,
            features=features,
            train_days=train_days,
            scaler=MinMaxScaler.fit(list(map(_scaled_days, history.products, features, train_days))),
            numbers=tuple(range(len(history.products)) if numbers is None else numbers),
        )

    @property
    def step_days(self) -> int:
        """Days from row to row, equal for all products: 1, or 7 for weekly rows."""
        return self.products[0].step_days

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the products."""
        return tuple(product.product for product in self.products)

    @property
    def current_prices(self) -> dict[str, float]:
        """Current price of every product."""
        return {product.product: product.current_price for product in self.products}

    @classmethod
    def refit(cls, fresh: History, trained: Mapping[str, Any]) -> DataPreprocessor:
        """Return a preprocessor of a newer history of some or all products, with the scaler and choice of forecasts.

        A product that has the name of its file takes the name of the only product trained on. Next to one trained on,
        new ones are taken with their own scaler. ``trained`` is the `state_dict` of the earlier preprocessor.

        Raises:
            DataError: lists the products if none was trained on; or rows are weeks instead of days, or the reverse.
        """
        names = trained["names"]
        if fresh.unnamed and len(names) == 1:
            fresh = fresh.renamed(names[0])
        fresh_names = [product.product for product in fresh.products]
        places = {name: place for place, name in enumerate(names)}
        strangers = [name for name in fresh_names if name not in places]
        if len(strangers) == len(fresh_names):
            found = f"is not in the checkpoint; it has {list_names(names)}"
            raise DataError(fresh.source, [f"product {it!r} {found}{did_you_mean(it, names)}" for it in strangers])
        new, known = (STEP_WORDS[days] for days in (fresh.products[0].step_days, trained["step_days"]))
        if new != known:
            raise DataError(fresh.source, [f"rows are {new}s, the policy was trained on {known}s; run fit"])
        order = [places.get(name, len(names) + crc32(name.encode())) for name in fresh_names]
        chosen = [trained["chosen"][index] if index < len(names) else None for index in order]
        fitted = cls.fit(fresh, DataConfig(**trained["config"]), chosen, numbers=order)
        old = [index for index in order if index < len(names)]
        rows = np.isin(order, old)
        fitted.scaler.gain[rows] = trained["gain"][old]
        fitted.scaler.bias[rows] = trained["bias"][old]
        return fitted

    def mark_own_prices(self, find: Callable[[ProductHistory], BoolArray | None]) -> DataPreprocessor:
        """Return a preprocessor whose histories have the own prices ``(D_p,)`` that ``find`` returns for them."""
        return replace(self, products=tuple(replace(item, own_price=find(item)) for item in self.products))

    def first_days(self, product: int, days: int) -> DataPreprocessor:
        """Return a preprocessor of a product's first ``days`` days, with the same scaler and choice of forecast."""
        one = self.select([product])
        forecast = one.forecasts[0]
        return replace(
            one,
            products=(one.products[0].first_days(days),),
            forecasts=(replace(forecast, past=forecast.past[:days], future=forecast.future[:0]),),
            features=(one.features[0][:days],),
            train_days=(min(one.train_days[0], days),),
        )

    def select(self, products: Sequence[int]) -> DataPreprocessor:
        """Return a preprocessor of some of the products, in the order given."""
        per_product = ("products", "reports", "forecasts", "features", "train_days", "numbers")
        chosen: dict[str, Any] = {name: tuple(getattr(self, name)[row] for row in products) for name in per_product}
        return replace(self, **chosen, scaler=self.scaler.select(products))

    def state_dict(self) -> dict[str, Any]:
        """Return everything as arrays and plain values; of the source only the file's name.

        The histories are packed, as a newer file replaces them.
        """
        return {
            "config": {**asdict(self.config), "query": None},
            "names": list(self.names),
            "step_days": self.step_days,
            "chosen": [forecast.source for forecast in self.forecasts],
            "gain": self.scaler.gain,
            "bias": self.scaler.bias,
            "source": Path(self.source).name,
            "history": pack(
                {
                    "products": [_to_state(product) for product in self.products],
                    "reports": [report.to_dict() for report in self.reports],
                    "forecasts": [_to_state(forecast) for forecast in self.forecasts],
                    "train_days": self.train_days,
                }
            ),
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> DataPreprocessor:
        """Return the preprocessor that `state_dict` described; the features are recomputed."""
        history = unpack(state["history"])
        products = tuple(ProductHistory(**_from_state(values)) for values in history["products"])
        forecasts = tuple(PredictedSales(**_from_state(values)) for values in history["forecasts"])
        return cls(
            source=state["source"],
            config=DataConfig(**state["config"]),
            products=products,
            reports=tuple(ProductReport.from_dict(values) for values in history["reports"]),
            forecasts=forecasts,
            features=tuple(map(build_features, products, [found.past for found in forecasts])),
            train_days=tuple(history["train_days"]),
            scaler=MinMaxScaler(np.array(state["gain"]), np.array(state["bias"])),
            numbers=tuple(range(len(products))),
        )


def count_train_days(num_days: int, config: DataConfig) -> int:
    """Return the number of training days, at least one window; ``num_days`` of history are more than that.

    At least a week is held out of a history of four weeks or more, and a day of a shorter one.
    """
    holdout = max(round(HOLDOUT * num_days), WEEK if num_days >= 4 * WEEK else 1)
    return max(num_days - holdout, config.window)


def _scaled_days(product: ProductHistory, features: FloatArray, days: int) -> FloatArray:
    """Return the features of the training days that bound the scaler; averages of prices widen the price's bounds."""
    if product.in_force is None:
        return features[:days]
    averages = features[:days].copy()
    averages[:, PRICE_COLUMNS] = build_features(replace(product, in_force=None))[:days, PRICE_COLUMNS]
    return np.concatenate([features[:days], averages])


def _to_state(record: ProductHistory | PredictedSales) -> dict[str, Any]:
    """Return the fields of a record that are not None."""
    values = ((field.name, getattr(record, field.name)) for field in fields(record))
    return {name: value.astype(np.int64) if name in DATES else value for name, value in values if value is not None}


def _from_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that `_to_state` wrote."""
    return {name: value.astype("datetime64[D]") if name in DATES else value for name, value in state.items()}
