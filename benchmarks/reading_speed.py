"""Time and memory to read and check large files, as multiples of ``pandas.read_csv`` on the same file.

    python benchmarks/reading_speed.py --rows 1000000 10000000
    python benchmarks/reading_speed.py --units 2.5
    python benchmarks/reading_speed.py --missing 0.15

The file holds a simulated seller's rows: 370 days per product, eight columns. Each stage runs in a process of its own;
times are CPU seconds, without start-up but for ``check``, which is the whole command.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from runner import MAIN, Option, measure, read_options

from pricerl.data.reading.columns import PRODUCT
from pricerl.simulation.seller import SellerConfig, simulate

DAYS, DIFFERENT = 370, 27
"""Days per product, and products that are simulated; the file repeats them under other names."""

TIMED = "import sys, time; {imports}; path = sys.argv[1]; start = time.process_time(); {work}; "
TIMED += "print(time.process_time() - start)"
STAGES = {
    "pandas.read_csv": ("import pandas as pd", "pd.read_csv(path)"),
    "open_tables": ("from pricerl.data.reading.sources.containers import open_tables", "open_tables([path])"),
    "read_history": ("from pricerl.data.reading.reader import read_history", "read_history(path)"),
}


def write_file(path: Path, rows: int, units: float, missing: float) -> int:
    """Write about so many rows at so many units per day, a share of them missing; return the number of products."""
    frame, _ = simulate(SellerConfig(days=DAYS, products=DIFFERENT, units=units))
    generator = random.Random(0)
    header, *lines = frame.drop(columns=PRODUCT).to_csv(index=False).splitlines()
    parts = [[f"{line}," for line in lines[at : at + DAYS]] for at in range(0, len(lines), DAYS)]
    products = max(rows // DAYS, 1)
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{header},{PRODUCT}\n")
        for number in range(products):
            name = f"product-{number + 1}\n"
            file.writelines(line + name for line in parts[number % DIFFERENT] if generator.random() >= missing)
    return products


def main() -> None:
    options = read_options(
        __doc__,
        rows=[1_000_000],
        stages=Option([*STAGES, "check"], choices=(*STAGES, "check")),
        units=Option(20.0, "mean units per day"),
        missing=Option(0.0, "share of rows that are left out"),
    )
    print(f"{'rows':>10} {'products':>8} {'stage':>16} {'seconds':>8} {'x pandas':>8} {'GB':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for rows in options.rows:
            path = Path(folder) / f"{rows}.csv"
            products = write_file(path, rows, options.units, options.missing)
            unit = 0.0
            for stage in options.stages:
                words = [str(MAIN), "check", str(path)]
                if stage in STAGES:
                    imports, work = STAGES[stage]
                    words = ["-c", TIMED.format(imports=imports, work=work), str(path)]
                cost = measure(words, Path(folder))
                seconds = float(cost.output) if stage in STAGES else cost.cpu
                unit = unit or seconds
                found = f"{seconds:>8.2f} {seconds / unit:>8.1f} {cost.memory / 1000:>6.2f}"
                print(f"{rows:>10} {products:>8} {stage:>16} {found}")


if __name__ == "__main__":
    main()
