"""Open pricerl in the browser on a computer that has only Python: ``windows.cmd`` and ``macos.command`` run this file.

The first time it makes an environment of its own, after it has said what that downloads and asked. Packages have the
hashes of the locks; torch is its build for the CPU.
"""

from __future__ import annotations

import platform
import re
import shutil
import socket
import subprocess
import sys
import venv
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
HOME = Path.home() / "pricerl"
ENVIRONMENT = HOME / "environment"
MARK = ENVIRONMENT / "version.txt"  # written last: an installation that was broken off has none
SHOPS = HOME / "shops"
PORT = 8321

MEASURED = {("Windows", "AMD64"): (250, 1100), ("Darwin", "arm64"): (225, 1100), ("Linux", "x86_64"): (320, 1400)}
"""Download and place on the disk, MB, with Python 3.12 (on Linux 3.11), by system and processor that have torch."""


def main() -> int:
    """Install pricerl if it is not there, serve it, and return the exit code."""
    version = re.findall('__version__ = "(.+)"', (SOURCE / "pricerl/__init__.py").read_text(encoding="utf-8"))[0]
    installed = MARK.exists() and MARK.read_text(encoding="utf-8") == version
    if not installed and (reason := why_not() or install(version)):
        print(reason)
        return 1
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            print("pricerl runs already: go to its page in your browser, or close its other window first.")
            return 1
    SHOPS.mkdir(exist_ok=True)
    print("Close this window to end pricerl. Your files are in", SHOPS)
    return subprocess.run([program("pricerl"), "serve", SHOPS, "--port", str(PORT)], check=False).returncode


def why_not() -> str:
    """Return why pricerl cannot be installed on this computer, and what to do; empty if it can."""
    known = MEASURED.get((platform.system(), platform.machine()))
    if known is None or sys.maxsize < 2**32:
        return (
            f"PyTorch has no build for this Python: {platform.system()} on {platform.machine()}. Take another computer."
        )
    if sys.version_info < (3, 10) or (platform.system() == "Linux" and sys.version_info[:2] != (3, 11)):
        needed = "3.11" if platform.system() == "Linux" else "3.10 or newer"
        return (
            f"Python {needed} is needed, this is Python {platform.python_version()}: https://www.python.org/downloads/"
        )
    free = shutil.disk_usage(HOME.parent).free / 1e6
    if free < sum(known):
        return f"{sum(known):,} MB are needed on the disk of {HOME.parent}, {free:,.0f} are free."
    return ""


def install(version: str) -> str:
    """Ask, then make the environment; return why there is none, empty if there is."""
    download, disk = MEASURED[platform.system(), platform.machine()]
    print(f"pricerl {version} makes an environment of its own, {ENVIRONMENT}.")
    print(f"It downloads about {download} MB (PyTorch for the CPU and 70 packages with known hashes)")
    print(f"and takes about {disk / 1000:.1f} GB on the disk. To remove it, delete that folder.")
    if input("Go on? [y/N] ").strip().casefold() not in ("y", "yes"):
        return "Nothing was downloaded."
    venv.create(ENVIRONMENT, with_pip=True, clear=True)
    torch = "cpu" if platform.system() == "Linux" else "torch"  # elsewhere the usual torch is the CPU's
    pip = [program("python"), "-m", "pip", "--disable-pip-version-check", "install", "--no-deps"]
    locks = [["--require-hashes", "-r", SOURCE / f"requirements/{name}.lock"] for name in ("light", "serve", torch)]
    for words in (*locks, ["--no-build-isolation", "--no-index", SOURCE]):
        if subprocess.run([*pip, *words], check=False).returncode:
            return "The lines above say why pricerl was not installed. Run this file again to begin anew."
    MARK.write_text(version, encoding="utf-8")
    return ""


def program(name: str) -> Path:
    """Return the path of a program of the environment."""
    return ENVIRONMENT / (f"Scripts/{name}.exe" if platform.system() == "Windows" else f"bin/{name}")


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except (KeyboardInterrupt, EOFError):
        raise SystemExit(1) from None
