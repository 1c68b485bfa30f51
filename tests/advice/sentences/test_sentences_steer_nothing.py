"""No sentence steers the code: with nonsense in place of every sentence nothing changes but the words."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from advising import advise_on, moving
from command_line import run

from pricerl.advice.block import block_lines
from pricerl.advice.report.first_screen import lay_out
from pricerl.advice.report.render import render_page
from pricerl.advice.report.view import View
from pricerl.advice.report.work_list import WorkList, kind_of
from pricerl.advice.sentences import answers, data_report, grounds, next_steps, verdict
from pricerl.advice.sentences.next_steps import Place
from pricerl.advice.sentences.verdict import Decided
from pricerl.decide.decision import DecisionConfig
from pricerl.formatting import PLAIN
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.cost import CostConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.reasons import Code, Reason

NONSENSE = "Go back now: no price, stock (data.x) plausible scenarios · Track record)."
"""All that English once meant to the code, in one sentence."""

MODULES = (answers, data_report, grounds, next_steps, verdict)
NUMBERS = ("codes_of", "compared", "is_before_fixed", "list_alternatives", "_gains_at")
"""Functions of these modules that return no words."""

PLACE = Place(Path("report.html"))


def garbled(value: Any) -> Any:
    """Return nonsense for every sentence, and commands and empty texts as they are."""
    if isinstance(value, Decided):
        return value._replace(words=tuple(map(garbled, value.words)))
    if isinstance(value, str):
        return value if not value or value.startswith("pricerl ") else NONSENSE
    if isinstance(value, dict):
        return {key: garbled(item) for key, item in value.items()}
    return type(value)(map(garbled, value)) if isinstance(value, (list, tuple)) else value


def _garbling(function: Callable[..., Any]) -> Callable[..., Any]:
    def said(*given: Any, **named: Any) -> Any:
        found = function(*given, **named)
        return map(garbled, found) if isinstance(found, Iterator) else garbled(found)

    return said


@pytest.fixture
def nonsense(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that replaces every sentence, wherever its function was imported to."""

    def garble() -> None:
        said = {
            found: _garbling(found)
            for module in MODULES
            for name, found in inspect.getmembers(module, inspect.isfunction)
            if found.__module__ == module.__name__ and name not in NUMBERS
        }
        for place in [item for key, item in sys.modules.items() if key.startswith("pricerl.")]:
            for own in [own for own, item in vars(place).items() if inspect.isfunction(item) and item in said]:
                monkeypatch.setattr(place, own, said[vars(place)[own]])
        for module in MODULES:
            for name, found in inspect.getmembers(module, lambda item: isinstance(item, dict)):
                if name.isupper() and not name.startswith("_"):
                    for key, value in found.items():
                        new = (lambda n, f: NONSENSE) if callable(value) else garbled(value)
                        monkeypatch.setitem(found, key, new)

    return garble


KNOWN = CostConfig(unit_cost=4.0, share_kept=0.9)
CASES: dict[str, tuple[tuple[float, ...], CostConfig, dict[str, Any], dict[str, Any]]] = {
    "raised": ((9.0, 10.0, 10.5, 11.0, 10.0), KNOWN, {}, {}),
    "ungated": ((9.5, 10.0, 10.5), KNOWN, {}, {"min_chance": 0.0}),
    "unsure": ((9.5, 10.0, 10.5), KNOWN, {}, {"min_chance": 1.0}),
    "without costs": ((9.5, 10.0, 10.5), CostConfig(), {}, {}),
    "one price": ((10.0,), KNOWN, {}, {}),
    "few days": ((9.5, 10.0, 10.5), KNOWN, {}, {"min_days": 100}),
    "paused": ((9.5, 10.0, 10.5), KNOWN, {"pause": True}, {}),
    "forced": ((9.5, 10.0, 10.5), KNOWN, {"floor": 11.0}, {}),
}


def open_shop(make_product: Callable[..., Any], prepare: Callable[..., Any], prices: Any, costs: CostConfig) -> Market:
    """Return a market of elasticity -2 with some prices in turn."""
    price = np.tile(np.repeat(prices, 7), 12)[:84]
    units = np.random.default_rng(4).poisson(20 * (price / 10) ** -2).astype(float)
    prepared = prepare(make_product(price, units))
    doubted = replace(prepared.reports[0], doubts=(Reason("long_gaps", {"days": 20}),))
    return fit_market(replace(prepared, reports=(doubted,)), DemandConfig(num_draws=16), costs, 0)


def without_words(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record without its sentences."""
    found = {**record, "reason": "", "decision": {**record["decision"], "why": ""}}
    found["data_quality"] = {**record["data_quality"], "reasons": len(record["data_quality"]["reasons"])}
    return found


def shown(record: dict[str, Any]) -> dict[str, Any]:
    """Return what terminal, page and work list show of a record but words."""
    screen = lay_out(View.of(record, PLAIN, PLACE))
    text = " ".join(" ".join(block_lines([record], PLAIN, PLACE)).split())
    return {
        "commands": [command for _, command in screen["steps"]] + [screen["other"]],
        "terminal": [part.split("  ")[0] for part in text.split("pricerl ")[1:]],
        "badges": [strong for strong, _ in screen["badges"]],
        "remedies": len(grounds.list_remedies(record)),
        "doubts": len(grounds.list_doubts(record, PLAIN)),
        "kind": (kind_of(record), dict(WorkList([record]).moves)),
        "share": screen["certainty"][1],
        "columns": len(screen["columns"]),
    }


@pytest.mark.parametrize("case", CASES)
def test_nonsense_changes_no_decision_no_command_and_no_badge(
    case: str, make_product: Callable[..., Any], prepare: Callable[..., Any], nonsense: Callable[[], None]
) -> None:
    prices, costs, limits, settings = CASES[case]
    given: dict[str, Any] = {"config": DecisionConfig(**settings), "limits": GuardrailConfig(**limits)}
    market = open_shop(make_product, prepare, prices, costs)
    plain = advise_on(market, moving(1.0), **given).to_dict()
    seen = shown(plain)
    nonsense()
    garbled_record = advise_on(market, moving(1.0), **given).to_dict()
    assert garbled_record["reason"] != plain["reason"] and garbled_record["decision"]["why"] == NONSENSE
    assert without_words(garbled_record) == without_words(plain)
    assert shown(garbled_record) == seen
    document = {"source": "a.csv", "locale": "en_US", "currency": "", "price_decimals": 2, "step_days": 1}
    about = {"model": "", "config": "", "decision_log": None, "objective": "profit", "approval": "auto", "pricerl": "1"}
    assert NONSENSE.split(":")[0] in render_page(document | about, garbled_record)


def test_nonsense_changes_no_exit_code_and_no_price(trained: Path, nonsense: Callable[[], None]) -> None:
    folder = trained.parents[1]
    words = ("predict", "--data.path", "seller.csv", "--run_name", trained.name, "--horizon", "7")
    plain = run(folder, *words)
    prices = prices_in(trained)
    nonsense()
    said = run(folder, *words[:-1], "8")
    assert said.code == plain.code and prices_in(trained) == prices


def prices_in(folder: Path) -> list[list[str]]:
    return [line.split(",")[:3] for line in (folder / "prices.csv").read_text(encoding="utf-8").splitlines()]


def test_every_reason_has_words_and_no_others_have() -> None:
    assert set(answers.ANSWERS) == set(get_args(Code))
    assert set(answers.REMEDIES) <= set(answers.DATA)
