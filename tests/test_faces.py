"""Package faces: each ``__init__.pyi`` lists names that exist, and importing a package loads none of them."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FACES = sorted(".".join(path.relative_to(ROOT).parent.parts) for path in (ROOT / "pricerl").rglob("__init__.pyi"))


@pytest.mark.parametrize("package", FACES)
def test_every_name_of_a_face_exists(package: str) -> None:
    face = import_module(package)
    assert face.__all__
    assert all(getattr(face, name) is not None for name in face.__all__)
    assert set(face.__all__) <= set(dir(face))


def test_importing_every_face_loads_no_torch() -> None:
    code = "import sys\nfrom importlib import import_module\nfor face in sys.argv[1:]: import_module(face)\n"
    command = [sys.executable, "-c", f"{code}sys.exit('torch' in sys.modules)", *FACES]
    assert subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode == 0
