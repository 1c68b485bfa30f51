"""Plain English: words and turns of phrase that must not come back, in code and documents alike."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pricerl"

UNSWEPT = {"CHANGELOG.md"}
"""Files that may contain old words: the changelog names them."""

PER = "day|second|minute|year|week|month|product|run|update|step|rank|row|shop|horizon|draw|episode|rule|core|key|item"
PER += "|market|decision|cell|seed|pair|page|process|unit|core|file|price|batch|line|table|machine|test|entry"
COUNTED = "units?|profit|sales|money|updates?|steps?|rows?|pages?|lines?|entry|entries|number|one|two|market|block|gain"
COUNTED += "|seconds?|milliseconds?|times|decisions?|loss|days?|episodes?|seeds?|markets?|cost|revenue|value|times"
FORBIDDEN = {
    rf"\b(?:{COUNTED}) an? (?:{PER})\b": "per",
    r"\bbesides?\b": "next to, in addition to, alongside",
    r"\bthe price now\b": "the current price",
    r"\bprice_now\b": "current_price",
    r"\bcoming days?\b": "forecast horizon, the next days",
    r"\bslow cop(?:y|ies)\b": "target network",
    r"\b(?:un)?told\b": "reported, stated, present",
    r"(?<!\.)\btells?\b": "shows, suggests, contains",
    r"\bdrawn markets?\b": "posterior draws",
    r"\bunluck(?:y|iest)\b": "the 20 % quantile over posterior draws, the worst tenth",
    r"\bno column tells\b": "unobserved confounder",
    r"\bthe log alone\b": "off-policy estimate",
    r"\bsensible\b": "reasonable",
    r"\bwith suspicion\b": "validate",
    r"\bchance_better\b": "probability_better",
    r"\b(?:Wall|Street|Unseen|Tools|Found)\b(?=[(\[:,.)])": "the name in DESIGN.md",
    r"\b(?:undone_by|ask_the_log|seeks_gain|kinds_of_dates|usual_price)\b": "overturned_by, off_policy_estimates, "
    "rewards_profit, day_types, reference_price",
    r"\bfor ever\b": "forever",
    r"\bstands? still\b": "converge",
    r"\b(?:each|every) price now\b": "each current price",
    r"\bhow (?:un)?sure\b": "evidence, probability",
    r"\bsure (?:enough )?to (?:gain|earn)\b": "passes the gate",
    r"\bhidden causes?\b": "unobserved confounder",
    r"\bben(?:ds?|t)\b": "biases, biased",
    r"\bwant of\b": "lack of, missing",
    r"\basked of the guardrails\b": "proposed price, before projection",
    r"\breally charged\b": "charged",
    r"\bdays?'s? own noise\b|\bdays' noise\b": "daily noise",
    r"\b(?:before|since) (?:it|they) came\b|\bcome since\b": "in advance, past days",
    r"\bheld against\b": "compared with",
    r"\bof so many\b": "of the days tested",
    r"\bthinned evenly\b": "evenly spaced",
    r"\bthe log itself\b": "off-policy estimate, the logged days",
    r"\b[A-Z]+_A_[A-Z]+\b": "X_PER_Y",
    r"\bmarkets? that fits?\b": "plausible scenarios (to sellers), posterior draws",
    r"\bwhatever the model\b": "instead of the model's price",
    r"\bis no (?:run's|text|advice|entry|pricerl)\b": "is not a",
    r"\b(?:is|was|line) torn\b": "incomplete",
    r"\boutranks?\b": "takes precedence over",
    r"\beverything random\b": "all random numbers",
    r"\bmust say why\b": "must be a text",
    r"\btakes what\b": "the plain verb",
    r"\bgo(?:es)? on counting\b": "restore the counters",
    r"\b(?:waits? for|waiting for) the device\b": "synchronize with the device",
    r"\bknows no\b": "independent of",
    r"\bthe process's own\b": "those of the process",
    r"\btry-out\b": "trial",
    r"\bLetters: ``": "Shapes:",
    r"\bthe own (?:7-day )?mean\b": "the trailing 7-day mean",
    r"\bnext to nothing\b": "almost nothing, nearly 0",
    r"\bowners? of the randomness\b": "random number generator",
    r"\bcredited (?:with|to)\b": "attributed to",
    r"\b(?:elasticity|price|trend) before any data\b": "prior mean, prior sd",
    r"\bnumbers? in force\b": "resolved settings",
    r"\bwhatever (?:went wrong|is wrong|is raised|else calls|it declares)\b": "on any error, invalid",
    r"\bout of (?:its|the) way\b": "widened to include",
    r"\baccounts? anywhere\b": "without an account",
    r"\bmade anew\b": "recomputed, rebuilt",
    r"\bas people write them\b": "parsing of …",
}
"""Pattern and what to write instead."""

FORBIDDEN_IN_CODE = {
    r"\b(?:that|those) of\b": "the name of the thing, or a genitive",
    r", (?-i:money)\b(?!\()": "in money, or the unit in the name",
    r"(?:[;.]) *None if\b": ", or None if",
}
"""The same for the package, whose texts a seller or a reader of the code sees."""

SUBJECT_CLAUSE = re.compile(r"^(?:What|Where|Whoever|Whatever|Who)\b(?!.*\?)")
"""A docstring that is a clause instead of a noun phrase or an imperative."""


def places() -> list[Path]:
    """Files whose words count, this test's own list aside."""
    texts = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.html"), *PACKAGE.rglob("*.json"), *ROOT.glob("*.md")]
    texts += [*(ROOT / "docs").rglob("*.md"), *(ROOT / "configs").rglob("*.yaml"), *(ROOT / "benchmarks").rglob("*.py")]
    return sorted(path for path in texts if not _unswept(path))


def _unswept(path: Path) -> bool:
    name = path.relative_to(ROOT).as_posix()
    return any(name == place or name.startswith(f"{place}/") for place in UNSWEPT)


def faults(text: str, forbidden: dict[str, str] = FORBIDDEN) -> list[str]:
    """Forbidden words with their line and the plain ones; a line marked ``# old name`` may hold one."""
    flags = {pattern: re.IGNORECASE if pattern.islower() else re.RegexFlag(0) for pattern in forbidden}
    held = [pattern for pattern in forbidden if re.search(pattern, text, flags[pattern] | re.MULTILINE)]
    return [
        f"line {number}: {found[0]!r}, write {forbidden[pattern]}"
        for number, line in enumerate(text.splitlines(), 1)
        if not line.endswith("# old name")
        for pattern in held
        for found in re.finditer(pattern, line, flags[pattern])
    ]


def clauses(text: str) -> list[str]:
    """Docstrings, those under fields and constants included, that start with a subject clause."""
    return [
        f"line {node.lineno}: {node.value.value.splitlines()[0][:60]!r}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and SUBJECT_CLAUSE.match(node.value.value)
    ]


@pytest.mark.parametrize("path", places(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_written_in_plain_words(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = faults(text) + (clauses(text) if path.suffix == ".py" else [])
    if path.suffix in (".py", ".html") and path.is_relative_to(PACKAGE):
        found += faults(text, FORBIDDEN_IN_CODE)
    assert not found, "\n".join([f"{path.relative_to(ROOT)}:", *found])


@pytest.mark.parametrize(
    "line",
    ["one page a product", "Money a day.", "the price now is kept", "in the drawn markets", "a slow copy of q"],
)
def test_a_forbidden_phrase_is_found(line: str) -> None:
    assert faults(line)


@pytest.mark.parametrize("line", ["like those of the day", "a price, money, of a day", "The prior; None if absent."])
def test_a_phrase_that_clean_parts_avoid_is_found(line: str) -> None:
    assert faults(line, FORBIDDEN_IN_CODE) and not faults(line)


def test_a_docstring_that_is_a_clause_is_found_and_a_question_is_none() -> None:
    assert clauses('"""What the history says."""')
    assert clauses('x = 1\n"""Where prices lie."""')
    assert not clauses('"""Return the price."""')
