"""The release: its workflow may do nothing but read until a person lets it publish."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOW = ROOT / ".github/workflows/release.yml"
RELEASE = ROOT / ".ci/release"


@pytest.fixture(scope="module")
def jobs() -> dict[str, Any]:
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    return dict(workflow["jobs"])


def test_only_a_job_that_a_person_lets_run_may_publish(jobs: dict[str, Any]) -> None:
    build, publish = jobs["build"], jobs["publish"]
    assert "permissions" not in build and {*jobs} == {"build", "publish"}
    assert publish["permissions"] == {"id-token": "write"} and publish["environment"] == "release"
    assert "vars.PUBLISHER == 'added'" in publish["if"] and "github.ref_type == 'tag'" in publish["if"]
    assert publish["steps"][-1]["with"] == {"attestations": True}
    assert [step["run"] for step in build["steps"] if "run" in step] == [".ci/release"]
    assert "secrets" not in WORKFLOW.read_text(encoding="utf-8")


def test_every_action_is_pinned_by_commit(jobs: dict[str, Any]) -> None:
    used = [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert len(used) == 5 and all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in used)


def test_the_release_is_built_twice_by_locked_tools_and_publishes_nothing() -> None:
    script = RELEASE.read_text(encoding="utf-8")
    assert subprocess.run(["bash", "-n", str(RELEASE)], check=False, timeout=20).returncode == 0
    assert os.access(RELEASE, os.X_OK) and "upload" not in script
    assert 'diff -r "$work/one/dist" "$work/another/deeper/dist" || fail' in script
    assert "--require-hashes --no-deps -r requirements/build.lock" in script and "--no-isolation" in script
    (packed,) = re.findall(r'dist/pricerl-\$version\.zip" HEAD \\\n(.+)', script)
    assert all((ROOT / name).exists() for name in packed.split())
    setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    needed = {"LICENSE", "README.md", "pricerl", "pyproject.toml", "requirements", "setup.cfg", "start"}
    assert "file: README.md" in setup and needed == {*packed.split()}


def test_a_checkout_with_changes_is_not_released(tmp_path: Path) -> None:
    place = tmp_path / ".ci/release"
    place.parent.mkdir()
    shutil.copy(RELEASE, place)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    done = subprocess.run([str(place)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr == "failed: the checkout has changes; commit them first\n"
