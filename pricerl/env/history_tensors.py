"""The history as tensors: episode starts, feature scaling, calendar."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pricerl.data.days import RECENT_DAYS, WEEK, day_types, steps_in, weekday_of
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.market.demand.reference_price import reference_prices

Starts = Literal["train", "holdout", "latest"]
"""Days on which episodes start: random training days, random held-out days, or the last day of the history."""

LOOK_BACK_DAYS = 2 * WEEK
"""Days of prices and sales in a state, as required by the 7-day means and their trend. If the history is long enough,
training episodes start on days that have all of them."""

CALENDAR_DAYS = 3 * 366
"""Days, or weeks, of the calendar after the last history: three years, longer than any horizon of days."""


class HistoryTensors:
    """Concatenated days of all ``P`` products, with the scaler and the calendar, on one device."""

    def __init__(self, preprocessor: DataPreprocessor, device: torch.device | str) -> None:
        self.device = torch.device(device)
        self.window = preprocessor.config.window
        self._products = products = preprocessor.products
        self.num_days = self._integers([len(product.dates) for product in products])
        self.train_days = self._integers(list(preprocessor.train_days))
        self.offset = self.num_days.cumsum(0) - self.num_days
        self.step_days = preprocessor.step_days
        first_days = [int(product.dates[0].astype(np.int64)) for product in products]
        self.first_day = self._integers([day // self.step_days for day in first_days])
        self.price = self._floats(np.concatenate([product.prices_in_force for product in products]))
        self.sales = self._floats(np.concatenate([product.sales for product in products]))
        self.log_reference_price = self._floats(
            np.concatenate([reference_prices(np.log(item.price), item.step_days)[1:] for item in products])
        )
        scaled = [preprocessor.scaler.transform(raw, index) for index, raw in enumerate(preprocessor.features)]
        self.scaled = self._floats(np.concatenate(scaled))
        self.gain = self._floats(preprocessor.scaler.gain)
        self.bias = self._floats(preprocessor.scaler.bias)
        self._forecasts = preprocessor.forecasts
        self._first = int(self.first_day.min())
        steps = np.arange(self._first, int((self.first_day + self.num_days).max()) + CALENDAR_DAYS)
        self._dates = steps * self.step_days + first_days[0] % self.step_days

    def positions(self, product: Tensor, index: Tensor, count: int) -> Tensor:
        """Return the positions ``(count, B)`` of the days up to ``index (B,)``, oldest first, day 0 repeated."""
        back = torch.arange(count - 1, -1, -1, device=self.device)
        return (index - back[:, None]).clamp_(min=0).add_(self.offset[product])

    def first_date(self, product: Tensor) -> Tensor:
        """Return the offset from steps since 1970-01-01 to columns of the calendar, for each product ``(B,)``."""
        return product * len(self._dates) - self._first

    def build_calendar(self, factor: Tensor, holiday: Tensor, ahead: Tensor) -> Tensor:
        """Return the calendar of each product's future dates, ``(3 or 4, P * dates)``: one lookup reads a day.

        Rows: the date's demand over the average, weekday Monday 0 to Sunday 6, month 1 to 12, and, if any product has
        a sales forecast other than its 7-day mean, that forecast or NaN. The factors of demand are as in ``Market``.
        """
        dates = self._dates.astype("datetime64[D]")
        weekday = self._integers(weekday_of(self._dates))
        month = self._floats(dates.astype("datetime64[M]").astype(np.int64) % 12 + 1)
        types = self._integers([day_types(dates, product.holidays) for product in self._products])
        demand = factor[:, weekday] * holiday.gather(1, types)
        for row, first_day in enumerate((self.first_day + self.num_days - self._first).tolist()):
            demand[row, first_day : first_day + ahead.shape[1]] *= ahead[row]
        columns = [demand, *(row.expand(len(factor), -1) for row in (weekday.to(factor.dtype), month))]
        predicted = np.full(demand.shape, np.nan)
        for row, forecast, first_day in zip(predicted, self._forecasts, self.first_day.tolist(), strict=True):
            values = np.concatenate([forecast.past, forecast.future])
            known = row[first_day - self._first :][: len(values)]
            known[:] = values[: len(known)]
        if np.isfinite(predicted).any():
            columns.append(self._floats(predicted))
        return torch.stack(columns).flatten(1)

    def median_price(self, over_whole_history: bool) -> Tensor:
        """Return the median price ``(P,)`` of the last ``RECENT_DAYS`` days, or of the whole history."""
        first = 0 if over_whole_history else -steps_in(RECENT_DAYS, self.step_days)
        return self._floats([float(np.median(product.price[first:])) for product in self._products])

    def current_price(self) -> Tensor:
        """Return the current price ``(P,)`` of each product."""
        return self._floats([product.current_price for product in self._products])

    def start_range(self, starts: Starts, product: Tensor) -> tuple[Tensor, Tensor]:
        """Return the first and last day index on which episodes start, ``(B,)`` each; see ``Starts``."""
        last_trained = self.train_days[product] - 1
        last = self.num_days[product] - 1
        ranges = {
            "train": (last_trained.clamp(max=LOOK_BACK_DAYS - 1), last_trained),
            "holdout": (last_trained.clamp(min=0), last),
            "latest": (last, last),
        }
        return ranges[starts]

    def holdout_starts(self) -> tuple[Tensor, Tensor]:
        """Return product and day index of every held-out day, from the last training day on, ``(M,)`` each."""
        product, last = self.latest()
        first, _ = self.start_range("holdout", product)
        indices = [np.arange(begin, end + 1) for begin, end in zip(first.tolist(), last.tolist(), strict=True)]
        return product.repeat_interleave(last - first + 1), self._integers(np.concatenate(indices))

    def latest(self) -> tuple[Tensor, Tensor]:
        """Return product and day index of each product's last day, ``(P,)`` each."""
        return torch.arange(len(self._products), device=self.device), self.num_days - 1

    def _floats(self, values: object) -> Tensor:
        return torch.as_tensor(np.asarray(values), dtype=torch.float32, device=self.device)

    def _integers(self, values: object) -> Tensor:
        return torch.as_tensor(np.asarray(values), dtype=torch.int64, device=self.device)
