"""Attacks on a server process over real sockets: refused with a sentence, while others keep being served."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gzip
import http.client
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from advice_outputs import lowering_policy
from command_line import run, seller_lines

pytest.importorskip("fastapi")
pytest.importorskip("httpx2")
import uvicorn
from served_shop import entries
from server_process import MAIN, Server

from pricerl.data.reading.sources.sizes import MAX_BYTES
from pricerl.serve import guard
from pricerl.serve.guard import FEWEST, MOST_BYTES, MOST_TYPED, PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")]

TODAY = "2025-04-01"
MUCH = 64 * 2**20
"""Bytes of memory and of files that an attack may cost."""


@pytest.fixture(scope="module")
def folder(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a shop whose newest advice is a change that waits for approval."""
    folder = tmp_path_factory.mktemp("attacked")
    shutil.copytree(trained_once, folder / "checkpoints/seller", symlinks=True)
    shutil.copy(trained_once.parents[1] / "seller.csv", folder)
    with lowering_policy():
        words = ("--data.path", "seller.csv", "--decision.min_chance", "0", "--decision.approval", "manual")
        assert run(folder, "predict", "--run_name", "seller", *words).code == 0
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose temporary files lie in a folder of their own."""
    spool = tmp_path_factory.mktemp("spool")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TMPDIR", str(spool))
        server = Server(folder, TODAY)
    yield server
    assert server.process.poll() is None
    assert "Traceback" not in server.end() and not [*spool.iterdir()]


def connect(server: Server, timeout: float = 60) -> socket.socket:
    host, port = re.findall(r"//([\d.]+):(\d+)", server.url)[0]
    return socket.create_connection((host, int(port)), timeout=timeout)


def head_of(server: Server, method: str = "GET", path: str = "/api/shops", *lines: str) -> bytes:
    """Head of a request with the token, without the empty line that ends it."""
    host = server.url.split("/")[2]
    own = (f"{method} {path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {server.token}", *lines)
    return "".join(f"{line}\r\n" for line in own).encode()


def exchange(server: Server, request: bytes) -> tuple[int, str]:
    """Status and body of the answer to bytes; 0 if the connection ends without one."""
    found = b""
    with connect(server) as talk, contextlib.suppress(ConnectionError):
        talk.sendall(request)
        while piece := talk.recv(2**16):
            found += piece
    head, _, body = found.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, body.decode()


def begin_to_measure(server: Server) -> int:
    """Memory of a server, bytes, which is the largest so far from now on."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5", encoding="utf-8")
    return server.memory


def reads_at_once(server: Server) -> None:
    begun = time.monotonic()
    assert server.client.get("/api/shops").json() == ["seller"]
    assert time.monotonic() - begun < 2


LIST, UPLOAD = "GET /api/shops HTTP/1.1", "POST /api/files HTTP/1.1"
RAW = {
    "a path upwards": ("GET /../../etc/passwd HTTP/1.1", (), (303, 404)),
    "an encoded path upwards": ("GET /shops/%2e%2e%2f%2e%2e%2fetc HTTP/1.1", (), (303, 400, 404)),
    "a path of NUL": ("GET /shops/%00 HTTP/1.1", (), (400, 404)),
    "a path of bytes": ("GET /shops/\xff\xfe HTTP/1.1", (), (400, 404)),
    "another scheme": ("GET file:///etc/passwd HTTP/1.1", (), (303, 400, 404)),
    "another host in the line": ("GET http://evil.example/api/shops HTTP/1.1", (), (303, 400, 404, 421)),
    "two hosts": (LIST, ("Host: evil.example",), (400, 421)),
    "a long head": (LIST, (f"X: {'x' * 1_000_000}",), (0, 400)),
    "two lengths": (UPLOAD, ("Content-Length: 5", "Content-Length: 6"), (400,)),
    "a negative length": (UPLOAD, ("Content-Length: -1",), (400, 413)),
    "a length and chunks": (UPLOAD, ("Content-Length: 5", "Transfer-Encoding: chunked"), (400, 422)),
    "no method": ("\x00\x01 / HTTP/1.1", (), (400,)),
    "another protocol": ("\x16\x03\x01\x02", (), (400,)),
    "a socket of the web": (
        LIST,
        ("Connection: Upgrade, close", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA=="),
        (200, 400, 426),
    ),
    "a preflight of another origin": (
        "OPTIONS /api/shops/seller/override HTTP/1.1",
        ("Origin: http://evil.example", "Access-Control-Request-Method: POST"),
        (403,),
    ),
}


@pytest.mark.parametrize("attack", RAW)
def test_a_request_that_no_browser_sends_is_refused(attack: str, server: Server) -> None:
    line, headers, expected = RAW[attack]
    host = server.url.split("/")[2]
    known = (f"Host: {host}", f"Authorization: Bearer {server.token}", *headers)
    if not any(header.startswith("Connection") for header in headers):
        known += ("Connection: close",)
    request = "".join(f"{text}\r\n" for text in (line, *known, "")).encode("latin-1")
    status, body = exchange(server, request)
    assert status in expected and "root:" not in body and "Traceback" not in body, (status, body)
    assert status in (0, 303) or len(body) > 9
    reads_at_once(server)


BODIES = {
    "deep": "[" * 900_000,
    "a long number": f'{{"price": {"9" * 5000}}}',
    "no number": '{"price": NaN, "until": "2025-04-05", "reason": "x"}',
    "an endless number": '{"price": 1e999, "until": "2025-04-05", "reason": "x"}',
    "an endless tolerance": '{"price": 10.5, "tolerance": Infinity, "until": "2025-04-05", "reason": "x"}',
    "an early day": '{"price": 10.5, "until": "0001-01-01", "reason": "x"}',
    "half a character": '{"price": 10.5, "until": "2025-04-05", "reason": "x", "product": "\\ud800"}',
    "a list": "[1, 2]",
    "no JSON": "price=10.5",
    "bytes": "\xff\xfe\x00",
    "too much": '{"reason": "' + "x" * MOST_TYPED + '"}',
}


@pytest.mark.parametrize("attack", BODIES)
def test_a_hostile_body_is_refused_with_a_sentence(attack: str, server: Server, folder: Path) -> None:
    before = entries(folder)
    content = BODIES[attack].encode("latin-1")
    kind = {"Content-Type": "application/json"}
    answer = server.client.post("/api/shops/seller/override", content=content, headers=kind)
    assert 400 <= answer.status_code < 500 and len(answer.json()["detail"]) > 10, answer.text
    assert entries(folder) == before


def nested(depth: int) -> bytes:
    content = b"Report Date,Product Price,Total Sales\n"
    for _ in range(depth):
        content = gzip.compress(content)
    return content


def zipped(name: str, content: bytes) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "bomb.csv.gz": lambda: gzip.compress(bytes(1_200_000_000), 1),
    "twice.csv.gz": lambda: gzip.compress(gzip.compress(bytes(300_000_000))),
    "nested.csv.gz": lambda: nested(9),
    "upwards.zip": lambda: zipped("../../escaped.csv", b"a,b\n1,2\n"),
    "sheet.xlsx": lambda: zipped("xl/workbook.xml", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>&b;'),
    "empty.csv": lambda: b"",
    "quotes.csv": lambda: b'Report Date,Product Price,Total Sales\n"' + b"x" * 10_000_000,
    "columns.csv": lambda: b"," * 5_000_000,
    "deep.json": lambda: b"[" * 5_000_000,
    "numbers.csv": lambda: b"Report Date,Product Price,Total Sales\n2025-01-01,1e999,nan\n2025-01-02,-1,0x10\n",
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_refused_on_its_page(name: str, server: Server, folder: Path) -> None:
    before = begin_to_measure(server)
    stored = server.client.post("/api/files", files=[("files", (name, FILES[name]()))])
    assert stored.json() == [name]
    page = server.client.get("/files", params={"name": name})
    assert page.status_code == 200 and 'role="alert"' in page.text and "root:" not in page.text
    reading = server.client.get("/api/reading", params={"name": name}).json()
    assert len(reading["refusal"]) > 20 and not reading["products"]
    unpacked = MAX_BYTES if name == "bomb.csv.gz" else 0
    assert server.memory - before < unpacked + 4 * MUCH
    (folder / name).unlink()
    assert not [*folder.parent.rglob("escaped.csv")]
    reads_at_once(server)


def pieces(total: int) -> Iterator[bytes]:
    """A form with one file of so many bytes."""
    yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="big.csv"\r\n\r\n'
    for _ in range(total // 2**20):
        yield b"x" * 2**20
    yield b"\r\n--b--\r\n"


FORM = "Content-Type: multipart/form-data; boundary=b"


@pytest.mark.parametrize(("path", "most"), [("/api/files", MOST_BYTES), ("/api/costs", MOST_TYPED)])
@pytest.mark.parametrize("announced", [True, False])
def test_a_gigabyte_is_refused_before_it_has_arrived(
    path: str, most: int, announced: bool, server: Server, folder: Path
) -> None:
    """With its length it is refused at once, without one when it exceeds the limit; neither fills memory or disk."""
    before = begin_to_measure(server)
    length = f"Content-Length: {10**9}" if announced else "Transfer-Encoding: chunked"
    method = "PUT" if path == "/api/costs" else "POST"
    sent = 0
    with connect(server) as talk:
        talk.sendall(head_of(server, method, path, FORM, length, ""))
        talk.setblocking(False)
        found = b""
        for piece in pieces(10**9):
            wrapped = piece if announced else b"%x\r\n%s\r\n" % (len(piece), piece)
            found = send_until_answered(talk, wrapped)
            if found:
                break
            sent += len(wrapped)
        talk.settimeout(60)
        while b"to the command" not in found:
            piece = talk.recv(2**16)
            assert piece, found
            found += piece
    assert b" 413 " in found.splitlines()[0] and f"larger than {most / 1e6:g} MB".encode() in found
    assert sent <= (0 if announced else most) + MUCH
    assert server.memory - before < MUCH
    assert not (folder / "big.csv").exists()
    reads_at_once(server)


def send_until_answered(talk: socket.socket, piece: bytes) -> bytes:
    """Send bytes, or return what arrives before all of them are sent."""
    rest = memoryview(piece)
    while rest:
        try:
            if found := talk.recv(2**16):
                return found
        except BlockingIOError:
            pass
        try:
            rest = rest[talk.send(rest) :]
        except BlockingIOError:
            time.sleep(0.001)
    return b""


def test_slow_clients_end_and_keep_nobody_waiting(server: Server) -> None:
    """Half a head, half a body, a byte now and then, and nothing at all: 240 connections, of which none stays."""
    half_head = head_of(server)
    half_body = head_of(server, "POST", "/api/files", FORM, "Content-Length: 1000", "") + next(pieces(0))
    refused = head_of(server, "POST", "/api/files", "Content-Length: 1000000000", "")
    kinds = (b"", half_head, half_body, refused)
    begun = time.monotonic()

    def hold(place: int) -> bytes:
        kind, found = kinds[place % 4], b""
        with connect(server, 1) as talk, contextlib.suppress(ConnectionError):
            talk.sendall(kind)
            while time.monotonic() - begun < 4 * PATIENCE:
                with contextlib.suppress(TimeoutError):
                    if not (piece := talk.recv(2**16)):
                        break
                    found += piece
                    continue
                if kind and place % 7 == 0:
                    talk.sendall(b"x")
        return found

    with concurrent.futures.ThreadPoolExecutor(240) as pool:
        held = [pool.submit(hold, place) for place in range(240)]
        while not all(talk.done() for talk in held):
            reads_at_once(server)
    assert time.monotonic() - begun < 4 * PATIENCE
    for place, talk in enumerate(held):
        sentence = b"larger than 200 MB" if kinds[place % 4] == refused else f"less than {FEWEST} bytes".encode()
        assert sentence in talk.result(), (kinds[place % 4], talk.result())


def test_a_connection_stays_open_between_long_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is slow there is the server, or a person who reads."""
    monkeypatch.setattr(guard, "PATIENCE", 0.2)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.3)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    config = uvicorn.Config(answer, port=0, http=guard.Connection, lifespan="off", log_level="critical")
    listening = config.bind_socket()
    listening.listen()
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    talk = http.client.HTTPConnection(*listening.getsockname(), timeout=60)
    talk.connect()
    first = talk.sock
    for pause in (0.05, 0.15, 0.25, 0.35, 0.45):
        talk.request("GET", "/")
        assert (talk.getresponse().read(), talk.sock) == (b"", first)
        time.sleep(pause)
    talk.close()
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def pair(server: Server, folder: Path) -> Iterator[tuple[Server, Server]]:
    """Two servers of the folder."""
    second = Server(folder, TODAY)
    yield server, second
    second.end()


def test_of_writers_at_once_one_decides_and_the_others_read_why(pair: tuple[Server, Server], folder: Path) -> None:
    """Two servers and a terminal approve the same advice: one approval, and a sentence for everyone else."""
    words = [sys.executable, str(MAIN), "approve", "--run_name", "seller", "--by", "terminal", "--today", TODAY]

    def approve(place: int) -> tuple[bool, str]:
        answer = pair[place % 2].client.post("/api/shops/seller/approve", json={"by": f"browser {place}"})
        return answer.is_success, "" if answer.is_success else answer.json()["detail"]

    def type_it(_: int) -> tuple[bool, str]:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
        assert "Traceback" not in done.stderr
        return done.returncode == 0, done.stderr

    for _ in range(3):
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            terminal = pool.submit(type_it, 0)
            time.sleep(0.5)
            answers = [*pool.map(approve, range(8)), terminal.result()]
        assert [done for done, _ in answers].count(True) == 1
        assert all("was approved before, by " in why for done, why in answers if not done), answers
        ends = pair[0].client.post("/api/shops/seller/resume", json={"by": "anna"})
        assert ends.is_success, ends.text
    kinds = [entry["kind"] for entry in entries(folder)]
    assert kinds[-6:] == ["approval", "resume"] * 3


def test_files_and_costs_of_writers_at_once_are_whole(pair: tuple[Server, Server], folder: Path) -> None:
    """Uploads of one name leave one of them, and costs typed by several people are all kept."""
    large = ["\n".join([*seller_lines(), *[letter * 1000] * 5000]).encode() for letter in "abcdefgh"]

    def upload(place: int) -> int:
        named = ("files", ("one.csv", large[place]))
        return int(pair[place % 2].client.post("/api/files", files=[named]).status_code)

    def type_costs(place: int) -> int:
        rows = [{"product": f"product {place}", "unit_cost": 1 + place}]
        return int(pair[place % 2].client.put("/api/costs", json={"rows": rows}).status_code)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert [*pool.map(upload, range(8))] == [200] * 8
        assert (folder / "one.csv").read_bytes() in large
        assert [*pool.map(type_costs, range(8))] == [200] * 8
    (folder / "one.csv").unlink()
    costs = pair[0].client.get("/api/costs").json()
    assert {row["product"]: row["unit_cost"] for row in costs} == {f"product {at}": 1 + at for at in range(8)}
