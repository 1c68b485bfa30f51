"""The documents say what the code says."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from generate import PAGES as GENERATED
from generate import REFERENCE
from own_package import PARTS

from pricerl import errors
from pricerl.advice.files import COLUMNS
from pricerl.cli.main import COMMANDS, SIGNALS
from pricerl.cli.settings_help import GROUPS, settings_of
from pricerl.data.features import FEATURES
from pricerl.data.reading.columns import OPTIONAL, REQUIRED
from pricerl.decide.decision import Grade
from pricerl.evaluation.backtest import HorizonScore
from pricerl.evaluation.scores import EpisodeScores, PathScores, ReturnScores
from pricerl.market.reward import PRESETS
from pricerl.training.pricing_data import PricingDataModule

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pricerl"
WRITTEN = [*ROOT.glob("*.md"), *(path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != REFERENCE)]
DOCUMENTS = sorted(path.relative_to(ROOT).as_posix() for path in WRITTEN)

MAIN_JOB = "pip install -e . && python main.py fit --config configs/quickstart.yaml"
TESTS = 'pip install -e ".[test]" && python -m pytest -n 2'

OUTSIDE = ("docs/", "tests/", "configs/", "benchmarks/")
"""Folders next to the package; the table of changes names everything else relative to the package."""

WRITTEN_BY_A_RUN = {"config.yaml", "replay-0.pt", "card.md", "guardrails.yaml", "columns.yaml", "review.html"}
"""Files that the documents name and only a command makes."""


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def bash_lines(text: str) -> list[str]:
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def table_rows(text: str) -> list[list[str]]:
    """Cells of every table row but the dashes below a head."""
    rows = [line.strip().strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows if set("".join(row)) - set("-: ")]


def coded_rows(text: str) -> list[str]:
    """First cells of table rows that begin with code, without its marks."""
    return [row[0].strip("`") for row in table_rows(text) if row[0].startswith("`")]


def files_named(text: str) -> set[str]:
    """Files of the repository that a document names in code, in commands and in links."""
    code = [span for span in re.findall(r"`([^`\n]+)`", text) if re.fullmatch(r"[\w./-]+", span)]
    paths = [span for span in code if re.search(r"\.(py|yaml|md|cfg|toml|html)$|^\.ci/|/$", span)]
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    commands = re.findall(r"(?:configs|benchmarks|tests|docs)/[\w./-]*\w", text)
    written = {*WRITTEN_BY_A_RUN, "report.html", "open.html"}
    made = ("checkpoints/", f"{REFERENCE}/")
    return {name for name in (*paths, *links, *commands) if name not in written and not any(x in name for x in made)}


def content_of(path: Path) -> str | None:
    """Text of a document, also of one that the build generates; empty for other files, None for those that lack."""
    if path.parent.name == REFERENCE and path.stem in GENERATED:
        return GENERATED[path.stem]()
    return None if not path.exists() else path.read_text(encoding="utf-8") if path.suffix == ".md" else ""


def broken_links(path: Path, text: str) -> list[str]:
    """Links of a document that lead to no file, or to no heading of it; addresses elsewhere are not followed."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)):
        name, _, anchor = link.partition("#")
        content = text if not name or "://" in link else content_of(path.parent / name)
        headings = re.findall(r"^#+ (.*)$", content or "", re.MULTILINE)
        slugs = [re.sub(r"[^\w\s-]", "", head).strip().lower().replace(" ", "-") for head in headings]
        if content is None or ("://" not in link and anchor and anchor not in slugs):
            broken.append(link)
    return broken


def metric_names() -> set[str]:
    """Names under which the training code and the evaluation log."""
    names = {f"eval/{name}" for name in (*EpisodeScores._fields, *PathScores._fields, *ReturnScores._fields)}
    names.add(f"eval/{PricingDataModule.monitor}")
    for path in sorted((PACKAGE / "training").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and re.fullmatch(r"(train|time)/\w+", str(node.value)):
                names.add(str(node.value))
            if isinstance(node, ast.FunctionDef) and node.name in ("_counters", "score"):
                keys = [key for inner in ast.walk(node) if isinstance(inner, ast.Dict) for key in inner.keys]
                keys += [inner.slice for inner in ast.walk(node) if isinstance(inner, ast.Subscript)]
                prefix = "eval/" if node.name == "score" else ""
                names |= {f"{prefix}{key.value}" for key in keys if isinstance(key, ast.Constant) and key.value != 0}
            if isinstance(node, ast.Dict) and path.name == "module.py":
                rates = [str(key.value) for key in node.keys if isinstance(key, ast.Constant)]
                names |= {f"train/{name}_lr" for name in rates if rates == ["critic", "actor", "alpha"]}
    return names


def test_the_readme_holds_the_two_commands_as_written_and_nothing_installs_the_bare_name_from_an_index() -> None:
    assert [line for line in bash_lines(read("README.md")) if "install" in line] == [MAIN_JOB, TESTS]
    assert {text: found for text in TEXTS if (found := INSTALLS_BY_NAME.findall(read(text)))} == {}


def test_the_generated_page_of_commands_has_every_command_with_all_of_its_options_and_every_exit_code() -> None:
    page = GENERATED["commands"]()
    heads = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert {head.split()[0] for head in heads[1:]} == set(COMMANDS)
    named = re.findall(r"(?:python main\.py|pricerl) ([a-z][\w-]*)", "\n".join(bash_lines(read("README.md"))))
    assert {*named} <= {*COMMANDS}
    part = page.partition("## override\n")[2].partition("\n## ")[0]
    options = {"run_name", "ckpt_path", "today", "product", "reason", "by", "until", "price", "tolerance", "force"}
    assert {row[0].strip("`-") for row in table_rows(part)[1:]} == options
    codes = {str(value) for name, value in vars(errors).items() if name.startswith("EXIT_")}
    codes |= {str(128 + number) for number in SIGNALS}
    assert {row[0] for row in table_rows(page) if row[0].isdigit()} == codes


def test_the_generated_page_of_configurations_has_every_shipped_file_and_setting() -> None:
    page = GENERATED["configuration"]()
    files = {path.relative_to(ROOT / "configs").as_posix() for path in (ROOT / "configs").rglob("*.yaml")}
    assert {*re.findall(r"^### (.*)$", page, re.MULTILINE)} == files
    assert {*re.findall(r"^\| \[`configs/(.*?)`\]\(", page, re.MULTILINE)} == files
    assert all(f"`{preset}`" in page for preset in PRESETS)
    settings = {name for group in ("", *GROUPS) for name in settings_of(group)}
    assert {*coded_rows(page)} == settings


def test_the_page_on_the_page_explains_every_grade_and_the_one_on_data_every_column_and_feature() -> None:
    first_cells = [row[0] for row in table_rows(read("docs/page.md"))]
    assert [cell for cell in first_cells if cell in Grade.__args__] == list(Grade.__args__)
    rows = table_rows(read("docs/data.md"))
    columns = {row[0].strip("`"): row[1] for row in rows if row[1] in ("required", "optional")}
    assert columns == {**dict.fromkeys(REQUIRED, "required"), **dict.fromkeys(OPTIONAL, "optional")}
    assert tuple(row[0].strip("`") for row in rows if row[0].strip("`") in FEATURES) == FEATURES


def test_the_generated_pages_of_schemas_have_every_column_and_key() -> None:
    page = GENERATED["schemas"]() + GENERATED["log-schema"]()
    assert ", ".join(f"`{column}`" for column in COLUMNS.split(",")) in page
    found = set[str]()
    for place in ("advice/advice.schema.json", "operations/log/decisions.schema.json"):
        text = (PACKAGE / place).read_text(encoding="utf-8")
        json.loads(text, object_hook=lambda part: found.update(part.get("properties", ())) or part)
    assert len(found) > 100 and not found - {*coded_rows(page)}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_names_files_and_headings_that_exist_in_short_lines_and_no_absolute_path(document: str) -> None:
    above = (ROOT, PACKAGE, (ROOT / document).parent)
    content = read(document)
    assert not [name for name in files_named(content) if not any((folder / name).exists() for folder in above)]
    assert broken_links(ROOT / document, content) == []
    text = re.sub(r"^```.*?^```", "", content, flags=re.MULTILINE | re.DOTALL)
    assert not [line for line in text.splitlines() if len(line) > 120 and not line.startswith(("|", "!["))]
    assert not re.search(r"(?<![\w.:/…>])/(?:home|root|tmp|work|usr|mnt)\b", content)


def test_the_table_of_changes_names_files_as_they_are_under_the_package() -> None:
    table = read("CONTRIBUTING.md").partition("## Where a change goes")[2]
    places = [name for row in table_rows(table) for name in re.findall(r"`([\w./-]+\.\w+)`", row[1])]
    assert places
    assert not [name for name in places if not (ROOT if name.startswith(OUTSIDE) else PACKAGE).joinpath(name).exists()]


def test_the_classes_of_the_page_on_the_library_are_those_that_a_test_runs() -> None:
    blocks = re.findall(r"^```python\n(class .*?)^```", read("docs/library.md"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2 and all(block in PARTS for block in blocks)


def test_the_architecture_names_every_package_and_the_first_documents_stay_short() -> None:
    packages = {path.parent.relative_to(PACKAGE).parts[0] for path in PACKAGE.glob("*/__init__.py")}
    assert not [name for name in packages if f"{name}/" not in read("ARCHITECTURE.md")]
    lines = {name: len(read(name).splitlines()) for name in ("README.md", "ARCHITECTURE.md")}
    assert lines["README.md"] <= 110 and lines["ARCHITECTURE.md"] <= 130


def test_the_tables_of_scores_and_metrics_list_exactly_those_of_the_code() -> None:
    assert sorted(coded_rows(read("docs/backtest.md"))) == sorted(HorizonScore._fields)
    assert sorted(coded_rows(read("docs/metrics.md"))) == sorted(metric_names())


TEXTS = [*DOCUMENTS, *(str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*") if path.suffix in (".py", ".html"))]
INSTALLS_BY_NAME = re.compile(r"\b(?:pipx?|uvx?)\s+(?:install|run)\b[^\n`&|;]*?(?<![\w./-])pricerl(?![\w/.-])")
"""Installation of the bare name from an index, where anybody may take it: extras are those of the checkout or wheel."""


def test_the_ci_script_is_executable_and_parses() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)], check=False, timeout=20).returncode == 0


NAME = re.compile(r"[\w-]+\.(csv|jsonl?|head|ya?ml|ckpt|html|parquet)|\.lock")
TEMPLATES = {"index.html", "column_names.yaml", "tables.yaml", *(page.name for page in PACKAGE.glob("serve/*.html"))}
"""Parts of the package that are no files of a user; the page made from the template is in the table."""


def test_every_file_that_the_package_names_is_in_the_table_of_security() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")]
    texts = [str(node.value) for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    names = {text for text in texts if NAME.fullmatch(text)} - TEMPLATES
    assert {"best.ckpt", "decisions.jsonl"} <= names
    assert not [name for name in names if f"`{name}`" not in read("SECURITY.md")]


def test_the_results_of_the_readme_are_those_of_the_evidence() -> None:
    readme, evidence = read("README.md"), read("docs/evidence.md")
    ((low, high),) = re.findall(r"^\| `constant`, .* \| (\d+), (\d+), \d+ \(.*\|$", evidence, re.MULTILINE)
    assert f"{low} to {high} % of what the limits allow" in readme and f"{low} and {high} % of the gain" in readme
    (speed,) = re.findall(r"([\d.]+) compiled and\s", evidence)
    assert f"{speed} times stable-baselines3" in readme
    rows = pd.read_csv(ROOT / "docs/returns.csv").query("preset == 'sac' and env_steps <= 100_000")
    last = rows.sort_values("env_steps").groupby(["env", "seed"])["return"].last()
    for env, mean in last.groupby("env").mean().items():
        assert f"{str(env).partition('-')[0]} {mean:,.0f}" in readme
