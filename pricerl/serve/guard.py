"""Access control of the server: time, origins, sessions, CSRF and size limits, before a body is read."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import h11
from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from pricerl.advice.translation import choose_language, read_catalogue
from pricerl.errors import UsageError
from pricerl.formatting import CATALOGUE

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Addresses of this computer alone."""

MOST_BYTES = 200_000_000
"""Largest upload: several files of a large shop."""
MOST_TYPED = 2_000_000
"""Largest other body: the costs of some ten thousand products."""

PATIENCE = 10.0
"""Seconds between two looks at a connection."""
FEWEST = 100_000
"""Bytes in between if a request is due; no head has as many."""

SAFE = ("GET", "HEAD")
"""Methods that change nothing."""

OPEN = ("/login", "/static/serve.css", "/static/serve.js")
"""Paths that need no session."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'{style}; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'"
)
"""Content security policy of the pages; ``style`` allows the hash of a style sheet inside the page."""

HEADERS = {
    "content-security-policy": f"{POLICY.format(style='')}; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Headers of every response that sets none of its own."""

ROLES = ("viewer", "editor", "approver")
"""Roles: a viewer reads, an editor also prepares advice, an approver also decides on prices."""
AGENT = "agent"
"""Role that reaches the tools under ``/mcp`` and nothing else."""

MONTH = 30 * 86_400
"""Seconds for which a browser keeps a session."""

NOT_THE_TOKEN = "this token is not the one that pricerl serve printed; open the address that it prints when it starts"

FEWEST_CHARACTERS = 16
"""Fewest characters of a token that a file names."""

DECISIONS = ("approve", "reject", "override", "pause", "resume", "price-test")
"""Last parts of the paths that only an approver may write to."""


@dataclass(frozen=True)
class Keys:
    """Secrets of one server."""

    roles: Mapping[str, str]
    """Role by token: the one in the address, or each of the file of ``--token_file``."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Author in the log by token; none for the token of an address, whose decisions name their author."""

    def find(self, text: str) -> str:
        """Return the token that a text is; empty if it is none."""
        return next((token for token in self.roles if is_same(text, token)), "")

    def keyed(self, token: str, use: str) -> str:
        """Return the cookie of a token's sessions (``use`` session), or the proof that a page sent a request (csrf)."""
        return hmac.new(token.encode(), use.encode(), hashlib.sha256).hexdigest()  # the same after a restart

    def let_in(self, text: str, answer: Response, cookie: str) -> bool:
        """Add the cookie of a token, which neither scripts nor other sites can use; False if it is unknown."""
        if token := self.find(text):
            answer.set_cookie(cookie, self.keyed(token, "session"), MONTH, httponly=True, samesite="strict", path="/")
        return bool(token)


def own_file(name: str) -> Path:
    """Return a file in the folder of this user's settings."""
    return Path(
        os.environ.get("XDG_CONFIG_HOME") or os.environ.get("APPDATA") or Path.home() / ".config", "pricerl", name
    )


def write_privately(path: Path, text: str) -> None:
    """Write a file that this user alone can read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent)  # a name of its own, as two servers may start at once
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(part).replace(path)


def _kept_token(role: str) -> str:
    """Return the token that earlier servers of this user had; a new one if there is none, or others could read it."""
    path = own_file(f"{role}.token")
    with suppress(OSError, UnicodeDecodeError):
        token = path.read_text(encoding="utf-8")
        if len(token) >= FEWEST_CHARACTERS and (os.name == "nt" or not path.stat().st_mode & 0o077):
            return token
    token = secrets.token_urlsafe(32)
    with suppress(OSError):  # then this server alone has it
        write_privately(path, token)
    return token


def read_keys(host: str, file: Path | None, folder: Path, role: str) -> Keys:
    """Return the tokens of a file, or this user's own one of a role on this computer's own addresses."""
    if file is None:
        if host not in LOOPBACK:
            raise UsageError(f"--host {host} is open to other computers: name tokens with --token_file FILE")
        return Keys({_kept_token(role): role})
    if any(folder.resolve() in place.parents for place in (file.resolve(), file.parent.resolve() / file.name)):
        raise UsageError(f"--token_file {file} lies in the folder that is served; move it out of {folder}")
    try:
        lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        mode = file.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token_file {file} cannot be read") from error
    if mode & 0o077 and os.name != "nt":
        raise UsageError(f"--token_file {file} is open to other users of this computer; run: chmod 600 {file}")
    roles: dict[str, str] = {}
    names: dict[str, str] = {}
    for number, (*about, token) in enumerate(lines, 1):
        role, *name = about or ("approver",)
        if role not in (*ROLES, AGENT) or len(token) < FEWEST_CHARACTERS:
            form = f"ROLE NAME TOKEN, of {', '.join((*ROLES, AGENT))} and at least {FEWEST_CHARACTERS} characters"
            raise UsageError(f"--token_file {file}, token {number}: must be {form}")
        roles[token] = role
        names[token] = " ".join(name) or role
    return Keys(roles, names)


class Connection(H11Protocol):
    """Connection that ends with a sentence if a request arrives too slowly, so that nobody keeps others out."""

    received = FEWEST
    known: object = None

    def connection_made(self, transport: Any) -> None:
        """Begin to look at what arrives."""
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        """Count and handle bytes."""
        self.received += len(data)
        super().data_received(data)

    def _look(self) -> None:
        idle = self.timeout_keep_alive_task is not None or self.flow.read_paused
        due = self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not idle
        if due and self.cycle is self.known and self.received < FEWEST:
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                self.send_400_response(f"the request arrived too slowly: less than {FEWEST} bytes in {PATIENCE:g} s\n")
            self.transport.close()
        self.received = 0
        self.known = self.cycle if due else self
        if not self.transport.is_closing():
            self.loop.call_later(PATIENCE, self._look)


class Guard:
    """ASGI middleware that refuses, with a sentence, whatever a page of this server or its owner did not send.

    Ports of one host share cookies, so the ``cookie`` names the port.
    """

    def __init__(self, app: ASGIApp, keys: Keys, cookie: str) -> None:
        self.app = app
        self.keys = keys
        self.cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on with a limit of size, whatever length was announced."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        accepted = Headers(scope=scope).get("accept-language", "")
        CATALOGUE.set(read_catalogue(choose_language(accepted))[0])

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        left = MOST_BYTES if scope["path"] == "/api/files" else MOST_TYPED
        too_large = f"the upload is larger than {left / 1e6:g} MB; split it by year, or name it to the command"

        async def read() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, too_large)
            return message

        length = Headers(scope=scope).get("content-length", "0")
        small = length.isdecimal() and len(length) < 16 and int(length) <= left
        answer = self._answer(scope) if small else refusal(scope, 413, too_large)
        await (answer or self.app)(scope, read, send_safely)

    def _answer(self, scope: Scope) -> Response | None:
        """Return why a request is not passed on, or the cookie for the token in an address; nothing if it may pass."""
        headers = Headers(scope=scope)
        path = scope["path"]
        writes = scope["method"] not in SAFE
        own = (None, *(f"{scheme}://{headers.get('host', '')}" for scheme in ("http", "https")))
        if writes and (origin := headers.get("origin")) not in own:
            return refusal(scope, 403, f"a page of another origin sent this: {origin!r}")
        if writes and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return refusal(scope, 403, "a page of another site sent this")
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        if given and path == "/":  # the token leaves the address
            entered = Response(headers={"refresh": "0; url=/"})  # no redirect: it would keep the site that led here
            known = self.keys.let_in(given[-1], entered, self.cookie)
            return entered if known else refusal(scope, 403, NOT_THE_TOKEN)
        if path in OPEN:
            return None
        cookie = cookie_parser(headers.get("cookie", "")).get(self.cookie, "")
        token = next((token for token in self.keys.roles if is_same(cookie, self.keys.keyed(token, "session"))), "")
        bearer = headers.get("authorization", "").partition("Bearer ")[2]
        if bearer and not (token := self.keys.find(bearer)):
            return refusal(scope, 401, "the bearer token is wrong")
        if not token:
            said = "no session: open the printed address, or send the token as bearer"
            return refusal(scope, 401, said) if is_program(path) else RedirectResponse("/login", 303)
        role = self.keys.roles[token]
        csrf = self.keys.keyed(token, "csrf")
        scope.setdefault("state", {}).update(role=role, name=self.keys.names.get(token, ""), csrf=csrf)
        if role == AGENT and not f"{path}/".startswith("/mcp/"):
            return refusal(scope, 403, "your token has the role agent; it reaches the tools under /mcp/ alone")
        if writes and not bearer and not is_same(headers.get("x-csrf-token", ""), csrf):
            return refusal(scope, 403, "the header x-csrf-token is not the one of this session; load the page again")
        needed = "approver" if path.rpartition("/")[2] in DECISIONS else "editor"
        if writes and role != AGENT and not is_at_least(role, needed):
            return refusal(scope, 403, f"your token has the role {role}; only an {needed} may do this")
        return None


def is_at_least(role: str, needed: str) -> bool:
    """Return whether a role, or none, may do what needs another."""
    return role in ROLES[ROLES.index(needed) :]


def is_same(given: str, secret: str) -> bool:
    """Return whether a text is a secret, in a time that does not depend on it."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def is_program(path: str) -> bool:
    """Return whether a path is for programs, not for browsers."""
    return path.startswith(("/api/", "/mcp/"))


def refusal(scope: Scope, status: int, sentence: str) -> Response:
    """Return a refusal: JSON for programs, plain text elsewhere."""
    if is_program(scope["path"]):
        return JSONResponse({"detail": sentence}, status)
    return PlainTextResponse(f"{sentence}\n", status)
