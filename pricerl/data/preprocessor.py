"""From a cleaned history to scaled observations, in a form a checkpoint can carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pricerl.arrays import FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.features import FEATURES, build_features
from pricerl.data.forecast_selection import ForecastChoice, PredictedSales, choose_forecast, report_forecast
from pricerl.data.history import History, ProductHistory
from pricerl.data.quality import ProductReport
from pricerl.data.scaling import MinMaxScaler
from pricerl.errors import DataError, did_you_mean

LONG_HISTORY_DAYS = 28
FEWEST_HOLDOUT_DAYS = 7
"""A history of four weeks or more keeps at least one whole week for evaluation."""

NAMES_SHOWN = 10

_ARRAYS = ("price", "units", "sales", "profit", "organic", "ad", "predicted", "future_predicted")
_FLAGS = ("observed", "profit_known")
_DATES = ("dates", "future_dates")
_OPTIONAL: dict[str, Any] = {
    "competitor": np.float64,
    "promotion": np.bool_,
    "in_stock": np.bool_,
    "holidays": "datetime64[D]",
}
"""Arrays that only some histories have, and their type in memory."""


@dataclass(frozen=True, eq=False)
class DataPreprocessor:
    """Histories with their raw features, the split into training and held-out days, and the fitted scaler."""

    source: str
    """Name of the file as the user wrote it."""

    config: DataConfig
    """The settings the history was read with."""

    products: tuple[ProductHistory, ...]
    """The products; all other tuples follow their order."""

    reports: tuple[ProductReport, ...]
    """The data report of each product."""

    forecasts: tuple[PredictedSales, ...]
    """The forecast behind each product's feature "predicted sales"."""

    features: tuple[FloatArray, ...]
    """``(D_p, F)`` raw features of each product."""

    train_days: tuple[int, ...]
    """The first so many days of each product are for training, the rest for evaluation."""

    scaler: MinMaxScaler
    """Fitted on the training days."""

    @classmethod
    def fit(cls, history: History, config: DataConfig) -> DataPreprocessor:
        """Choose forecasts, build features and fit the scaler, all on the training days.

        Args:
            history: the cleaned history.
            config: window, share of held-out days and forecaster.

        Returns:
            The fitted preprocessor.

        Raises:
            UsageError: the forecaster needs a package that is not installed.
        """
        train_days = tuple(count_train_days(len(product.dates), config) for product in history.products)
        choices = [
            choose_forecast(product, days, config.forecaster)
            for product, days in zip(history.products, train_days, strict=True)
        ]
        forecasts = tuple(choice.forecast for choice in choices)
        features = _all_features(history.products, forecasts)
        training = [rows[:days] for rows, days in zip(features, train_days, strict=True)]
        scaler = MinMaxScaler.fit(training)
        reports = _all_reports(history.reports, choices)
        return cls(history.source, config, history.products, reports, forecasts, features, train_days, scaler)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the products."""
        return tuple(product.product for product in self.products)

    @property
    def window(self) -> int:
        """Days in one observation."""
        return self.config.window

    @property
    def num_features(self) -> int:
        """Features a day."""
        return len(FEATURES)

    @property
    def observation_dim(self) -> int:
        """Numbers in one observation: ``window * num_features``."""
        return self.window * self.num_features

    def windows(self, product: int) -> NDArray[np.float32]:
        """Return every observation of a product.

        Args:
            product: position of the product.

        Returns:
            ``(D - window + 1, window * F)`` in [0, 1]; row ``i`` holds days ``i .. i + window - 1``, the oldest
            day's features first, and is what a decision for day ``i + window`` may know.
        """
        scaled = self.scaler.transform(self.features[product], product)
        days = sliding_window_view(scaled, self.window, axis=0).transpose(0, 2, 1)
        return np.ascontiguousarray(days.reshape(len(days), self.observation_dim))

    def with_history(self, fresh: History) -> DataPreprocessor:
        """Put a fresher history behind the scaler fitted before.

        Args:
            fresh: history of some or all of the products trained on.

        Returns:
            A preprocessor of the fresh products; scaler and choice of forecast stay those of training, the
            forecasts and the split into training and held-out days are made anew.

        Raises:
            DataError: the fresh file has a product that was not trained on; tells every such product.
        """
        fresh_names = [product.product for product in fresh.products]
        strangers = [name for name in fresh_names if name not in self.names]
        if strangers:
            raise DataError(fresh.source, [self._unknown_product(name) for name in strangers])
        order = [self.names.index(name) for name in fresh_names]
        train_days = tuple(count_train_days(len(product.dates), self.config) for product in fresh.products)
        choices = [
            choose_forecast(product, days, self.config.forecaster, self.forecasts[index].source)
            for product, days, index in zip(fresh.products, train_days, order, strict=True)
        ]
        forecasts = tuple(choice.forecast for choice in choices)
        return DataPreprocessor(
            source=fresh.source,
            config=self.config,
            products=fresh.products,
            reports=_all_reports(fresh.reports, choices),
            forecasts=forecasts,
            features=_all_features(fresh.products, forecasts),
            train_days=train_days,
            scaler=self.scaler.select(order),
        )

    def first_days(self, product: int, days: int) -> DataPreprocessor:
        """Return one product as it stood after its first ``days`` days, as if the others were still to come.

        Scaler and choice of forecast stay. Features are not computed again: they read no later day.

        Args:
            product: position of the product.
            days: at least one.
        """
        return replace(
            self,
            products=(self.products[product].first_days(days),),
            reports=(self.reports[product],),
            forecasts=(self.forecasts[product].first_days(days),),
            features=(self.features[product][:days],),
            train_days=(min(self.train_days[product], days),),
            scaler=self.scaler.select([product]),
        )

    def trained_prices(self, product: int) -> tuple[float, float]:
        """Return lowest and highest price that the policy can tell apart: the tried ones and ``PRICE_ROOM`` beyond."""
        return self.scaler.bounds(product, "price")

    def state_dict(self) -> dict[str, Any]:
        """Return everything as plain Python values: dicts, lists, strings, numbers and None."""
        return {
            "source": self.source,
            "config": asdict(self.config),
            "products": [_product_state(product) for product in self.products],
            "reports": [report.to_dict() for report in self.reports],
            "forecasts": [_forecast_state(forecast) for forecast in self.forecasts],
            "train_days": list(self.train_days),
            "gain": self.scaler.gain.tolist(),
            "bias": self.scaler.bias.tolist(),
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> DataPreprocessor:
        """Return the preprocessor that `state_dict` described; the features are computed again."""
        products = tuple(_product_from_state(values) for values in state["products"])
        forecasts = tuple(_forecast_from_state(values) for values in state["forecasts"])
        return cls(
            source=state["source"],
            config=DataConfig(**state["config"]),
            products=products,
            reports=tuple(ProductReport.from_dict(values) for values in state["reports"]),
            forecasts=forecasts,
            features=_all_features(products, forecasts),
            train_days=tuple(state["train_days"]),
            scaler=MinMaxScaler(np.array(state["gain"]), np.array(state["bias"])),
        )

    def _unknown_product(self, name: str) -> str:
        listed = ", ".join(repr(known) for known in self.names[:NAMES_SHOWN])
        more = len(self.names) - NAMES_SHOWN
        trained = f"{listed} and {more} more" if more > 0 else listed
        return f"product {name!r} was not trained on; trained were {trained}{did_you_mean(name, self.names)}"


def count_train_days(num_days: int, config: DataConfig) -> int:
    """Return how many of a history's days are for training.

    Args:
        num_days: days of history, more than the window.
        config: share of held-out days and window.

    Returns:
        Days before the held-out ones: at least one window, and at least one day is held out.
    """
    fewest = FEWEST_HOLDOUT_DAYS if num_days >= LONG_HISTORY_DAYS else 1
    holdout = max(round(config.holdout * num_days), fewest)
    return max(num_days - holdout, config.window)


def _all_features(
    products: tuple[ProductHistory, ...], forecasts: tuple[PredictedSales, ...]
) -> tuple[FloatArray, ...]:
    return tuple(build_features(product, known.past) for product, known in zip(products, forecasts, strict=True))


def _all_reports(reports: tuple[ProductReport, ...], choices: Sequence[ForecastChoice]) -> tuple[ProductReport, ...]:
    return tuple(report_forecast(report, choice) for report, choice in zip(reports, choices, strict=True))


def _forecast_state(forecast: PredictedSales) -> dict[str, Any]:
    return {"source": forecast.source, "past": forecast.past.tolist(), "coming": forecast.coming.tolist()}


def _forecast_from_state(state: Mapping[str, Any]) -> PredictedSales:
    past, coming = (np.array(state[name], dtype=np.float64) for name in ("past", "coming"))
    return PredictedSales(state["source"], past, coming)


def _product_state(product: ProductHistory) -> dict[str, Any]:
    state: dict[str, Any] = {"product": product.product, "unit_cost": product.unit_cost}
    state |= {name: getattr(product, name).tolist() for name in _ARRAYS}
    state |= {name: getattr(product, name).astype(int).tolist() for name in _FLAGS}
    told = {name: getattr(product, name) for name in _OPTIONAL}
    state |= {name: _plain(values) for name, values in told.items() if values is not None}
    return state | {name: getattr(product, name).astype(np.int64).tolist() for name in _DATES}


def _plain(values: NDArray[Any]) -> list[Any]:
    """Return dates as days since 1970-01-01, and other values as they are."""
    return list((values.astype(np.int64) if values.dtype.kind == "M" else values).tolist())


def _product_from_state(state: Mapping[str, Any]) -> ProductHistory:
    values: dict[str, Any] = {"product": state["product"], "unit_cost": state["unit_cost"]}
    values |= {name: np.array(state[name], dtype=np.float64) for name in _ARRAYS}
    values |= {name: np.array(state[name], dtype=np.bool_) for name in _FLAGS}
    values |= {name: np.array(state[name], dtype=np.int64).astype("datetime64[D]") for name in _DATES}
    values |= {name: np.array(state[name], dtype=kind) for name, kind in _OPTIONAL.items() if name in state}
    return ProductHistory(**values)
