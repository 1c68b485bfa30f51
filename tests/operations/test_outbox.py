"""The outbox: which prices are charged next follows from log, generation and day alone; and platforms' import forms."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from pricerl.data.platforms.import_forms import ImportForm, own_forms
from pricerl.errors import DataError
from pricerl.formatting import safe_text
from pricerl.operations.log.decision_log import NOTHING, Head
from pricerl.operations.outbox import COLUMNS, Outbox, Row, fill_outbox
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder

HEAD = Head(3, "ab" * 32)
FIRST, SECOND = date(2026, 1, 1), date(2026, 1, 2)
DOCS = Path(__file__).parents[2] / "docs" / "log.md"
FORMS = list(own_forms().values())
MADE = [form for form in FORMS if not form.fills]


def advice(prices: list[float], **changes: Any) -> dict[str, Any]:
    """An advice on a product at 10.00, whose history ends the day before the first of its days."""
    days = [{"date": str(FIRST + timedelta(days=day)), "price": price} for day, price in enumerate(prices)]
    limits = {"floor": 5.0, "ceiling": None, "price_step": 0.01, "lowest": 9.5, "highest": 10.5}
    entry = {"kind": "advice", "product": "mug", "days": days, "current_price": 10.0, "history_end": "2025-12-31"}
    entry |= {"known": {"since": "2025-12-04", "units": 84.0}, "tried": (9.0, 11.0), "settings": {}}
    return {**entry, "checkpoint": "gen-0001/best.ckpt", "seen": 0, "limits": limits, "terms": terms(), **changes}


def terms(**changes: Any) -> dict[str, Any]:
    return {"approval": "auto", "currency": "EUR", "price_decimals": 2, "relations": [], **changes}


def order(kind: str, **changes: Any) -> dict[str, Any]:
    return {"kind": kind, "product": "mug", "until": "2026-01-10", "actor": "anna", "reason": "x", **changes}


def outbox(*entries: dict[str, Any], today: date = FIRST, generation: str = "gen-0001") -> Outbox:
    numbered = [{**entry, "id": number} for number, entry in enumerate(entries, 1)]
    found = fill_outbox(NOTHING.extended(numbered, HEAD), generation, today)
    grown = None
    for count in range(1, len(numbered) + 1):
        grown = fill_outbox(NOTHING.extended(numbered[:count], HEAD), generation, today, grown)
    assert grown == found, "the outbox that grows with the log is the one of the whole log"
    return found


def prices(found: Outbox) -> dict[str, tuple[int, float]]:
    """Day of January and price of each product that is charged; none has two rows."""
    charged = {row.product: (date.fromisoformat(row.date).day, row.price) for row in found.rows}
    assert len(charged) == len(found.rows)
    return charged


def resume(entry: int) -> dict[str, Any]:
    return {"kind": "resume", "product": "mug", "ends": entry}


def publish(mode: str, before: str) -> dict[str, Any]:
    return {"kind": "publishing", "mode": mode, "instead_of": before}


def forced(price: float, floor: float = 11.0, now: float = 10.0, **changes: Any) -> dict[str, Any]:
    """An advice on a product whose current price is below a floor, to which it walks."""
    limits = {"floor": floor, "ceiling": None, "price_step": 0.01, "lowest": price, "highest": price}
    return advice([price], current_price=now, limits=limits, terms=terms(forced="floor"), **changes)


def typed(limits: dict[str, Any], before: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"kind": "limits", "product": "", "limits": limits, "instead_of": before, "confirmed": {}, **changes}


STEPS = [10.0, 10.5, 10.5, 10.5, 11.0, 11.0]
ADVICE, BOWL = advice(STEPS), advice(STEPS, product="bowl")
ORDER = order("override", price=9.6)
REQUIRED = {"terms": terms(approval="manual")}
WAITING, AGAIN = advice(STEPS, **REQUIRED), advice(STEPS, seen=2, **REQUIRED)
LOWER = advice([10.0, 10.2], seen=2, **REQUIRED)
APPROVAL = {"kind": "approval", "product": "mug", "approves": 1, "date": "2026-01-02", "price": 10.5}
TWICE = (WAITING, APPROVAL, AGAIN, {**APPROVAL, "approves": 3})
WALKED = (forced(10.5), APPROVAL, forced(11.0, now=10.5, seen=2))
SHADOW = advice(STEPS, terms=terms(approval="shadow"))
NEWER = advice([10.0, 9.8], checkpoint="gen-0002/best.ckpt", seen=1)
EDITORS = advice(STEPS, terms=terms(waits="editor"))
HIGHER = {"floor": 9.9, "ceiling": None, "price_step": 0.01}
UP = {"floor": 11.0, "ceiling": None, "price_step": 0.01, "lowest": None, "highest": None}
FORCED = "mug: no price, your floor of 11.00 is above the current price 10.00; approve the change, or change the limit"
BACK = "mug: no price, its advice is from gen-0002, which a rollback replaced; run predict"
LINE = {"kind": "one_price", "products": ["mug", "bowl"]}
BOTH = [advice(STEPS, product=name, terms=terms(relations=[LINE], approval="manual")) for name in ("mug", "bowl")]

CHARGED: dict[str, tuple[list[dict[str, Any]], dict[str, tuple[int, float]]]] = {
    "nothing for a price that stays": ([advice([10.0, 10.0])], {}),
    "an order that the advice does not know yet": ([ADVICE, ORDER], {"mug": (1, 9.6)}),
    "an approved change": ([WAITING, APPROVAL], {"mug": (2, 10.5)}),
    "a change approved anew": ([WAITING, APPROVAL, resume(2), APPROVAL], {"mug": (2, 10.5)}),
    "a change approved twice": ([*TWICE], {"mug": (2, 10.5)}),
    "an approved change that newer advice repeats": ([WAITING, APPROVAL, AGAIN], {"mug": (2, 10.5)}),
    "an order in shadow mode": ([SHADOW, ORDER], {"mug": (1, 9.6)}),
    "an order after a rollback": ([ADVICE, NEWER, ORDER], {"mug": (1, 9.6)}),
    "the newest advice on each product": (
        [ADVICE, BOWL, advice(STEPS[1:], seen=2)],
        {"bowl": (2, 10.5), "mug": (1, 10.5)},
    ),
    "a line of one price, approved whole": (
        [*BOTH, APPROVAL, {**APPROVAL, "product": "bowl", "approves": 2}],
        {"mug": (2, 10.5), "bowl": (2, 10.5)},
    ),
    "a price below the floor on its way up to it": ([advice([10.5], limits=UP)], {"mug": (1, 10.5)}),
    "at once as a person says": ([WAITING, publish("auto", "manual")], {"mug": (2, 10.5)}),
    "an editor's approved change": ([EDITORS, APPROVAL], {"mug": (2, 10.5)}),
    "an editor's change in advice of the night": ([EDITORS, advice(STEPS, seen=1)], {"mug": (2, 10.5)}),
    "no change in what an editor asked for": ([advice([10.0], terms=terms(waits="editor"))], {}),
    "an approved way to a floor": ([forced(10.5), APPROVAL], {"mug": (1, 10.5)}),
    "the next step of an approved way to a floor": ([*WALKED], {"mug": (1, 11.0)}),
    "a way to a floor that a person confirmed": (
        [typed({"floor": 11.0}, {"floor": None}, confirmed={"mug": 11.0}), forced(10.5, seen=1)],
        {"mug": (1, 10.5)},
    ),
}

WITHHELD: dict[str, tuple[list[dict[str, Any]], str]] = {
    "a pause": ([ADVICE, order("pause")], "mug: no price, it is paused until 2026-01-10 (entry 2)"),
    "an order against a limit": ([ORDER, advice([10.0], seen=1, limits=HIGHER)], "9.6 is below the floor of 9.9"),
    "an order in another currency": ([{**ORDER, "currency": "USD"}, ADVICE], "is in USD, the file in EUR"),
    "an order that has ended": ([ORDER, advice([9.6] * 5, order=1), resume(1)], "the order of entry 1 has ended"),
    "a change that waits": ([WAITING], "mug: no price, the change to 10.5 waits for your approval"),
    "an approval taken back": ([WAITING, APPROVAL, resume(2)], "waits for your approval"),
    "the newer of two approvals taken back": ([*TWICE, resume(4)], "waits for your approval"),
    "an approval of other advice": ([WAITING, APPROVAL, LOWER], "waits for your approval"),
    "an approval before other advice": ([WAITING, APPROVAL, LOWER, {**AGAIN, "seen": 3}], "waits for your approval"),
    "an approval in shadow mode": ([SHADOW, APPROVAL], "mug: no price, decision.approval is shadow"),
    "advice of a generation that a rollback replaced": ([ADVICE, NEWER], BACK),
    "waiting advice of such a generation": ([ADVICE, {**NEWER, **REQUIRED}], BACK),
    "half a line of one price": ([*BOTH, APPROVAL], "mug at 10.5 and bowl at 10 would no longer have one price"),
    "a price below the floor": ([advice([9.5], limits=UP)], "the price of 9.5 is below the floor of 11"),
    "a person's word to wait": ([ADVICE, publish("manual", "auto")], "waits for your approval"),
    "a person's word to publish nothing": ([WAITING, publish("shadow", "manual"), APPROVAL], "shadow"),
    "what an editor asked for": ([EDITORS], "waits for an approval, as an editor asked for this advice"),
    "a way to a floor": ([forced(10.5)], FORCED),
    "its next step once the approval is taken back": ([*WALKED, resume(2)], "floor of 11.00"),
    "a way to a higher floor": ([forced(10.5), APPROVAL, forced(11.0, 11.5, 10.5, seen=2)], "floor of 11.50"),
    "a way to a floor that nobody confirmed": (
        [typed({"floor": 11.0}, {"floor": None}), forced(10.5, seen=1)],
        "floor of 11.00",
    ),
}


@pytest.mark.parametrize("name", CHARGED)
def test_what_the_log_allows_is_charged_without_a_note(name: str) -> None:
    entries, charged = CHARGED[name]
    found = outbox(*entries)
    assert ([*prices(found).items()], found.notes) == ([*charged.items()], ())


@pytest.mark.parametrize("name", WITHHELD)
def test_what_the_log_forbids_is_not_charged_and_the_reason_is_said(name: str) -> None:
    entries, words = WITHHELD[name]
    found = outbox(*entries)
    assert found.rows == () and any(words in note for note in found.notes), found.notes


@pytest.mark.parametrize(
    ("entries", "today", "charged"),
    [
        ([ADVICE], 1, {"mug": (2, 10.5)}),
        ([ADVICE], 3, {"mug": (3, 10.5)}),
        ([ADVICE], 6, {"mug": (6, 10.5)}),
        ([ADVICE], 7, {}),
        ([advice([10.0, 10.2, 10.4])], 3, {"mug": (3, 10.4)}),
        ([WAITING, APPROVAL], 6, {"mug": (6, 10.5)}),
        ([ADVICE, order("pause")], 11, {}),
    ],
    ids=["its day", "later", "no step before a file shows the last", "too late", "small steps", "approved", "paused"],
)
def test_the_first_change_goes_out_on_its_day_or_any_later_day_of_the_advice(
    entries: list[dict[str, Any]], today: int, charged: dict[str, tuple[int, float]]
) -> None:
    found = outbox(*entries, today=date(2026, 1, today))
    assert prices(found) == charged and all(row.last_day == entries[0]["days"][-1]["date"] for row in found.rows)
    assert charged or "its history ends on 2025-12-31, longer ago" in found.notes[0]


def test_advice_of_the_generation_in_force_goes_out() -> None:
    assert prices(outbox(ADVICE, NEWER, generation="gen-0002")) == {"mug": (2, 9.8)}


def test_an_order_on_a_product_that_left_the_file_stays_until_its_last_day() -> None:
    left, fresh = (ADVICE, BOWL, {**ORDER, "product": "bowl"}), advice([10.0, 10.0], seen=3)
    assert prices(outbox(*left, fresh)) == {"bowl": (1, 9.6)}
    ended = outbox(*left, fresh, today=date(2026, 1, 11))
    assert ended.rows == () and "longer ago than the advice reaches" in ended.notes[1]
    paused = outbox(ADVICE, BOWL, order("pause", product="bowl"), fresh)
    assert paused.notes == ("bowl: no price, it is paused until 2026-01-10 (entry 3)",)


def test_a_persons_order_stays_and_the_products_related_to_it_wait() -> None:
    line = {"terms": terms(relations=[LINE])}
    found = outbox(advice(STEPS, **line), advice(STEPS, product="bowl", **line), ORDER)
    assert prices(found) == {"mug": (1, 9.6)} and found.notes[0].startswith("bowl: no price, ")


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


def test_each_day_of_a_price_test_has_its_scheduled_price() -> None:
    entries = (price_test([10.0, 10.5, 10.5, 10.0]), advice([10.0] * 4, test=1))
    (before,) = outbox(*entries).rows
    assert (before.date, before.price, before.last_day) == ("2026-01-02", 10.5, "2026-01-03")
    assert [charged(*entries, today=day) for day in (3, 4)] == [[10.5], []]


def test_a_week_keeps_its_price_until_its_last_day() -> None:
    weeks = advice([10.0, 10.5])
    weeks["days"] = [{"date": "2026-01-01", "price": 10.5}, {"date": "2026-01-08", "price": 10.5}]
    found = outbox(weeks, today=date(2026, 1, 12)).rows[0]
    assert (found.date, found.price, found.last_day) == ("2026-01-12", 10.5, "2026-01-14")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠", "﹣"])
def test_a_name_that_a_spreadsheet_would_compute_is_escaped(start: str) -> None:
    row = Row(f"{start}1+1", "2026-01-01", 9.5, "2026-01-14")
    text = outbox(advice([10.0, 10.5]))._replace(rows=(row,)).render()
    escaped = [f"'{start}1+1", "2026-01-01", "9.50", "EUR", "2026-01-14", "ab" * 6, ""]
    assert list(csv.reader(io.StringIO(text, newline=""))) == [list(COLUMNS), escaped]
    assert safe_text(f"a{start}") == f"a{start}"


@pytest.mark.parametrize(("answer", "kept"), [("regular", {"current_price": "regular"}), ("last", {})])
def test_the_price_of_a_last_row_is_confirmed_for_one_advice_alone(
    tmp_path: Path, answer: str, kept: dict[str, str]
) -> None:
    newest = {"Mug": {"id": 1, "settings": {"data": {"reading": {"current_price": answer, "strict": True}}}}}
    shop = Shop(RunFolder(tmp_path), NOTHING._replace(newest=newest), "")
    assert shop.settings == {"data": {"reading": {**kept, "strict": True}}}


def test_a_typed_limit_binds_the_advice_and_the_orders_before_it_at_once() -> None:
    limits = {"floor": 5.0, "ceiling": None, "price_step": 0.01, "lowest": 9.5, "highest": 10.5, "costs": [0.8, 4.0]}
    known = advice(STEPS, limits=limits, terms=terms(guardrails={"floor": 5.0, "products": {"mug": {"ceiling": 12}}}))
    for binding, why in (
        (typed({"ceiling": 10.2}, {"ceiling": None}, product="mug"), "above the ceiling of 10.2"),
        (typed({"min_margin": 0.38}, {"min_margin": 0.0}), ""),
        (typed({"min_hold_days": 5}, {"min_hold_days": 3}), "your shortest hold became narrower after this advice"),
        (
            typed({"max_change": 0.02}, {"max_change": 0.05}),
            "largest change became narrower after this advice (entry 2)",
        ),
        (typed({"min_hold_days": 1}, {"min_hold_days": 3}), ""),
        (typed({"ceiling": 10.2}, {"ceiling": None}, product="bowl"), ""),
        (typed({"ceiling": 10.2}, {"ceiling": None}), ""),  # the product's own one is above it
    ):
        found = outbox(known, binding)
        assert (why in found.notes[0]) if why else prices(found) == {"mug": (2, 10.5)}, (binding, found)
    assert prices(outbox(known, typed({"max_change": 0.02}, {"max_change": 0.05}), ORDER)) == {"mug": (1, 9.6)}
    lower = typed({"floor": 4.0}, {"floor": 5.0})
    assert outbox(known, order("override", price=4.5)).rows == ()
    costless = {**known, "limits": {**limits, "costs": None}}
    assert prices(outbox(costless, order("override", price=4.5), lower)) == {"mug": (1, 4.5)}
    margin = typed({"min_margin": 0.392}, {"min_margin": 0.0})
    assert "below the floor of 9.80392" in outbox(known, ORDER, margin).notes[0]
    assert outbox(ADVICE, order("override", price=4.5), lower).rows == ()
    assert "above the ceiling of 10.2" in outbox(ADVICE, binding).notes[0]


def shop(*products: str, today: date = FIRST) -> Shop:
    """A shop whose newest advice raises the first product from 10.00 to 10.50 on the second day, the others at once."""
    entries = [advice(STEPS if at == 0 else STEPS[1:], product=name) for at, name in enumerate(products)]
    numbered = [{**entry, "id": number, "hash": HEAD.hash} for number, entry in enumerate(entries, 1)]
    return Shop(RunFolder(Path("none")), NOTHING.extended(numbered, HEAD), "gen-0001", today)


def rows(form: ImportForm, text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=form.delimiter))


def test_a_form_has_the_platforms_columns_and_its_undo_the_prices_until_now() -> None:
    files = shop("A-1", "B 2", today=SECOND).import_files(own_forms()["amazon"])
    heads = "sku\tprice\tminimum-seller-allowed-price\tmaximum-seller-allowed-price\tquantity\thandling-time"
    assert files["amazon.txt"] == f"{heads}\tfulfillment-channel\r\nA-1\t10.50\t\t\t\t\t\r\nB 2\t10.50\t\t\t\t\t\r\n"
    assert files["amazon.undo.txt"] == files["amazon.txt"].replace("10.50", "10.00")
    ebay = shop("1234", today=SECOND).import_files(own_forms()["ebay"])
    assert ebay["ebay.csv"] == "Action,Item number,Start price\r\nRevise,1234,10.50\r\n"


@pytest.mark.parametrize("form", MADE, ids=lambda form: form.name)
def test_a_price_of_a_later_day_waits_for_it(form: ImportForm) -> None:
    for text in shop("later", "now").import_files(form).values():
        heads, *others = rows(form, text)
        assert heads == list(form.columns) and [["now" in line, "later" in line] for line in others] == [[True, False]]


@pytest.mark.parametrize("form", MADE, ids=lambda form: form.name)
def test_a_hostile_name_stays_in_its_cell_and_is_no_formula(form: ImportForm) -> None:
    name = '=cmd("{Price}"),\t;x'
    _, line = rows(form, shop("mug", name).import_files(form)[form.file])
    assert f"'{name}" in line and len(line) == len(form.columns)


def test_every_form_fills_product_and_price_from_columns_of_the_outbox_and_is_named_as_its_file() -> None:
    for name, form in own_forms().items():
        texts = [*form.columns.values()]
        assert form.fills or {"{Product}", "{Price}"} <= {*texts}
        assert form.file.startswith(f"{name}.") and form.name == name
        assert {text for text in texts if "{" in text} <= {f"{{{column}}}" for column in COLUMNS}


EXPORT = """Handle,Title,Body (HTML),Variant SKU,Variant Price,Image Src
mug,Blue mug,"<p>A ""mug"",
with a line",A-1,10.00,https://x/1.png
mug,,,,,https://x/2.png
cup,=Cup,,B 2,12.00,
"""


def test_the_sellers_own_export_is_filled_with_the_prices_and_otherwise_unchanged(tmp_path: Path) -> None:
    export = tmp_path / "products.csv"
    export.write_text(EXPORT, encoding="utf-8-sig")
    opened = shop("A-1", today=SECOND)
    files = opened.import_files(own_forms()["shopify"], export)
    assert files == {"shopify.csv": EXPORT.replace("10.00", "10.50"), "shopify.undo.csv": EXPORT}
    by_handle = shop("mug", today=SECOND).import_files(own_forms()["shopify"], export)
    assert by_handle["shopify.csv"] == EXPORT.replace("10.00", "10.50")
    for text, message in (
        (EXPORT.replace("A-1", "A-2"), "has no row of 'A-1' with a price"),
        (EXPORT.replace("Variant Price", "Price"), "is no product export of Shopify"),
    ):
        export.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            opened.import_files(own_forms()["shopify"], export)


def test_the_documents_list_every_form() -> None:
    text = DOCS.read_text(encoding="utf-8")
    found = [line for line in text.splitlines() if line.startswith("| `") and ".undo." in line]
    assert found == [
        f"| `{form.name}` | {form.upload} | {form.product} | `{form.file}`, `{form.undo}` |" for form in FORMS
    ]


def test_an_order_is_undone_to_the_price_of_the_file() -> None:
    ordered = shop("mug")
    entry = {**order("override", price=9.6), "id": 2, "hash": HEAD.hash}
    ordered = Shop(ordered.folder, ordered.log.extended([entry], HEAD), "gen-0001", FIRST)
    files = ordered.import_files(own_forms()["woocommerce"])
    assert files["woocommerce.csv"] == "SKU,Regular price\r\nmug,9.60\r\n"
    assert files["woocommerce.undo.csv"] == "SKU,Regular price\r\nmug,10.00\r\n"
