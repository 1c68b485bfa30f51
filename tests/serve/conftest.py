"""Fixtures of a served shop."""

import pytest
from served_shop import folder, started

from pricerl.serve.jobs import Jobs

__all__ = ["folder", "started"]


@pytest.fixture(autouse=True)
def unprepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin no process for a command that no test starts; servers in processes of their own do."""
    monkeypatch.setattr(Jobs, "prepare", lambda jobs: None)
