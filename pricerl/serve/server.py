"""Command ``serve``: the folder's shops in a browser, and under ``/api`` for programs."""

from __future__ import annotations

import secrets
import socket
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pricerl import __version__
from pricerl.cli.usage import Parser
from pricerl.errors import EXIT_OK, PricerlError, UsageError, import_extra
from pricerl.terminal import clean, print_notes, write_lines

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

    from pricerl.serve.guard import Keys
    from pricerl.serve.workplace import Workplace

EXTRA = 'serve needs the extra: pip install -e ".[serve]"'
LOOPBACK = ("127.0.0.1", "localhost", "::1")
FEWEST_CHARACTERS = 16
"""Fewest characters of a token that a file names."""


def serve(words: Sequence[str], extend: Callable[[FastAPI, Workplace], None] = lambda *_: None) -> int:
    """Show the shops of a folder in the browser: drop a file, advise, decide, and take the prices."""
    parser = Parser(prog="pricerl serve", description=serve.__doc__)
    parser.add_argument("folder", nargs="?", default=".", help="folder with the seller's files; this one if absent")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; others than this computer's own")
    parser.add_argument("--port", type=int, default=8321, help="port; 0 takes a free one")
    parser.add_argument("--token_file", help="file of lines ROLE TOKEN (viewer, editor, approver)")
    parser.add_argument("--no-browser", action="store_true", help="print the address only")
    parser.add_argument("--today", help="day to take as today, such as 2026-01-31; the clock's if absent")
    options = parser.parse_intermixed_args(words)
    uvicorn = import_extra("uvicorn", EXTRA)
    import_extra("fastapi", EXTRA)
    import_extra("python_multipart", EXTRA)
    from pricerl.serve.guard import Connection, Keys
    from pricerl.serve.workplace import Workplace

    workplace = Workplace.enter(options.folder, options.today)
    roles = _roles(options.host, options.token_file)
    given = {"http": Connection, "ws": "none", "log_level": "critical", "timeout_graceful_shutdown": 2}
    server = uvicorn.Config("", host=options.host, port=options.port, **given)
    try:
        listening = server.bind_socket()
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # an answer's last part waits 40 ms otherwise
        listening.listen()  # a browser that opens at once waits until the server has started
    except (SystemExit, OSError):
        raise UsageError(f"{options.host}, port {options.port}, cannot be used; choose another with --port") from None
    port = listening.getsockname()[1]
    own = options.host in LOOPBACK
    hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]") if own)
    server.app = create_app(workplace, Keys(roles), hosts, port)
    extend(server.app, workplace)
    address = f"http://{f'[{options.host}]' if ':' in options.host else options.host}:{port}/"
    secret = address if options.token_file else f"{address}?token={next(iter(roles))}"
    write_lines([f"{workplace.folder} is served at {secret}", "Ctrl-C ends it"], problems=True)
    if not own:
        who = f"everyone who reaches {address} and knows a token can read these shops and do what its role may"
        print_notes([f"{who}; the connection is not encrypted: put a proxy with TLS in front of it."])
    elif not options.no_browser:
        threading.Timer(0.5, webbrowser.open, [secret]).start()
    uvicorn.Server(server).run([listening])
    return EXIT_OK


def _roles(host: str, file: str | None) -> dict[str, str]:
    """Return the roles of a file's tokens, or an approver's random one on this computer's own addresses."""
    from pricerl.serve.guard import ROLES

    if file is None:
        if host not in LOOPBACK:
            raise UsageError(f"--host {host} is open to other computers: name tokens with --token_file FILE")
        return {secrets.token_urlsafe(32): "approver"}
    try:
        lines = [line.split() for line in Path(file).read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token_file {file} cannot be read") from error
    found = {words[-1]: "approver" if len(words) == 1 else words[0] for words in lines}
    for number, (role, token) in enumerate(((role, token) for token, role in found.items()), 1):
        if role not in ROLES or len(token) < FEWEST_CHARACTERS:
            form = f"ROLE TOKEN, of {', '.join(ROLES)} and at least {FEWEST_CHARACTERS} characters"
            raise UsageError(f"--token_file {file}, token {number}: must be {form}")
    if not found:
        raise UsageError(f"--token_file {file} is empty")
    return found


def create_app(workplace: Workplace, keys: Keys, hosts: frozenset[str], port: int) -> FastAPI:
    """Return the application of a folder."""
    from fastapi import FastAPI
    from fastapi.exceptions import RequestValidationError
    from starlette.datastructures import State
    from starlette.exceptions import HTTPException

    from pricerl.serve import pages, rest
    from pricerl.serve.guard import Guard
    from pricerl.serve.jobs import Jobs

    @asynccontextmanager
    async def end(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.jobs.stop()

    described = "/api/openapi.json"
    app = FastAPI(
        title="pricerl", version=__version__, openapi_url=described, docs_url=None, redoc_url=None, lifespan=end
    )
    given = {"workplace": workplace, "jobs": Jobs(workplace.folder), "keys": keys, "cookie": f"pricerl-{port}"}
    app.state = State({**given, "pages": {}})
    app.include_router(rest.router)
    app.include_router(pages.router)
    app.add_middleware(Guard, keys=keys, hosts=hosts, cookie=app.state.cookie)
    for kind in (PricerlError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _explain)
    return app


def _explain(request: Request, error: Any) -> Response:
    """Return an error as a sentence: JSON for programs and forms, a page for addresses."""
    from fastapi.responses import JSONResponse

    from pricerl.serve.pages import answer, fill

    status = 422 if hasattr(error, "errors") else getattr(error, "status_code", 400)
    found = error.errors() if status == 422 else ()  # what is wrong with the values of a request, all of it
    places = (f"{'.'.join(map(str, item['loc'][1:]))}: {item['msg']}" for item in found)
    sentence = "; ".join(places) or getattr(error, "detail", str(error))
    if request.method != "GET" or request.url.path.startswith("/api/"):
        return JSONResponse({"detail": clean(sentence)}, status)
    return answer(fill(request, "refusal.html", {"title": HTTPStatus(status).phrase, "sentence": sentence}), status)
