"""The first visit and the next week in a real browser, at the sizes of a desktop and a phone.

With ``PICTURES=docs/images`` the same tests write the pictures of the documents.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM
from command_line import FAST, run, write_lines
from served_shop import served

from pricerl.simulation.samples import write_sample

pytest.importorskip("fastapi")
playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no chromium")]

playwright.expect.set_options(timeout=30_000)

SIZES: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}
TODAY = "2025-12-26"
SELLER = ("--market", "linear", "--days", "365", "--units", "60", "--seed", "1")
HOSTILE = ("<b>Bowl</b><img src=x onerror=alert(1)>", "🧼 سلام \u202e dlo", "W" * 300, "Tea cup", "mug")
MOST_CLICKS, MOST_FIELDS, MOST_WORDS = 3, 2, 500
"""Clicks, typed fields and words on the way from a dropped file to the downloaded prices."""
MOST_BEFORE_FOLD = 450
"""Words of a product's page above the details for analysts."""
PICTURES = os.environ.get("PICTURES")
"""Folder of the pictures; none are written without it."""

MOST_SHIFT = 0.02
"""Largest sum of unexpected layout shifts of a page; 0.1 counts as good (web.dev/cls)."""
LEAST_TARGET = 24
"""Smallest height of what is touched, CSS pixels (WCAG 2.2, 2.5.8)."""

WATCH = """
window.shift = 0;
new PerformanceObserver((list) => list.getEntries().forEach((entry) => {
  if (!entry.hadRecentInput) window.shift += entry.value;
})).observe({ type: "layout-shift", buffered: true });
"""
TARGETS = """
[...document.querySelectorAll("button, input:not([type=hidden]), select, summary, nav a")]
  .filter((item) => item.offsetParent && item.getBoundingClientRect().height)
  .map((item) => [item.getBoundingClientRect().height, item.outerHTML.slice(0, 80)])
"""
SEEN = "document.body.innerText.split(/\\s+/).filter(Boolean).length"
ABOVE = "document.querySelector('main').innerText.split(/\\s+/).filter(Boolean).length"
DROPPED = """
([name, text]) => {
  const dropped = new DataTransfer();
  dropped.items.add(new File([text], name, { type: "text/csv" }));
  return dropped;
}
"""


class Visit:
    """A page of a browser, with whatever its visitor must not meet."""

    def __init__(self, page: Any, size: str) -> None:
        self.page = page
        self.size = size
        self.faults: list[str] = []
        self.clicks = self.fields = self.words = 0
        page.add_init_script(WATCH)
        page.on("console", lambda message: message.type in ("error", "warning") and self.faults.append(message.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("requestfailed", self._note_failure)
        page.on("response", lambda answer: answer.status >= 400 and self.faults.append(f"{answer.status} {answer.url}"))

    def _note_failure(self, request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page itself closes the stream of a job that has ended
            self.faults.append(f"{request.url}: {request.failure}")

    def look(self, *visible: str, picture: str = "") -> None:
        """Check that texts are visible and that nothing on the page is in a visitor's way; keep a picture of it."""
        for text in visible:
            playwright.expect(self.page.get_by_text(text).locator("visible=true").first).to_be_visible()
        self.page.wait_for_timeout(300)  # what shifts, has shifted
        assert self.faults == []
        assert self.page.evaluate("window.shift") < MOST_SHIFT
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        found = axe.Axe().run(self.page).response["violations"]
        assert [item for item in found if item["impact"] != "minor"] == []
        if self.size == "phone":
            assert [item for item in self.page.evaluate(TARGETS) if item[0] < LEAST_TARGET] == []
        if PICTURES and picture:
            self.page.screenshot(path=f"{PICTURES}/{picture}.png")

    def read(self) -> None:
        """Count the words of a page that the visitor sees."""
        self.words += self.page.evaluate(SEEN)

    def click(self, target: Any) -> None:
        """Click, and count it."""
        self.clicks += 1
        target.click()

    def type(self, label: str, text: str) -> None:
        """Type into the field with a label, and count it."""
        self.fields += 1
        self.page.get_by_label(label).fill(text)

    def button(self, name: str) -> Any:
        """The only button with a name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def saved(self, link: str) -> str:
        """Content of the file that a link downloads."""
        with self.page.expect_download() as download:
            self.page.get_by_role("link", name=link, exact=True).click()
        return Path(download.value.path()).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@contextmanager
def visiting(chromium: Any, folder: Path, size: str, today: str = TODAY) -> Iterator[Visit]:
    """Open the address that ``pricerl serve`` prints for a folder."""
    with served(folder, today) as address:
        context = chromium.new_context(**SIZES[size])
        visit = Visit(context.new_page(), size)
        visit.page.goto(address)
        visit.page.wait_for_url(re.compile(r":\d+/$"))  # the token has left the address
        yield visit
        context.close()


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Lines of a year of a simulated seller, in dollars."""
    folder = tmp_path_factory.mktemp("export")
    assert run(folder, "simulate", "--out", "made.csv", *SELLER).code == 0
    lines = (folder / "made.csv").read_text(encoding="utf-8").splitlines()
    return [lines[0].replace("Product Price", "Product Price (USD)"), *(line for line in lines[1:] if line < TODAY)]


@pytest.fixture(scope="session")
def advised(export: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a shop that was advised once; no test may decide in it."""
    folder = tmp_path_factory.mktemp("advised")
    write_lines(folder / "garlic.csv", export)
    write_lines(folder / ".uploads", ["garlic.csv"])  # so the next week's export may take its place
    words = ("--data.path", "garlic.csv", "--run_name", "garlic", "--today", TODAY, *FAST)
    result = run(folder, "fit", *words, "--decision.compare_plan", "true")
    assert result.code == 0, result.err
    return folder


@pytest.fixture
def shop(advised: Path, tmp_path: Path) -> Path:
    """A copy of the folder with the advised shop."""
    return shutil.copytree(advised, tmp_path / "shops", symlinks=True)


def drop(visit: Visit, lines: list[str]) -> None:
    """Drop a file with the mouse, or choose it on a phone."""
    visit.page.wait_for_load_state()
    if visit.size == "desktop":
        dropped = visit.page.evaluate_handle(DROPPED, ["garlic.csv", "\n".join(lines)])
        visit.page.dispatch_event(".drop", "drop", {"dataTransfer": dropped})
    else:
        chosen = {"name": "garlic.csv", "mimeType": "text/csv", "buffer": "\n".join(lines).encode()}
        visit.clicks += 1
        visit.page.locator("input[type=file]").set_input_files(chosen)


def open_product(visit: Visit) -> None:
    """Open the shop, and its product."""
    visit.page.get_by_role("link", name="garlic", exact=True).click()
    visit.page.locator(".list").get_by_role("link", name="garlic", exact=True).click()
    visit.page.wait_for_url(re.compile("products/garlic"))


def test_a_dropped_file_is_read_and_a_wrong_column_corrected(chromium: Any, export: list[str], tmp_path: Path) -> None:
    with visiting(chromium, tmp_path, "phone") as visit:
        visit.look("Drop an export of your sales", "Try a sample shop")
        drop(visit, [export[0].replace("Total Sales", "Takings"), *export[1:]])
        visit.look("This needs an answer", "column 'Total Sales' is missing")
        visit.page.get_by_label("Takings").select_option("Total Sales")
        visit.button("Read again").click()
        visit.look("This is what we understood", "$30.37", "Name of the shop")
        visit.page.get_by_text("how each column was read").click()
        assert visit.page.get_by_label("Takings").input_value() == "Total Sales"


def test_a_sample_shop_is_read_with_one_click(chromium: Any, tmp_path: Path) -> None:
    with visiting(chromium, tmp_path, "desktop") as visit:
        visit.look("Oak and Linen")
        visit.click(visit.page.get_by_role("button", name="Oak and Linen"))
        visit.look("This is what we understood", "Oak candle, 250 g", "Advise 5 prices", picture="reading")
        assert visit.page.get_by_label("Name of the shop").input_value() == "Oak and Linen"
        visit.type("Unit cost for all", "30")
        visit.type("Fees for all", "15")
        assert visit.page.locator(".margin").all_inner_texts() == ["55 %"] * 5


@pytest.mark.slow
def test_from_a_dropped_file_to_the_downloaded_price_in_three_clicks(
    chromium: Any, export: list[str], tmp_path: Path
) -> None:
    with visiting(chromium, tmp_path, "desktop") as visit:
        visit.look("Drop an export of your sales")
        visit.read()
        drop(visit, export)
        visit.look("This is what we understood")
        visit.read()
        visit.page.get_by_label("Unit Cost of garlic").fill("-1")
        visit.button("Advise 1 price").click()
        playwright.expect(visit.page.get_by_text("Unit Cost: must")).to_be_visible()
        assert sorted(fault[:3] for fault in visit.faults) == ["400", "Fai"]  # refused, and so noted
        visit.faults.clear()
        visit.type("Unit Cost of garlic", "14")
        visit.type("Fees (% of the price) of garlic", "15")
        visit.click(visit.button("Advise 1 price"))
        visit.look("Working on your prices", "Learn how your customers react")
        assert "reading the history" not in visit.page.locator(".job").inner_text()
        visit.page.wait_for_url(re.compile("/shops/garlic$"), timeout=240_000)
        visit.look("price to decide", "Download prices.csv")
        visit.read()
        with visit.page.expect_download() as download:
            visit.click(visit.page.get_by_role("link", name="Download prices.csv"))
        assert re.search(r"\ngarlic,202\d-\d\d-\d\d,\d\d\.\d\d,USD,", Path(download.value.path()).read_text("utf-8"))
        assert visit.clicks <= MOST_CLICKS and visit.fields <= MOST_FIELDS and visit.words <= MOST_WORDS
        visit.page.locator(".list").get_by_role("link", name="garlic", exact=True).click()
        visit.page.get_by_text("Details for analysts").click()
        visit.look("unit cost 14.00")


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_a_price_is_tried_on_the_curve_approved_taken_and_undone(size: str, chromium: Any, shop: Path) -> None:
    with visiting(chromium, shop, size, "2025-12-27") as visit:
        open_product(visit)
        visit.look("Raise the price", "what if", "Decide", picture="product" if size == "desktop" else "")
        assert 100 < visit.page.evaluate(ABOVE) <= MOST_BEFORE_FOLD
        slider = visit.page.get_by_role("slider")
        before = visit.page.locator("#figures").inner_text()
        advised = visit.page.locator("#price").inner_text()
        for _ in range(5):
            slider.press("ArrowRight")
        tried = visit.page.locator("#price").inner_text()
        assert tried > advised and visit.page.locator("#figures").inner_text() != before
        visit.page.get_by_text("Another price").click()
        assert float(visit.page.get_by_label("Price, USD").input_value()) == float(tried.strip("$"))
        visit.look("Charge this price")
        for _ in range(5):
            slider.press("ArrowLeft")
        assert visit.page.locator("#price").inner_text() == advised
        assert visit.page.locator("#figures").inner_text() == before
        visit.page.get_by_text("Add a note").click()
        visit.page.get_by_label("By", exact=True).first.fill("anna")
        visit.page.get_by_role("button", name=f"Approve {advised}").click()
        visit.look("Undo the approval", f"You charge {advised}", "approval")
        visit.page.get_by_role("link", name="Prices").first.click()
        visit.look("1 price changes", "Undo")
        assert re.search(rf"garlic,2025-12-\d\d,{advised.strip('$')},USD,", visit.saved("Download prices.csv"))
        visit.page.get_by_role("link", name="History").click()
        visit.look("approval", "anna")
        visit.page.get_by_role("link", name="garlic", exact=True).click()
        visit.button("Undo the decision on garlic").click()
        playwright.expect(visit.button("Approve")).to_be_visible()
        visit.page.get_by_role("link", name="Settings").click()
        visit.look("Advised prices: at once")


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_the_fresh_export_of_the_next_week_shows_what_happened_and_what_to_do(
    size: str, chromium: Any, shop: Path, export: list[str]
) -> None:
    days = json.loads((shop / "checkpoints/garlic/advice.json").read_text(encoding="utf-8"))["products"][0]["days"][1:6]
    charged = [f"{day['date']},{day['recommended_price']:.2f},,,,{2 * day['recommended_price']:.2f}," for day in days]
    with visiting(chromium, shop, size, "2026-01-01") as visit:
        visit.look("data until")
        visit.click(visit.page.get_by_role("link", name="garlic", exact=True))
        drop(visit, [*export, *charged])
        visit.look("Working on your prices")
        playwright.expect(visit.page.locator(".job")).to_be_hidden(timeout=180_000)
        visit.look("the stop rule has triggered", "so the model is stopped")
        visit.page.get_by_role("link", name="What happened").click()
        visit.look("fewer units than forecast were sold", "Band: expected", picture="week" if size == "desktop" else "")
        assert visit.page.locator("svg .missed").count() == 1
        assert visit.clicks <= 2


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_many_products_are_decided_with_one_sum_of_money_and_by_keys(
    size: str, chromium: Any, export: list[str], tmp_path: Path
) -> None:
    """A sample shop on a desktop, of which a picture is taken, and hostile names on a phone."""
    lines = [f'"{name}",{row}' for name in HOSTILE for row in export[200:]]
    sample = write_sample("Oak and Linen", date.fromisoformat(TODAY)).splitlines()
    write_lines(tmp_path / "many.csv", sample if size == "desktop" else [f"Product,{export[0]}", *lines])
    name = "Oak and Linen" if size == "desktop" else "many"
    words = ("--data.path", "many.csv", "--run_name", name, "--today", TODAY, "--decision.approval", "manual", *FAST)
    assert run(tmp_path, "fit", *words).code in (0, 4)
    with visiting(chromium, tmp_path, size) as visit:
        visit.page.goto(f"{visit.page.url}shops/{name}")
        visit.look(*(("Linen spray",) if size == "desktop" else ("Tea cup", "dlo", HOSTILE[0])))
        assert visit.page.get_by_role("searchbox").count() == 0, "a search is for long lists"
        boxes = visit.page.locator(".pick input")
        assert boxes.count() >= 2 and all(boxes.nth(at).is_checked() for at in range(boxes.count()))
        for at in range(2, boxes.count()):
            boxes.nth(at).uncheck()
        visit.look("2 selected", "of sales per day", picture="list" if size == "desktop" else "")
        visit.button("Approve 2 prices").click()
        visit.look("2 prices change", "Download prices.csv")
        visit.page.keyboard.press("j")
        visit.page.keyboard.press("j")
        visit.page.keyboard.press("k")
        focused = visit.page.evaluate("document.activeElement.textContent")
        assert focused == visit.page.locator(".list th a").first.inner_text()
        visit.page.keyboard.press("o")
        visit.page.wait_for_url(re.compile(r"products/.*\?another=1$"))
        visit.look("Charge this price")
