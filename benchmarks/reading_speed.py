"""Time and memory to read and check large files, as multiples of ``pandas.read_csv`` on the same file.

    python benchmarks/reading_speed.py --rows 1000000 10000000
    python benchmarks/reading_speed.py --units 2.5
    python benchmarks/reading_speed.py --missing 0.15

The file is that of a simulated seller: 370 days per product, eight columns. Each stage runs in a process of its own;
times are CPU seconds, without start-up but for ``check``, which is the whole command.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

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


def measure(words: list[str]) -> tuple[str, float, float]:
    """Return output, CPU seconds and peak memory (GB) of a Python process."""
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{words[:2]} failed")
    return output, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--stages", nargs="+", default=[*STAGES, "check"])
    parser.add_argument("--units", type=float, default=20.0, help="mean units per day")
    parser.add_argument("--missing", type=float, default=0.0, help="share of rows that are left out")
    options = parser.parse_args()
    print(f"{'rows':>10} {'products':>8} {'stage':>16} {'seconds':>8} {'x pandas':>8} {'GB':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for rows in options.rows:
            path = Path(folder) / f"{rows}.csv"
            products = write_file(path, rows, options.units, options.missing)
            unit = 0.0
            for stage in options.stages:
                if stage == "check":
                    _, seconds, memory = measure([str(Path(__file__).parents[1] / "main.py"), "check", str(path)])
                else:
                    imports, work = STAGES[stage]
                    output, _, memory = measure(["-c", TIMED.format(imports=imports, work=work), str(path)])
                    seconds = float(output)
                unit = unit or seconds
                print(f"{rows:>10} {products:>8} {stage:>16} {seconds:>8.2f} {seconds / unit:>8.1f} {memory:>6.2f}")


if __name__ == "__main__":
    main()
