import pytest
from known_market_runs import constant_elasticity_market


@pytest.fixture(scope="session")
def known():
    return constant_elasticity_market()
