"""Columns of a seller's file: names, groups and limits of their values."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

REPORT_DATE = "Report Date"
PRODUCT_PRICE = "Product Price"
TOTAL_SALES = "Total Sales"
ORGANIC_CONVERSION = "Organic Conversion Percentage"
AD_CONVERSION = "Ad Conversion Percentage"
TOTAL_PROFIT = "Total Profit"
PREDICTED_SALES = "Predicted Sales"
PRODUCT = "Product"
GROUP = "Group"
UNITS = "Units"
IN_STOCK = "In Stock"
UNIT_COST = "Unit Cost"
COMPETITOR_PRICE = "Competitor Price"
PROMOTION = "Promotion"
COUPONS = "Coupon Percentage"
AD_SPEND = "Ad Spend"

CONVERSIONS = (ORGANIC_CONVERSION, AD_CONVERSION)
FLAGS = (PROMOTION, IN_STOCK)
BY_DAY = (UNIT_COST, COMPETITOR_PRICE, COUPONS, AD_SPEND, *FLAGS)
"""Optional columns whose value on each day is kept."""
REQUIRED = (REPORT_DATE, PRODUCT_PRICE, TOTAL_SALES)
OPTIONAL_NUMBERS = (*CONVERSIONS, TOTAL_PROFIT, PREDICTED_SALES, UNITS, UNIT_COST, COMPETITOR_PRICE, COUPONS, AD_SPEND)
NUMERIC = (PRODUCT_PRICE, TOTAL_SALES, *OPTIONAL_NUMBERS)
OPTIONAL = (*OPTIONAL_NUMBERS, PRODUCT, GROUP, *FLAGS)
MONEY = (PRODUCT_PRICE, TOTAL_SALES, TOTAL_PROFIT, PREDICTED_SALES, UNIT_COST, COMPETITOR_PRICE, AD_SPEND)
"""Columns of money, or of money or units."""

FILLED = (PRODUCT_PRICE, TOTAL_SALES, TOTAL_PROFIT, *CONVERSIONS, COMPETITOR_PRICE, PROMOTION)
"""Columns whose blank cells are filled."""

FIRST_YEAR = 1970
LAST_YEAR = 2100
LARGEST_NUMBER = 1e12
"""Larger than the money or units of any day; keeps products and sums of cells finite."""

SMALLEST_PRICE = 1e-6
"""Money per unit; a smaller price is written in another unit."""


@lru_cache(4096)  # the presets ask for the same names at every header
def fold(name: str) -> str:
    """Return a column name without case, spaces, hyphens and underscores, its accents as parts of their letters."""
    return re.sub(r"[\s_\-\ufeff]+", "", unicodedata.normalize("NFC", name)).casefold()


def fold_product(name: str) -> str:
    """Return a product's name without differences of case, spaces and Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
