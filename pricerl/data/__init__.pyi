from .cleaning.zero_sales import UnlikelyZeros as UnlikelyZeros, unlikely_zeros as unlikely_zeros
from .config import DataConfig as DataConfig
from .days import weekday_of as weekday_of
from .features import FEATURES as FEATURES, build_features as build_features
from .forecasters import FORECASTERS as FORECASTERS, Forecaster as Forecaster, SalesForecast as SalesForecast
from .history import History as History, ProductHistory as ProductHistory
from .days import day_types as day_types
from .preprocessor import DataPreprocessor as DataPreprocessor
from .quality import ProductReport as ProductReport
from .reading.sources.containers import is_present as is_present, open_tables as open_tables
from .reading.reader import history_from_text as history_from_text, read_history as read_history
from .scaling import MinMaxScaler as MinMaxScaler
