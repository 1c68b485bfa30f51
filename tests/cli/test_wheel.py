"""The wheel alone, in an empty folder, runs the commands of the README."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from command_line import FAST, seller_lines, write_lines

from pricerl.tasks.configs import shipped_names

ROOT = Path(__file__).parents[2]
SOURCES = ("pricerl", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return subprocess.run(words, cwd=folder, env=clean, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Program of the wheel in an environment of its own, which shares the dependencies only."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source = ROOT / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder)
    built = call(folder, *PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", "dist", ".")
    assert built.returncode == 0, built.stderr
    home = folder / "environment"
    venv.create(home, symlinks=True)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    (own / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    (wheel,) = (folder / "dist").glob("*.whl")
    python = str(home / "bin" / "python")
    done = call(folder, *PIP, "--python", python, "install", "--no-deps", "--force-reinstall", str(wheel))
    assert done.returncode == 0, done.stderr
    found = call(home, python, "-c", "import pricerl; print(pricerl.__file__)")
    assert found.stdout.startswith(str(own)), found
    return str(home / "bin" / "pricerl")


@pytest.mark.slow
def test_the_wheel_alone_holds_every_configuration_and_runs_the_commands_of_the_readme(
    program: str, tmp_path: Path
) -> None:
    names = "from pricerl.tasks.configs import shipped_names; print(*shipped_names())"
    assert call(tmp_path, str(Path(program).with_name("python")), "-c", names).stdout.split() == shipped_names()
    blocks = re.findall(r"^```bash\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = [line.rpartition("&& ")[2] for block in blocks for line in block.splitlines()]
    lines = [line.removeprefix("python main.py ").removeprefix("pricerl ") for line in lines if "pytest" not in line]
    assert "fit --config configs/quickstart.yaml" in lines and len(lines) > 2
    write_lines(tmp_path / "orders.csv", seller_lines())
    write_lines(tmp_path / "costs.csv", ["product,unit_cost", "orders,4"])
    header, *days = seller_lines(104)
    write_lines(tmp_path / "fresh.csv", [header, *days[:97]])
    write_lines(tmp_path / "week.csv", [header, *days[97:]])
    for line in lines:
        words = shlex.split(line, comments=True)
        done = call(tmp_path, program, *words, *(FAST if words[0] in ("fit", "advise") else []))
        stands = re.search("keeps the price|covers the days until", done.stderr)
        assert done.returncode in (0, 4, 7) or stands, f"{line}: {done.stderr}"
        assert "Traceback" not in done.stderr
