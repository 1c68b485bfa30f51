"""CPU seconds of the commands of one seller, from the first advice on a file to the week after.

    python benchmarks/command_times.py

Each command is a process of its own. The seller is simulated, 130 days and a week more. A price of the curves of an
advice is answered from them, another one is computed.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from statistics import median

from runner import MAIN, measure, read_options

FIRST = "advise shop.csv"
COMMANDS = {
    FIRST: "--today 2025-05-11",
    "check shop.csv": "",
    "predict": "--today 2025-05-11",
    "what-if {on}": "--today 2025-05-11",
    "what-if {off}": "--today 2025-05-11",
    "history": "--today 2025-05-11",
    "prices": "--today 2025-05-11",
    "override {on}": "--until 2025-05-12 --reason trial --today 2025-05-11",
    "resume": "--today 2025-05-11",
    "approve": "--today 2025-05-11",
    "watch": "--data.path later.csv --today 2025-05-18",
    "predict --data.path later.csv": "--today 2025-05-18",
    "review": "--today 2025-05-18",
}
"""Further words by command; ``{on}`` is a price of the curves, ``{off}`` is none."""


def measure_commands(folder: Path) -> dict[str, float]:
    """Return the CPU seconds of each command, in turn on one shop."""
    seller = "--out later.csv --days 137 --market linear --units 60 --seed 1"
    measure([str(MAIN), "simulate", *seller.split()], folder)
    lines = (folder / "later.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "shop.csv").write_text("".join(lines[:131]), encoding="utf-8")
    found = {}
    on = 0.0
    for command, words in COMMANDS.items():
        line = f"{command} {words}".format(on=on, off=round(on + 0.001, 3))
        found[command] = measure([str(MAIN), *line.split()], folder, (0, 4, 6, 7)).cpu
        if command == FIRST:
            document = json.loads((folder / "checkpoints/shop/advice.json").read_text(encoding="utf-8"))
            on = document["products"][0]["details"]["curves"]["price"][20]
    return found


def main() -> None:
    rows = []
    for _ in range(read_options(__doc__, repeats=3).repeats):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure_commands(Path(folder)))
    for command in COMMANDS:
        print(f"| `{command}` | {median(row[command] for row in rows):.1f} |")


if __name__ == "__main__":
    main()
