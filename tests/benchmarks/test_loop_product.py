from __future__ import annotations

import loop_product
import pandas as pd


def test_the_loop_shows_the_sd_by_week_and_whether_more_units_bring_more():
    rows = [
        {"units": 8.0, "rule": "account", "gain": 0.01, "best": 0.04, "sd_after_0": 0.8, "sd_after_1": 0.7},
        {"units": 8.0, "rule": "account", "gain": -0.02, "best": 0.04, "sd_after_0": 0.6, "sd_after_1": 0.65},
        {"units": 50.0, "rule": "account", "gain": 0.02, "best": 0.04, "sd_after_0": 0.4, "sd_after_1": 0.2},
    ]
    table = pd.DataFrame(rows)
    assert loop_product.net_of(table).tolist() == [0.01, -0.05, 0.02]  # a loss of 2 % counts 3 times beyond 1 %
    first, second = loop_product.follow_sd(table).splitlines()[-2:]
    assert (first.split()[-3:], second.split()[-3:]) == (["0.7", "0.68", "50.0"], ["0.4", "0.20", "100.0"])
    assert "True" in loop_product.compare_volumes(table)
    assert "False" in loop_product.compare_volumes(table.assign(units=-table["units"]))
