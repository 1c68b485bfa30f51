from .seller import (
    SellerConfig as SellerConfig,
    simulate as simulate,
    simulated_history as simulated_history,
    write_seller as write_seller,
)
from .true_demand import expected_profit as expected_profit, expected_units as expected_units
