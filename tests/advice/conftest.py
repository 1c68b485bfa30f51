"""Documents of advice, read anew for every test, which may change them."""

from __future__ import annotations

from pathlib import Path

import pytest
from advice_outputs import Document, read_document


@pytest.fixture
def kept(trained_once: Path) -> Document:
    """Advice that keeps the price."""
    return read_document(trained_once)


@pytest.fixture
def changed(moved: Path) -> Document:
    """Advice that lowers the price."""
    return read_document(moved)


@pytest.fixture(params=["kept", "changed"])
def document(request: pytest.FixtureRequest) -> Document:
    return request.getfixturevalue(request.param)
