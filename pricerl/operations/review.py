"""Page of a review: what past advice brought, by product and month, and what happened on the latest days."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from pricerl import __version__
from pricerl.advice.report.render import fill_template
from pricerl.advice.report.view import Cell, shorten
from pricerl.advice.sentences.earned import review_words
from pricerl.arrays import Interval, grouped
from pricerl.data.days import steps_in
from pricerl.data.history import ProductHistory
from pricerl.formatting import UNKNOWN, Formatter, sentence, translate
from pricerl.operations.log.decision_log import Entry, by_product
from pricerl.operations.track_record import Reviewed, find_predictions, keep_record, total_of
from pricerl.operations.watching.news import LATEST_DAYS, Cause, find_miss, find_stop

MOST_NEWS = 5
"""Most sentences of news."""

COLUMNS = ("Month", "Days", "Kept price", "Predicted", "Happened", "Gain over keeping")


class ReviewPage(NamedTuple):
    """Texts of the page."""

    headline: str
    lead: tuple[str, ...]
    tables: tuple[tuple[str, str, list[tuple[str, list[Cell]]]], ...]
    """Title, note and rows of each table."""


def find_news(
    products: Sequence[ProductHistory],
    entries: Sequence[Entry],
    records: Callable[[str], Mapping[str, Any]],
    run: str,
    f: Formatter,
) -> list[Cause]:
    """Return what happened on the latest days, as sentences, the worst product first; empty if all is as forecast.

    ``records`` returns the record of a ``run``'s last advice on a product, whose stop rule may have triggered.
    """
    found: list[tuple[float, Cause]] = []
    own = by_product(entries)
    several = len(products) > 1
    for history in products:
        start = f"{shorten(history.product)}: " if several else ""
        latest = len(history.dates) - steps_in(LATEST_DAYS, history.step_days)
        predictions = find_predictions(own.get(history.product, ()), history).items()
        recent = keep_record({at: found for at, found in predictions if at >= latest}, history)
        stop = find_stop(records(history.product), history, run, f, several)
        news = filter(None, [stop and (-1.0, stop), find_miss(recent, history, f)])
        found += [(change, Cause(sentence(start + what.words), what.step)) for change, what in news]
    return [news for _, news in sorted(found, key=lambda pair: pair[0])]


def lay_out_review(rows: Sequence[Reviewed], measure: str, f: Formatter, news: Sequence[Cause] = ()) -> ReviewPage:
    """Return the texts of the page of a review, whose amounts are profit, or sales; it begins with the ``news``."""
    followed, other = ([row for row in rows if row.followed == wanted] for wanted in (True, False))
    lead: list[str] = []
    headline = translate("No advised day has passed at the advised price yet")
    if followed:
        total = total_of(followed)
        headline, about = review_words(total.gain, total.days, measure, f, any(row.to_change for row in other))
        lead.append(about)
    if other:
        apart = "On {days:days} another price was charged; they are counted apart."
        lead.append(f.say(apart, {"days": total_of(other).days}))
        if not followed:
            lead.append(translate("Change the price in your shop, or record your own with pricerl override."))
    if news:
        more = (f"{item.words} {item.step}" for item in news[1:MOST_NEWS])
        lead = [news[0].step, *more, f"{headline}.", *lead]
        headline = news[0].words
    tables = (
        ("At the advised price", "These days test predictions and advice.", _rows(followed, f)),
        ("At another price", "The gain on these days is from the prices charged, not from advice.", _rows(other, f)),
    )
    known = ((translate(title), translate(note), rows) for title, note, rows in tables if rows)
    return ReviewPage(headline, tuple(lead), tuple(known))


def render_review(page: ReviewPage, source: str, f: Formatter) -> str:
    """Return the page as HTML."""
    document = {"source": source, "pricerl": __version__, **asdict(f)}
    return fill_template("review.html", document, {"review": page, "columns": COLUMNS})


def review_lines(page: ReviewPage) -> list[tuple[str, list[tuple[str, ...]]]]:
    """Return title and cells of each table, its header first, for the terminal."""
    return [
        (title, [("", *map(translate, COLUMNS)), *((name, *map(_text, row)) for name, row in rows)])
        for title, _, rows in page.tables
    ]


def _text(cell: Cell) -> str:
    return " ".join((cell.value, *cell.notes))


def _rows(rows: Sequence[Reviewed], f: Formatter) -> list[tuple[str, list[Cell]]]:
    """Return the rows by product and month, then the totals of products with several months, and of all."""
    products = grouped((row.product, row) for row in rows)
    totals = {name: [total_of(own, name)] if len(own) > 1 else [] for name, own in products.items()}
    listed = [(shorten(name), row) for name, own in products.items() for row in (*own, *totals[name])]
    everything = [(translate("all products"), total_of(rows))] if len(products) > 1 else []
    return [(name, _cells(row, f)) for name, row in (*listed, *everything)]


def _cells(row: Reviewed, f: Formatter) -> list[Cell]:
    month, days, kept, due, happened, gain = map(translate, COLUMNS)
    found = row.predicted
    foreseen = None if found is None else Interval(found.predicted, found.low, found.high)
    return [
        Cell(month, row.month or translate("total")),
        Cell(days, str(row.days)),
        Cell(kept, f.price(row.kept_price)),
        Cell(due, UNKNOWN) if foreseen is None else _cell(due, foreseen, f, ""),
        Cell(happened, f.money(row.happened)),
        _cell(gain, row.gain, f, "+"),
    ]


def _cell(label: str, values: Interval, f: Formatter, plus: str) -> Cell:
    digits = f.money_digits(*values)
    return Cell(label, f.money(values.mean, digits, plus), (f"({f.span(values.low, values.high, digits, plus)})",))
