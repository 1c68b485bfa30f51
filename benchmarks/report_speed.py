"""Time to render and write the report of many products, without training.

    python benchmarks/report_speed.py --products 500

The advice is synthetic: every product has a year of recorded days, 14 next days, 15 rules, a backtest and 64 posterior
draws, as ``fit`` produces by default. One process, one core.
"""

from __future__ import annotations

import argparse
import datetime
import random
import tempfile
import time
import tracemalloc
from pathlib import Path

from pricerl.advice.files import About, render_files
from pricerl.advice.result import (
    CostMeans,
    DayAdvice,
    Details,
    MarketFacts,
    OwnDays,
    PriceCurves,
    ProductAdvice,
    ProposalChecks,
    ProposedPath,
    Recommendation,
)
from pricerl.arrays import Interval
from pricerl.decide.decision import Decision
from pricerl.evaluation.backtest import Backtest, HorizonScore
from pricerl.evaluation.pricing_rules import RULES, BaselineRow
from pricerl.evaluation.rule_names import BEST_FOR_OBJECTIVE
from pricerl.evaluation.valuation import BreakEven, DailyOutcome, Uplift
from pricerl.formatting import Formatter
from pricerl.guardrails.limits_in_force import LimitsInForce
from pricerl.reasons import Reason
from pricerl.writing import CURRENT, PUBLISHED, show_set, stage_set

OWN_DAYS, HORIZON, CURVE_PRICES, NUM_DRAWS = 365, 14, 41, 64
FIRST_DAY = datetime.date(2025, 1, 1)


def made_up_advice(index: int) -> ProductAdvice:
    rng = random.Random(index)
    now = round(rng.uniform(5, 80), 2)
    new, units = round(1.04 * now, 2), rng.uniform(2, 90)
    keep, outcome = _outcome(units, now), _outcome(units, new)
    change = Interval(3.0, 1.0, 5.0)
    uplift = Uplift(change, change, change, 1.0, 0.5)
    decision = Decision("path", "B", "policy", False, (Reason("untested"),), why="not yet tested in your shop")
    days = tuple(_day(day, new, units) for day in range(HORIZON))
    break_even = BreakEven(Interval(4.0, 2.0, 6.0), Interval(0.6, 0.4, 0.8), False, 0.0)
    scores = tuple(HorizonScore(days, 28, 0.4, 0.5, 0.9, None, None, 0.2) for days in (1, 7, 14))
    return ProductAdvice(
        product=f"Product {index:03d}",
        current_price=now,
        recommendation=Recommendation(new, new, decision, outcome, uplift, days),
        reason="Raise the price: a model estimate, not yet tested.",
        keep=keep,
        proposal=ProposedPath((new,) * HORIZON, outcome, uplift, uplift),
        market=MarketFacts(
            num_draws=NUM_DRAWS,
            measure="profit",
            elasticity=Interval(-2.0, -3.0, -1.0),
            raising=None,
            break_even=break_even,
            effective_days=90.0,
            costs="fees 20 % of the price",
            cost_means=CostMeans(0.8, 0.5 * now),
        ),
        checks=ProposalChecks(
            baselines=tuple(BaselineRow(rule, new, outcome, 0.9) for rule in [*RULES, BEST_FOR_OBJECTIVE]),
            backtest=Backtest(28, scores),
        ),
        data_quality=_quality(now),
        details=_details(rng, now, new, units),
    )


def _day(day: int, price: float, units: float) -> DayAdvice:
    date = str(FIRST_DAY + datetime.timedelta(OWN_DAYS + day))
    band, organic, ad = Interval(units, 0.5 * units, 1.5 * units), Interval(11.0, 10.0, 12.0), Interval(7.0, 6.0, 8.0)
    return DayAdvice(date, price, price, price, band, band, band, organic, ad, "")


def _outcome(units: float, price: float) -> DailyOutcome:
    return DailyOutcome(*(Interval(level, 0.9 * level, 1.1 * level) for level in (units, units * price, units)))


def _details(rng: random.Random, now: float, new: float, units: float) -> Details:
    prices = [now * (0.8 + 0.01 * step) for step in range(CURVE_PRICES)]
    curve = tuple(
        Interval(level, 0.9 * level, 1.1 * level) for level in (units * (now / price) ** 2 for price in prices)
    )
    sold = tuple(float(rng.randrange(int(2 * units) + 1)) for _ in range(OWN_DAYS))
    own = OwnDays(
        date=tuple(str(FIRST_DAY + datetime.timedelta(day)) for day in range(OWN_DAYS)),
        price=tuple(round(now * rng.uniform(0.85, 1.15), 2) for _ in range(OWN_DAYS)),
        units=sold,
        profit=tuple(0.3 * now * count for count in sold),
        total=OWN_DAYS,
    )
    return Details(
        curves=PriceCurves(tuple(prices), curve, curve, curve),
        own_days=own,
        bounds=LimitsInForce(0.8 * now, "floor", 1.2 * now, "ceiling", "", (), 0.05, 0.05, 0.1, 3, False),
        beyond="above",
        price_test=None,
    )


def _quality(now: float) -> dict[str, object]:
    counts = ("history_days", "usable_days", "priced_days", "distinct_prices")
    counts += ("zero_sale_days", "missing_days", "refund_days")
    days = {"first_day": str(FIRST_DAY), "last_day": str(FIRST_DAY + datetime.timedelta(OWN_DAYS - 1))}
    prices = {"price_min": 0.85 * now, "price_max": 1.15 * now}
    return {
        **dict.fromkeys(counts, 60),
        **days,
        **prices,
        "min_days": 28,
        "quality": "PASS",
        "reasons": [],
        "notes": [],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=500)
    products = parser.parse_args().products
    about = About("made-up.csv", "balanced", "0" * 12, "0" * 12)
    with tempfile.TemporaryDirectory() as folder:
        for count in dict.fromkeys((1, products)):
            advice = [made_up_advice(index).to_dict() for index in range(count)]
            out = Path(folder) / str(count)
            started = time.process_time()
            show_set(out, stage_set(out, render_files(advice, about, Formatter())))
            seconds = time.process_time() - started
            tracemalloc.start()
            stage_set(out, render_files(advice, about, Formatter()))
            memory = tracemalloc.get_traced_memory()[1] / 2**20
            tracemalloc.stop()
            pages = list((out / PUBLISHED / CURRENT).resolve().rglob("*.html"))
            largest = max(page.stat().st_size for page in pages) / 1000
            made = f"{len(pages)} pages, the largest {largest:.0f} kB"
            print(f"{count} products: {seconds:.2f} CPU s, {memory:.0f} MB at most, {made}")


if __name__ == "__main__":
    main()
