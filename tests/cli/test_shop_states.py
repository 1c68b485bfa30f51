"""Whatever commands, days and kills come in whatever order: one state, one advice, one list of prices."""

from __future__ import annotations

import gc
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from command_line import FAST, Result, inside, run
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from shop_states import (
    FIRST_ACTIONS,
    FIXED,
    QUIET,
    START,
    UNITS,
    USUAL,
    Advised,
    Fault,
    Killed,
    Known,
    Order,
    Seller,
    aiming,
    check_faces,
    check_generation,
    check_links,
    check_log,
    check_outbox,
    check_rows,
    entries_of,
    failing,
    option_words,
    train_shop,
)

NAMES = st.sampled_from(sorted(UNITS))
FAULTS = st.one_of(
    st.none(),
    st.none(),
    st.builds(Fault, st.booleans(), st.just(False), st.integers(1, 40), st.just(0)),
    st.builds(Fault, st.booleans(), st.just(True), st.integers(1, 16), st.sampled_from([0, 0, 1, 100])),
)
LIMITS = {
    "data.guardrails.floor": [1.0, 9.8, 10.3, 12.0],
    "data.guardrails.ceiling": [100.0, 10.7, 10.2, 9.0],
    "data.guardrails.max_change": [0.05, 0.02, 0.1],
    "data.guardrails.pause": [False, True],
    "data.cost.unit_cost": [4.0, 8.6, 9.0],
    "decision.approval": ["manual", "auto", "shadow"],
}
CHANGES = st.sampled_from([{name: value} for name, values in LIMITS.items() for value in values])
PRICES = st.integers(190, 224).map(lambda steps: steps / 20) | st.sampled_from([10.03, 5.0, 30.0])
WAYS = st.sampled_from(["named", "exported", "renamed"])
UNTIL = ("--until", "2025-04-30", "--reason", "x")
AIMS = st.sampled_from([0.0, 1.0, -1.0])


class ShopMachine(RuleBasedStateMachine):
    """Commands on one run of a seller of two products."""

    trained: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="shop-"))
        shutil.copytree(self.trained, self.folder, symlinks=True, dirs_exist_ok=True)
        self.run = self.folder / "checkpoints" / "shop"
        self.seller, self.known = Seller(), Known()
        self.files = {"sales.csv": self.seller.last_prices()}
        for number, self.aim in enumerate(FIRST_ACTIONS):
            self.learn(entries_of(self.run)[2 * number : 2 * number + 2], {"base": USUAL, "path": "sales.csv"})
        self.settled, self.killed, self.numbers = True, False, 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, *words: str, fault: Fault | None = None, **given: Any) -> Result | None:
        """Run a command, unless it is killed, and note what it recorded."""
        before = len(entries_of(self.run))
        result = None
        with inside(self.folder), aiming(self.aim), failing(fault) as failed:
            try:
                result = run(self.folder, *words, "--today", self.seller.today.isoformat())
            except Killed:
                self.killed = True
        if words[0] in ("fit", "retrain"):
            with inside(self.folder):
                gc.collect()  # what a training leaves, 120 MB, and the lock of one that was killed
        if result is not None:
            assert result.code in (0, 2, 3, 4) and "Traceback" not in result.err, result
            assert result.code in (0, 4) or len(entries_of(self.run)) == before or "recorded" in result.err, result
        self.settled = not failed
        self.learn(entries_of(self.run)[before:], given)
        return result

    def learn(self, entries: list[dict[str, Any]], given: Mapping[str, Any]) -> None:
        """Follow the entries of a command, with the settings and files that were its words."""
        known = self.known
        named = given.get("named", {})
        for path in sorted(self.run.glob("gen-*")):
            known.base.setdefault(path.name, given.get("base", USUAL))
        before = dict(known.advised)
        for entry in entries:
            kind, product = entry["kind"], entry.get("product")
            if kind == "advice":
                name = entry["checkpoint"].partition("/")[0]
                in_force = name == known.generation and name in before
                settings = {**(before[name].settings if in_force else known.base[name]), **named}
                path = given.get("path") or known.path
                known.path = path
                prices = self.files[path]
                assert product in prices and entry["current_price"] == prices[product], (entry["path"], path, prices)
                known.advised[name] = known.last[product] = Advised(settings, path, prices)
                change = next((day["price"] for day in entry["days"] if day["price"] != entry["current_price"]), None)
                known.approved = [item for item in known.approved if item[:2] != (name, product) or item[2] == change]
                if entry["command"] == "fit":
                    known.generation = name
            elif kind == "rollback":
                known.generation = entry["generation"]
            elif kind == "approval":
                known.approved.append((known.generation, product, entry["price"]))
            elif kind in ("override", "pause", "price_test"):
                known.orders[product].append(Order.of(entry))
            elif kind in ("resume", "price_test_result"):
                for order in known.orders[product]:
                    order.ended |= order.id == entry.get("ends", entry.get("test"))

    def predict(self, *words: str, fault: Fault | None = None, **given: Any) -> Result | None:
        result = self.call("predict", "--run_name", "shop", *QUIET, *words, fault=fault, **given)
        if result is not None and result.code in (0, 4):
            for name, now in self.known.advised[self.known.generation].prices.items():
                assert f"{now:.2f}" in result.out and name in result.out, result.out
        return result

    def export(self, path: str, **cut: Any) -> str:
        self.seller.write(self.folder / path, **cut)
        self.files[path] = self.seller.last_prices(cut.get("missing", 0), cut.get("names", tuple(UNITS)))
        return path

    @rule(aim=AIMS)
    def change_the_aim(self, aim: float) -> None:
        self.aim = aim

    @rule(days=st.integers(0, 20), obeys=st.booleans())
    def wait(self, days: int, obeys: bool) -> None:
        self.settled = self.settled and days == 0
        table = (self.run / "prices.csv").read_text(encoding="utf-8") if (self.run / "prices.csv").exists() else ""
        self.seller.wait(days, table, obeys)

    @rule(excel=st.booleans(), fault=FAULTS)
    def predict_again(self, excel: bool, fault: Fault | None) -> None:
        self.predict(*(["--report.excel", "true"] if excel else []), fault=fault)

    @rule(change=CHANGES, fault=FAULTS)
    def predict_with_changes(self, change: dict[str, Any], fault: Fault | None) -> None:
        self.predict(*option_words(change), fault=fault, named=change)

    @rule(names=st.sampled_from([("mug", "cap"), ("mug", "cap"), ("mug",)]), way=WAYS, fault=FAULTS)
    def predict_fresh(self, names: tuple[str, ...], way: str, fault: Fault | None) -> None:
        self.numbers += 1
        path = self.export(f"sales-{self.numbers}.csv" if way == "renamed" else "sales.csv", names=names)
        named = way != "exported"
        self.predict(*(["--data.path", path] if named else []), fault=fault, path=path if named else None)
        if way == "renamed" and self.settled:
            (self.folder / "sales.csv").unlink(missing_ok=True)

    @rule(missing=st.integers(0, 30), skipped=st.sampled_from([0, 0, 5]), accepts=st.booleans(), fault=FAULTS)
    def predict_older(self, missing: int, skipped: int, accepts: bool, fault: Fault | None) -> None:
        path = self.export("older.csv", missing=missing, skipped=skipped)
        words = ["--accept_changes", "history"] if accepts else []
        self.predict("--data.path", path, *words, fault=fault, path=path)

    @rule(name=NAMES, price=PRICES, days=st.integers(0, 20), forced=st.booleans(), fault=FAULTS)
    def override(self, name: str, price: float, days: int, forced: bool, fault: Fault | None) -> None:
        until = (self.seller.today + timedelta(days=days)).isoformat()
        words = ["override", f"{price:g}", "--until", until, "--reason", "x", *(["--force"] if forced else [])]
        result = self.call(*words, "--run_name", "shop", "--product", name, fault=fault)
        if result is not None and result.code == 0:
            advice = self.known.advised[self.known.generation]
            assert self.known.allows(name, price), (price, advice)
            if "against keeping" in result.out:
                assert f"against keeping {advice.prices[name]:.2f}" in result.out, result.out

    @rule(name=NAMES, days=st.integers(0, 20), fault=FAULTS)
    def pause(self, name: str, days: int, fault: Fault | None) -> None:
        until = (self.seller.today + timedelta(days=days)).isoformat()
        words = ("--until", until, "--reason", "x", "--run_name", "shop", "--product", name)
        self.call("pause", *words, fault=fault)

    @precondition(lambda self: any(self.known.order_on(name, self.seller.today) for name in UNITS))
    @rule(name=NAMES, fault=FAULTS)
    def resume(self, name: str, fault: Fault | None) -> None:
        self.call("resume", "--run_name", "shop", "--product", name, fault=fault)

    @rule(name=NAMES, back=st.sampled_from([None, None, None, 0, 1, 3]), fault=FAULTS)
    def approve(self, name: str, back: int | None, fault: Fault | None) -> None:
        words = ["--product", name]
        if back is not None:
            advice = [entry["id"] for entry in entries_of(self.run) if entry["kind"] == "advice"]
            words = [str(advice[-1 - min(back, len(advice) - 1)])]
        self.call("approve", *words, "--run_name", "shop", fault=fault)

    @rule(command=st.sampled_from(["report", "history"]), name=NAMES, fault=FAULTS)
    def look(self, command: str, name: str, fault: Fault | None) -> None:
        self.call(command, "--run_name", "shop", "--product", name, fault=fault)

    @rule(name=NAMES, price=PRICES)
    def what_if(self, name: str, price: float) -> None:
        result = self.call("what-if", f"{price:g}", "--run_name", "shop", "--product", name, *QUIET)
        advice = self.known.advised.get(self.known.generation)
        if result is not None and result.code == 0 and advice is not None:
            now = self.files[self.known.path][name]
            assert f"{name}: {price:.2f} instead of {now:.2f}" in result.out, result.out

    @rule(name=NAMES, fault=FAULTS)
    def plan_price_test(self, name: str, fault: Fault | None) -> None:
        words = ("--question", "sales", "--max_days", "182", "--max_cost", "1000000", *QUIET)
        self.call("price-test", "plan", "shop", "--product", name, *words, fault=fault)

    @precondition(lambda self: (self.run / "price_test.json").exists())
    @rule(fault=FAULTS)
    def start_price_test(self, fault: Fault | None) -> None:
        self.call("price-test", "start", "shop", fault=fault)

    @precondition(lambda self: any(order.kind == "price_test" for own in self.known.orders.values() for order in own))
    @rule(name=NAMES, fault=FAULTS)
    def read_price_test(self, name: str, fault: Fault | None) -> None:
        path = self.export("read.csv")
        self.call("price-test", "read", "shop", "--product", name, "--data.path", path, *QUIET, fault=fault)

    @rule(change=CHANGES, fault=FAULTS)
    def fit(self, change: dict[str, Any], fault: Fault | None) -> None:
        path, base = self.export("sales.csv"), {**USUAL, **change}
        words = ("--data.path", path, *FAST, *option_words({**FIXED, **base}))
        self.call("fit", "--run_name", "shop", *words, fault=fault, base=base, path=path)

    @precondition(lambda self: (self.seller.today - START).days >= 35)
    @rule(fault=FAULTS)
    def retrain(self, fault: Fault | None) -> None:
        path, known = self.export("sales.csv"), self.known
        base = known.settings()
        self.call("retrain", "shop", "--data.path", path, *FAST, fault=fault, base=base, path=path)

    @rule(to=st.integers(0, 4), fault=FAULTS)
    def rollback(self, to: int, fault: Fault | None) -> None:
        words = ["--to", f"gen-{to:04d}"] if to else []
        self.call("rollback", "--run_name", "shop", *words, fault=fault)

    @rule(number=st.integers(1, 2), fault=FAULTS)
    def predict_with_another_generation(self, number: int, fault: Fault | None) -> None:
        path = self.export("sales.csv")
        checkpoint = f"{self.run.relative_to(self.folder)}/gen-{number:04d}/best.ckpt"
        self.call("predict", "--ckpt_path", checkpoint, "--data.path", path, *QUIET, fault=fault, path=path)

    @invariant()
    def state_is_one(self) -> None:
        if not self.settled:
            return
        today = self.seller.today
        check_outbox(self.run, today)
        check_generation(self.run)
        check_rows(self.run, self.known, today)
        check_links(self.run, self.killed)
        check_faces(self.run, self.known)
        check_log(self.run, today)


@pytest.fixture(scope="session")
def twice_trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of two generations."""
    folder = tmp_path_factory.getbasetemp() / "twice-trained"
    train_shop(folder)
    return folder


@pytest.fixture
def machine(twice_trained: Path) -> Iterator[ShopMachine]:
    """The machine before its first command."""
    ShopMachine.trained = twice_trained
    made = ShopMachine()
    yield made
    made.teardown()


def killed_after(operations: int) -> Fault:
    """A kill some operations after the log was flushed."""
    return Fault(kills=True, recorded=True, at=operations)


def test_an_advice_whose_command_was_killed_is_shown_although_there_is_no_price_to_change(machine: ShopMachine) -> None:
    machine.predict_with_changes({"data.guardrails.pause": True}, None)
    machine.state_is_one()
    before = (machine.run / "advice.json").read_bytes()
    machine.seller.wait(3, "", False)
    machine.predict_fresh(("mug", "cap"), "named", killed_after(6))
    assert machine.killed and (machine.run / "advice.json").read_bytes() == before
    machine.look("history", "mug", None)
    machine.state_is_one()


def test_a_killed_rollback_is_finished_by_the_next_command_wherever_it_was_killed(machine: ShopMachine) -> None:
    for operations in range(1, 20):
        machine.rollback(1 + operations % 2, killed_after(operations))
        machine.look("history", "mug", None)
        machine.state_is_one()


@pytest.mark.slow
def test_pages_of_products_that_come_and_go_are_linked_wherever_the_disk_was_full(machine: ShopMachine) -> None:
    for operations in (5, 6, 7):
        for names in (("mug",), ("mug", "cap")):
            machine.predict_fresh(names, "named", Fault(kills=False, recorded=True, at=operations))
            machine.look("history", "mug", None)
            machine.state_is_one()


def test_a_killed_advice_with_an_earlier_generation_is_the_one_that_a_rollback_shows(machine: ShopMachine) -> None:
    machine.seller.wait(3, "", False)
    machine.predict_with_another_generation(1, killed_after(6))
    machine.rollback(1, None)
    machine.state_is_one()


def test_predict_after_a_killed_fit_takes_the_weights_that_its_entry_names(machine: ShopMachine) -> None:
    machine.fit({"data.guardrails.max_change": 0.1}, killed_after(6))
    machine.predict_again(False, None)
    machine.state_is_one()


def test_a_full_disk_after_the_log_was_written_does_not_hide_that_the_decision_counts(machine: ShopMachine) -> None:
    full = Fault(kills=False, recorded=True, at=5)
    result = machine.call("pause", "--run_name", "shop", "--product", "mug", *UNTIL, fault=full)
    assert result is not None and result.code == 2 and result.err.count("\n") == 1
    assert result.err.startswith("error: recorded, but not yet published: ")
    machine.look("history", "mug", None)
    machine.state_is_one()


def explore(trained: Path, examples: int, commands: int, derandomize: bool) -> None:
    """Run sequences of commands."""
    ShopMachine.trained = trained
    chosen = settings(
        max_examples=examples,
        stateful_step_count=commands,
        deadline=None,
        derandomize=derandomize,
        database=None,
        phases=(Phase.generate,),  # shrinking a sequence of commands takes many minutes
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(ShopMachine, settings=chosen)


@pytest.mark.slow
def test_whatever_commands_come_the_prices_follow_from_one_state(twice_trained: Path) -> None:
    explore(twice_trained, 4, 8, True)


@pytest.mark.slow
def test_in_300_sequences_of_15_commands_the_prices_follow_from_one_state(twice_trained: Path) -> None:
    explore(twice_trained, 300, 15, False)
