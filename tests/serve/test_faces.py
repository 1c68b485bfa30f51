"""One question, what a price would bring, asked of every face: terminal, REST, tools for agents, the page's slider."""

from __future__ import annotations

import copy
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from command_line import FAST, SHARED, run
from fastapi.testclient import TestClient
from served_shop import TODAY, program_of

from pricerl.advice.what_if import answer_lines
from pricerl.mcp.tools import AgentTools
from pricerl.serve.workplace import Workplace, address_of
from pricerl.tasks.ask import load_questions

ADVISED = (0, 4, 6)
"""Exit codes of a command that has advised."""
FILES = sorted(path.name for path in SHARED.glob("*.csv"))
"""Files of one seller each; the panel of many shops has no dates, so it is none."""

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no node")

FIGURES = """
const { figuresAt } = require(process.argv[1]);
const product = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(product.details.curves.price.map((_, at) => figuresAt(product, at))));
"""

SLIDER = """
const { showSlider } = require(process.argv[1]);
const { product, answer, typed } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const nodes = {};
const node = () => ({
  value: "", textContent: "", below: [],
  get children() { return this.below; },
  get parentElement() {
    return { querySelector: () => ({ dataset: { x: "0 1", y: "0 1" }, parentElement: node() }) };
  },
  append(...more) { this.below.push(...more); },
  replaceChildren(...more) { this.below = more; },
  setAttribute() {},
});
const asked = [];
global.document = {
  getElementById: (id) => (id === "ordered" ? null : (nodes[id] ??= node())),
  createElement: node,
  createElementNS: node,
};
global.setTimeout = (act) => act();
const told = (path) => (path.includes("=-") ? { detail: "no" } : answer);
global.fetch = async (path) => (asked.push(path), { json: async () => told(path) });
const textOf = (part) => part.textContent + part.below.map(textOf).join("");
const texts = (id) => nodes[id].below.map((row) => row.below.map(textOf));
const objections = () => nodes.objections.below.map((item) => item.textContent);
const said = () => ({ better: nodes.better.textContent, objections: objections() });
const shown = () => ({ rows: texts("figures"), ...said() });
(async () => {
  showSlider({ dataset: { ask: "/api/what-if/mug", better: "earn more" } }, product);
  const seen = [shown()];
  const waiting = [];
  for (const [id, value] of typed) {
    nodes[id].value = value;
    nodes[id].oninput();
    waiting.push(shown());
    await new Promise((done) => setImmediate(done));
    seen.push(shown());
  }
  console.log(JSON.stringify({ seen, asked, waiting }));
})();
"""


class Faces(NamedTuple):
    """A shop as every face shows it."""

    folder: Path
    shop: str
    page: TestClient
    record: dict[str, Any]
    """Its product in ``advice.json``."""

    @classmethod
    def of(cls, folder: Path, shop: str, product: str = "seller") -> Faces:
        page = program_of(folder, "viewer")
        return cls(folder, shop, page, page.get(f"/api/shops/{shop}/products/{address_of(product)}").json())

    def rest(self, price: float, unit_cost: float | None = None) -> Any:
        given = {"price": price, **({} if unit_cost is None else {"unit_cost": unit_cost})}
        return self.page.get(f"/api/shops/{self.shop}/what-if/{address_of(self.record['product'])}", params=given)

    def tool(self, price: float, unit_cost: float | None = None) -> dict[str, Any]:
        """Answer of the tool for agents."""
        tools = AgentTools(Workplace(self.folder, TODAY))
        return tools.what_if(self.shop, price, self.record["product"], unit_cost)


def in_node(program: str, given: Any) -> Any:
    """Run a program on the script of the page."""
    script = Path(sys.modules["pricerl.serve"].__file__ or "").with_name("static") / "serve.js"
    words = ["node", "-e", program, str(script)]
    done = subprocess.run(words, input=json.dumps(given), capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def questions_about(record: dict[str, Any], count: int, seed: int) -> list[tuple[float, float | None]]:
    """Random prices around those of the curves, to the cent or not, of which every fourth assumes a unit cost."""
    draw = random.Random(seed)
    low, *_, high = record["details"]["curves"]["price"]
    found: list[tuple[float, float | None]] = []
    for number in range(count):
        price = draw.uniform(0.95 * low, 1.05 * high)
        cost = None if number % 4 else round(draw.uniform(0, high), 2)
        found.append((round(price, 2) if number % 2 else price, cost))
    return found


def compare(faces: Faces, count: int, seed: int = 0) -> None:
    """Ask every face the same questions."""
    asked = questions_about(faces.record, count, seed)
    terminal = load_questions({"run_name": faces.shop, "today": TODAY})
    answers = [terminal.ask(faces.record["product"], *item) for item in asked]
    exact = [answer.to_dict() for answer in answers]
    assert [faces.rest(*item).json() for item in asked] == json.loads(json.dumps(exact))
    for answer, told in zip(exact, [faces.tool(*item) for item in asked], strict=True):
        for name in ("profit", "sales", "units"):
            for side, key in (("kept", "keep"), ("gain", "difference")):
                figure = told[key][name]
                if name in answer["measures"]:
                    assert [figure[end] for end in ("mean", "low", "high")] == answer["measures"][name][side]
                else:
                    assert figure == {"value": None, "reason": answer["unknown"]}
        plain = [item["quoted"] if isinstance(item, dict) else item for item in told["limits_that_object"]]
        assert plain == answer["objections"]
        assert "profit" in answer["measures"] or answer["unit_cost"] is None
        if answer["probability_better"] is not None:
            assert told["probability_better"] == answer["probability_better"]
    price, cost = asked[0]
    words = ["what-if", repr(price), "--unit_cost", str(cost), "--product", faces.record["product"]]
    printed = run(faces.folder, *words, "--run_name", faces.shop, "--today", TODAY).out
    assert printed.startswith("\n".join(answer_lines(answers[0], terminal.run.formatter)))


def compare_slider(faces: Faces) -> None:
    """Compare what the page computes at each price of the curves with the answer of the API, to the cent."""
    if faces.record["stock"] is not None:
        return
    shown = in_node(FIGURES, faces.record)
    assert [found["price"] for found in shown] == faces.record["details"]["curves"]["price"]
    for found in shown:
        exact = faces.rest(found["price"]).json()
        assert sorted(found["objections"]) == sorted(exact["objections"])
        assert found["allowed"] == exact["allowed"]
        assert found["probability_better"] == exact["probability_better"]
        assert found["measures"].keys() == exact["measures"].keys() & {"units", "sales", "profit"}
        for name, effect in found["measures"].items():
            for side, values in effect.items():
                known = [f"{value:.2f}" for value in exact["measures"][name][side]]
                assert [f"{value:.2f}" for value in values] == known, (found["price"], name)


@pytest.fixture
def seller(folder: Path) -> Faces:
    """A trained shop."""
    return Faces.of(folder, "seller")


@needs_node
def test_every_face_gives_the_same_figures(seller: Faces) -> None:
    compare(seller, 8)
    compare_slider(seller)


@needs_node
def test_the_page_computes_prices_of_the_curves_and_asks_for_others(seller: Faces) -> None:
    answer = seller.rest(10.123, 4.5).json()
    first = seller.record["details"]["curves"]["price"][0]
    typed = [("at", "0"), ("typed", "10.123"), ("cost", "4.5"), ("at", "0"), ("typed", "-1")]
    found = in_node(SLIDER, {"product": seller.record, "answer": answer, "typed": typed})
    paths = ["price=10.123", "price=10.123&unit_cost=4.5", f"price={first:g}&unit_cost=4.5", "price=-1&unit_cost=4.5"]
    assert found["asked"] == [f"/api/what-if/mug?{path}" for path in paths]
    known, slid, *told, refused = found["seen"]
    names = ("Profit", "Sales", "Units")
    assert known["rows"] == [], "at the advised price stands what the page came with"
    assert [row[0] for row in slid["rows"]] == [*names]
    blank = {"rows": [[name, "–", "–", "–"] for name in names], "better": "…", "objections": []}
    assert found["waiting"] == [slid, *[blank] * 4], "figures of another price stand next to the new one"
    for shown in told:
        asked = [f"{answer['measures'][name.lower()]['asked'][0]:,.2f}" for name in names]
        assert [row[2] for row in shown["rows"]] == asked
        count = round(answer["probability_better"] * answer["num_draws"])
        assert shown["better"] == f"Would earn more in {count} of {answer['num_draws']} plausible scenarios."
        assert shown["objections"] == [*answer["objections"], "The next allowed price is 10.12"]
    assert refused == {**blank, "better": "no"}


@needs_node
def test_the_page_does_not_object_to_the_advised_price_and_names_no_setting(seller: Faces) -> None:
    """A limit that delays the advised change objects to it on the next day."""
    record = copy.deepcopy(seller.record)
    young = {"rule": "min_hold_days", "why": "charged for 1 of 3 days", "nearest": 10.0, "low": 9.0, "high": 11.0}
    record["details"]["objections"] = [young]
    record["recommended_price"], other = record["details"]["curves"]["price"][3:5]
    seen = in_node(SLIDER, {"product": record, "answer": {}, "typed": [("typed", str(other))]})["seen"]
    objected = ["charged for 1 of 3 days", "The next allowed price is 10.00"]
    assert [shown["objections"] for shown in seen] == [[], objected]


def test_another_unit_cost_changes_the_profit_by_the_units(seller: Faces) -> None:
    """A unit that costs 2 more takes 2 per unit from the profit, and raises the price that the margin needs."""
    cheap, dear = (seller.rest(10.2, cost).json() for cost in (4.0, 6.0))
    assert cheap["measures"]["units"] == dear["measures"]["units"] and (cheap["unit_cost"], dear["unit_cost"]) == (4, 6)
    lost = cheap["measures"]["profit"]["asked"][0] - dear["measures"]["profit"]["asked"][0]
    assert lost == pytest.approx(2 * cheap["measures"]["units"]["asked"][0], abs=0.01)
    assert "a margin of 0 % after fees and cost" in seller.rest(10.2, 12.0).json()["objections"]
    assert seller.rest(10.2, -1.0).json() == {"detail": "--unit_cost must be 0 or more, found -1.0"}
    assert seller.rest(-1.0).status_code == 400
    printed = run(seller.folder, "what-if", "10.2", "--unit_cost", "6").out
    assert printed.splitlines()[0] == "seller: 10.20 instead of 10.00, if a unit costs 6.00"


def test_every_face_answers_for_the_days_of_the_newest_advice(seller: Faces) -> None:
    assert seller.rest(10.2).json()["days"] == 14
    assert run(seller.folder, "predict", "--horizon", "28").code in ADVISED
    assert seller.rest(10.2).json()["days"] == 28
    assert "mean of 28" in run(seller.folder, "what-if", "10.2").out
    assert "mean of 7 " in run(seller.folder, "what-if", "10.2", "--horizon", "7").out


def test_an_answer_that_cannot_be_given_says_why(seller: Faces) -> None:
    """A file with more days than the advice knew, or no checkpoint; of a file that is gone the shop has the days."""
    file = seller.folder / "seller.csv"
    text = file.read_text(encoding="utf-8")

    def refusal() -> str:
        answer = seller.rest(10.2)
        assert answer.status_code == 400
        tool = seller.tool(10.2)
        assert tool["value"] is None and tool["reason"] == {"quoted": answer.json()["detail"]}
        return str(answer.json()["detail"])

    file.write_text(f"{text}2025-04-01,10.00,200.00,90.00,12,8\n", encoding="utf-8")
    assert "holds other days than the newest advice knew; run predict first" in refusal()
    file.unlink()
    assert seller.rest(10.2).status_code == 200
    file.write_text(text, encoding="utf-8")
    for checkpoint in seller.folder.rglob("best.ckpt"):
        checkpoint.unlink()
    assert "does not exist" in refusal() and "run fit first" in refusal()


@pytest.mark.slow
@needs_node
@pytest.mark.parametrize("file", FILES)
def test_every_face_gives_the_same_figures_on_real_files(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 prices of every file, each of a product at random."""
    monkeypatch.chdir(tmp_path)
    shop = file.partition(".")[0]
    done = run(tmp_path, "fit", "--data.path", str(SHARED / file), "--run_name", shop, *FAST)
    assert done.code in ADVISED, done.err
    products = json.loads((tmp_path / f"checkpoints/{shop}/advice.json").read_text())["products"]
    chosen = random.Random(0).sample(products, min(len(products), 10))
    for seed, record in enumerate(chosen):
        faces = Faces.of(tmp_path, shop, record["product"])
        compare(faces, 200 // len(chosen), seed)
        compare_slider(faces)
