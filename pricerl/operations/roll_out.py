"""Roll-outs of a shop: drafted from its advice, and read as a receipt from its days, its log and the plan alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np

from pricerl.advice.sentences.earned import receipt_words
from pricerl.arrays import FloatArray, grouped
from pricerl.data.config import DataConfig
from pricerl.data.days import DAY, WEEK
from pricerl.data.history import LARGEST_CATEGORY, ProductHistory
from pricerl.errors import refuse
from pricerl.experiments.receipt import Panel, Receipt, carry_over, foresee_limits, read_effect
from pricerl.experiments.roll_out import (
    FEWEST,
    FEWEST_EARLIER,
    MOST_EARLIER,
    MOST_WEEKS,
    QUARTER,
    draw_plan,
    find_clusters,
    plan_of,
)
from pricerl.formatting import PLAIN, Formatter
from pricerl.operations.exports import RECEIPT, read_advice, read_publication
from pricerl.operations.log.decision_log import Entry, by_product
from pricerl.operations.log.drafts import typed_stamp
from pricerl.operations.log.orders import RESUME, ROLL_OUT, last_roll_out
from pricerl.operations.log.staging import groups_of
from pricerl.operations.outbox import step_of
from pricerl.operations.shop import Shop
from pricerl.operations.track_record import find_own_prices
from pricerl.shop.database import ask, reading, writing


def draft_end(shop: Shop, by: str | None, reason: str) -> Entry:
    """Draft the end of the roll-out that is running; without one it is a ``UsageError``."""
    entry, end = last_roll_out(shop.log.entries)
    refuse({"no roll-out is running": shop.today.isoformat() >= end})
    return {**typed_stamp(RESUME, by, reason), "product": None, "ends": entry and entry["id"]}


def draft_roll_out(shop: Shop, weeks: int, control: bool, by: str | None, reason: str) -> Entry:
    """Draft the start of a roll-out of all products with advice, from the next day, or row, on.

    The head of the log is the seed, so that nobody chooses the order. One that may not begin is a ``UsageError``.
    """
    newest = shop.newest
    advice = shop.advice_on(next(iter(newest), None))
    members = grouped(sorted((group, name) for name, group in groups_of(shop).items())).values()
    together = [
        *(names for names in members if len(names) <= LARGEST_CATEGORY),
        *(item["products"] for entry in newest.values() for item in entry["terms"]["relations"]),
    ]
    clusters = find_clusters(newest, [newest.keys() & names for names in together])
    refuse(
        {
            "a roll-out is running; end it with --stop first": shop.today.isoformat()
            < last_roll_out(shop.log.entries)[1],
            f"--weeks: must be {FEWEST} to {MOST_WEEKS}, found {weeks}": not FEWEST <= weeks <= MOST_WEEKS,
            "one product or group cannot be compared with others; see price-test plan": len(clusters) < FEWEST,
        }
    )
    day, step = date.fromisoformat(advice["days"][0]["date"]), step_of(advice)
    first = day + timedelta(days=step * max(0, (shop.today - day).days // step + 1))
    plan = draw_plan(len(clusters), weeks, control, seed := int(shop.log.head.hash[:8], 16))
    costs = {name: entry["limits"].get("costs") for name, entry in newest.items()}
    measure = "profit" if all(costs.values()) else "sales"
    with reading(shop.log_path) as database:
        gains = {name: item.gain for name, item, *_ in read_advice(database, texts=False) if item.measure == measure}
    products = {
        name: {
            **{"cluster": at, "price": newest[name]["current_price"]},
            "claim": (gains.get(name) or [0.0])[0] * WEEK / step,
            "costs": costs[name] if measure == "profit" else None,
        }
        for at, cluster in enumerate(clusters)
        for name in sorted(cluster)
    }
    return {
        **typed_stamp(ROLL_OUT, by, reason),
        **{"first_day": first.isoformat(), "until": (first + timedelta(days=WEEK * plan.shape[1] - 1)).isoformat()},
        **{"seed": seed, "weeks": weeks, "control": control, "probabilities": plan.mean(axis=0).tolist()},
        **{"measure": measure, "products": products, "held": [np.flatnonzero(row == 0).tolist() for row in plan]},
    }


class Foreseen(NamedTuple):
    """Expectations of a roll-out before it begins, in money."""

    clusters: int
    quarter: float
    """Gain that the advice expects in a quarter, if all products followed it at once."""
    waiting: float
    """Its part that is given up by the products that wait or are a control."""
    shows: str
    """Last day of the first week after which a gain as large as expected shows, ISO format; empty if none does."""
    limits: float
    """Half the width of the limits at the end."""


def foresee(shop: Shop, draft: Entry) -> Foreseen:
    """Return what is expected of a drafted roll-out; errors are as in `lay_out`."""
    claim = sum(item["claim"] for item in draft["products"].values())
    follows = np.array(draft["probabilities"])
    limits = foresee_limits(lay_out(draft, read_histories(shop, draft["products"]), 0, {}))
    shown = np.flatnonzero(claim * np.cumsum(follows) >= limits)
    return Foreseen(
        clusters=len(draft["held"]),
        quarter=claim * QUARTER,
        waiting=claim * float((1 - follows[:QUARTER]).sum()),
        shows=_last_of(draft, shown[0] + 1) if len(shown) else "",
        limits=float(limits[-1]),
    )


def _last_of(entry: Entry, weeks: int) -> str:
    """Return the last day of the first weeks of a roll-out, ISO format."""
    return (date.fromisoformat(entry["first_day"]) + timedelta(days=WEEK * int(weeks) - 1)).isoformat()


def say_receipt(shop: Shop) -> list[str]:
    """Return what the new prices of the last roll-out have earned, as a sentence, if there is something to say."""
    return [] if (receipt := read_receipt(shop)) is None else [receipt_words(receipt, formatter_of(shop))]


def keep_receipt(shop: Shop) -> None:
    """Let the pages of a shop begin with its receipt, if it has a roll-out."""
    if last_roll_out(shop.log.entries)[0] is not None:
        words = " ".join(say_receipt(shop))
        with writing(shop.log_path) as database:
            database.keep_fact(RECEIPT, words)
        shop.export()


def formatter_of(shop: Shop) -> Formatter:
    """Return the formatter of the newest advice of a shop."""
    return publication.formatter if (publication := ask(shop.log_path, read_publication)) else PLAIN


def read_receipt(shop: Shop) -> Receipt | None:
    """Return the receipt of the last roll-out of a shop; None without one, or before its first week has passed."""
    entry, end = last_roll_out(shop.log.entries)
    if entry is None or not (histories := read_histories(shop, entry["products"])):
        return None
    known = max(item.next_day for item in histories).isoformat()
    if (weeks := (date.fromisoformat(min(end, known)) - date.fromisoformat(entry["first_day"])).days // WEEK) < 1:
        return None
    panel = lay_out(entry, histories, weeks, by_product(shop.entries()))
    effect = read_effect(panel, entry["seed"])
    return Receipt(
        first=entry["first_day"],
        last=_last_of(entry, weeks) if known >= end else "",
        effect=effect,
        following=int((panel.followed[:, -1] > 1 / 2).sum()),
        products=len(histories),
        claim=sum(
            entry["products"][item.product]["claim"] * float(due[:weeks].sum())
            for item, due in zip(histories, panel.assigned, strict=True)
        ),
        measure=entry["measure"],
        carried=carry_over(panel, effect, entry["seed"]),
    )


def read_histories(shop: Shop, products: Mapping[str, Any]) -> list[ProductHistory]:
    """Return the histories of some products by the days that a shop has read; none if it has read none."""
    return [] if (days := shop.days(products)) is None else [*days.rows(DataConfig(**shop.reading)).clean().products]


def lay_out(
    entry: Entry, histories: Sequence[ProductHistory], weeks: int, log: Mapping[str | None, Sequence[Entry]]
) -> Panel:
    """Return the weeks of a roll-out, of which some have passed; a product without a week is as others in it.

    Too short a history is a ``UsageError``.
    """
    first = np.datetime64(entry["first_day"])
    known = int(max((first - item.dates[0]) // DAY for item in histories)) // WEEK
    refuse({f"a roll-out compares with {FEWEST_EARLIER} weeks before it; the shop has {known}": known < FEWEST_EARLIER})
    before = min(known, MOST_EARLIER)

    def weekly(item: ProductHistory, values: Any) -> Any:
        """Return the mean row of each week; NaN of a week without one."""
        week = (item.dates - first) // DAY // WEEK + before
        inside = (week >= 0) & (week < before + weeks)
        sums, counts = (np.bincount(week[inside], part, before + weeks) for part in (values[inside], None))
        return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)

    products = [entry["products"][item.product] for item in histories]
    outcome = np.array([*map(weekly, histories, map(_earned, histories, products))])
    early, exists = (np.isfinite(part) for part in (outcome[:, :before], outcome))
    scale = np.abs(outcome[:, :before].sum(axis=1, where=early)) / early.sum(axis=1).clip(1)
    usual = outcome.sum(axis=0, where=exists) / np.maximum(scale @ exists, scale.max() * 1e-9)
    clusters = np.array([about["cluster"] for about in products])
    plan = plan_of(entry)
    own = [find_own_prices(log, item) for item in histories]
    days = (np.zeros(len(item.dates)) if of is None else of * 1.0 for item, of in zip(histories, own, strict=True))
    followed = np.nan_to_num([*map(weekly, histories, days)])[:, before:]
    return Panel(
        np.where(exists, outcome, scale[:, None] * usual), scale, clusters, plan, plan[clusters, :weeks] * followed
    )


def _earned(item: ProductHistory, about: Mapping[str, Any]) -> FloatArray:
    """Return the profit of each row of a history in money per week, or its revenue where costs are unknown."""
    return np.stack([item.sales, -item.units], axis=1) @ (about["costs"] or (1.0, 0.0)) * WEEK / item.step_days
