"""The outbox: which prices are charged next follows from log, generation and day alone."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from pricerl.formatting import safe_text
from pricerl.operations.log.decision_log import Head
from pricerl.operations.outbox import COLUMNS, Outbox, Row, fill_outbox, newest_advice
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder

HEAD = Head(3, "ab" * 32)
FIRST = date(2026, 1, 1)


def advice(prices: list[float], **changes: Any) -> dict[str, Any]:
    """An advice on a product at 10.00, whose history ends the day before the first of its days."""
    days = [{"date": str(FIRST + timedelta(days=day)), "price": price} for day, price in enumerate(prices)]
    limits = {"floor": 5.0, "ceiling": None, "price_step": 0.01, "lowest": 9.5, "highest": 10.5}
    entry = {"kind": "advice", "product": "mug", "days": days, "current_price": 10.0, "history_end": "2025-12-31"}
    entry |= {"known": {}, "tried": (9.0, 11.0)}
    return {**entry, "checkpoint": "gen-0001/best.ckpt", "seen": 0, "limits": limits, "terms": terms(), **changes}


def terms(**changes: Any) -> dict[str, Any]:
    return {"approval": "auto", "currency": "EUR", "price_decimals": 2, "relations": [], **changes}


def order(kind: str, **changes: Any) -> dict[str, Any]:
    return {"kind": kind, "product": "mug", "until": "2026-01-10", "actor": "anna", "reason": "x", **changes}


def outbox(*entries: dict[str, Any], today: date = FIRST, generation: str = "gen-0001") -> Outbox:
    numbered = [{**entry, "id": number} for number, entry in enumerate(entries, 1)]
    return fill_outbox(numbered, HEAD, generation, today)


def prices(found: Outbox) -> list[tuple[str, str, float]]:
    return [(row.product, row.date, row.price) for row in found.rows]


STEPS = [10.0, 10.5, 10.5, 10.5, 11.0, 11.0]


def test_the_first_change_goes_out_on_its_day_and_on_any_later_day_of_the_advice() -> None:
    assert prices(outbox(advice(STEPS))) == [("mug", "2026-01-02", 10.5)]
    assert prices(outbox(advice(STEPS), today=date(2026, 1, 3))) == [("mug", "2026-01-03", 10.5)]
    assert outbox(advice(STEPS)).rows[0].last_day == "2026-01-06"


def test_a_later_step_waits_until_a_file_shows_the_first_one() -> None:
    assert prices(outbox(advice(STEPS), today=date(2026, 1, 6))) == [("mug", "2026-01-06", 10.5)]
    small = [10.0, 10.2, 10.4]
    assert prices(outbox(advice(small), today=date(2026, 1, 3))) == [("mug", "2026-01-03", 10.4)]


def test_a_file_that_ended_before_the_horizon_gives_no_price_and_says_so() -> None:
    found = outbox(advice(STEPS), today=date(2026, 1, 7))
    assert found.rows == () and found.notes[0].startswith("mug: no price, its history ends on 2025-12-31, longer ago")


def test_a_price_that_stays_is_neither_a_row_nor_a_note() -> None:
    found = outbox(advice([10.0, 10.0]))
    assert (found.rows, found.notes) == ((), ())


def test_an_order_goes_first_even_if_the_advice_does_not_know_it_yet() -> None:
    assert prices(outbox(advice(STEPS), order("override", price=9.6))) == [("mug", "2026-01-01", 9.6)]
    paused = outbox(advice(STEPS), order("pause"))
    assert paused.rows == () and paused.notes == ("mug: no price, it is paused until 2026-01-10 (entry 2)",)
    assert prices(outbox(advice(STEPS), order("pause"), today=date(2026, 1, 11))) == []


def test_an_order_that_breaks_a_limit_in_force_is_left_out_and_its_reason_is_said() -> None:
    higher = {"floor": 9.9, "ceiling": None, "price_step": 0.01}
    found = outbox(order("override", price=9.6), advice([10.0], seen=1, limits=higher))
    assert found.rows == () and "the override of 9.6 is below the floor of 9.9" in found.notes[0]


def test_an_order_in_another_currency_is_left_out() -> None:
    found = outbox(order("override", price=9.6, currency="USD"), advice([10.0], terms=terms()))
    assert found.rows == () and "the override is in USD, the file in EUR" in found.notes[0]


def test_after_an_order_has_ended_its_path_is_no_longer_charged() -> None:
    followed = advice([9.6] * 5, order=1)
    ended = {"kind": "resume", "product": "mug", "ends": 1}
    found = outbox(order("override", price=9.6), followed, ended)
    assert found.rows == () and "the order of entry 1 has ended; run predict" in found.notes[0]


APPROVAL = {"kind": "approval", "product": "mug", "approves": 1, "date": "2026-01-02", "price": 10.5}
REQUIRED = {"terms": terms(approval="manual")}


def test_where_approval_is_required_a_change_goes_out_once_a_person_approved_it() -> None:
    waiting = outbox(advice(STEPS, **REQUIRED))
    assert waiting.rows == () and waiting.notes == ("mug: no price, the change to 10.5 waits for your approval",)
    assert prices(outbox(advice(STEPS, **REQUIRED), APPROVAL)) == [("mug", "2026-01-02", 10.5)]
    assert prices(outbox(advice(STEPS, **REQUIRED), APPROVAL, today=date(2026, 1, 6))) == [("mug", "2026-01-06", 10.5)]


def test_an_approval_that_a_person_took_back_lets_nothing_out_until_the_next_one() -> None:
    taken = {"kind": "resume", "product": "mug", "ends": 2}
    entries = (advice(STEPS, **REQUIRED), APPROVAL, taken)
    assert outbox(*entries).rows == () and "waits for your approval" in outbox(*entries).notes[0]
    assert prices(outbox(*entries, APPROVAL)) == [("mug", "2026-01-02", 10.5)]


def test_an_approval_that_a_person_took_back_does_not_leave_an_earlier_one_of_the_same_change() -> None:
    again = advice(STEPS, seen=2, **REQUIRED)
    twice = (advice(STEPS, **REQUIRED), APPROVAL, again, {**APPROVAL, "approves": 3})
    assert prices(outbox(*twice)) == [("mug", "2026-01-02", 10.5)]
    assert outbox(*twice, {"kind": "resume", "product": "mug", "ends": 4}).rows == ()


def test_in_shadow_mode_only_what_a_person_orders_goes_out() -> None:
    shadow = advice(STEPS, terms=terms(approval="shadow"))
    assert outbox(shadow, APPROVAL).rows == ()
    assert outbox(shadow).notes == ("mug: no price, decision.approval is shadow",)
    assert prices(outbox(shadow, order("override", price=9.6))) == [("mug", "2026-01-01", 9.6)]


def test_an_approval_holds_only_while_every_advice_since_then_holds_the_price() -> None:
    first, again = advice(STEPS, **REQUIRED), advice(STEPS, seen=2, **REQUIRED)
    assert prices(outbox(first, APPROVAL, again)) == [("mug", "2026-01-02", 10.5)]
    lower = advice([10.0, 10.2], seen=2, **REQUIRED)
    assert prices(outbox(first, APPROVAL, lower)) == []
    assert prices(outbox(first, APPROVAL, lower, {**again, "seen": 3})) == []


def test_advice_of_a_generation_that_a_rollback_replaced_does_not_go_out() -> None:
    newer = advice([10.0, 9.8], checkpoint="gen-0002/best.ckpt", seen=1)
    assert prices(outbox(advice(STEPS), newer, generation="gen-0002")) == [("mug", "2026-01-02", 9.8)]
    back = outbox(advice(STEPS), newer)
    assert back.rows == ()
    assert back.notes == ("mug: no price, its advice is from gen-0002, which a rollback replaced; run predict",)
    assert prices(outbox(advice(STEPS), newer, order("override", price=9.6))) == [("mug", "2026-01-01", 9.6)]


def test_an_order_on_a_product_that_left_the_file_stays_until_its_last_day() -> None:
    left = (advice(STEPS), advice(STEPS, product="bowl"), order("override", price=9.6, product="bowl"))
    fresh = advice([10.0, 10.0], seen=3)
    assert prices(outbox(*left, fresh)) == [("bowl", "2026-01-01", 9.6)]
    ended = outbox(*left, fresh, today=date(2026, 1, 11))
    assert ended.rows == () and "longer ago than the advice reaches" in ended.notes[1]
    paused = outbox(*left[:2], order("pause", product="bowl"), fresh)
    assert paused.notes == ("bowl: no price, it is paused until 2026-01-10 (entry 3)",)


def price_test(prices: list[float], **changes: Any) -> dict[str, Any]:
    days = [{"date": str(FIRST + timedelta(days=day)), "price": price} for day, price in enumerate(prices)]
    about = {"first_day": "2026-01-01", "until": days[-1]["date"], "regular_price": 10.0, "schedule": days}
    return order("price_test", **about, **changes)


def knowing(last: int, price: float, **changes: Any) -> dict[str, Any]:
    """An advice on a file that ends on a day of January at a price, which the model would keep."""
    days = [{"date": str(FIRST + timedelta(days=last + day)), "price": price} for day in range(14)]
    return advice([], days=days, current_price=price, history_end=f"2026-01-{last:02}", **changes)


def ending(day: str, kind: str = "resume", **changes: Any) -> dict[str, Any]:
    return {"kind": kind, "product": "mug", "today": f"2026-01-{day}", "ends": 2, "test": 2, **changes}


BLOCKS = [10.0, 10.0, 10.5, 10.5, 10.5, 10.5, 10.0, 10.0, 10.5]
STARTED = (advice([10.0] * 14), price_test(BLOCKS), knowing(4, 10.5, seen=2, test=2))


def charged(*entries: dict[str, Any], today: int) -> list[float]:
    return [row.price for row in outbox(*entries, today=date(2026, 1, today)).rows]


def test_a_price_test_that_the_kill_switch_stopped_is_not_charged() -> None:
    stopped = knowing(4, 10.5, seen=2)
    back = {**stopped, "days": [{**day, "price": 10.2} for day in stopped["days"]]}
    assert charged(*STARTED[:2], back, today=5) == [10.2]
    assert charged(*STARTED, today=5) == [10.0]


@pytest.mark.parametrize(
    ("ends", "today"),
    [((ending("05"),), 5), ((ending("05", "price_test_result", verdict="lower"),), 6), ((), 10)],
    ids=["by a person", "by its result", "by its last day"],
)
def test_after_a_price_test_the_regular_price_is_charged_until_a_file_shows_it(ends: Any, today: int) -> None:
    entries = (*STARTED, *ends)
    (row,) = outbox(*entries, today=date(2026, 1, today)).rows
    assert (row.price, row.date, row.ordered) == (10.0, f"2026-01-{today:02}", True) and row.last_day > row.date
    still = (*entries, knowing(11, 10.5, seen=4, test=2))
    assert charged(*still, today=12) == [10.0]
    assert charged(*still, knowing(14, 10.0, seen=5), today=15) == []
    assert charged(*still, knowing(14, 10.0, seen=5), knowing(20, 10.5, seen=6), today=21) == []


@pytest.mark.parametrize(
    "others",
    [
        (ending("05", "price_test_result", verdict="higher"), knowing(6, 10.5, seen=4)),
        (ending("05"), ending("05")),
        (ending("05"), order("override", price=10.5, until="2026-01-06"), knowing(6, 10.5, seen=5)),
        (ending("05"), knowing(6, 9.8, seen=4)),
        (ending("08"),),
    ],
    ids=["a better price", "a second word", "a later order", "a price of the seller", "a day at the regular price"],
)
def test_after_a_price_test_that_has_nothing_to_undo_no_price_is_charged(others: Any) -> None:
    assert charged(*STARTED, *others, today=9) == []


def test_the_newest_advice_on_a_product_stands_whatever_else_the_last_file_held() -> None:
    bowl = advice(STEPS, product="bowl")
    found = outbox(advice(STEPS), bowl, advice(STEPS[1:], seen=2))
    assert prices(found) == [("mug", "2026-01-01", 10.5), ("bowl", "2026-01-02", 10.5)]
    assert [entry["product"] for entry in newest_advice([advice(STEPS), bowl, advice(STEPS)])] == ["mug", "bowl"]


LINE = {"kind": "one_price", "products": ["mug", "bowl"]}


def test_a_line_of_one_price_goes_out_whole_or_not_at_all() -> None:
    same = {"terms": terms(relations=[LINE], approval="manual")}
    both = [advice(STEPS, **same), advice(STEPS, product="bowl", **same)]
    half = outbox(*both, APPROVAL)
    assert half.rows == () and "mug: no price, mug at 10.5 and bowl at 10 would no longer have one price" in half.notes
    whole = outbox(*both, APPROVAL, {**APPROVAL, "product": "bowl", "approves": 2})
    assert prices(whole) == [("mug", "2026-01-02", 10.5), ("bowl", "2026-01-02", 10.5)]


def test_a_persons_order_stays_and_the_products_related_to_it_wait() -> None:
    line = {"terms": terms(relations=[LINE])}
    found = outbox(advice(STEPS, **line), advice(STEPS, product="bowl", **line), order("override", price=9.6))
    assert prices(found) == [("mug", "2026-01-01", 9.6)] and found.notes[0].startswith("bowl: no price, ")


def test_a_price_below_the_floor_passes_only_on_its_way_up_to_it() -> None:
    higher = {"floor": 11.0, "ceiling": None, "price_step": 0.01, "lowest": None, "highest": None}
    assert prices(outbox(advice([10.5], limits=higher))) == [("mug", "2026-01-01", 10.5)]
    assert (
        outbox(advice([9.5], limits=higher))
        .notes[0]
        .startswith("mug: no price, the price of 9.5 is below the floor of 11")
    )


def test_each_day_of_a_price_test_has_its_scheduled_price() -> None:
    days = [{"date": f"2026-01-0{day}", "price": price} for day, price in ((1, 10.0), (2, 10.5), (3, 10.5), (4, 10.0))]
    test = order("price_test", schedule=days, regular_price=10.0)
    before = outbox(test, advice([10.0] * 4, test=1)).rows[0]
    assert (before.date, before.price, before.last_day) == ("2026-01-02", 10.5, "2026-01-03")
    assert prices(outbox(test, advice([10.0] * 4, test=1), today=date(2026, 1, 3))) == [("mug", "2026-01-03", 10.5)]
    assert outbox(test, advice([10.0] * 4, test=1), today=date(2026, 1, 4)).rows == ()


def test_a_week_keeps_its_price_until_its_last_day() -> None:
    weeks = advice([10.0, 10.5])
    weeks["days"] = [{"date": "2026-01-01", "price": 10.5}, {"date": "2026-01-08", "price": 10.5}]
    found = outbox(weeks, today=date(2026, 1, 12)).rows[0]
    assert (found.date, found.price, found.last_day) == ("2026-01-12", 10.5, "2026-01-14")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠", "﹣"])
def test_a_name_that_a_spreadsheet_would_compute_is_escaped(start: str) -> None:
    row = Row(f"{start}1+1", "2026-01-01", 9.5, "2026-01-14")
    text = Outbox((row,), (), HEAD, "EUR", 2).render()
    escaped = [f"'{start}1+1", "2026-01-01", "9.50", "EUR", "2026-01-14", "ab" * 6]
    assert list(csv.reader(io.StringIO(text, newline=""))) == [list(COLUMNS), escaped]
    assert safe_text(f"a{start}") == f"a{start}"


@pytest.mark.parametrize(("answer", "kept"), [("regular", {"current_price": "regular"}), ("last", {})])
def test_the_price_of_a_last_row_is_confirmed_for_one_advice_alone(
    tmp_path: Path, answer: str, kept: dict[str, str]
) -> None:
    shop = Shop.open(RunFolder(tmp_path))
    vars(shop)["newest"] = {
        "Mug": {"id": 1, "settings": {"data": {"reading": {"current_price": answer, "strict": True}}}}
    }
    assert shop.settings == {"data": {"reading": {**kept, "strict": True}}}


def publish(mode: str, before: str) -> dict[str, Any]:
    return {"kind": "publishing", "mode": mode, "instead_of": before}


def test_the_way_of_publishing_is_that_of_the_shop_whatever_its_newest_advice_began_with() -> None:
    assert outbox(advice(STEPS), publish("manual", "auto")).notes[0].endswith("waits for your approval")
    assert outbox(advice(STEPS, **REQUIRED), publish("shadow", "manual"), APPROVAL).rows == ()
    assert prices(outbox(advice(STEPS, **REQUIRED), publish("auto", "manual"))) == [("mug", "2026-01-02", 10.5)]
    newer = advice(STEPS, checkpoint="gen-0002/best.ckpt", seen=1, **REQUIRED)
    assert outbox(advice(STEPS), newer, generation="gen-0001").rows == ()


def test_what_an_editor_asked_for_waits_in_an_auto_shop_until_a_person_approves_it() -> None:
    asked = {"terms": terms(waits="editor")}
    waiting = outbox(advice(STEPS, **asked))
    assert waiting.rows == () and "waits for an approval, as an editor asked for this advice" in waiting.notes[0]
    assert prices(outbox(advice(STEPS, **asked), APPROVAL)) == [("mug", "2026-01-02", 10.5)]
    assert prices(outbox(advice(STEPS, **asked), advice(STEPS, seen=1))) == [("mug", "2026-01-02", 10.5)]
    assert outbox(advice([10.0], **asked)).notes == ()


def forced(price: float, floor: float = 11.0, now: float = 10.0, **changes: Any) -> dict[str, Any]:
    """An advice on a product whose current price is below a floor, to which it walks."""
    limits = {"floor": floor, "ceiling": None, "price_step": 0.01, "lowest": price, "highest": price}
    return advice([price], current_price=now, limits=limits, terms=terms(forced="floor"), **changes)


def test_a_change_that_a_limit_forces_is_asked_about_once_by_the_name_of_the_limit() -> None:
    first = outbox(forced(10.5))
    why = "your floor of 11.00 is above the current price 10.00; approve the change, or change the limit"
    assert (first.rows, first.notes) == ((), (f"mug: no price, {why}",))
    assert prices(outbox(forced(10.5), APPROVAL)) == [("mug", "2026-01-01", 10.5)]
    second = forced(11.0, now=10.5, seen=2)
    assert prices(outbox(forced(10.5), APPROVAL, second)) == [("mug", "2026-01-01", 11.0)]
    taken_back = {"kind": "resume", "product": "mug", "ends": 2}
    assert outbox(forced(10.5), APPROVAL, second, taken_back).rows == ()
    assert "floor of 11.50" in outbox(forced(10.5), APPROVAL, forced(11.0, 11.5, 10.5, seen=2)).notes[0]


def typed(limits: dict[str, Any], before: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"kind": "limits", "product": "", "limits": limits, "instead_of": before, "confirmed": {}, **changes}


def test_a_limit_that_a_person_confirmed_is_not_asked_about_again() -> None:
    confirmed = typed({"floor": 11.0}, {"floor": None}, confirmed={"mug": 11.0})
    assert prices(outbox(confirmed, forced(10.5, seen=1))) == [("mug", "2026-01-01", 10.5)]
    assert outbox(typed({"floor": 11.0}, {"floor": None}), forced(10.5, seen=1)).rows == ()


def test_a_typed_limit_binds_the_advice_and_the_orders_before_it_at_once() -> None:
    limits = {"floor": 5.0, "ceiling": None, "price_step": 0.01, "lowest": 9.5, "highest": 10.5, "costs": [0.8, 4.0]}
    known = advice(STEPS, limits=limits, terms=terms(guardrails={"floor": 5.0, "products": {"mug": {"ceiling": 12}}}))
    for binding, why in (
        (typed({"ceiling": 10.2}, {"ceiling": None}, product="mug"), "above the ceiling of 10.2"),
        (typed({"min_margin": 0.38}, {"min_margin": 0.0}), ""),
        (typed({"min_hold_days": 5}, {"min_hold_days": 3}), "your shortest hold became narrower after this advice"),
        (typed({"min_hold_days": 1}, {"min_hold_days": 3}), ""),
        (typed({"ceiling": 10.2}, {"ceiling": None}, product="bowl"), ""),
        (typed({"ceiling": 10.2}, {"ceiling": None}), ""),  # the product's own one is above it
    ):
        found = outbox(known, binding)
        assert (why in found.notes[0]) if why else prices(found) == [("mug", "2026-01-02", 10.5)], (binding, found)
    lower = typed({"floor": 4.0}, {"floor": 5.0})
    assert outbox(known, order("override", price=4.5)).rows == ()
    costless = {**known, "limits": {**limits, "costs": None}}
    assert prices(outbox(costless, order("override", price=4.5), lower)) == [("mug", "2026-01-01", 4.5)]
    margin = typed({"min_margin": 0.392}, {"min_margin": 0.0})
    assert "below the floor of 9.80392" in outbox(known, order("override", price=9.6), margin).notes[0]
    older = advice(STEPS)
    assert outbox(older, order("override", price=4.5), lower).rows == ()
    narrower = typed({"ceiling": 10.2}, {"ceiling": None})
    assert "above the ceiling of 10.2" in outbox(older, narrower).notes[0]
