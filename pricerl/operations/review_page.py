"""Page and table of a review: numbers of `hindsight` in words."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import NamedTuple

from pricerl import __version__
from pricerl.advice.report import svg
from pricerl.advice.report.charts import Figure
from pricerl.advice.report.render import fill_template
from pricerl.advice.report.sanitize import shorten
from pricerl.advice.report.view import Cell
from pricerl.arrays import Interval
from pricerl.decide.standing import Check
from pricerl.formatting import UNKNOWN, Formatter, plural
from pricerl.operations.hindsight import Reviewed, cumulate, total_of

REVIEW_FILE = "review.html"
"""Page of a review, in the run's folder."""

COLUMNS = ("Month", "Days", "Kept price", "Predicted", "Happened", "Gain over keeping")
METHOD = (
    "Nobody knows what would have been sold at the kept price, which is the one before the first advice. The estimate "
    "takes the units that were sold and the response to prices of the market fitted to all days, with its uncertainty, "
    "that of the costs, and the noise of sales. It cannot see causes that no column contains: if something else "
    "changed demand whenever the price did, the gain is wrong. Predictions of several months are added as if they "
    "were wrong together, so that their intervals are wide."
)


class ReviewPage(NamedTuple):
    """Texts of the page."""

    headline: str
    lead: tuple[str, ...]
    totals: tuple[tuple[str, str], ...]
    """Values with their labels."""
    figure: Figure | None
    tables: tuple[tuple[str, str, list[tuple[str, list[Cell]]]], ...]
    """Title, note and rows of each table."""
    columns: tuple[str, ...] = COLUMNS
    method: str = METHOD


def lay_out_review(rows: Sequence[Reviewed], measure: str, f: Formatter) -> ReviewPage:
    """Return the texts of the page of a review, whose amounts are profit, or sales."""
    followed, other = ([row for row in rows if row.followed == wanted] for wanted in (True, False))
    total, apart = total_of(followed), total_of(other)
    lead, totals = [], []
    headline = "No advised day has passed at the advised price yet"
    if total is not None:
        gain = f.estimate(total.gain, plus="+")
        headline = f"Following the advice changed {measure} by {gain}"
        what = "the sign is not yet clear, as the interval contains zero"
        if total.gain.low == total.gain.high == 0:
            headline, what = "The advice was to keep the price", "there is nothing to gain or lose"
        elif total.gain.low > 0 or total.gain.high < 0:
            what = "the whole interval has one sign"
        lead.append(f"On {plural(total.days, f.period)} at the advised price; {what}.")
        totals += [(str(total.days), f"{f.period}s at the advised price"), (gain, f"{measure} over the kept price")]
    if apart is not None:
        gain = f.estimate(apart.gain, plus="+")
        lead.append(f"On {plural(apart.days, f.period)} another price was charged; they are counted apart.")
        totals += [
            (str(apart.days), f"{f.period}s at another price"),
            (gain, f"{measure} on these over the kept price"),
        ]
    tables = (
        ("At the advised price", "These days test predictions and advice.", _rows(followed, f)),
        (
            "At another price",
            "The gain on these days is that of the prices charged, not of advice.",
            _rows(other, f),
        ),
    )
    figure = _figure(followed, measure, f) if followed else None
    return ReviewPage(headline, tuple(lead), tuple(totals), figure, tuple(table for table in tables if table[2]))


def render_review(page: ReviewPage, source: str, f: Formatter) -> str:
    """Return the page as HTML."""
    document: dict[str, str | int] = {
        "source": source,
        "pricerl": __version__,
        "locale": f.locale,
        "currency": f.currency,
    }
    document |= {"price_decimals": f.price_decimals, "step_days": f.step_days}
    return fill_template("review.html", document, {"review": page})


def review_lines(page: ReviewPage) -> list[tuple[str, list[tuple[str, ...]]]]:
    """Return title and cells of each table, its header first, for the terminal."""
    found = []
    for title, _, rows in page.tables:
        cells = [(name, *(" ".join((cell.value, *cell.notes)) for cell in row)) for name, row in rows]
        found.append((title, [("", *COLUMNS), *cells]))
    return found


def _rows(rows: Sequence[Reviewed], f: Formatter) -> list[tuple[str, list[Cell]]]:
    """Return the rows by product and month, then the totals of products with several months, and of all."""
    found, products = [], list(dict.fromkeys(row.product for row in rows))
    for product in products:
        own = [row for row in rows if row.product == product]
        found += [(shorten(product), _cells(row, f)) for row in own]
        if len(own) > 1 and (total := total_of(own, product)) is not None:
            found.append((shorten(product), _cells(total, f)))
    if len(products) > 1 and (total := total_of(rows)) is not None:
        found.append(("all products", _cells(total, f)))
    return found


def _cells(row: Reviewed, f: Formatter) -> list[Cell]:
    predicted: Check | None = row.predicted
    said = Cell(COLUMNS[3], UNKNOWN)
    if predicted is not None:
        said = _cell(COLUMNS[3], Interval(predicted.predicted, predicted.low, predicted.high), f, "")
    return [
        Cell(COLUMNS[0], row.month or "total"),
        Cell(COLUMNS[1], str(row.days)),
        Cell(COLUMNS[2], f.price(row.kept_price)),
        said,
        Cell(COLUMNS[4], f.money(row.happened)),
        _cell(COLUMNS[5], row.gain, f, "+"),
    ]


def _cell(label: str, values: Interval, f: Formatter, plus: str) -> Cell:
    digits = f.money_digits(*values)
    return Cell(label, f.money(values.mean, digits, plus), (f"({f.span(values.low, values.high, digits, plus)})",))


def _figure(rows: Sequence[Reviewed], measure: str, f: Formatter) -> Figure:
    """Draw the gain over the kept price, added up over the days at the advised price."""
    dates, (mean, low, high) = cumulate(rows)
    first = datetime.date.fromisoformat(dates[0])
    at = [float((datetime.date.fromisoformat(day) - first).days) for day in dates]
    frame = svg.frame_of([0.0, max(at[-1], 1.0)], [0.0, *low, *high])
    ticks = [(at[place], f.day_of_month(dates[place])) for place in sorted({0, len(dates) // 2, len(dates) - 1})]
    ticks = [tick for number, tick in enumerate(ticks) if not number or tick[0] - ticks[number - 1][0] > at[-1] / 5]
    parts = [
        svg.band(frame, at, low, high),
        svg.line(frame, at, mean, "curve"),
        svg.line(frame, [0.0, frame.x_high], [0.0, 0.0], "axis"),
        svg.axes(frame, ticks, f.period.capitalize(), f),
    ]
    gain = f.estimate((mean[-1], low[-1], high[-1]), plus="+")
    words = (
        f"Line: gain in {measure} over the kept price, added up until {f.date(dates[-1])}: {gain}. Band: 90 % limits."
    )
    title = f"Gain in {measure}, added up"
    return Figure("gain", title, svg.chart("gain", title, words, parts), "Days at the advised price. Band: 90 %.")
