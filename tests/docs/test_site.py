"""The site builds without a warning and stays short, its blocks and examples run, and its drawings are true."""

from __future__ import annotations

import argparse
import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from itertools import dropwhile
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from command_line import run, write_lines

from pricerl.cli import advise, loading, parse, usage
from pricerl.decide.chain import DECIDERS
from pricerl.market.demand.averaging import BIASES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md") if not path.is_relative_to(DOCS / "reference")
)
"""Pages written by hand."""

MOST_WORDS = 25_000
MOST_WORDS_PER_SENTENCE = 18

TODAY = "2026-01-08"
"""The day after the last of ``fresh.csv``, which the folder's commands take as today."""

STAND_IN = f"""import sys
from datetime import date

from pricerl.cli.main import main
from pricerl.operations import shop

shop.system_day = lambda: date.fromisoformat("{TODAY}")
if __name__ == "__main__":
    code = main()
    sys.exit(0 if code in (4, 6, 7) else code)
"""
"""``main.py`` on a fixed day, so that the days that a page names stay in the future; findings are not failures."""

RUNNER = r"""import re, subprocess, sys
names = {"__name__": "__main__"}
for kind, block in re.findall(r"^```(bash|python)\n(.*?)^```", sys.stdin.read(), re.M | re.S):
    print(block, flush=True)
    if kind == "python":
        exec(compile(block, "page", "exec"), names)
    else:
        subprocess.run(["bash", "-euo", "pipefail", "-c", block], check=True)
"""
"""Runs the blocks of a page in order; those in Python share their names."""


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """Words of each call of the command line in the bash and console blocks of a page, without the command's name."""
    text = text.replace("\\\n", " ")
    prompts = [line[2:] for block in blocks(text, "console") for line in block.splitlines() if line.startswith("$ ")]
    found = []
    for line in [*prompts, *(line for block in blocks(text, "bash") for line in block.splitlines())]:
        if not re.search(r"pricerl|main\.py", line):
            continue
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        parts: list[list[str]] = [[]]
        for word in lexer:
            if re.fullmatch("[;&|<>]+", word):
                parts.append([])
            else:
                parts[-1].append(word)
        for part in parts:
            words = list(dropwhile(lambda word: re.match(r"\w+=", word), part))
            for name in (["pricerl"], ["python", "main.py"], ["python", "-m", "pricerl"]):
                if words[: len(name)] == name:
                    found.append(words[len(name) :])
    return found


def parsed(parser: Any, words: Any = None, namespace: Any = None) -> None:
    """Parse a command and end it, instead of going on."""
    options, rest = argparse.ArgumentParser.parse_known_args(parser, words, namespace)
    if rest and "files" not in options:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    raise SystemExit


def parsed_in_part(parser: Any, words: Any = None, namespace: Any = None) -> Any:
    """Parse the options of a command that hands the others to ``predict``, and end it."""
    options, rest = argparse.ArgumentParser.parse_known_args(parser, words, namespace)
    if parser.prog.strip() == "pricerl":  # looks for some options only
        return options, rest
    loading.given_settings("predict", rest)
    raise SystemExit


def parsed_run(cli: Any, kept: Any, real: Any = parse.PricingCLI._parse) -> None:
    real(cli, kept)
    raise SystemExit


def files(folder: Path, days: int) -> None:
    """Write the files that the commands of the pages name."""
    for name, more in {"sales": (), "fresh": ("--days", str(days + 7)), "catalogue": ("--products", "3")}.items():
        assert run(folder, "simulate", "--out", f"{name}.csv", "--days", str(days), *more).code == 0
    lines = {name: (folder / f"{name}.csv").read_text(encoding="utf-8").splitlines() for name in ("sales", "fresh")}
    write_lines(folder / "fresh.csv", [*lines["sales"], *lines["fresh"][-7:]])
    write_lines(folder / "costs.csv", ["Product,Unit Cost", "sales,20.00"])
    write_lines(folder / "stock.csv", ["Product,In Stock,Lead Time", "sales,900,14 days"])
    orders = [line.split(",") for line in lines["sales"][1:]]
    rows = [
        f"{day},{at},Mug,{float(total) / float(price):.0f},{price}"
        for at, (day, price, *_, total, _) in enumerate(orders)
    ]
    write_lines(folder / "orders.csv", ["Order Date,Order,Product,Quantity,Unit Price", *rows])
    write_lines(folder / "main.py", [STAND_IN])
    for name in ("configs", "docs"):
        (folder / name).symlink_to(ROOT / name)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that commands name and the parser reads."""
    folder = tmp_path_factory.mktemp("desk")
    files(folder, days=60)
    assert run(folder, "init").code == 0  # guardrails.yaml
    return folder


@pytest.fixture
def only_parses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands end once their words are parsed."""
    for name in ("parse_args", "parse_intermixed_args"):
        monkeypatch.setattr(usage.Parser, name, parsed)
    for name in ("parse_known_args", "parse_known_intermixed_args"):
        monkeypatch.setattr(usage.Parser, name, parsed_in_part)
    monkeypatch.setattr(loading, "load_run", lambda *_: sys.exit())
    monkeypatch.setattr(advise, "begin_run", lambda *_: sys.exit())
    monkeypatch.setattr(parse.PricingCLI, "_parse", parsed_run)
    stored = SimpleNamespace(settings={"data": {}}, path="", check_settings=lambda usual: None)
    monkeypatch.setattr(parse, "find_checkpoint", lambda given: (stored, None))


@pytest.mark.usefixtures("only_parses")
@pytest.mark.parametrize("page", [*PAGES, "README.md"])
def test_every_command_of_a_page_parses(page: str, desk: Path) -> None:
    for words in commands((ROOT / page).read_text(encoding="utf-8")):
        own = "--allow" in words  # the settings of a package of one's own are known to it alone
        result = run(desk, *words, *(["--help"] if own else []))
        assert result.code == 0, f"{' '.join(words)}: {result.err}"


@pytest.mark.usefixtures("only_parses")
def test_a_command_that_does_not_parse_is_found(desk: Path) -> None:
    text = "```bash\nX=1 pricerl fit --horizons 3 > out && pricerl watch --dat x\n```\n"
    text += "```console\n$ pricerl pause\n```\n"
    assert commands(text) == [["pause"], ["fit", "--horizons", "3"], ["watch", "--dat", "x"]]
    assert [run(desk, *words).code for words in commands(text)] == [2, 2, 2]


def sentences(text: str) -> list[str]:
    """Sentences and items of the prose of a page: no code blocks, tables, headings, comments and targets."""
    text = re.sub(r"^ *```.*?^ *```|<!--.*?-->", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^([#|!]|\(\S+\)=).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"`+[^`]+`+", "code", re.sub(r"\]\([^)]*\)", "]", text))
    paragraphs = re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.)\s)", text)
    parts = [part for paragraph in paragraphs for part in re.split(r"(?<=[.!?])[*_]*\s+", paragraph)]
    return [part for part in parts if re.search(r"\w", part)]


def words_in(text: str) -> int:
    return len(re.findall(r"\S*\w\S*", text))


def test_the_counter_of_sentences_leaves_out_tables_code_and_headings() -> None:
    text = "# A head\n\nOne `a b` here. [Two](x.md#y) words!\n\n| a | b |\n\n```bash\nls\n```\n"
    text += "- an item\n- **Bold.** Two\n  lines.\n"
    assert [words_in(sentence) for sentence in sentences(text)] == [3, 2, 2, 1, 2]


def test_the_pages_hold_no_more_words_than_a_reader_can_take_in_short_sentences() -> None:
    texts = [(ROOT / page).read_text(encoding="utf-8") for page in PAGES]
    assert sum(len(text.split()) for text in texts) <= MOST_WORDS
    found = [sentence for text in texts for sentence in sentences(text)]
    assert sum(map(words_in, found)) / len(found) <= MOST_WORDS_PER_SENTENCE


@pytest.mark.parametrize("page", PAGES)
def test_the_site_shows_every_line(page: str) -> None:
    text = re.sub(r"^ *```.*?^ *```|`[^`]+`", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.M | re.S)
    assert not re.findall(r"^ *%.*|\$.+?\$", text, re.M), "a comment, or a formula without its signs"


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    assert find_spec("myst_parser") and find_spec("furo"), "install the extra docs as a whole"
    build = [sys.executable, "-m", "sphinx", "-n", "-W", "--keep-going", "-q", "-b", "html", DOCS, tmp_path]
    done = subprocess.run(build, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr[-4000:]
    pages = [path.read_text(encoding="utf-8") for path in (tmp_path / "reference").glob("api*.html")]
    text = re.sub("<[^>]+>", "", "".join(pages))
    assert "= SACConfig()" in text and "ISO 4217 code of the prices: written" in text
    assert "Alias for field" not in text and not re.search(r"^Type:$", text, re.M)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder as the pages describe it, with the first advice, and the environment of its commands."""
    folder = tmp_path_factory.mktemp("shop")
    files(folder, days=365)
    (tools := folder / "tools").mkdir()
    (tools / "pricerl").write_text(f'#!/bin/sh\nexec "{sys.executable}" main.py "$@"\n', encoding="utf-8")
    (tools / "python").symlink_to(sys.executable)
    (tools / "pricerl").chmod(0o755)
    path = os.pathsep.join([str(tools), os.environ["PATH"]])
    places = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"}
    subprocess.run(["pricerl", "advise", "sales.csv"], cwd=folder, env=environment, check=True, timeout=1800)
    return folder, environment


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run_as_written(page: str, shop: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    if not blocks(text, "bash") and not blocks(text, "python"):
        pytest.skip("no block runs")
    shutil.copytree(shop[0], folder := tmp_path / "shop", symlinks=True)
    words = [sys.executable, "-c", RUNNER]
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "timeout": 1800}
    done = subprocess.run(words, cwd=folder, env=shop[1], input=text, check=False, **options)
    assert done.returncode == 0, done.stdout[-4000:]


CONCEPTS = (DOCS / "concepts.md").read_text(encoding="utf-8")
DRAWINGS = re.findall(r"^!\[.+\]\((images/[a-z]+\.svg)\)$", CONCEPTS, re.MULTILINE)


def words_of(drawing: str, kind: str = "") -> list[str]:
    """Texts of a drawing in order, of one class or of all."""
    texts = ElementTree.parse(DOCS / drawing).iter("{http://www.w3.org/2000/svg}text")
    return [text.text or "" for text in texts if kind in text.get("class", "")]


def test_the_drawing_of_deciders_has_all_of_them_in_their_order() -> None:
    names = [decider.__name__ for decider in DECIDERS]
    assert words_of("images/deciders.svg", "name") == ["proposal", *names]


def test_every_concept_has_a_drawing_with_a_title_two_schemes_of_colours_and_none_outside_of_them() -> None:
    assert len(DRAWINGS) == len(re.findall("^## ", CONCEPTS, re.MULTILINE)) == 5
    for drawing in DRAWINGS:
        style, _, rest = (DOCS / drawing).read_text(encoding="utf-8").partition("</style>")
        assert "<title>" in style and "@media (prefers-color-scheme: dark)" in style, drawing
        assert words_of(drawing) and not re.search(r"#[0-9a-f]{3,6}\b", rest), drawing


def test_the_table_of_biases_is_that_of_the_code() -> None:
    rows = re.findall(
        r"^\| `([a-z ]+)` \|.*\| (-?[\d.]+) \| ([\d.]+) \|$", (DOCS / "method.md").read_text("utf-8"), re.MULTILINE
    )
    assert {kind: (float(mean), float(sd)) for kind, mean, sd in rows} == BIASES


EXAMPLES = DOCS / "examples"
PRINTED = {
    "quarter": r"advice: [\d.]+ per day",
    "catalogue": r"product-40",
    "price_test": r"proven",
    "demand_model": r"faithful: ",
    "gymnasium_run": r"return -\d+; the video is in videos/",
}
"""What each example prints at its end."""
NEEDED = {"catalogue": ("distributed",), "gymnasium_run": ("pygame", "moviepy")}
"""Packages that an example needs in addition to those of pricerl."""


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_is_a_notebook_of_texts_and_code(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    cells = re.split(r"^# %%", text, flags=re.MULTILINE)[1:]
    texts = [cell for cell in cells if cell.startswith(" [markdown]")]
    assert len(texts) >= 2 and len(cells) > len(texts)
    assert all(ast.parse(cell.partition("\n")[2]) for cell in cells if cell not in texts)
    assert all(re.fullmatch(r" \[markdown\]\n(#[^\n]*\n)+\n*", cell) for cell in texts)


@pytest.mark.slow
@pytest.mark.parametrize("name", PRINTED)
def test_an_example_runs(name: str, tmp_path: Path) -> None:
    if lacking := [package for package in NEEDED.get(name, ()) if find_spec(package) is None]:
        pytest.skip(f"needs {', '.join(lacking)}")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "SDL_VIDEODRIVER": "dummy"}
    command = [sys.executable, str(EXAMPLES / f"{name}.py")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    assert re.search(PRINTED[name], done.stdout), done.stdout
