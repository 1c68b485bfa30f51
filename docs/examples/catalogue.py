"""A catalogue on Dask: the products of one file, advised by the workers of a cluster."""

# %% [markdown]
# Forty products. On a real cluster the address is that of its scheduler; here two workers run on this computer.

# %%
import shlex
import subprocess
import sys

import pandas as pd
from distributed import LocalCluster


def pricerl(line: str) -> str:
    """Run a command as a terminal does; 4 is the exit code of advice that keeps every price."""
    done = subprocess.run([sys.executable, "-m", "pricerl", *shlex.split(line)], capture_output=True, text=True)
    assert done.returncode in (0, 4), done.stderr
    return done.stdout


# %% [markdown]
# Train on the products and advise on all of them; then show the last day of each from the table.


# %%
def advise() -> pd.DataFrame:
    """Return the last day of the advice on each product."""
    pricerl("simulate --out catalogue.csv --products 40 --days 200")
    with LocalCluster(n_workers=2, threads_per_worker=1) as cluster:
        engine = cluster.scheduler_address.replace("tcp://", "dask://")
        print(pricerl(f"advise catalogue.csv --engine {engine} --today 2025-07-20"))
    return pd.read_csv("checkpoints/catalogue/advice.csv").groupby("Product").last()


# %%
if __name__ == "__main__":  # the workers import this file
    print(advise()[["Date", "Recommended Price", "Grade"]].to_string())
