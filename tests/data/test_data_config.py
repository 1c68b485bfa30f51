from __future__ import annotations

from typing import Any

import pytest

from pricerl.data.config import DataConfig
from pricerl.errors import UsageError


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"decimal": ";"}, "decimal must be one of"),
        ({"sales": "revenu"}, "did you mean 'revenue'"),
        ({"max_gap_days": -1}, "max_gap_days must be 0 or more"),
        ({"window": 0}, "window must be 1 to 365"),
        ({"date_format": "%d.%m"}, "date_format must give day, month and year"),
        ({"date_format": "%d.%m.%Y %Q"}, "date_format must give day, month and year"),
        ({"date_format": "day"}, "date_format must give day, month and year"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        DataConfig(**settings)


@pytest.mark.parametrize("date_format", ["%d.%m.%Y", "%m/%d/%y", "%Y%m%d", "%d %B %Y"])
def test_complete_date_formats_are_accepted(date_format: str) -> None:
    assert DataConfig(date_format=date_format).date_format == date_format
