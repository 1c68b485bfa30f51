"""Card of a generation: what its weights were trained on, how well, and what they are for, in Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pricerl.evaluation.backtest import Backtest
from pricerl.runs.checkpoint import Checkpoint
from pricerl.terminal import shown

TEMPLATE = Path(__file__).with_name("card_template.md")
MOST_LISTED = 20
"""Most products and settings that a card lists."""


def render_card(
    checkpoint: Checkpoint, metric: str, changed: Mapping[str, Any], backtests: Mapping[str, Backtest]
) -> str:
    """Return the card of a checkpoint: its best ``metric``, ``changed`` settings by name, and backtests by product."""
    state = checkpoint.content.get("callbacks", {}).get("RunCheckpoint", {})
    score = state.get("best_score")
    fitted = checkpoint.content.get("PricingDataModule", {}).get("preprocessor")
    text = TEMPLATE.read_text(encoding="utf-8")
    if fitted is None:
        text = text.partition("\n## Calibration")[0]
    return text.format(
        name=_literal(checkpoint.name),
        updates=f"{checkpoint.update:,}",
        seed=_literal(str((checkpoint.about.get("settings") or {}).get("seed_everything"))),
        code=_literal(str(checkpoint.about.get("code"))[:12]),
        versions=_literal(", ".join(" ".join(item) for item in sorted(checkpoint.about.get("versions", {}).items()))),
        data="No seller's history: simulated sellers or a Gymnasium environment."
        if fitted is None
        else _list(_describe(fitted)),
        settings=_list(
            [f"{_code(name)}: {_code(json.dumps(changed[name], ensure_ascii=False))}" for name in sorted(changed)]
        ),
        best="unknown" if score is None else f"`{metric}` {score:.4g} at update {state['best_update']:,}",
        calibration=_calibrate(backtests),
    )


def _describe(fitted: Mapping[str, Any]) -> list[str]:
    """Return the days of each product; of a portable checkpoint's the last one."""
    spans = [f"{len(item['dates'])} days or weeks until " for item in fitted.get("products", ())]
    rows = zip(fitted["names"], spans or [""] * len(fitted["names"]), fitted["last_days"], strict=True)
    return [f"{_literal(name)}: {span}{_literal(last)}" for name, span, last in rows]


def _calibrate(backtests: Mapping[str, Backtest]) -> str:
    """Return the share of unseen days, one day or week ahead, inside the 90 % intervals of all products tested."""
    scores = [backtest.scores[0] for backtest in backtests.values() if backtest.scores]
    days = sum(score.days for score in scores)
    share = 100 * sum(score.days * score.coverage for score in scores) / max(days, 1)
    found = f"{share:.0f} % of {days} unseen days, one ahead, lay inside the 90 % interval of units."
    return found if days else "Unknown: no backtest was made."


def _literal(text: str) -> str:
    """Return a text that Markdown shows as it is, without control characters."""
    return re.sub(r"([\\`*_{}\[\]<>()#!|~&])", r"\\\1", shown(text))


def _code(text: str) -> str:
    return f"`{shown(text).replace('`', ' ')}`"


def _list(lines: Sequence[str]) -> str:
    rest = [f"and {len(lines) - MOST_LISTED} more"] if len(lines) > MOST_LISTED else []
    return "\n".join(f"- {line}" for line in [*lines[:MOST_LISTED], *rest] or ["none"])
