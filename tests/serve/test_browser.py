"""The first visit and the next week in a real browser, at the sizes of a desktop and a phone.

With ``PICTURES=docs/images`` the same tests write the pictures of the documents.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM
from command_line import FAST, run, write_lines
from served_shop import served

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
            playwright.expect(self.page.get_by_text(text).first).to_be_visible()
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


def drop(visit: Visit, lines: list[str], button: str) -> None:
    """Drop a file with the mouse, or choose it on a phone and press the button."""
    visit.page.wait_for_load_state()
    if visit.size == "desktop":
        dropped = visit.page.evaluate_handle(DROPPED, ["garlic.csv", "\n".join(lines)])
        visit.page.dispatch_event(".drop", "drop", {"dataTransfer": dropped})
    else:
        chosen = {"name": "garlic.csv", "mimeType": "text/csv", "buffer": "\n".join(lines).encode()}
        visit.page.locator("input[type=file]").set_input_files(chosen)
        visit.button(button).tap()


def correct(visit: Visit, lines: list[str]) -> None:
    """Drop a file whose sales have an unknown name, and say which column they are."""
    visit.look("Drop files here", picture="drop" if visit.size == "desktop" else "")
    drop(visit, [lines[0].replace("Total Sales", "Takings"), *lines[1:]], "Read")
    visit.look("How your file was read", "column 'Total Sales' is missing")
    visit.page.get_by_label("Takings").select_option("Total Sales")
    visit.button("Read again").click()
    visit.look("$30.37", "PASS", picture="reading" if visit.size == "desktop" else "")


def test_a_dropped_file_is_read_and_a_wrong_column_corrected(chromium: Any, export: list[str], tmp_path: Path) -> None:
    with visiting(chromium, tmp_path, "phone") as visit:
        correct(visit, export)
        visit.page.get_by_text("Columns: how each was read").click()
        assert visit.page.get_by_label("Takings").input_value() == "Total Sales"


@pytest.mark.slow
def test_what_was_typed_is_kept_before_the_advice_and_its_progress_is_shown(
    chromium: Any, export: list[str], tmp_path: Path
) -> None:
    with visiting(chromium, tmp_path, "desktop") as visit:
        correct(visit, export)
        visit.page.get_by_label("Unit Cost of garlic").fill("-1")
        visit.page.get_by_label("The largest change at one decision").fill("4")
        visit.button("Advise").click()
        playwright.expect(visit.page.get_by_text("Unit Cost: must")).to_be_visible()
        assert sorted(fault[:3] for fault in visit.faults) == ["400", "Fai"]  # refused, and so noted
        visit.faults.clear()
        visit.page.get_by_label("Unit Cost of garlic").fill("14")
        visit.button("Advise").click()
        visit.look("Progress", "reading the history")
        visit.page.get_by_text("Show the result").click(timeout=240_000)
        visit.look("Raise the price from $30.37 to", "unit cost 14.00", "Import forms follow on")


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_a_price_is_tried_approved_taken_and_undone(size: str, chromium: Any, shop: Path) -> None:
    with visiting(chromium, shop, size, "2025-12-27") as visit:
        visit.page.get_by_role("link", name="garlic", exact=True).click()
        visit.look("Raise the price", "What if", "Decide", picture="product" if size == "desktop" else "phone")
        slider = visit.page.get_by_role("slider")
        before = visit.page.locator("#figures").inner_text()
        advised = visit.page.locator("#price").inner_text()
        for _ in range(5):
            slider.press("ArrowRight")
        tried = visit.page.locator("#price").inner_text()
        assert tried > advised and visit.page.locator("#figures").inner_text() != before
        assert float(visit.page.get_by_label("Price, USD").input_value()) == float(tried.strip("$"))
        visit.page.get_by_label("By").first.fill("anna")
        visit.button("Approve").click()
        visit.look("Undo the approval", "Prices to charge: 1")
        assert re.search(rf"garlic,2025-12-\d\d,{advised.strip('$')},USD,", visit.saved("prices.csv"))
        assert advised.strip("$") in visit.saved("eBay") and "30.37" in visit.saved("undo the file for eBay")
        visit.page.get_by_role("link", name="History").click()
        visit.look("approval", "anna")
        visit.page.get_by_role("link", name="garlic", exact=True).click()
        visit.button("Undo the approval").click()
        playwright.expect(visit.button("Approve")).to_be_visible()
        visit.page.get_by_text("Keep the price for now").click()
        visit.look("Pause")


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_the_fresh_export_of_the_next_week_shows_what_happened_and_what_to_do(
    size: str, chromium: Any, shop: Path, export: list[str]
) -> None:
    charged = [f"2025-12-{day},31.88,,,,63.76," for day in range(27, 32)]
    with visiting(chromium, shop, size, "2026-01-01") as visit:
        visit.page.get_by_role("link", name="garlic", exact=True).click()
        drop(visit, [*export, *charged], "Check and advise")
        visit.look("Progress")
        visit.page.get_by_text("Show the result").click(timeout=120_000)
        shown = ("the stop rule has triggered", "so the model is stopped", "Track record")
        visit.look(*shown, picture="week" if size == "desktop" else "")
        visit.page.get_by_role("link", name="Review of past advice").click()
        visit.look("fewer units than forecast were sold")


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_a_work_list_of_hostile_names_is_filtered_and_leads_to_its_products(
    size: str, chromium: Any, export: list[str], tmp_path: Path
) -> None:
    rows = export[200:]
    lines = [f'"{name}",{row}' for name in HOSTILE for row in rows]
    write_lines(tmp_path / "many.csv", [f"Product,{export[0]}", *lines])
    assert run(tmp_path, "fit", "--data.path", "many.csv", "--run_name", "many", "--today", TODAY, *FAST).code in (0, 4)
    with visiting(chromium, tmp_path, size) as visit:
        visit.page.goto(f"{visit.page.url}shops/many")
        visit.look("Tea cup", "dlo", HOSTILE[0], picture="list" if size == "desktop" else "")
        visit.page.get_by_role("searchbox", name="Product").fill("tea")
        visit.page.get_by_role("searchbox", name="Product").press("Enter")
        visit.page.get_by_role("link", name="Tea cup").first.click()
        visit.look("Tea cup", "What if", "All products")
