"""Numbers, amounts, dates and probabilities formatted for sellers, alike in the terminal and in the report."""

from __future__ import annotations

import csv
import datetime
import io
import re
import string
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from gettext import NullTranslations
from types import MappingProxyType
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.dates import format_skeleton
from babel.localedata import locale_identifiers
from babel.numbers import get_currency_precision, get_currency_symbol, list_currencies

from pricerl.errors import UsageError, did_you_mean

UNKNOWN = "–"
PLAIN_DIGITS = 2
"""Digits after the decimal mark of money whose currency is not known."""


SMALL_GAIN = 10
"""Gain below which it is shown with decimals, whatever the outcomes that it compares."""


CATALOGUE = ContextVar("CATALOGUE", default=NullTranslations())  # noqa: B039
"""Words in the reader's language by the English ones; a server has one per request, everyone else the English."""


def translate(words: str) -> str:
    """Return words in the reader's language, or the English ones where the catalogue has none."""
    return CATALOGUE.get().gettext(words) if words else ""


def language() -> str:
    """Return the reader's language, such as ``de``."""
    return CATALOGUE.get().info().get("language", "en")


@dataclass(frozen=True)
class Formatter:
    """Formatter of the values of one advice; an unknown locale or currency is a ``UsageError``."""

    locale: str = "en_US"
    """Locale of numbers, amounts and dates, such as ``de_DE``; the words stay English."""
    currency: str = ""
    """ISO 4217 code, such as ``EUR``; money is a plain number without one."""
    price_decimals: int = PLAIN_DIGITS
    """Digits after the decimal mark of a price."""
    step_days: int = 1
    """Days to which amounts and units refer: 1, or 7 for a history of weeks."""

    def __post_init__(self) -> None:
        try:
            _locale(self.locale)
        except (ValueError, UnknownLocaleError):
            found = f"{self.locale!r}{did_you_mean(self.locale, locale_identifiers())}"
            raise UsageError(f"--locale: must be a locale such as en_US or de_DE, found {found}") from None
        if self.currency and self.currency not in list_currencies():
            found = f"{self.currency!r}{did_you_mean(self.currency, list_currencies())}"
            raise UsageError(f"--data.currency: must be an ISO 4217 code such as EUR, or empty, found {found}")

    @property
    def period(self) -> str:
        """Word for the time to which amounts and units refer: day or week."""
        return "day" if self.step_days == 1 else "week"

    def say(self, template: str, values: Mapping[str, Any] = MappingProxyType({})) -> str:
        """Return a template of the catalogue with its values, and with ``{period}`` and ``{periods}``.

        ``{until:date}`` is laid out by the method `date`, ``{share:percent.0}`` by `percent` with no decimals.
        """
        known = {"period": translate(self.period), "periods": translate(f"{self.period}s"), **values}
        return _Layout(self).vformat(translate(template), (), known)

    def days(self, count: int) -> str:
        """Return a number of days or weeks with its noun."""
        return plural(count, self.period)

    def word(self, english: str) -> str:
        """Return a word of the code in the reader's language."""
        return translate(english)

    def measure(self, name: str) -> str:
        """Return the name of a measure by its field."""
        return translate(MEASURES.get(name, name))

    @property
    def reader_locale(self) -> str:
        """Locale of numbers and dates: the advice's own, or the reader's language where that is another."""
        return self.locale if language() in ("en", self.locale[:2]) else language()

    def number(self, value: float | None, digits: int = PLAIN_DIGITS, plus: str = "") -> str:
        """Return a number with the locale's marks and a true minus; ``plus="+"`` marks gains. A zero has no sign."""
        return self._laid_out(value, digits, "", plus)

    def percent(self, share: float | None, digits: int = 1, plus: str = "") -> str:
        """Return a share as a percentage."""
        return UNKNOWN if share is None else f"{self.number(100 * share, digits, plus)} %"

    def price(self, value: float | None) -> str:
        """Return a price with the digits of the price grid."""
        return self._laid_out(value, self.price_decimals, self.currency, "")

    def money(self, value: float | None, digits: int | None = None, plus: str = "") -> str:
        """Return an amount of money; its size sets the number of digits if none is given."""
        return self._laid_out(value, self.money_digits(value) if digits is None else digits, self.currency, plus)

    def estimate(self, values: Sequence[float], words: str = "", plus: str = "") -> str:
        """Return an amount with its 90 % limits: ``26.00 per day (90 %: 12.00 to 42.00)`` with words ``" per day"``."""
        mean, low, high = values
        digits = self.money_digits(*values)
        return f"{self.money(mean, digits, plus)}{words}{self.limits(low, high, digits, plus, '90 %: ')}"

    def limits(self, low: float, high: float, digits: int, plus: str = "", label: str = "") -> str:
        """Return an interval in parentheses after a space; empty if both ends look the same."""
        same = self.number(low, digits) == self.number(high, digits)
        return "" if same else f" ({label}{self.span(low, high, digits, plus)})"

    def span(self, low: float | None, high: float | None, digits: int, plus: str = "") -> str:
        """Return an interval without a currency, as its estimate shows one; ``plus="+"`` shows both signs."""
        return translate(" to ").join(self._laid_out(value, digits, "", plus) for value in (low, high))

    def money_digits(self, *values: float | None, whole: float = 1000) -> int:
        """Return the digits of a column of amounts: the currency's, or none if an amount reaches ``whole``."""
        if _largest(values) >= whole:
            return 0
        return get_currency_precision(self.currency) if self.currency else PLAIN_DIGITS

    def compared_digits(
        self, name: str, outcomes: Sequence[float], gain: Sequence[float] | None, whole: float = 1000
    ) -> int:
        """Return the digits of units or money and of their ``gain``, enough that a small loss does not read 0."""
        units = name == "units"
        digits = unit_digits(*outcomes) if units else self.money_digits(*outcomes, whole=whole)
        small = gain is not None and 0 < _largest(gain) < SMALL_GAIN
        return digits or (0 if not small else 1 if units else self.money_digits())

    def weekday_date(self, day: str) -> str:
        """Return ``2026-01-01`` as ``Thu 1 Jan``."""
        return _date(day, "MMMEd", self.reader_locale)

    def date(self, day: str) -> str:
        """Return ``2026-01-01`` as ``1 Jan 2026``."""
        return _date(day, "yMMMd", self.reader_locale)

    def day_of_month(self, day: str) -> str:
        """Return ``2026-01-01`` as ``1 Jan``."""
        return _date(day, "MMMd", self.reader_locale)

    def _laid_out(self, value: float | None, digits: int, currency: str, plus: str) -> str:
        if value is None:
            return UNKNOWN
        rounded = f"{abs(value):.{digits}f}"
        sign = ("\N{MINUS SIGN}" if value < 0 else plus) if rounded.strip("0.") else ""
        before, group_ends, group, point, after = _marks(self.reader_locale, currency)
        whole, _, fraction = rounded.partition(".")
        return f"{sign}{before}{group_ends.sub(group, whole)}{point if fraction else ''}{fraction}{after}"


class _Layout(string.Formatter):
    """Layout of the values of a template by the methods of a formatter."""

    def __init__(self, f: Formatter) -> None:
        self.f = f

    def format_field(self, value: Any, format_spec: str) -> str:
        """Return a value as a method shows it, or as Python does where none is named."""
        name, _, digits = format_spec.partition(".")
        lay_out = getattr(self.f, name, None) if name else None
        return str(
            lay_out(value, *([int(digits)] if digits else [])) if lay_out else super().format_field(value, format_spec)
        )


def counted(share: float | None, num_draws: int) -> str:
    """Return a share of posterior draws as a count, such as ``61 of 64``."""
    if share is None:
        return UNKNOWN
    return translate("{count} of {all}").format(count=round(share * num_draws), all=num_draws)


def better_by(objective: str | None, measure: str = "profit") -> str:
    """Return what a better price does, as a verb; an ``objective`` is named where gains are not the measure alone."""
    if objective:
        return translate("do better by the objective {objective}").format(objective=objective)
    return translate("bring more revenue" if measure == "sales" else "earn more")


def better_words(share: float, num_draws: int, objective: str | None, measure: str = "profit") -> str:
    """Return in how many posterior draws a price would be the better one, as a clause without its subject."""
    better, found = better_by(objective, measure), counted(share, num_draws)
    return translate("would {better} in {counted} plausible scenarios").format(better=better, counted=found)


def price_digits(price_step: float, currency: str = "") -> int:
    """Return the digits after the decimal mark that the price grid needs, at least the currency's."""
    least = get_currency_precision(currency) if currency else PLAIN_DIGITS
    return max(least, len(f"{price_step:.6f}".rstrip("0").split(".")[1]))


def unit_digits(*values: float | None) -> int:
    """Return the digits of a column of units: two for a few per day, fewer for many."""
    largest = _largest(values)
    return 0 if largest >= 100 else 1 if largest >= 10 else 2


def sentence(text: str) -> str:
    """Return a clause as a sentence: a capital in front and a full stop at the end."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun, such as ``1 day`` or ``3 days``."""
    return f"{count} {CATALOGUE.get().ngettext(noun, f'{noun}s', count)}"


def _largest(values: Sequence[float | None]) -> float:
    return max((abs(value) for value in values if value is not None), default=0.0)


@cache
def _locale(name: str) -> Locale:
    return Locale.parse(name.replace("-", "_"))


@cache
def _marks(locale: str, currency: str) -> tuple[str, re.Pattern[str], str, str, str]:
    """Return what a locale writes around, between groups of digits (and where) and before decimals of an amount."""
    known = _locale(locale)
    pattern = known.currency_formats["standard"] if currency else known.decimal_formats[None]
    name = get_currency_symbol(currency, known) if currency else ""
    around = (side[0].replace("¤", name) for side in (pattern.prefix, pattern.suffix))
    before, after = (text.replace("\N{RIGHT-TO-LEFT MARK}", "") for text in around)
    last, others = pattern.grouping
    group_ends = re.compile(rf"\B(?=(\d{{{others}}})*\d{{{last}}}$)")
    symbols = known.number_symbols["latn"]
    return before, group_ends, symbols["group"], symbols["decimal"], after


@cache
def _date(day: str, skeleton: str, locale: str) -> str:
    """Return a date in the locale's own style, but always ``1 Jan 2026`` in English."""
    known = _locale(locale)
    style = _locale("en_GB") if known.language == "en" else known
    return format_skeleton(skeleton, datetime.date.fromisoformat(day), locale=style)


MEASURES = {"profit": "profit", "sales": "revenue"}
"""Names of the measures, by their fields."""

PLAIN = Formatter()
"""Plain numbers in US English, with the digits of cents."""


def csv_text(rows: Iterable[Sequence[object]], end: str = "\n", delimiter: str = ",") -> str:
    """Return rows, the header first, as CSV."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, delimiter=delimiter).writerows(rows)
    return text.getvalue()


def safe_text(text: str) -> str:
    """Escape a text that a spreadsheet would read as a formula."""
    plain = unicodedata.normalize("NFKC", text)  # characters of full width are formulas, too
    return f"'{text}" if plain.startswith(("=", "+", "-", "@", "\t", "\r")) else text
