"""Take from this process, and from those that it starts, what Windows has not: modules, functions, freedom with names.

Python imports this file when it starts if its folder is on the import path.
"""

import asyncio  # noqa: F401 - its part for Unix needs what is taken below
import builtins
import io
import locale
import os
import re
import shutil
import signal
import sys
from typing import Any

CODE_PAGE = "cp1252"
MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty")
FUNCTIONS = ("chown", "fchmod", "fork", "forkpty", "getgid", "geteuid", "getuid", "killpg", "mkfifo")
FUNCTIONS += ("sched_getaffinity", "setsid", "symlink", "sysconf")
SIGNALS = ("SIGALRM", "SIGHUP", "SIGUSR1", "setitimer")
FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)

sys.modules.update(dict.fromkeys(MODULES))
for name in FUNCTIONS:
    delattr(os, name)
for name in SIGNALS:
    delattr(signal, name)
for name in ("getpreferredencoding", "getencoding"):
    setattr(locale, name, lambda *_: CODE_PAGE)
shutil._use_fd_functions = False  # type: ignore[attr-defined]


def check_name(path: Any) -> None:
    """Refuse a name of a file or folder that Windows refuses."""
    if isinstance(path, str | os.PathLike):
        name = os.path.basename(os.fspath(path))  # noqa: PTH119
        if isinstance(name, str) and FORBIDDEN.search(name):
            raise OSError(22, "Invalid argument", name)


def check_closed(path: Any) -> None:
    """Refuse to replace or remove a file that this process has open."""
    target = os.path.realpath(path)
    for handle in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            held = os.readlink(f"/proc/self/fd/{handle}")  # noqa: PTH115
        except OSError:
            continue
        if held == target and "/dev/" not in held:
            raise PermissionError(13, "The process cannot access the file because it is in use", target)


def checked(function: Any, check: Any, places: int) -> Any:
    """Return a function that checks its first paths."""

    def call(*given: Any, **named: Any) -> Any:
        for path in given[:places]:
            check(path)
        return function(*given, **named)

    return call


def open_text(file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, *rest: Any, **named: Any) -> Any:
    """Open a file; a text without an encoding has the one of the code page."""
    check_name(file)
    if "b" not in mode and encoding in (None, "locale"):
        encoding = CODE_PAGE
    return io_open(file, mode, buffering, encoding, *rest, **named)


io_open = io.open
io.open = builtins.open = open_text  # type: ignore[assignment]
os.mkdir = checked(os.mkdir, check_name, 1)
os.replace = checked(checked(os.replace, check_closed, 2), check_name, 2)
os.rename = checked(checked(os.rename, check_closed, 2), check_name, 2)
os.unlink = os.remove = checked(os.unlink, check_closed, 1)
