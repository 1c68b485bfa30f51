"""Command ``serve``: the folder's shops in a browser, and under ``/api`` for programs.

It needs the extra ``serve``, without which this module cannot be imported.
"""

from __future__ import annotations

import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import URL, State
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.staticfiles import StaticFiles

from pricerl import __version__
from pricerl.cli.usage import Options, parser_of
from pricerl.errors import PricerlError, UsageError
from pricerl.serve import pages, rest
from pricerl.serve.guard import AGENT, LOOPBACK, Connection, Guard, Keys, read_keys
from pricerl.serve.jobs import Jobs
from pricerl.serve.workplace import SERVED, Workplace
from pricerl.terminal import clean, print_notes, write_lines
from pricerl.writing import explained

LISTENING: Options = {
    "--host": {"default": "127.0.0.1", "help": "address to listen on; others than this computer's own"},
    "--port": {"type": int, "default": 8321, "help": "port; 0 takes a free one"},
    "--token_file": {"help": "file of lines ROLE NAME TOKEN (viewer, editor, approver, agent)"},
    "--no-browser": {"action": "store_true", "help": "print the address only"},
}
"""Options of ``serve``."""


def serve(words: Sequence[str], add_tools: Callable[[FastAPI, Workplace], None] | None = None) -> None:
    """Show the shops of a folder in the browser: drop a file, advise, decide, and take the prices."""
    options = parser_of("serve", serve.__doc__, SERVED, LISTENING).parse_intermixed_args(words)
    token_file = options.token_file and Path(options.token_file).absolute()
    workplace = Workplace.enter(options)
    keys = read_keys(options.host, token_file, workplace.folder, AGENT if add_tools else "approver")
    try:
        with socket.socket(socket.AF_INET6 if ":" in options.host else socket.AF_INET) as bound:
            bound.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR), 1)
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # an answer's last part waits 40 ms otherwise
            bound.bind((options.host, options.port))
            bound.listen()  # a browser that opens at once waits until the server has started
            listening = bound.dup()
    except (OSError, OverflowError):
        raise UsageError(f"{options.host}, port {options.port}, cannot be used; choose another with --port") from None
    address = URL("http://h/").replace(hostname=options.host, port=listening.getsockname()[1])
    own = options.host in LOOPBACK
    app = create_app(workplace, keys, own)
    server = uvicorn.Config(app, http=Connection, ws="none", log_level="critical", timeout_graceful_shutdown=2)
    (minted, *_) = ("",) if token_file else keys.roles
    entered = f"{address}?token={minted}" if minted else str(address)
    line = f"{workplace.folder} is served at {entered}"
    if add_tools:
        add_tools(app, workplace)
        line = f"the tools of {workplace.folder} are at {address}mcp/{f', with the token {minted}' if minted else ''}"
    write_lines([line, "Ctrl-C ends it"], problems=True)
    if not own:
        who = f"everyone who reaches {address} and knows a token can read these shops and do what its role may"
        print_notes([f"{who}; the connection is not encrypted: put a proxy with TLS in front of it."])
    sys.setswitchinterval(0.0005)  # a short answer waits for that long, whenever others are computed
    with _opened(entered) if own and not options.no_browser and not add_tools else nullcontext():
        uvicorn.Server(server).run([listening])


@contextmanager
def _opened(address: str) -> Iterator[None]:
    """Open an address in the browser, through a page for this user alone: everyone can list a browser's arguments."""
    with explained(Path("the page that opens the browser"), "add --no-browser"):
        folder = TemporaryDirectory(prefix="pricerl-")
        page = Path(folder.name, "open.html")
        page.write_text(f'<meta http-equiv="refresh" content="0; url={address}">', encoding="utf-8")
    with folder:
        threading.Timer(0.5, webbrowser.open, [page.as_uri()]).start()
        yield


def create_app(workplace: Workplace, keys: Keys, own: bool) -> FastAPI:
    """Return the application of a folder; one of its ``own`` is reached from this computer alone."""

    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        async with app.state.alongside:
            yield
        app.state.jobs.stop()

    about: dict[str, Any] = {"title": "pricerl", "version": __version__, "docs_url": None, "redoc_url": None}
    app = FastAPI(
        **about,
        openapi_url="/api/openapi.json",
        lifespan=run,
        middleware=[Middleware(Guard, keys=keys, own=own)],
        exception_handlers=dict.fromkeys((PricerlError, RequestValidationError, HTTPException), _explain),
    )
    app.state = State(
        {"workplace": workplace, "jobs": Jobs(workplace.folder), "keys": keys, "alongside": nullcontext()}
    )
    app.include_router(rest.router)
    app.include_router(pages.router)
    app.mount("/static", StaticFiles(packages=[("pricerl.serve", "static")]))
    return app


async def _explain(request: Request, error: Any) -> Response:
    """Return an error as a sentence: JSON for programs and forms, a page for addresses."""
    status = getattr(error, "status_code", 400)
    sentence = getattr(error, "detail", str(error))
    if isinstance(error, RequestValidationError):
        status = 422
        sentence = "; ".join(f"{'.'.join(map(str, item['loc'][1:]))}: {item['msg']}" for item in error.errors())
    if request.method != "GET" or request.url.path.startswith("/api/"):
        return JSONResponse({"detail": clean(sentence)}, status)
    values = {"title": HTTPStatus(status).phrase, "sentence": sentence}
    return pages.answer(pages.fill(request, "refusal.html", values), status)
