"""What may be written next to an announced cut: the lowest price of the 30 days before it (98/6/EC, Article 6a)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from pricerl.advice.sentences.next_steps import announcing_words
from pricerl.data.config import DataConfig
from pricerl.data.days import lowest_before
from pricerl.data.history import History, ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.reader import history_from_text
from pricerl.errors import DataError
from pricerl.formatting import PLAIN
from pricerl.operations.log.decision_log import NOTHING, Head
from pricerl.operations.outbox import Outbox, fill_outbox

START = date(2026, 1, 1)
Runs = Sequence[tuple[int, float]]
"""Days in a row, and the price on each, oldest first."""

CASES: dict[str, tuple[Runs, int, float, float]] = {
    # runs of days at a price, days from the last one to the cut, new price, lowest price of the 30 days before it
    "one price": ([(60, 20.0)], 1, 18.0, 20.0),
    "a rise within the month": ([(50, 18.0), (10, 20.0)], 1, 19.0, 18.0),
    "a rise 29 days before": ([(31, 18.0), (29, 20.0)], 1, 19.0, 18.0),
    "a rise 30 days before": ([(30, 18.0), (30, 20.0)], 1, 19.0, 20.0),
    "a rise 31 days before": ([(29, 18.0), (31, 20.0)], 1, 19.0, 20.0),
    "one cheap day on the 30th day before": ([(30, 20.0), (1, 15.0), (29, 20.0)], 1, 18.0, 15.0),
    "one cheap day on the 31st day before": ([(29, 20.0), (1, 15.0), (30, 20.0)], 1, 18.0, 20.0),
    "one cheap day on the eve": ([(59, 20.0), (1, 15.0)], 1, 18.0, 15.0),
    "raised first, then announced": ([(45, 20.0), (15, 30.0)], 1, 20.0, 20.0),
    "progressive, second step": ([(50, 20.0), (10, 18.0)], 1, 16.0, 18.0),
    "progressive, third step": ([(40, 20.0), (10, 18.0), (10, 16.0)], 1, 14.0, 16.0),
    "progressive, step by step each day": ([(50, 20.0), *((1, 20.0 - 0.1 * day) for day in range(10))], 1, 19.0, 19.1),
    "progressive over more than a month": ([(20, 20.0), (20, 18.0), (20, 16.0)], 1, 15.0, 16.0),
    "a sale, a pause of a week, a sale": ([(43, 20.0), (10, 16.0), (7, 20.0)], 1, 16.0, 16.0),
    "a sale, a pause of 30 days, a sale": ([(20, 20.0), (10, 16.0), (30, 20.0)], 1, 16.0, 20.0),
    "younger than 30 days": ([(12, 20.0)], 1, 18.0, 20.0),
    "younger than 30 days, dearer at first": ([(5, 25.0), (7, 20.0)], 1, 18.0, 20.0),
    "younger than 30 days, cheaper at first": ([(5, 15.0), (7, 20.0)], 1, 18.0, 15.0),
    "eight days old": ([(8, 20.0)], 1, 18.0, 20.0),
    "exactly 30 days old": ([(1, 15.0), (29, 20.0)], 1, 18.0, 15.0),
    "31 days old": ([(1, 15.0), (30, 20.0)], 1, 18.0, 20.0),
    "a price test's low arm": ([(40, 20.0), (7, 19.0), (7, 20.0), (6, 19.0)], 1, 18.5, 19.0),
    "a price test of blocks of two days": ([(40, 20.0), *((2, 20.0 - day % 2) for day in range(10))], 1, 18.0, 19.0),
    "a price test that ended 31 days before": ([(20, 20.0), (10, 19.0), (30, 20.0)], 1, 18.0, 20.0),
    "an override upwards": ([(50, 20.0), (5, 24.0), (5, 20.0)], 1, 18.0, 20.0),
    "an override downwards": ([(50, 20.0), (5, 14.0), (5, 20.0)], 1, 18.0, 14.0),
    "a file that ended ten days ago": ([(60, 20.0)], 11, 18.0, 20.0),
    "a file that ended ten days ago, cheap until a month ago": ([(40, 18.0), (20, 20.0)], 11, 19.0, 20.0),
    "a file that ended ten days ago, cheap within the month": ([(50, 18.0), (10, 20.0)], 11, 19.0, 18.0),
    "a file that ended on a low": ([(58, 20.0), (2, 17.0)], 5, 16.0, 17.0),
    "a file that ended 40 days ago": ([(50, 18.0), (10, 20.0)], 41, 19.0, 20.0),
    "cents": ([(50, 19.99), (10, 19.98)], 1, 18.0, 19.98),
    "a cut to the lowest price": ([(50, 18.0), (10, 20.0)], 1, 18.0, 18.0),
    "a cut above the lowest price": ([(50, 17.0), (10, 20.0)], 1, 18.0, 17.0),
}


@pytest.fixture
def history_of(make_product: Callable[..., ProductHistory]) -> Callable[[Runs], ProductHistory]:
    """Return the history of runs of days at a price, from `START` on."""

    def build(runs: Runs) -> ProductHistory:
        price = np.concatenate([np.full(days, price) for days, price in runs])
        product = make_product(price, np.full(len(price), 5.0))
        return replace(product, dates=np.datetime64(START) + np.arange(len(price)))

    return build


def outbox_of(history: ProductHistory, ahead: int, price: float) -> Outbox:
    """Return the outbox of an advice that cuts the price some days after the history."""
    last = history.dates[-1].astype("datetime64[D]").astype(date)
    now = history.current_price
    days = [{"date": str(last + timedelta(days=day)), "price": price if day >= ahead else now} for day in range(1, 60)]
    limits = {"floor": 1.0, "ceiling": None, "price_step": 0.01, "lowest": None, "highest": None}
    terms = {"approval": "auto", "currency": "EUR", "price_decimals": 2, "relations": []}
    advice: dict[str, Any] = {"id": 1, "kind": "advice", "product": "mug", "days": days, "current_price": now}
    advice |= {
        "history_end": str(last),
        "known": {"since": str(last), "units": 84.0},
        "tried": (1.0, 99.0),
        "settings": {},
        "checkpoint": "",
    }
    advice |= {"seen": 0, "limits": limits, "terms": terms, "lowest_prices": history.lowest_prices}
    return fill_outbox(NOTHING.extended([advice], Head(1, "ab" * 32)), "", last + timedelta(days=1))


@pytest.mark.parametrize(("runs", "ahead", "price", "lowest"), CASES.values(), ids=CASES)
def test_a_cut_names_the_lowest_price_of_the_thirty_days_before(
    history_of: Callable[[Runs], ProductHistory], runs: Runs, ahead: int, price: float, lowest: float
) -> None:
    history = history_of(runs)
    found = outbox_of(history, ahead, price)
    (row,) = found.rows
    assert row.lowest_30d == pytest.approx(lowest)
    assert found.table()[1][-1] == f"{lowest:.2f}" and found.table()[0][-1] == "Lowest of 30 Days"
    product = {"recommended_price": price, "current_price": history.current_price}
    words = announcing_words({**product, "lowest_prices": history.lowest_prices}, row.date, PLAIN)
    if price >= history.current_price:
        assert words == []
    elif price < lowest:
        assert words == [
            f"In the EU, an announced cut names the lowest price of the 30 days before: write {lowest:.2f} next to it."
        ]
    else:
        assert words[0].endswith(f"before, {lowest:.2f}: {price:.2f} may not be announced as a cut.")
    charged = [price for days, price in runs for _ in range(days)]
    window = [*charged, *[charged[-1]] * (ahead - 1)][-30:]
    assert row.lowest_30d == pytest.approx(min(window))  # day by day


def read(lines: Sequence[str]) -> History:
    return history_from_text("\n".join([*lines, ""]), "sales.csv", DataConfig())


def lines_of(prices: Sequence[Any], sales: Sequence[Any] | None = None, header: str = "") -> list[str]:
    """Lines of a file with a row per day."""
    found = [header or "Report Date,Product Price,Total Sales"]
    for day, price in enumerate(prices):
        sold = 5 * price if sales is None and isinstance(price, float) else (sales or {})[day] if sales else ""
        found.append(f"{START + timedelta(days=day)},{price},{sold}")
    return found


def lowest_of(lines: Sequence[str]) -> float:
    """Lowest price before the day after a file's last one."""
    (product,) = DataPreprocessor.fit(read(lines), DataConfig()).products
    return lowest_before(str(product.next_day), product.lowest_prices, product.current_price)


def test_prices_with_tax_stay_with_it_and_those_without_stay_without() -> None:
    gross = [23.8 if day < 50 else 21.42 for day in range(60)]
    assert lowest_of(lines_of(gross)) == 21.42
    assert lowest_of(lines_of([round(price / 1.19, 2) for price in gross])) == 18.0


def test_a_day_without_a_row_or_a_price_adds_no_lower_one() -> None:
    lines = lines_of([20.0] * 40)
    assert lowest_of([*lines[:20], *lines[23:]]) == 20.0
    blank = lines[25].split(",")[0] + ",,"
    assert lowest_of([*lines[:25], blank, *lines[26:]]) == 20.0


def test_a_low_price_in_the_shop_s_gap_of_a_week_counts_up_to_its_last_known_day() -> None:
    lines = lines_of([20.0] * 25 + [17.0] * 5 + [20.0] * 30)
    assert lowest_of(lines) == 20.0  # the 17.00 ended on the 31st day before
    assert lowest_of(lines[:-1]) == 17.0
    assert lowest_of([*lines[:40], *lines[47:-1]]) == 17.0


def test_a_refused_row_lowers_no_price() -> None:
    lines = lines_of([20.0] * 60)
    broken = [*lines[:50], lines[50].replace("20.0", "0.2"), *lines[51:]]
    with pytest.raises(DataError, match="line 51"):
        read(broken)
    assert lowest_of([*lines[:50], *lines[51:]]) == 20.0


def test_files_in_several_currencies_are_refused_and_each_shop_has_its_own() -> None:
    euros = [line.replace(",20.0,", ",20.0 €,") for line in lines_of([20.0] * 40)]
    pounds = [line.replace("€", "£") for line in euros]
    with pytest.raises(DataError, match="currenc"):
        read([*euros[:20], *pounds[20:]])
    assert lowest_of(euros) == lowest_of(pounds) == 20.0


def test_weekly_rows_count_until_their_last_day(history_of: Callable[[Runs], ProductHistory]) -> None:
    history = history_of([(4, 18.0), (4, 20.0)])
    weekly = replace(history, dates=np.datetime64(START) + 7 * np.arange(8), step_days=7)
    assert lowest_before(str(weekly.next_day), weekly.lowest_prices, 20.0) == 18.0  # its last day is the 29th before
    later = str(weekly.next_day + timedelta(days=1))
    assert weekly.lowest_prices[0] == ("2026-01-28", 18.0) and lowest_before(later, weekly.lowest_prices, 20.0) == 18.0
    assert lowest_before(str(weekly.next_day + timedelta(days=2)), weekly.lowest_prices, 20.0) == 20.0


def test_an_advice_of_an_older_version_leaves_the_cell_blank(history_of: Callable[[Runs], ProductHistory]) -> None:
    history = history_of([(60, 20.0)])
    found = outbox_of(history, 1, 18.0)
    older = found._replace(rows=(found.rows[0]._replace(lowest_30d=None),))
    assert older.table()[1][-1] == "" and older.render().splitlines()[1].endswith(",")
