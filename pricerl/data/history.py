"""A seller's cleaned history: one contiguous daily calendar a product."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pricerl.arrays import BoolArray, DateArray, FloatArray
from pricerl.data.quality import ProductReport

UNNAMED_PRODUCT = "product"


@dataclass(frozen=True, eq=False)
class ProductHistory:
    """One product on a calendar of ``D`` days without holes, and the ``H`` days of its file that lie after."""

    product: str
    """Name in the ``Product`` column, or ``product`` where the file has none."""

    dates: DateArray
    """``(D,)`` days, unit D; the last one is the last day of history."""

    price: FloatArray
    """``(D,)`` money per unit, positive; unknown days carry the last known price."""

    units: FloatArray
    """``(D,)`` units sold; days with unknown sales hold the mean of the seven days before."""

    sales: FloatArray
    """``(D,)`` revenue in money, whatever the file's own measure; imputed like the units."""

    profit: FloatArray
    """``(D,)`` money, 0 where it was not reported."""

    organic: FloatArray
    """``(D,)`` percent 0 to 100, gaps filled with the median; all NaN when never reported."""

    ad: FloatArray
    """``(D,)`` percent 0 to 100, gaps filled with the median; all NaN when never reported."""

    predicted: FloatArray
    """``(D,)`` the file's own forecast as revenue, NaN where absent."""

    observed: BoolArray
    """``(D,)`` True where price and sales are known, so the day says something about demand."""

    profit_known: BoolArray
    """``(D,)`` True where profit was reported and the day's sales and units are known too."""

    future_dates: DateArray
    """``(H,)`` days after the history without holes; ``H`` may be 0."""

    future_predicted: FloatArray
    """``(H,)`` the file's forecast for them as revenue, NaN where absent."""

    unit_cost: float | None
    """Money per unit: the last value of the ``Unit Cost`` column, None where the seller gave none."""

    competitor: FloatArray | None = None
    """``(D,)`` the competitor's money per unit, blanks filled with the price known last; None where never given."""

    promotion: BoolArray | None = None
    """``(D,)`` True on days with a promotion; None where the file does not tell."""

    in_stock: BoolArray | None = None
    """``(D,)`` True on days that the file says were in stock; None where it never tells."""

    holidays: DateArray | None = None
    """``(N,)`` public holidays from the first day on to years after the last; None without a country."""

    @property
    def stock_unknown(self) -> BoolArray:
        """``(D,)`` True on observed days of which the file does not say that they were in stock."""
        return self.observed if self.in_stock is None else self.observed & ~self.in_stock

    def first_days(self, days: int) -> ProductHistory:
        """Return the history as it stood after its first ``days`` days, without any future."""
        daily = ("dates", "price", "units", "sales", "profit", "organic", "ad", "predicted", "observed", "profit_known")
        told = [name for name in ("competitor", "promotion", "in_stock") if getattr(self, name) is not None]
        cut = {name: getattr(self, name)[:days] for name in (*daily, *told)}
        return replace(self, **cut, future_dates=self.future_dates[:0], future_predicted=self.future_predicted[:0])


@dataclass(frozen=True, eq=False)
class History:
    """Everything one file says, cleaned."""

    source: str
    """Name of the file as the user wrote it."""

    products: tuple[ProductHistory, ...]
    """The products, in the order in which the file first names them."""

    reports: tuple[ProductReport, ...]
    """What was found, filled and left out, one report a product in the same order."""
