"""Settings for reading, cleaning and windowing a seller's file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args, get_origin, get_type_hints
from zoneinfo import available_timezones

import numpy as np

from pricerl.data.days import find_holidays
from pricerl.data.forecasters import OWN_MEAN, check_forecaster
from pricerl.errors import UsageError, did_you_mean, refuse

LONGEST_WINDOW = 365

_PROBE_DATE = datetime(2025, 1, 13)
_PROBE_DAY = np.datetime64(_PROBE_DATE, "D")


@dataclass(frozen=True)
class DataConfig:
    """Settings for reading, cleaning and windowing a seller's file.

    Raises:
        UsageError: a setting is outside its range; the message names it.
    """

    date_format: str | None = None
    """strptime format of non-ISO dates, such as ``%d.%m.%Y``; None accepts unambiguous dates."""

    date_order: Literal["auto", "day", "month"] = "auto"
    """First part of dates such as 03/04/2025 in a file that does not show it; ``auto`` follows the shop's
    earlier files, and refuses such dates without any."""

    decimal: Literal["auto", ".", ","] = "auto"
    """Decimal sign of numbers; ``auto`` decides per column and refuses ambiguous ones."""

    sales: Literal["auto", "revenue", "units"] = "auto"
    """Meaning of ``Total Sales``; ``auto`` infers it from the numbers."""

    missing_days: Literal["auto", "zero", "unknown"] = "auto"
    """Days without a row: without a sale, or unknown; ``auto`` finds out whether the file lists sales only."""

    current_price: Literal["ask", "regular", "last"] = "ask"
    """Price that advice starts from where the last row is a promotion or an average: the ``regular`` one, or the
    ``last`` row's own. ``ask`` keeps the last row's price until you confirm one of them."""

    suspicious: Literal["refuse", "keep"] = "refuse"
    """Values that cannot be meant, such as a price ten times its neighbours: refused, or kept as they are."""

    strict: bool = False
    """Whether one product that cannot be used stops everything; otherwise it is reported and skipped."""

    preset: str = "auto"
    """How the columns of a platform's export become a history: a name in docs/presets.md, or a YAML file of the same
    form; ``auto`` recognises the export by its header, ``none`` reads the columns as they are."""

    time_zone: str | None = None
    """Time zone of the days of an export's time stamps, such as Europe/Berlin; None keeps the dates as written."""

    max_gap_days: int = 14
    """Longest run of days without price and sales counted as zero sales; in longer runs the product was not on sale."""

    window: int = 7
    """Days of features in one observation."""

    forecaster: str = OWN_MEAN
    """Forecaster for "predicted sales", by its name in ``pricerl.data.forecasters.FORECASTERS``: ``mean_7``,
    ``last_week`` or ``weekday_mean``. Used if it beats the trailing 7-day mean and the supplied column on the training
    days."""

    country: str | None = None
    """Country whose public holidays affect demand, as an ISO code such as GB or with a subdivision such as DE-BY."""

    columns: dict[str, str] | None = None
    """Columns of ours by their names in the file, such as ``{"Net paid": "Total Sales"}``."""

    query: str | None = None
    """SQL query whose result is the history, or name of a table, if the path is the URL of a database such as
    ``sqlite:///shop.db``."""

    def __post_init__(self) -> None:
        check_forecaster(self.forecaster)
        if self.columns:
            from pricerl.data.reading.header import check_renames

            check_renames(self.columns)
        if self.country is not None:
            find_holidays(self.country, _PROBE_DAY, _PROBE_DAY)
        if self.time_zone is not None and self.time_zone not in available_timezones():
            close = did_you_mean(self.time_zone, available_timezones())
            raise UsageError(f"time_zone must be a name such as Europe/Berlin, found {self.time_zone!r}{close}")
        chosen = [
            (name, getattr(self, name), get_args(kind))
            for name, kind in get_type_hints(DataConfig).items()
            if get_origin(kind) is Literal
        ]
        refuse(
            {
                **{
                    f"{name} must be one of {', '.join(map(repr, choices))}, "
                    f"found {value!r}{did_you_mean(str(value), choices)}": value not in choices
                    for name, value, choices in chosen
                },
                f"date_format must give day, month and year, such as '%d.%m.%Y'; found {self.date_format!r}": (
                    self.date_format is not None and not _gives_a_date(self.date_format)
                ),
                f"max_gap_days must be 0 or more, found {self.max_gap_days}": self.max_gap_days < 0,
                f"window must be 1 to {LONGEST_WINDOW} days, found {self.window}": (
                    not 1 <= self.window <= LONGEST_WINDOW
                ),
            }
        )


def _gives_a_date(date_format: str) -> bool:
    text, year_before = (day.strftime(date_format) for day in (_PROBE_DATE, _PROBE_DATE.replace(year=2024)))
    try:  # Python 3.13 warns if strptime gets no year
        return text != year_before and datetime.strptime(text, date_format) == _PROBE_DATE
    except ValueError:
        return False
