"""Texts of the seller's file on a page and in the names of files."""

from __future__ import annotations

import pytest

from pricerl.advice.report.render import MOST_SLUG, page_name
from pricerl.advice.report.view import shorten


def test_long_names_are_cut_and_empty_ones_get_a_stand_in() -> None:
    assert len(shorten("x" * 5000)) == 120 and shorten("x" * 5000).endswith("…")
    assert shorten("\u202e \u200f") == "product without a readable name"


@pytest.mark.parametrize(
    ("product", "name"),
    [
        ("Soap & nuts, 250 g", "001-soap-nuts-250-g.html"),
        ("../../etc/passwd", "001-etc-passwd.html"),
        ("C:\\con\\nul", "001-c-con-nul.html"),
        ("<script>alert(1)</script>", "001-script-alert-1-script.html"),
        ("Crème brûlée", "001-creme-brulee.html"),
        ("\u202e🧼", "001-product.html"),
        ("", "001-product.html"),
    ],
)
def test_names_of_pages_hold_plain_letters_only(product: str, name: str) -> None:
    assert page_name(0, product) == name


def test_names_of_pages_are_short_and_differ_where_products_do_not() -> None:
    assert len(page_name(0, "long " * 1000)) <= MOST_SLUG + len("001-.html")
    assert page_name(0, "Mug") != page_name(1, "mug")
