"""One product's frame to its advice, alone and by an engine."""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path

import pandas as pd
import pytest
import torch

from pricerl.data.config import DataConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.reader import history_from_text
from pricerl.decide.decision import DecisionConfig
from pricerl.env.config import EnvConfig
from pricerl.errors import DataError
from pricerl.formatting import PLAIN
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.cost import CostConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.reward import RewardConfig
from pricerl.operations.catalogue import Advisor, Catalogue, Chunk, advise_product
from pricerl.simulation.seller import SellerConfig, simulate

EXAMPLE = Path(__file__).parents[2] / "docs/examples/catalogue.py"
SELLER = SellerConfig(days=60, units=30.0, products=2, seed=5)


class Rise(torch.nn.Module):
    """Policy that raises the more, the higher the first feature."""

    def forward(self, observation):
        return 0.5 * observation[:, :1]


@pytest.fixture(scope="module")
def table():
    return simulate(SELLER)[0]


@pytest.fixture(scope="module")
def catalogue(table):
    prepared = DataPreprocessor.fit(history_from_text(table.to_csv(index=False), "table", DataConfig()), DataConfig())
    settings = DemandConfig(num_draws=16), CostConfig(), RewardConfig(), GuardrailConfig(), EnvConfig(describe=True)
    advisor = Advisor(Rise(), None, *settings, DecisionConfig(), 14, 0, PLAIN, 2)
    return Catalogue(advisor, prepared.trained_state(), None), prepared


@pytest.fixture(scope="module")
def rows(table, catalogue):
    return {name: advise_product(frame, catalogue[0]) for name, frame in table.groupby("Product")}


def test_a_frame_gives_the_advice_of_its_catalogue(catalogue, rows):
    known, prepared = catalogue
    for item in Chunk(known.advisor, prepared, None, backtests={}).run().advice:
        row = rows[item.product]
        assert (row["recommended_price"], row["reason"]) == (item.recommended_price, item.reason)
        assert row["date"] == item.days[0].date and row["grade"] == item.decision.grade


def test_advice_is_a_pure_function_of_its_arguments(table, catalogue, rows):
    sent = pickle.loads(pickle.dumps(catalogue[0]))
    torch.manual_seed(1)
    name, frame = next(iter(table.groupby("Product")))
    assert advise_product(frame, sent) == rows[name]


def test_a_frame_of_several_or_unknown_products_is_refused(table, catalogue):
    with pytest.raises(DataError, match="must hold one product, found 2"):
        advise_product(table, catalogue[0])
    with pytest.raises(DataError, match="'Mug' is not in the checkpoint"):
        advise_product(table[table["Product"] == "product-1"].assign(Product="Mug"), catalogue[0])


def test_the_example_advises_a_catalogue_with_dask(table, catalogue, rows):
    pytest.importorskip("dask")
    spec = importlib.util.spec_from_file_location("catalogue_example", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    found = example.advise_table(table, catalogue[0], scheduler="threads")
    pd.testing.assert_frame_equal(found, pd.DataFrame([rows["product-1"], rows["product-2"]]))
