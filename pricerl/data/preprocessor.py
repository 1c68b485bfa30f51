"""From a cleaned history to scaled observations, in a form a checkpoint can carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pricerl.data.config import DataConfig
from pricerl.data.features import FEATURES, build_features
from pricerl.data.history import FloatArray, History, ProductHistory
from pricerl.data.report import ProductReport
from pricerl.data.scaling import MinMaxScaler
from pricerl.errors import DataError, did_you_mean

LONG_HISTORY_DAYS = 28
FEWEST_HOLDOUT_DAYS = 7
"""A history of four weeks or more keeps at least one whole week for evaluation."""

NAMES_SHOWN = 10

_ARRAYS = ("price", "units", "sales", "profit", "organic", "ad", "predicted", "future_predicted")
_FLAGS = ("observed", "profit_known")
_DATES = ("dates", "future_dates")
_OPTIONAL: dict[str, Any] = {"competitor": np.float64, "promotion": np.bool_, "holidays": "datetime64[D]"}
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

    use_predicted: tuple[bool, ...]
    """True for products whose supplied forecast beats the own 7-day mean."""

    features: tuple[FloatArray, ...]
    """``(D_p, F)`` raw features of each product."""

    train_days: tuple[int, ...]
    """The first so many days of each product are for training, the rest for evaluation."""

    scaler: MinMaxScaler
    """Fitted on the training days."""

    @classmethod
    def fit(cls, history: History, config: DataConfig) -> DataPreprocessor:
        """Build features and fit the scaler on the training days.

        Args:
            history: the cleaned history.
            config: window and share of held-out days.

        Returns:
            The fitted preprocessor.
        """
        use_predicted = tuple(report.predicted_used for report in history.reports)
        features = _all_features(history.products, use_predicted)
        train_days = tuple(count_train_days(len(product.dates), config) for product in history.products)
        training = [rows[:days] for rows, days in zip(features, train_days, strict=True)]
        scaler = MinMaxScaler.fit(training)
        return cls(
            history.source, config, history.products, history.reports, use_predicted, features, train_days, scaler
        )

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
            split into training and held-out days is made anew.

        Raises:
            DataError: the fresh file has a product that was not trained on; tells every such product.
        """
        fresh_names = [product.product for product in fresh.products]
        strangers = [name for name in fresh_names if name not in self.names]
        if strangers:
            raise DataError(fresh.source, [self._unknown_product(name) for name in strangers])
        order = [self.names.index(name) for name in fresh_names]
        use_predicted = tuple(self.use_predicted[index] for index in order)
        reports = zip(fresh.reports, use_predicted, strict=True)
        return DataPreprocessor(
            source=fresh.source,
            config=self.config,
            products=fresh.products,
            reports=tuple(replace(report, predicted_used=used) for report, used in reports),
            use_predicted=use_predicted,
            features=_all_features(fresh.products, use_predicted),
            train_days=tuple(count_train_days(len(product.dates), self.config) for product in fresh.products),
            scaler=self.scaler.select(order),
        )

    def training_part(self) -> DataPreprocessor:
        """Return a preprocessor whose histories end with the training days, as if the held-out days were still to come.

        Scaler and choice of forecast stay; nothing in it has seen a held-out day.
        """
        products = tuple(product.first_days(days) for product, days in zip(self.products, self.train_days, strict=True))
        features = _all_features(products, self.use_predicted)
        return replace(self, products=products, features=features)

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
            "use_predicted": [int(used) for used in self.use_predicted],
            "train_days": list(self.train_days),
            "gain": self.scaler.gain.tolist(),
            "bias": self.scaler.bias.tolist(),
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> DataPreprocessor:
        """Return the preprocessor that `state_dict` described; the features are computed again."""
        products = tuple(_product_from_state(values) for values in state["products"])
        use_predicted = tuple(bool(used) for used in state["use_predicted"])
        return cls(
            source=state["source"],
            config=DataConfig(**state["config"]),
            products=products,
            reports=tuple(ProductReport.from_dict(values) for values in state["reports"]),
            use_predicted=use_predicted,
            features=_all_features(products, use_predicted),
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


def _all_features(products: tuple[ProductHistory, ...], use_predicted: tuple[bool, ...]) -> tuple[FloatArray, ...]:
    return tuple(build_features(product, used) for product, used in zip(products, use_predicted, strict=True))


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
