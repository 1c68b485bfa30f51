"""Situations that a long simulation reaches, each with how it is recognised."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple


class Step(NamedTuple):
    """A command and what came of it."""

    kind: str
    breaks: str
    """Kind of break that was planned; empty without one."""
    outcome: str
    broke: str
    """Operation at which it broke; empty if it did not."""
    refuses: str
    """Why the command had to be refused; empty if it had not, or if nobody knows."""
    new: list[dict[str, Any]]
    """Entries that it made."""
    others: int
    """Whether others came in between."""
    world: Any


def _made(step: Step, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in step.new if entry["kind"] == kind]


def _rows(step: Step) -> dict[str, Any]:
    """Return the prices to charge after a command; none unless the files must be those of today."""
    model = step.world.model
    return dict(model.rows(step.world.today)) if step.world.is_fresh and model.items else {}


def _refused(kind: str, why: str) -> Callable[[Step], bool]:
    return lambda step: step.kind == kind and step.outcome == "refused" and step.refuses == why


def _broke(breaks: str, what: str) -> Callable[[Step], bool]:
    return lambda step: step.breaks == breaks and step.broke.startswith(what)


def _orders(step: Step) -> list[tuple[str, Any]]:
    model = step.world.model
    return [model.order_on(name, step.world.today) for name in model.items] if step.new else []


def _advised(step: Step, holds: Callable[[dict[str, Any]], object]) -> bool:
    return any(holds(entry) for entry in _made(step, "advice"))


def _items(step: Step, holds: Callable[[Any], object]) -> bool:
    return bool(step.new) and any(holds(item) for item in step.world.model.items.values())


def _has_weeks(advice: dict[str, Any]) -> bool:
    days = [date.fromisoformat(day["date"]) for day in advice["days"][:2]]
    return len(days) > 1 and (days[1] - days[0]).days == 7


def _covers(step: Step, mode: str) -> bool:
    return step.world.model.publishing == mode and any(not row[3] for row in _rows(step).values())


def _left_the_file(step: Step) -> bool:
    items = step.world.model.items.values()
    return bool(_made(step, "advice")) and any(item.advice["source"] != step.world.model.batch for item in items)


def _is_undone(step: Step) -> bool:
    model = step.world.model
    return any(not item.advice["checkpoint"].startswith(model.generation) for item in model.items.values())


def _keeps_relation(step: Step) -> bool:
    model = step.world.model
    if not (step.new and step.world.is_fresh):
        return False
    return any(model.row(name, step.world.today) and name not in _rows(step) for name in model.items)


def _kept(holds: Callable[[Any, Any], object]) -> Callable[[Step], bool]:
    """Recognise a file that was kept, and perhaps one that another command kept meanwhile."""

    def found(step: Step) -> bool:
        file, inner = step.world.file, step.world.inner_file if step.others else None
        return file is not None and file.step is not None and bool(holds(file, inner if inner and inner.step else None))

    return found


def _aliases(step: Step, file: Any) -> bool:
    """Return whether a file has a name that the shop had joined before."""
    aliases = step.world.model.days.aliases
    return any(name in aliases and name not in file.step.joined for name, _ in file.file.cells)


def _ends(file: Any) -> tuple[str, str]:
    found: tuple[str, str] = file.file.ends() if file.file.lines else ("", "")
    return found


def _is_ordered(step: Step, name: str) -> bool:
    model = step.world.model
    return name in model.items and model.order_on(name, step.world.today)[0] == "in force"


def _standing(step: Step, kind: str, state: str) -> bool:
    return any(order and (order["kind"], found) == (kind, state) for found, order in _orders(step))


def _tests(step: Step, holds: Callable[[Any, list[str]], object]) -> bool:
    """Return whether something holds of a product with a running test, given the kinds of its open orders."""
    world = step.world
    items = [(item, world.model.open_orders(name, world.today)) for name, item in world.model.items.items()]
    kinds = [(item, [order["kind"] for order in orders]) for item, orders in items]
    return bool(step.new) and any("price_test" in found and holds(item, found) for item, found in kinds)


SITUATIONS: dict[str, Callable[[Step], bool]] = {
    "a price is charged at once": lambda step: _covers(step, "auto"),
    "a price is charged after its approval": lambda step: _covers(step, "manual"),
    "in shadow mode a person's order is charged": lambda step: (
        step.world.model.publishing == "shadow" and any(row[3] for row in _rows(step).values())
    ),
    "all products have a price to charge": lambda step: len(_rows(step)) == 3,
    "no price is charged": lambda step: bool(step.new) and step.world.is_fresh and not _rows(step),
    "a price begins on a later day": lambda step: any(row[0] > step.world.today for row in _rows(step).values()),
    "a price is charged on its last day": lambda step: any(row[2] == step.world.today for row in _rows(step).values()),
    "a relation holds prices back": _keeps_relation,
    "a first advice": lambda step: _advised(step, lambda entry: entry["id"] == 1),
    "another generation is trained": lambda step: _advised(
        step, lambda entry: entry["command"] == "fit" and entry["id"] > 1
    ),
    "a rollback": lambda step: any(entry["generation"] != entry["instead_of"] for entry in _made(step, "rollback")),
    "advice of a generation that was rolled back": lambda step: bool(step.new) and _is_undone(step),
    "an approval after a rollback": lambda step: bool(_made(step, "approval")) and _is_undone(step),
    "an order after a rollback": lambda step: bool(_made(step, "override")) and _is_undone(step),
    "a product is not in the file": _left_the_file,
    "a product comes back": lambda step: _advised(step, lambda entry: entry["product"] in step.world.gone),
    "a file that ends some days ago": lambda step: _advised(
        step, lambda entry: entry["days"][0]["date"] < entry["today"]
    ),
    "the advice is over": lambda step: _items(step, lambda item: item.last < step.world.today),
    "the price found is not the one charged": lambda step: _advised(
        step, lambda entry: entry["product"] in step.world.charged_otherwise
    ),
    "advice follows an order": lambda step: _advised(step, lambda entry: "order" in entry),
    "the order that an advice follows has ended": lambda step: _items(
        step, lambda item: "order" in item.advice and item.ended
    ),
    "advice in weeks": lambda step: _advised(step, _has_weeks),
    "an editor asks for advice": lambda step: _advised(step, lambda entry: entry["terms"]["waits"]),
    "a limit forces a change": lambda step: _advised(step, lambda entry: entry["terms"]["forced"]),
    "a forced change is approved": lambda step: (
        bool(_made(step, "approval")) and _items(step, lambda item: item.agreed)
    ),
    "prices change their unit": lambda step: _advised(step, lambda entry: entry.get("restarts")),
    "prices change their currency": lambda step: _advised(step, lambda entry: entry["terms"]["currency"] == "USD"),
    "settings come with an advice": lambda step: _advised(step, lambda entry: entry["settings"]),
    "advice of a shop that others wrote since": lambda step: _advised(step, lambda entry: step.world.is_late),
    "a decision in a shop that others wrote since": lambda step: (
        bool(step.new) and step.world.is_late and step.new[0]["kind"] != "advice"
    ),
    "an order is in force": lambda step: any(order[0] == "in force" for order in _orders(step)),
    "a limit refuses an order in force": lambda step: any(order[0] == "refused" for order in _orders(step)),
    "an order is replaced": lambda step: bool(_made(step, "override")) and step.world.had_order,
    "a confirmed order far away": lambda step: any(entry["forced"] for entry in _made(step, "override")),
    "an order beyond the limits is refused": _refused("override", "limits"),
    "a doubtful order is refused": _refused("override", "doubts"),
    "an order of another day is refused": _refused("override", "last day"),
    "an order on no product is refused": _refused("override", "unknown product"),
    "an order ends before its last day": lambda step: bool(_made(step, "resume")) and step.world.had_order,
    "an approval is taken back": lambda step: bool(_made(step, "resume")) and not step.world.had_order,
    "there is nothing to end": _refused("resume", "nothing is in force"),
    "older advice is not approved": _refused("approve", "not the newest"),
    "nothing is approved twice": _refused("approve", "approved before"),
    "an order is above an approval": _refused("approve", "an order takes precedence"),
    "a limit is above an approval": _refused("approve", "limits"),
    "an editor may not widen limits": _refused("limits", "wider"),
    "a limit that the price breaks is confirmed": lambda step: any(
        entry["confirmed"] for entry in _made(step, "limits")
    ),
    "a limit that the price breaks is refused": _refused("limits", "unconfirmed"),
    "limits of one product": lambda step: any(entry["product"] for entry in _made(step, "limits")),
    "limits that contradict each other": _refused("limits", "contradiction"),
    "an editor may not loosen publishing": _refused("publishing", "looser"),
    "an agent's decision is approved": lambda step: step.kind == "decide" and bool(step.new),
    "an agent's decision came too late": _refused("decide", "not open"),
    "an agent's decision is rejected": lambda step: bool(_made(step, "rejection")),
    "an agent's cost is approved": lambda step: bool(_made(step, "costs")),
    "a price test begins": lambda step: bool(_made(step, "price_test")),
    "a confirmed price test far away": lambda step: any(entry["forced"] for entry in _made(step, "price_test")),
    "a price test is charged": lambda step: any(
        row[3] and row[1] == item.test["test_price"]
        for name, row in _rows(step).items()
        if (item := step.world.model.items[name]).test
        and step.world.model.order_on(name, step.world.today)[1] is item.test
    ),
    "an agent's price test is approved": lambda step: any("staged" in entry for entry in _made(step, "price_test")),
    "an agent's price test was planned again": _refused("decide", "planned again"),
    "advice follows a price test": lambda step: _advised(step, lambda entry: "test" in entry),
    "an alarm stops a price test": lambda step: _standing(step, "price_test", "stopped"),
    "a limit refuses a price test": lambda step: _standing(step, "price_test", "refused"),
    "an order is above a price test": lambda step: _tests(step, lambda _, kinds: kinds[0] != "price_test"),
    "a price test goes on after an order": lambda step: _tests(
        step, lambda item, kinds: kinds[0] == "price_test" and item.order and item.order["id"] > item.test["id"]
    ),
    "a rollback during a price test": lambda step: bool(_made(step, "rollback")) and _tests(step, lambda *_: True),
    "a person ends a price test": lambda step: _items(
        step, lambda item: item.test and step.new[0].get("ends") == item.test["id"]
    ),
    "a price test is over": lambda step: _items(
        step, lambda item: item.test and not item.stopped and item.test["until"] < step.world.today
    ),
    "a price test has a result": lambda step: bool(_made(step, "price_test_result")),
    "the regular price returns after a price test": lambda step: _standing(step, "return", "in force"),
    "a price test that is proved keeps its price": lambda step: any(
        entry["verdict"] == "higher" for entry in _made(step, "price_test_result")
    ),
    "a second price test at once is refused": _refused("start", "an order is in force"),
    "a price test of another price is refused": _refused("start", "another price"),
    "a price test that has begun is refused": _refused("start", "begun"),
    "a price test beyond the limits is refused": _refused("start", "limits"),
    "a doubtful price test is refused": _refused("start", "doubts"),
    "days come a second time": _kept(lambda file, _: not file.count),
    "a past day changed": _refused("add", "changed"),
    "weeks come to days": _refused("add", "weeks"),
    "another currency comes": _refused("add", "currency"),
    "a file lacks a column that the shop has": lambda step: _kept(
        lambda file, _: any(
            own[2] is None and step.world.model.days.cells[cell].values[2] for cell, own in file.step.file.cells.items()
        )
    )(step),
    "a day cannot be read": _kept(lambda file, _: file.step.file.lost),
    "a file comes with the advice": _kept(lambda file, _: file.advises),
    "a file is refused, and its advice with it": lambda step: step.kind == "predict" and step.outcome == "refused",
    "others have added days since a file was read": _kept(lambda file, _: file.is_late),
    "two writers add days at once": _kept(lambda _, inner: inner and inner.count),
    "the process dies after it has kept a file": lambda step: step.outcome == "killed" and _kept(lambda *_: True)(step),
    "a product under a new name is asked about": _refused("add", "renamed"),
    "a renamed product is joined": _kept(lambda file, _: file.step.joined),
    "a renamed product begins where it ended under its old name": _kept(
        lambda file, _: file.step.joined and file.step.follows
    ),
    "a new name is another product": _kept(lambda file, _: file.step.alike and not file.step.joined),
    "a name that was joined comes again": lambda step: _kept(lambda file, _: _aliases(step, file))(step),
    "a file has both names of a product": _kept(lambda file, _: len(file.step.file.cells) < len(file.file.cells)),
    "an order has both names of a product": _kept(
        lambda file, _: len(file.step.file.lines or ()) < len(file.file.lines or ())
    ),
    "a file of orders renames a product": _kept(lambda file, _: file.step.joined and file.file.lines),
    "a product is renamed while a person orders its price": lambda step: _kept(
        lambda file, _: any(_is_ordered(step, name) for name in file.step.joined.values())
    )(step),
    "a product is renamed after a rollback": lambda step: (
        _is_undone(step) and _kept(lambda file, _: file.step.joined)(step)
    ),
    "a rollback after a new name": lambda step: bool(_made(step, "rollback")) and bool(step.world.model.days.aliases),
    "a copy of the folder knows a new name": lambda step: (
        step.world.is_copy and _kept(lambda file, _: _aliases(step, file))(step)
    ),
    "a backup does not know a new name": lambda step: step.world.is_restored and _refused("add", "renamed")(step),
    "two files have parts of a day": _kept(lambda file, _: file.step.more),
    "two writers add parts of a day at once": _kept(
        lambda file, inner: inner and {day for _, day in file.step.more} & {*_ends(inner)}
    ),
    "a whole day replaces its parts": _kept(
        lambda file, _: any(_ends(file)[0] < day < _ends(file)[1] for _, day, _ in file.step.gone)
    ),
    "an order was cancelled": _kept(lambda file, _: any(line not in file.step.file.lines for line in file.step.gone)),
    "costs of two shops are in one file": lambda step: bool(_made(step, "costs")) and bool(step.world.neighbours),
    "the process dies at a statement": _broke("die", "statement"),
    "the process dies at a rename": _broke("die", "rename"),
    "the process dies after it has recorded": lambda step: step.outcome == "killed" and bool(step.new),
    "the process dies before it has recorded": lambda step: step.outcome == "killed" and not step.new,
    "the disk is full in the database": _broke("full", "statement"),
    "the disk is full for a file": lambda step: step.outcome == "unpublished",
    "another command comes between": lambda step: bool(step.others) and bool(step.new),
    "the other one has to wait": lambda step: step.world.was_locked,
    "the clock goes back": lambda step: step.world.went_back and bool(step.new),
    "a copy of the folder goes on": lambda step: step.world.is_copy and bool(step.new),
    "a backup is put in place": lambda step: step.world.is_restored and bool(step.new),
}
