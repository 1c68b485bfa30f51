"""The shop that the tests of many commands start from."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import fresh_shop

pytest.register_assert_rewrite("saying")


@pytest.fixture
def shop(trained_once: Path, tmp_path: Path) -> Path:
    """A folder with a run of its own, one advice in its log, and its file of 90 days."""
    return fresh_shop(trained_once, tmp_path)
