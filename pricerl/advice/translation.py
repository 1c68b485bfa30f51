"""Catalogues of words in other languages, ``words/LANGUAGE.po``; the code holds the English words."""

from __future__ import annotations

from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel import negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

FOLDER = Path(__file__).with_name("words")
LANGUAGES = ("en", *(path.stem for path in FOLDER.glob("*.po")))
REVIEW_FILES = {name: "review.html" if name == "en" else f"review.{name}.html" for name in LANGUAGES}
"""Pages of a review in a run's folder, by language."""
SCRIPT = "script"
"""Context of the words that the script of a page says."""


@cache
def read_catalogue(language: str) -> tuple[NullTranslations, dict[str, str]]:
    """Return the words of a language, and of scripts by the English ones; none for English."""
    file = FOLDER / f"{language}.po"
    if not file.is_file():
        return NullTranslations(), {}
    catalogue = read_po(file.read_text(encoding="utf-8").splitlines(), language)
    write_mo(compiled := BytesIO(), catalogue)
    compiled.seek(0)
    script = {str(item.id): str(item.string) for item in catalogue if item.context == SCRIPT}
    return GNUTranslations(compiled), script


def choose_language(accepted: str) -> str:
    """Return the first language of a header ``Accept-Language`` that has a catalogue, else English."""
    wanted = [part.partition(";")[0].strip() for part in accepted.split(",")]
    return negotiate_locale(wanted, LANGUAGES, sep="-") or "en"
