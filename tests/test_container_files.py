"""The image and its services name only files, extras, commands and options that exist."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from command_line import run

from pricerl.cli.main import COMMANDS
from pricerl.writing import write_text

ROOT = Path(__file__).parents[1]
LINES = [line.split(" ", 1) for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()]
SERVICES = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
SETUP = configparser.ConfigParser(interpolation=None)
SETUP.read(ROOT / "setup.cfg")


def lines(instruction: str) -> list[str]:
    return [rest for name, rest in LINES if name == instruction]


def test_the_image_holds_files_of_the_checkout_and_only_packages_whose_hashes_are_locked() -> None:
    copied = [name for line in lines("COPY") for name in line.split()[:-1]]
    assert {"setup.cfg", "pricerl"} <= {*copied} and all((ROOT / name).exists() for name in copied)
    *locked, own = (line for line in lines("RUN") if "pip install" in line)
    assert all({"--require-hashes", "--no-deps"} <= {*line.split()} for line in locked)
    assert {"--no-index", "--no-deps"} <= {*own.split()}
    named = re.findall(r"-r /source/requirements/(\S+)", " ".join(locked))
    assert named == ["light.lock", "extras.lock", "cpu.lock"] and "requirements" in copied
    (build,) = re.findall(r"-cp(\d)(\d+)-\S+", (ROOT / "requirements/cpu.lock").read_text(encoding="utf-8"))
    (image,) = lines("FROM")
    assert re.fullmatch(rf"python:{'.'.join(build)}-slim@sha256:[0-9a-f]{{64}}", image)
    files = {SETUP["metadata"][key].removeprefix("file: ") for key in ("license_files", "long_description")}
    assert files <= {*copied}


def test_the_server_runs_without_rights_and_is_asked_for_its_login(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    from pricerl.serve.guard import OPEN

    (user,) = lines("USER")
    for service in SERVICES.values():
        assert service["cap_drop"] == ["ALL"] and service["mem_limit"] and service["pids_limit"]
    assert user != "root" and f"--create-home {user}" in " ".join(lines("RUN"))
    assert json.loads(lines("ENTRYPOINT")[0]) == ["pricerl"]
    serve = SERVICES["serve"]
    command, *options = re.findall("exec pricerl (.+)", serve["command"][0])[0].split()
    listed = run(tmp_path, command, "--help").out
    assert command == "serve" and all(f" {option} " in listed for option in options if option.startswith("--"))
    (port,) = lines("EXPOSE")
    asked, path = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", lines("HEALTHCHECK")[0])[0]
    assert asked == port == options[options.index("--port") + 1] and path in OPEN
    assert serve["build"] == "." and serve["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_the_container_prints_an_address_with_a_token_that_it_keeps(tmp_path: Path) -> None:
    from pricerl.serve.guard import read_keys

    serve = SERVICES["serve"]
    assert f"install -d -o {lines('USER')[0]} -m 700 /keys" in " ".join(lines("RUN"))
    stub = tmp_path / "pricerl"
    write_text(stub, '#!/bin/sh\necho "$@"\n')
    stub.chmod(0o755)
    words = [*serve["entrypoint"], serve["command"][0].replace("$$", "$").replace("/keys", str(tmp_path))]
    path = f"{tmp_path}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    first, again = (
        subprocess.run(words, env={"PATH": path}, capture_output=True, text=True, timeout=60, check=True).stdout
        for _ in range(2)
    )
    assert first == again
    opened, served = first.splitlines()
    ((token, role),) = read_keys("0.0.0.0", tmp_path / "tokens", tmp_path / "shop", "viewer").roles.items()
    assert (role, len(token)) == ("approver", 43) and opened.endswith(f":{lines('EXPOSE')[0]}/?token={token}")
    assert served.startswith("serve --host 0.0.0.0 ")


def test_every_night_each_shop_is_watched_and_advised(tmp_path: Path) -> None:
    nightly = SERVICES["nightly"]
    (folder,) = lines("WORKDIR")
    assert nightly["image"] == SERVICES["serve"]["image"] and nightly["volumes"] == [f"shop:{folder}"]
    for name in ("a/shop.db", "b c/shop.db", "no shop/file"):
        write_text(tmp_path / "checkpoints" / name, "")
    stubs = tmp_path / "stubs"
    write_text(stubs / "pricerl", '#!/bin/sh\nfor word; do printf "%s|" "$word"; done\necho\nexit 6\n')
    write_text(stubs / "sleep", '#!/bin/sh\necho "sleep $1"\n[ -e slept ] && kill $PPID\ntouch slept\n')
    for stub in stubs.iterdir():
        stub.chmod(0o755)
    words = [*nightly["entrypoint"], *(text.replace("$$", "$") for text in nightly["command"])]
    path = f"{stubs}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(words, cwd=tmp_path, env={"PATH": path}, stdout=subprocess.PIPE, text=True, timeout=60)
    first, *called, _ = done.stdout.splitlines()
    assert 0 < int(first.removeprefix("sleep ")) <= 86400
    expected = [f"{name}|--run_name|{shop}|" for shop in ("a", "b c") for name in ("watch", "predict")]
    assert called == expected and {"watch", "predict"} <= {*COMMANDS}
    for name in ("watch", "predict"):
        assert "--run_name" in run(tmp_path, name, "--help").out


def test_the_locks_hold_everything_and_only_one_has_weights_and_biases() -> None:
    needed = {re.split(r"[\[<>=]", line)[0].replace("_", "-") for line in SETUP["options"]["install_requires"].split()}
    texts = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "requirements").iterdir()}
    locked = {name: set(re.findall(r"^([\w-]+)==", text, re.M)) for name, text in texts.items()}
    assert {name for text in texts.values() for name in re.findall(r"^-r (.+)\.lock$", text, re.M)} <= {*texts}
    assert locked["light"] == {*locked["light"]} - {"torch", "wandb"} >= needed - {"torch"}
    assert "wandb" in locked["base"] and "torch" in locked["torch"] & locked["cpu"]
    assert {"fastapi", "uvicorn"} <= locked["serve"]
    assert {"apprise", "mcp", "onnxscript", "xlsxwriter"} <= locked["extras"]
    assert {"build", "cyclonedx-bom", "setuptools", "twine"} <= locked["build"]
    assert not locked["light"] & (locked["base"] | locked["serve"] | locked["extras"] | locked["torch"])
