from __future__ import annotations

import loop_product
import pandas as pd


def test_a_loss_of_two_percent_counts_three_times_beyond_one() -> None:
    table = pd.DataFrame({"gain": [0.01, -0.02, 0.02]})
    assert loop_product.net_of(table).tolist() == [0.01, -0.05, 0.02]
