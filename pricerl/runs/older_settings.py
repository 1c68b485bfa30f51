"""Settings that older versions stored under another name, or that have left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def with_present_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored settings in which one that older versions stored under another name has the present one."""
    if "explore_share" in settings.get("decision", {}):  # a price test replaces prices that vary at random
        left = {name: value for name, value in settings["decision"].items() if name != "explore_share"}
        settings = {**settings, "decision": left}
    decision = dict(settings.get("decision", {}))
    if "require_approval" not in decision:
        return dict(settings)
    required = decision.pop("require_approval")
    return {**settings, "decision": {"approval": "manual" if required else "auto", **decision}}
