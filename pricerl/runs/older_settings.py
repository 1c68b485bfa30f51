"""Settings that older versions stored under another name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def with_present_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored settings in which one that older versions stored under another name has the present one."""
    decision = dict(settings.get("decision", {}))
    if "require_approval" not in decision:
        return dict(settings)
    required = decision.pop("require_approval")
    return {**settings, "decision": {"approval": "manual" if required else "auto", **decision}}
