"""The seller's history as tensors: where episodes start, how features are scaled, which month a day lies in."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pricerl.data import DataPreprocessor, day_types, weekday_of
from pricerl.market.demand.reference_price import reference_prices

REFERENCE_DAYS = 28
"""Days behind the reference price: long enough to outlast a promotion, short enough to follow the seller."""

WEEK = 7
MEMORY = 2 * WEEK
"""Days of raw prices and sales that a state remembers: what the 7-day means and their trend need. Training episodes
start where all of them are known, if the history is long enough."""

CALENDAR_DAYS = 3 * 366
"""Days after the last history that the calendar covers; no horizon is longer."""


class HistoryTensors:
    """Every product's days behind one another, with the scaler and the calendar, on one device.

    Args:
        preprocessor: fitted preprocessor with ``P`` products.
        device: where the tensors shall live.
    """

    def __init__(self, preprocessor: DataPreprocessor, device: torch.device | str) -> None:
        self.device, self.window = torch.device(device), preprocessor.window
        products = preprocessor.products
        self._products = products
        self.num_days = self._integers([len(product.dates) for product in products])
        self.train_days = self._integers(list(preprocessor.train_days))
        self.offset = self.num_days.cumsum(0) - self.num_days
        self.first_day = self._integers([int(product.dates[0].astype(np.int64)) for product in products])
        self.price = self._floats(np.concatenate([product.price for product in products]))
        self.sales = self._floats(np.concatenate([product.sales for product in products]))
        self.log_reference_price = self._floats(
            np.concatenate([reference_prices(np.log(item.price))[1:] for item in products])
        )
        scaled = [preprocessor.scaler.transform(raw, index) for index, raw in enumerate(preprocessor.features)]
        self.scaled = self._floats(np.concatenate(scaled))
        self.gain, self.bias = self._floats(preprocessor.scaler.gain), self._floats(preprocessor.scaler.bias)
        self._forecasts = preprocessor.forecasts
        self._first = int(self.first_day.min())
        self._dates = np.arange(self._first, int((self.first_day + self.num_days).max()) + CALENDAR_DAYS)
        self._num_dates = len(self._dates)

    def positions(self, product: Tensor, index: Tensor, count: int) -> Tensor:
        """Positions ``(count, B)`` of the days up to ``index (B,)``, oldest first; before the first day it repeats."""
        back = torch.arange(count - 1, -1, -1, device=self.device)
        return (index - back[:, None]).clamp_(min=0).add_(self.offset[product])

    def first_date(self, product: Tensor) -> Tensor:
        """What added to a day since 1970-01-01 gives its column in the calendar, for each product ``(B,)``."""
        return product * self._num_dates - self._first

    def build_calendar(self, factor: Tensor, holiday: Tensor) -> Tensor:
        """Everything known of each product's coming dates, ``(3 or 4, P * dates)``: one lookup reads a day.

        Rows: the date's demand over the average, weekday Monday 0 to Sunday 6, month 1 to 12, and, where any
        product's sales are predicted by more than the own 7-day mean, that prediction or NaN.

        Args:
            factor: ``(P, 7)`` demand of each weekday over the average.
            holiday: ``(P, 3)`` demand by kind of date over that of an ordinary one.
        """
        weekday = self._integers(weekday_of(self._dates))
        month = self._floats(self._dates.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 + 1)
        demand = factor[:, weekday] * holiday.gather(1, self._kinds())
        columns = [demand, *(row.expand(len(factor), -1) for row in (weekday.to(factor.dtype), month))]
        predicted = self._predicted_sales()
        return torch.stack(columns if predicted is None else [*columns, predicted]).flatten(1)

    def day_types(self, product: int, day: Tensor) -> Tensor:
        """Type of a product's dates ``(B,)``, days since 1970-01-01; see ``data.day_types``."""
        dates = day.cpu().numpy().astype("datetime64[D]")
        return self._integers(day_types(dates, self._products[product].holidays))

    def median_price(self, over_whole_history: bool) -> Tensor:
        """Median price ``(P,)`` of the last ``REFERENCE_DAYS`` days, or of the whole history."""
        first = 0 if over_whole_history else -REFERENCE_DAYS
        return self._floats([float(np.median(product.price[first:])) for product in self._products])

    def train_starts(self, product: Tensor, share: Tensor) -> Tensor:
        """Day index ``(B,)`` at ``share (B,)`` in [0, 1) of the product's training days."""
        last = self.train_days[product] - 1
        first = torch.minimum(last, torch.full_like(last, MEMORY - 1))
        return first + (share * (last - first + 1)).long()

    def holdout_start(self, product: Tensor, share: Tensor) -> Tensor:
        """Day index ``(B,)`` at ``share (B,)`` in [0, 1) of the days from the last training day on."""
        first = (self.train_days[product] - 1).clamp(min=0)
        return first + (share * (self.num_days[product] - first)).long()

    def holdout_starts(self) -> tuple[Tensor, Tensor]:
        """Product and day index of every held-out day, from the last training day on, ``(M,)`` each."""
        pairs = [
            (product, index)
            for product, (days, train) in enumerate(zip(self.num_days.tolist(), self.train_days.tolist(), strict=True))
            for index in range(max(train - 1, 0), days)
        ]
        product, index = self._integers(pairs).T
        return product, index

    def latest(self) -> tuple[Tensor, Tensor]:
        """Product and index of each product's last day, ``(P,)`` each."""
        return torch.arange(len(self._products), device=self.device), self.num_days - 1

    def _kinds(self) -> Tensor:
        """Kind of every product's dates ``(P, dates)``."""
        dates = torch.as_tensor(self._dates)
        return torch.stack([self.day_types(product, dates) for product in range(len(self._products))])

    def _predicted_sales(self) -> Tensor | None:
        """Predicted sales of every product and date ``(P, dates)``, NaN where the own 7-day mean is used."""
        table = np.full((len(self._products), self._num_dates), np.nan)
        for row, forecast, first_day in zip(table, self._forecasts, self.first_day.tolist(), strict=True):
            values = np.concatenate([forecast.past, forecast.future])
            place = row[first_day - self._first :][: len(values)]
            place[:] = values[: len(place)]
        return self._floats(table) if np.isfinite(table).any() else None

    def _floats(self, values: object) -> Tensor:
        return torch.as_tensor(np.asarray(values), dtype=torch.float32, device=self.device)

    def _integers(self, values: object) -> Tensor:
        return torch.as_tensor(np.asarray(values), dtype=torch.int64, device=self.device)
