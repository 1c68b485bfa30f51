"""The shop that dropped files belong to, whatever their names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import run, seller_lines, write_lines
from served_shop import TODAY, program_of

from pricerl.serve.workplace import Workplace

HEAD, *DAYS = seller_lines(97)
WEEK = [HEAD, *DAYS[-7:]]
"""The week after the days of the shop ``seller``."""


def product_lines(name: str, seed: int) -> list[str]:
    return seller_lines(97, product=name, seed=seed)


def shop_of(folder: Path, *lines: list[str]) -> str:
    """Return the shop of a file with some lines under a name of its own."""
    write_lines(folder / "monday.csv", [*lines[0], *(line for more in lines[1:] for line in more[1:])])
    reading = Workplace(folder, TODAY).read(["monday.csv"])
    return f"refused: {reading.refusal}" if reading.refusal else reading.shop


@pytest.fixture
def team(folder: Path) -> Path:
    """The folder, with a second shop that has two named products."""
    write_lines(folder / "team.csv", [*product_lines("Mug", 1)[:91], *product_lines("Cap", 2)[1:91]])
    assert run(folder, "add", "team.csv", "--run_name", "team").code == 0
    return folder


def test_files_belong_to_the_shop_with_their_products(team: Path) -> None:
    mugs, caps, hats = (product_lines(name, seed) for name, seed in (("Mug", 1), ("Cap", 2), ("Hat", 3)))
    for lines in ([mugs], [mugs[:1], mugs[-7:]], [hats, caps]):
        assert shop_of(team, *lines) == "team"
    assert shop_of(team, hats) == "monday"
    assert "read before changed" in shop_of(team, product_lines("Mug", 5))


def test_days_without_a_product_belong_to_the_only_shop_with_one_that_they_join(team: Path) -> None:
    assert shop_of(team, seller_lines(), WEEK) == shop_of(team, WEEK) == "seller"
    assert shop_of(team, seller_lines(seed=2)) == "monday"  # other values on the same days
    shutil.copytree(team / "checkpoints/seller", team / "checkpoints/other")
    assert shop_of(team, seller_lines(), WEEK) == "monday"


def test_the_page_names_the_shop_and_an_advice_goes_to_it(folder: Path, started: list[list[str]]) -> None:
    browser = program_of(folder, "approver")
    costs = [{"product": "seller", "unit_cost": 4.0}]
    assert browser.put("/api/costs", json={"rows": costs}).status_code == 200
    for lines, shop, said in (
        (WEEK, "seller", 'adds 7 days to <a href="/shops/seller">'),
        (seller_lines(97, seed=2), "monday", 'name="shop" type="text" value="monday"'),
    ):
        write_lines(folder / "monday.csv", lines)
        assert said in browser.get("/files?name=monday.csv").text
        assert browser.post("/api/advise", json={"files": ["monday.csv"]}).json() == {"job": 7}
        command = started.pop()
        assert f"--run_name={shop}" in command
        assert any("unit_cost" in word for word in command) == (shop == "seller")
    write_lines(folder / "monday.csv", WEEK)
    taken = browser.post("/api/advise", json={"files": ["monday.csv"], "shop": "seller"})
    assert taken.status_code == 400 and "give the new one another name" in taken.json()["detail"]
    assert browser.post("/api/advise", json={"files": ["monday.csv"], "shop": "../x"}).status_code == 400
    assert browser.post("/api/advise", json={"files": ["monday.csv"], "shop": "Oak and Linen"}).status_code == 200
    assert "--run_name=Oak and Linen" in started.pop()
    limited = browser.post("/api/advise", json={"files": ["monday.csv"], "limits": {"max_change": 0.04}})
    assert limited.status_code == 400 and "seller is a shop" in limited.json()["detail"]
