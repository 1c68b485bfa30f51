"""A price test: plan it, charge its schedule, and read which of two prices is better."""

# %%
import shlex
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd


def pricerl(line: str) -> str:
    """Run a command as a terminal does; 4 is the exit code of an answer that the evidence does not allow."""
    done = subprocess.run([sys.executable, "-m", "pricerl", *shlex.split(line)], capture_output=True, text=True)
    assert done.returncode in (0, 4), done.stderr
    return done.stdout


# %% [markdown]
# A shop whose prices followed its demand: it charged more when it sold more. Such a history hides how buyers react to
# the price, so a test is worth its cost if the seller consents to a price 10 % away.

# %%
generator = np.random.default_rng(5)
first_day, days = date(2026, 1, 1), 200
level = np.exp(np.convolve(generator.normal(0.0, 0.25, days + 20), np.full(14, 14**-0.5), "same")[:days])


def sell(day: date, price: float, demand: float = 1.0) -> str:
    """A row of the file: customers buy 25 units at 20.00, and 2.2 % fewer for 1 % more; a unit costs 9.00."""
    units = generator.poisson(25 * demand * (price / 20) ** -2.2)
    return f"{day},{price:.2f},,,{(0.85 * price - 9) * units:.2f},{price * units:.2f},\n"


price = 20.0
with Path("sales.csv").open("w") as file:
    file.write("Report Date,Product Price,Organic Conversion Percentage,Ad Conversion Percentage,")
    file.write("Total Profit,Total Sales,Predicted Sales\n")
    for day in range(days):
        if day % 14 == 0:
            followed = np.clip(level[day] ** 0.25, 0.85, 1.15) * np.exp(generator.normal(0.0, 0.02))
            price = round(20 * float(followed), 2)
        price = 20.0 if day >= days - 21 else price
        file.write(sell(first_day - timedelta(days=days - day), price, level[day]))

# %% [markdown]
# The advice, and the test that pays most. `price_test.csv` is the schedule: blocks of whole weeks in pairs, in an order
# that a seeded coin decides.

# %%
print(pricerl(f"advise sales.csv --today {first_day}"))
print(pricerl(f"price-test plan sales --max_days 182 --data.guardrails.test_change 0.1 --today {first_day}"))

# %%
print(pricerl(f"price-test start sales --today {first_day}"))
schedule = pd.read_csv("checkpoints/sales/price_test.csv")
print(schedule.head())

# %% [markdown]
# Charge the schedule, and let customers buy.

# %%
with Path("sales.csv").open("a") as file:
    for day, charged in zip(schedule["Date"], schedule["Price"], strict=True):
        file.write(sell(date.fromisoformat(day), charged))
today = date.fromisoformat(schedule["Date"].iloc[-1]) + timedelta(days=1)

# %% [markdown]
# The reading: the effect with limits that hold at every look, and whether a difference is proven.

# %%
print(pricerl(f"price-test read sales --data.path sales.csv --today {today}"))
