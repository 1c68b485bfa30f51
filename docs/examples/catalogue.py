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


def main() -> None:
    """Train once on a sample of the products, then advise on all of them."""
    pricerl("simulate --out catalogue.csv --products 40 --days 200")
    with LocalCluster(n_workers=2, threads_per_worker=1) as cluster:
        engine = cluster.scheduler_address.replace("tcp://", "dask://")
        print(pricerl(f"advise catalogue.csv --engine {engine} --today 2025-07-20"))


if __name__ == "__main__":
    main()

    # %% [markdown]
    # The table of all products: whose price changes, and the days it concerns.

    # %%
    advice = pd.read_csv("checkpoints/catalogue/advice.csv")
    print(advice.groupby("Product").last().head(10))
