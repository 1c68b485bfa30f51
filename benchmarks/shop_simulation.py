"""Long run of the simulated shop: commands, situations, speed; and whether it finds planted faults.

    python benchmarks/shop_simulation.py --commands 1000000 (a line per 50,000, and a summary)
    python benchmarks/shop_simulation.py --mutants
    python benchmarks/shop_simulation.py --seed 7           (one seed, shrunk if it breaks a rule)
    python benchmarks/shop_simulation.py --faces 200        (against the command line)

Each planted fault is imported in a child process that was forked before the shop's code was, and gets seeds until a
rule breaks. Linux and macOS only. With the variable PRICERL_SHOP the simulated shop lies on a PostgreSQL server.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "shop"), str(ROOT / "tests")]

REPORTED = 50_000
"""Commands after which a long run prints a line."""
FEW = 8
"""Most commands to which a seed shrinks."""
MOST_SEEDS = 400
"""Seeds that a planted fault gets; a quarter, of shops with many files, if it is where files are read."""
ON_FILES = ("shop/days.py", "shop/names.py", "shop/orders.py", "data/cleaning/rows.py")
"""Modules that read files."""


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1000, help="number of seeds, of 40 commands each")
    parser.add_argument("--commands", type=int, help="number of commands instead")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--seed", type=int, help="a single seed, shrunk if it breaks a rule")
    parser.add_argument("--mutants", nargs="?", const="", help="plant faults instead, one after the other, or this one")
    parser.add_argument("--faces", type=int, default=0, help="number of seeds to run against the command line")
    options = parser.parse_args(words)
    if options.mutants is not None:
        return find_mutants(options.mutants)
    if options.faces:
        from faces import disagreements

        found = [why for seed in range(options.faces) if (why := disagreements(seed))]
        print(*found[:5], f"{options.faces} seeds, {len(found)} disagree", sep="\n")
        return int(bool(found))
    from simulation import COMMANDS, commands_of, run, shrink

    if options.seed is not None:
        commands = commands_of(options.seed)
        why = run(commands)
        print(*(shrink(commands) if why else ["nothing breaks"]), why, sep="\n")
        return int(bool(why))
    count = options.seeds if options.commands is None else -(-options.commands // COMMANDS)
    return long_run(range(options.first, options.first + count))


def long_run(seeds: range) -> int:
    from simulation import commands_of, run
    from situations import SITUATIONS

    counts: Counter[str] = Counter()
    broken: list[int] = []
    start, count = time.process_time(), 0
    for seed in seeds:
        commands = commands_of(seed)
        count += len(commands)
        if count % REPORTED < len(commands):
            seconds = time.process_time() - start
            print(f"{count:9,} commands, {count / seconds:,.0f} per CPU second, {len(broken)} broken", flush=True)
        if why := run(commands, counts):
            broken.append(seed)
            print(f"seed {seed}: {why[:2000]}", flush=True)
    seconds = time.process_time() - start
    for name in SITUATIONS:
        print(f"{counts[name]:9,} {name}")
    never = [name for name in SITUATIONS if not counts[name]]
    print(f"{len(SITUATIONS) - len(never)} of {len(SITUATIONS)} situations; never: {', '.join(never) or 'none'}")
    speed = f"{seconds:,.0f} CPU seconds, {count / seconds:,.0f} per second"
    print(f"{count:,} commands, {speed}; {len(broken)} broken: {broken}")
    return int(bool(broken))


def find_mutants(wanted: str) -> int:
    import msgspec  # noqa: F401  # before the fork, as they take most of the time
    import pandas  # noqa: F401
    from mutants import MUTANTS

    chosen = [MUTANTS[int(wanted)]] if wanted else list(MUTANTS)
    missed, start = 0, resource.getrusage(resource.RUSAGE_CHILDREN)
    for mutant in chosen:
        child = os.fork()
        if not child:
            os._exit(_hunt(mutant))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        missed += code != 0
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime
    print(f"{len(chosen) - missed} of {len(chosen)} found in {seconds:,.0f} CPU seconds")
    return int(missed > 2)


def _hunt(mutant: object) -> int:
    """Return 0 if a seed breaks a rule by eight commands or fewer, 1 if none does, 2 if the fault cannot be planted."""
    from mutants import Mutant, planted

    assert isinstance(mutant, Mutant)
    name = f"{mutant.file}: {mutant.old!r}"
    try:
        with planted(mutant):
            from simulation import commands_of, count_files, run, shrink

            seeds = [*range(MOST_SEEDS)]
            if mutant.file in ON_FILES:
                every = sorted(range(4 * MOST_SEEDS), key=lambda seed: count_files(commands_of(seed)))
                seeds = every[: -MOST_SEEDS // 4 : -1]
            for seed in seeds:
                if why := run(commands_of(seed)):
                    few = len(shrink(commands_of(seed)))
                    print(f"found    {name} by {few} of seed {seed}: {' '.join(why.split())[:90]}", flush=True)
                    return int(few > FEW)
        print(f"MISSED   {name}", flush=True)
        return 1
    except Exception as error:
        print(f"ERROR    {name}: {error!r}", flush=True)
        return 2


if __name__ == "__main__":
    sys.exit(main())
