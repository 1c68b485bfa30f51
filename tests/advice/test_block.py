"""The block of an advice in the terminal: its width, its words and what it leaves out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from advice_outputs import Document, mapped
from rich.cells import cell_len

from pricerl.advice.block import MOST_PRODUCTS, WIDTH, block_lines, wrapped
from pricerl.advice.sentences import next_steps
from pricerl.advice.sentences.answers import say, say_all
from pricerl.advice.sentences.next_steps import Place
from pricerl.advice.sentences.verdict import find_decided
from pricerl.arrays import to_plain
from pricerl.formatting import PLAIN, Formatter
from pricerl.reasons import Reason

NAMES = [
    "Mug",
    "高級な陶器のマグカップ・青（大）三百五十ミリリットル",
    "Ünïcödé " * 12,
    "👩‍👩‍👧‍👦 family",
    "a" * 200,
    "\u202eabc\x1b[31m\n",
    " ",
]
PAGE = Place(Path("checkpoints/seller/report.html"))


@pytest.fixture
def change(changed: Document) -> Document:
    """Advice that lowers the price."""
    (product,) = changed["products"]
    return dict(product)


@pytest.fixture
def held(change: Document) -> Document:
    """The same product, whose price is kept."""
    days = [{**day, "recommended_price": change["current_price"]} for day in change["days"]]
    decision = {**change["decision"], "follow": "hold", "grade": "C", "why": "it is so", "reasons": []}
    price = {"recommended_price": change["current_price"], "recommended": change["keep"]}
    return {**change, **price, "uplift": None, "stop_rule": None, "days": days, "decision": decision}


def text_of(*products: Document, page: Place = PAGE) -> str:
    """Return the words of a block, one space between them."""
    return " ".join(" ".join(block_lines(products, PLAIN, page)).split())


def test_one_product_is_a_block_with_verdict_certainty_reasons_and_next_steps(change: Document) -> None:
    lines = block_lines([change], PLAIN, PAGE)
    text = "\n".join(lines)
    now, new = (PLAIN.price(change[key]) for key in ("current_price", "recommended_price"))
    assert lines[0].startswith(" seller · 90 days, last day 31 Mar 2025") and " grade " in lines[0]
    assert f"Lower the price  {now} → {new} (" in text
    assert [line.split()[:3] for line in lines if " per day" in line] == [
        [name, "per", "day"] for name in ("profit", "sales", "units")
    ]
    assert "A price 1 % higher has cost " in " ".join(text.split())
    for label in (" Certainty  would earn more in ", " Why        ", " Limits     ", " Next       open "):
        assert label in text
    assert "pricerl approve" in text and "data." not in text and "100 %" not in text
    assert f"pricerl pause --until {change['days'][-1]['date']} --reason …" in text, "the other choice is to keep it"
    assert "override" not in text


def test_a_doubtful_current_price_is_told_once_with_the_commands_that_settle_it(held: Document) -> None:
    reasons = (Reason("price_differs", {"last": 1.99, "in_force": 2.69, "deal": True}), Reason("confirm_price"))
    doubt = say(reasons[0])
    quality = {**held["data_quality"], "reasons": [doubt], "findings": to_plain(reasons[:1])}
    decision = {**held["decision"], "why": say_all(reasons), "reasons": to_plain(reasons)}
    lines = block_lines([{**held, "decision": decision, "data_quality": quality}], PLAIN, PAGE)
    assert " ".join(" ".join(lines).split()).casefold().count(doubt) == 1
    answers = [line for line in lines if "current_price" in line]
    command = "            pricerl predict --data.reading.current_price"
    assert sorted(answers) == [f"{command} last", f"{command} regular"]


def test_a_kept_price_has_no_table_of_differences_and_says_what_would_decide(held: Document) -> None:
    text = "\n".join(block_lines([held], PLAIN, PAGE))
    assert f" Keep the price   {PLAIN.price(held['current_price'])}" in text
    assert "difference" not in text and "approve" not in text and "pause" not in text
    assert " Why        It is so. A price 1 %" in text
    two = {**held, "decision": {**held["decision"], "why": "it is so. A test can tell."}}
    assert " Why It is so. A test can tell. A price 1 %" in text_of(two)


def test_a_hold_says_in_one_place_which_change_was_weighed_and_what_would_decide(held: Document) -> None:
    chosen = {**held["proposal"]["over_keep"], "probability_better": 0.5}
    unsure = {**held, "weighed": chosen, "settled_price": 9.25}
    lines, text = block_lines([unsure], PLAIN, PAGE), text_of(unsure)
    assert any(line.split() == ["keep", "at", "9.25", "difference", "(90", "%)"] for line in lines)
    count = unsure["num_draws"]
    assert f" Certainty Going to 9.25 would earn more in {count // 2} of {count} plausible scenarios. It is" in text
    assert text.count("plausible scenarios") == 1 and "pricerl what-if 9.25" in text


def test_commands_name_the_run_only_if_there_are_others(change: Document) -> None:
    assert "pricerl approve --run_name 'two words'" in text_of(change, page=PAGE._replace(run="two words"))
    assert "--run_name" not in text_of(change)


KEPT = {"elasticity", "raising", "data_quality", "details", "proposal", "backtest"}


def scaled(product: Document, factor: float) -> Document:
    """Return a record whose amounts are larger."""

    def change(key: str, leaf: Any) -> Any:
        return leaf * factor if isinstance(leaf, float) and key != "probability_better" else leaf

    return {key: item if key in KEPT else mapped(item, change, key) for key, item in product.items()}


@pytest.mark.parametrize("count", [1, 2, MOST_PRODUCTS + 5])
@pytest.mark.parametrize(
    ("locale", "currency"),
    [("en_US", ""), ("de_DE", "EUR"), ("fr_CH", "JPY"), ("ja_JP", "IDR"), ("ar_EG", "EUR"), ("hi_IN", "IDR")],
)
@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e7])
def test_no_line_is_wider_than_the_terminal(
    change: Document, held: Document, count: int, locale: str, currency: str, factor: float
) -> None:
    page = PAGE._replace(report=Path("checkpoints") / ("x" * 90) / "report.html", run="y" * 90)
    for name in NAMES:
        both = [{**scaled(item, factor), "product": f"{name}{at}"} for at, item in enumerate([change, held])]
        for first in (0, 1):
            products = [both[(at + first) % 2] for at in range(count)]
            lines = block_lines(products, Formatter(locale, currency), page)
            assert max(map(cell_len, lines)) <= WIDTH, max(lines, key=cell_len)
            assert all(line == line.rstrip() for line in lines)


def test_a_limit_of_half_a_percent_keeps_its_digit(change: Document) -> None:
    bounds = {**change["details"]["bounds"], "max_rise": 0.025, "max_week_change": 0.05, "min_hold_days": 3}
    free = {**change, "guardrails": [], "details": {**change["details"], "bounds": bounds}}
    assert "none reached (at most 2.5 % per change, 5 % per week, a change every 3 days)" in text_of(free)


def test_profits_without_a_known_fixed_cost_say_so(change: Document) -> None:
    unknown = {**change, "fixed_known": False}
    costless = {**unknown, "keep": {**change["keep"], "profit": None}}
    assert ["before fixed costs" in text_of(it) for it in (change, unknown, costless)] == [False, True, False]


def test_a_change_of_a_later_day_says_which_limit_delays_it(change: Document) -> None:
    now, new = change["current_price"], change["recommended_price"]
    hold = {"rule": "min_hold_days", "why": "charged for 1 of at least 3 days", "nearest": now, "low": new, "high": new}
    objections = [hold, {"rule": "floor", "why": "other", "nearest": 1.0, "low": 0.0, "high": 0.5}]
    waits = [{**day, "recommended_price": now if at < 2 else new} for at, day in enumerate(change["days"])]
    details = {**change["details"], "objections": objections}
    when = PLAIN.weekday_date(waits[2]["date"])
    delayed = text_of(change | {"days": waits, "details": details})
    assert f" Limits the change waits until {when}: charged for 1 of at least 3 days Go back " in delayed
    at_once = [{**day, "recommended_price": new} for day in change["days"]]
    assert "waits" not in text_of(change | {"days": at_once, "details": details})


def test_several_products_are_a_line_each_with_the_largest_change_first_which_alone_can_be_approved(
    change: Document, held: Document
) -> None:
    doubtful = held | {"product": "kept", "data_quality": held["data_quality"] | {"quality": "FAIL"}}
    both = text_of(doubtful, change | {"product": "changed"})
    assert both.index(" kept ") < both.index(" changed ")
    assert "pricerl approve --product changed" in both
    assert "pricerl approve" not in text_of(held, held | {"product": "other"})
    products = [held | {"product": f"kept{at}"} for at in range(12)] + [change | {"product": "changed"}]
    lines = block_lines(products, PLAIN, PAGE)
    assert lines[0].startswith(" 13 products · 0 to raise, 1 to lower, 12 to keep")
    assert lines[3].startswith(" changed ") and lines[4].startswith(" kept0 ")
    assert sum(line.startswith((" changed ", " kept")) for line in lines) == MOST_PRODUCTS
    assert " … and 3 more on the page" in lines
    assert any(line.startswith(" Together   ") and "profit per day (90 %: " in line for line in lines)


def test_a_category_is_approved_as_a_whole_and_splitting_it_has_its_price(change: Document) -> None:
    found = {"category": "green tea", "share": [0.4, 0.3, 0.5], "together": [14.2, 3.0, 26.0]}
    uplift = {**change["uplift"], "profit": [9.1, 2.0, 16.0]}
    tea = change | {"product": "tea", "substitution": found, "uplift": uplift}
    words = "Alone +9.10 instead of +14.20 profit per day for the whole category"
    assert next_steps.group_steps(tea, PLAIN, PAGE) == [(words, "pricerl approve --group 'green tea'")]
    assert next_steps.group_steps(change, PLAIN, PAGE) == []
    assert "pricerl approve --group 'green tea'" in text_of(tea, change | {"product": "cup"})
    assert "all changes of the category together: +14.20 profit per day (90 %: +3.00 to +26.00)" in text_of(tea)


def test_a_number_and_its_percent_sign_stay_on_one_line() -> None:
    text = "word " * 10 + "costs 12 % of it"
    assert all("12" not in line or "12 %" in line for line in wrapped(text))
    assert wrapped("", "Why") == [" Why        "]


def test_a_running_price_test_leads_with_the_price_of_today_and_the_regular_price_after_its_end(
    change: Document,
) -> None:
    """The schedule may name first days only, as for weekly rows; the regular price holds before it."""
    now, new = change["current_price"], change["recommended_price"]
    schedule = [["2025-04-02", 10.4], ["2025-04-09", 10.0]]
    order = {"kind": "price_test", "price": 10.0, "until": "2025-04-15", "schedule": schedule, "status": "active"}
    tested = {**change, "orders": [order | {"id": 2, "actor": "anna", "reason": "to learn"}]}
    for today, price in (("2025-04-01", 10.0), ("2025-04-05", 10.4), ("2025-04-12", 10.0)):
        found = find_decided(tested, PLAIN, today)
        assert found is not None and (found.price, found.advised, found.followed) == (price, new, False)
    place = PAGE._replace(today="2025-04-05")
    text = text_of(tested, page=place)
    words = f"In your price test you charge 10.40 today, it lasts until Tue 15 Apr; the advice was {new:.2f}"
    assert words in text and "pricerl approve" not in text and "pricerl resume" in text
    listed = text_of(tested, change, page=place)
    assert f"{now:.2f} → 10.40" in listed and "your price test today, it lasts until Tue 15 Apr" in listed
    order = {"kind": "price_test", "price": 10.0, "until": "2025-04-15", "schedule": [], "status": "returning"}
    ended = {**change, "orders": [order | {"id": 2, "actor": "anna", "reason": "to learn"}]}
    assert "You charge 10.00 again, as the price test has ended; the advice was" in text_of(ended)


def test_advice_that_is_too_old_or_decided_on_is_not_offered_for_approval(change: Document) -> None:
    late = PAGE._replace(today="2030-01-01")
    order = {"kind": "pause", "price": None, "until": "2025-04-15", "schedule": [], "status": "active"}
    paused = {**change, "orders": [order | {"id": 2, "actor": "anna", "reason": "holiday"}]}
    for products, place in (([change], late), ([change, change], late), ([paused], PAGE), ([paused, paused], PAGE)):
        assert "pricerl approve" not in text_of(*products, page=place)
    assert "pricerl approve" in text_of(paused, change)
