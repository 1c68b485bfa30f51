"""A price test: plan it, charge its schedule, and read which of two prices is better."""

# %%
import json
import shlex
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from pricerl.simulation.true_demand import expected_units


def pricerl(line: str) -> str:
    """Run a command as a terminal does; 4 is the exit code of an answer that the evidence does not allow."""
    done = subprocess.run([sys.executable, "-m", "pricerl", *shlex.split(line)], capture_output=True, text=True)
    assert done.returncode in (0, 4), done.stderr
    return done.stdout


# %% [markdown]
# A shop, its advice, and the test that pays most. `price_test.csv` is the schedule: blocks of whole weeks, in pairs,
# whose order a seeded coin decides.

# %%
pricerl("simulate --out sales.csv --market linear --units 60 --seed 1 --days 200")
first_day = date(2025, 1, 1) + timedelta(days=200)
pricerl(f"advise sales.csv --today {first_day}")
print(pricerl(f"price-test plan sales --data.path sales.csv --max_days 84 --today {first_day}"))

# %%
print(pricerl(f"price-test start sales --today {first_day}"))
schedule = pd.read_csv("checkpoints/sales/price_test.csv")
print(schedule.head())

# %% [markdown]
# Customers buy as the truth says.

# %%
truth = json.loads(Path("sales.csv.truth.json").read_text())
generator = np.random.default_rng(2)
with Path("sales.csv").open("a") as file:
    for day, price in zip(schedule["date"], schedule["price"], strict=True):
        weekday = truth["weekday_demand"][date.fromisoformat(day).weekday()]
        units = generator.poisson(expected_units(truth, price) * weekday)
        profit = (truth["share_kept"] * price - truth["unit_cost"]) * units - truth["fixed_cost"]
        file.write(f"{day},{price},,,{profit:.2f},{price * units:.2f},\n")
today = date.fromisoformat(schedule["date"].iloc[-1]) + timedelta(days=1)

# %% [markdown]
# The reading: the effect with limits that hold at every look, and whether a difference is proven.

# %%
print(pricerl(f"price-test read sales --data.path sales.csv --today {today}"))
