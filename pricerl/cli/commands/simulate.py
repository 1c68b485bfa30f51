"""Command ``simulate``: a seller with known demand."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from pricerl.cli.usage import Options, config_of, settings_of, takes
from pricerl.data.days import DAY
from pricerl.simulation.seller import SellerConfig, write_seller
from pricerl.terminal import write_lines

WRITTEN: Options = {"--out": {"required": True, "help": "CSV to write; the truth goes to FILE.truth.json"}}


@takes("simulate", WRITTEN, settings_of(SellerConfig))
def simulate(options: argparse.Namespace) -> None:
    """Write a simulated seller, and its true demand in a file next to it."""
    out = Path(options.out)
    seller = config_of(options, SellerConfig)
    write_seller(seller, out)
    advise = shlex.join(["pricerl", "advise", f"{out}", "--today", f"{seller.dates[-1] + DAY}"])
    write_lines([f"{out}", f"{out}.truth.json", f"For advice on the day after its last: {advise}"])
