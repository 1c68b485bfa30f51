"""A seller's quarter: advice every week on a shop whose demand is known, and what it earned."""

# %% [markdown]
# A year of a simulated shop. Its truth is in `sales.csv.truth.json`, which pricerl never reads.

# %%
import json
import shlex
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from pricerl.simulation.true_demand import expected_profit, expected_units


def pricerl(line: str) -> str:
    """Run a command as a terminal does; 4 is the exit code of advice that keeps the price."""
    done = subprocess.run([sys.executable, "-m", "pricerl", *shlex.split(line)], capture_output=True, text=True)
    assert done.returncode in (0, 4), done.stderr
    return done.stdout


pricerl("simulate --out sales.csv --market linear --units 60 --seed 1")
truth = json.loads(Path("sales.csv.truth.json").read_text())
first_day = date(2026, 1, 1)

# %% [markdown]
# The first advice trains; those of later weeks use its policy. `prices.csv` is what a shop would charge.

# %%
print(pricerl(f"advise sales.csv --today {first_day}"))

# %% [markdown]
# Twelve weeks: charge what is advised, let customers buy as the truth says, append the week to the file, ask again.

# %%
generator = np.random.default_rng(1)
charged = []
for week in range(12):
    advice = json.loads(Path("checkpoints/sales/advice.json").read_text())
    days = advice["products"][0]["days"][:7]
    with Path("sales.csv").open("a") as file:
        for day in days:
            price = day["recommended_price"]
            weekday = truth["weekday_demand"][date.fromisoformat(day["date"]).weekday()]
            units = generator.poisson(expected_units(truth, price) * weekday)
            profit = (truth["share_kept"] * price - truth["unit_cost"]) * units - truth["fixed_cost"]
            file.write(f"{day['date']},{price},,,{profit:.2f},{price * units:.2f},\n")
            charged.append(price)
    today = first_day + timedelta(weeks=week + 1)
    pricerl(f"predict sales --data.path sales.csv --today {today}")
    print(f"{today}  charged {charged[-1]:.2f}")

# %% [markdown]
# The same quarter by the truth: keeping the first price, what was charged, and the best price.

# %%
kept, best = truth["current_price"], truth["optimal_price"]
earned = float(np.mean(expected_profit(truth, charged)))
print(f"keep {kept:.2f}: {float(expected_profit(truth, kept)):.2f} per day")
print(f"advice: {earned:.2f} per day, at the end {charged[-1]:.2f}")
print(f"best {best:.2f}: {float(expected_profit(truth, best)):.2f} per day")

# %% [markdown]
# What pricerl itself says about the quarter: days followed, predicted and actual profit.

# %%
print(pricerl(f"review sales --data.path sales.csv --today {today}"))
