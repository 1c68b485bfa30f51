"""Failures of others' code: of packages that a command was allowed to import, of torch, and of Lightning."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from pricerl.cli.usage import take_options
from pricerl.errors import EXIT_BUG, EXIT_USAGE
from pricerl.tasks.imports import OWN, allowed_packages, is_allowed

REFUSING = ("callbacks", "loggers", "profilers", "plugins", "accelerators", "strategies", "trainer", "utilities")
"""Parts of ``lightning.pytorch`` and ``lightning.fabric`` whose errors concern the settings they were given."""


def explain_failure(error: BaseException, words: Sequence[str]) -> tuple[str, int] | None:
    """Return a line and the exit code for an exception of somebody else's making; a bug in pricerl has none.

    An exception belongs to an allowed package if the innermost frame outside pricerl and the libraries is in it.
    """
    while isinstance(error, ValueError) and error.__cause__ is not None:  # jsonargparse's, about a constructor's
        error = error.__cause__
    walked = [
        (frame, str(frame.f_globals.get("__name__", "")), line)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = allowed_packages(take_options(words, "--allow")[0]["allow"])[len(OWN) :]
    for frame, module, line in reversed(walked):
        if is_allowed(module, own):
            what = str(error).partition("\n")[0] or "without a message"
            function = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)  # Python 3.10 has no qualified names
            place = f"{module}.{function} ({frame.f_code.co_filename}:{line})"
            return f"error in {place}: {type(error).__name__}: {what}", EXIT_BUG
    parts = walked[-1][1].split(".")
    if parts[:2] == ["torch", "distributed"]:
        return "error: another process of this training has ended; go on with fit --ckpt_path last", EXIT_BUG
    if parts[0] == "lightning" and (isinstance(error, ImportError) or (parts[2:3] and parts[2] in REFUSING)):
        return f"error: trainer: {' '.join(str(error).split())}", EXIT_USAGE
    return None
