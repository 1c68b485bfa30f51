"""Read, check, clean and scale a seller's history; simulate one with known demand."""

from pricerl.data.cleaning.zero_sales import UnlikelyZeros, unlikely_zeros
from pricerl.data.config import DataConfig
from pricerl.data.features import FEATURES, build_features, weekday_of
from pricerl.data.forecast_selection import PredictedSales, score_forecasts
from pricerl.data.forecasters import FORECASTERS, Forecaster, SalesForecast
from pricerl.data.history import History, ProductHistory
from pricerl.data.holidays import day_types
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.quality import ProductReport
from pricerl.data.reading.reader import history_from_text, read_history
from pricerl.data.scaling import MinMaxScaler

__all__ = [
    "FEATURES",
    "FORECASTERS",
    "DataConfig",
    "DataPreprocessor",
    "Forecaster",
    "History",
    "MinMaxScaler",
    "PredictedSales",
    "ProductHistory",
    "ProductReport",
    "SalesForecast",
    "UnlikelyZeros",
    "build_features",
    "day_types",
    "history_from_text",
    "read_history",
    "score_forecasts",
    "unlikely_zeros",
    "weekday_of",
]
