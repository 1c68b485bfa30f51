"""Read, check, clean and scale a seller's history; simulate one with known demand."""

from pricerl.data.config import DataConfig
from pricerl.data.demand_families import expected_profit, expected_units
from pricerl.data.features import FEATURES, build_features, weekday_of
from pricerl.data.forecasters import FORECASTERS, Forecaster, SalesForecast
from pricerl.data.forecasts import PredictedSales, score_forecasts
from pricerl.data.history import History, ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.public_holidays import kinds_of_dates
from pricerl.data.reader import history_from_text, read_history
from pricerl.data.report import ProductReport
from pricerl.data.scaling import MinMaxScaler
from pricerl.data.synthetic import SellerConfig, simulate, simulated_history, write_seller
from pricerl.data.zero_runs import UnlikelyZeros, unlikely_zeros

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
    "SellerConfig",
    "UnlikelyZeros",
    "build_features",
    "expected_profit",
    "expected_units",
    "history_from_text",
    "kinds_of_dates",
    "read_history",
    "score_forecasts",
    "simulate",
    "simulated_history",
    "unlikely_zeros",
    "weekday_of",
    "write_seller",
]
