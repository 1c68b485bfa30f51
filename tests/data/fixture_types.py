"""Types of the fixtures that write and read files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pricerl.data.history import History

Lines = list[str]
Daily = Callable[..., Lines]
Problems = Callable[..., tuple[str, ...]]
Read = Callable[..., History]
Shared = Callable[[str], Path]
Write = Callable[..., Path]
