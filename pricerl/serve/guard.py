"""Access control of the server: time, hosts, origins, sessions, CSRF and size limits, before a body is read."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import h11
from fastapi import HTTPException, Request
from starlette.datastructures import URL, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from pricerl.advice.translation import choose_language, read_catalogue
from pricerl.errors import UsageError, refuse
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

    def find(self, text: str, use: str = "") -> str:
        """Return the token that a text is, or that it is `keyed` from for a ``use``; empty if there is none."""
        return next((token for token in self.roles if is_same(text, self.keyed(token, use) if use else token)), "")

    def keyed(self, token: str, use: str) -> str:
        """Return the cookie of a token's sessions (``use`` session), or the proof that a page sent a request (csrf)."""
        return hmac.new(token.encode(), use.encode(), hashlib.sha256).hexdigest()  # the same after a restart

    def let_in(self, request: Request, text: str, answer: Response) -> Response:
        """Add the cookie of a token, which neither scripts nor other sites can use; refuse an unknown one."""
        if not (token := self.find(text)):
            printed = "the one that pricerl serve printed; open the address that it prints when it starts"
            return refusal(request.url.path, 403, f"this token is not {printed}")
        session = self.keyed(token, "session")
        answer.set_cookie(cookie_of(request), session, MONTH, httponly=True, samesite="strict", path="/")
        return answer


def cookie_of(request: Request) -> str:
    """Return the name of the session's cookie, which has the port, as ports of one host share cookies."""
    return f"pricerl-{request.scope['server'][1]}"


def _kept_token(role: str) -> str:
    """Return the token that earlier servers of this user had; a new one if there is none, or others could read it."""
    settings = os.environ.get("XDG_CONFIG_HOME") or os.environ.get("APPDATA") or Path.home() / ".config"
    path = Path(settings, "pricerl", f"{role}.token")
    with suppress(OSError, UnicodeDecodeError):
        token = path.read_text(encoding="utf-8")
        if len(token) >= FEWEST_CHARACTERS and (os.name == "nt" or not path.stat().st_mode & 0o077):
            return token
    token = secrets.token_urlsafe(32)
    with suppress(OSError):  # then this server alone has it
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with open(path, "x", encoding="utf-8", opener=partial(os.open, mode=0o600)) as file:
            file.write(token)
    return token


def read_keys(host: str, file: Path | None, folder: Path, role: str) -> Keys:
    """Return the tokens of a file, or this user's own one of a role on this computer's own addresses."""
    if file is None:
        refuse({f"--host {host} is open to other computers: name tokens with --token_file FILE": host not in LOOPBACK})
        return Keys({_kept_token(role): role})
    served = any(folder.resolve() in place.parents for place in (file.resolve(), file.parent.resolve() / file.name))
    refuse({f"--token_file {file} lies in the folder that is served; move it out of {folder}": served})
    try:
        lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        shared = file.stat().st_mode & 0o077 and os.name != "nt"
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token_file {file} cannot be read") from error
    refuse({f"--token_file {file} is open to other users of this computer; run: chmod 600 {file}": shared})
    known = [(token, *(about or ("approver",))) for *about, token in lines]
    form = f"ROLE NAME TOKEN, of {', '.join((*ROLES, AGENT))} and at least {FEWEST_CHARACTERS} characters"
    right = [named in (*ROLES, AGENT) and len(token) >= FEWEST_CHARACTERS for token, named, *_ in known]
    wrong = [number for number, is_right in enumerate(right, 1) if not is_right]
    refuse({f"--token_file {file}, token {number}: must be {form}": True for number in wrong[:1]})
    names = {token: " ".join(name) or role for token, role, *name in known}
    return Keys({token: role for token, role, *_ in known}, names)


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


@dataclass(frozen=True)
class Guard:
    """ASGI middleware that refuses, with a sentence, whatever a page of this server or its owner did not send."""

    app: ASGIApp
    keys: Keys
    own: bool
    """Whether this computer alone reaches the server, which then has no other name than its addresses."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on with a limit of size, whatever length was announced."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        request = Request(scope)
        scope.setdefault("state", {}).update(role="", name="", csrf="")
        CATALOGUE.set(read_catalogue(choose_language(request.headers.get("accept-language", "")))[0])

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

        announced = int(request.headers.get("content-length", "0"))  # checked by h11
        answer = self._answer(request) if announced <= left else refusal(scope["path"], 413, too_large)
        await (answer or self.app)(scope, read, send_safely)

    def _answer(self, request: Request) -> Response | None:
        """Return why a request is not passed on, or the cookie for the token in an address; nothing if it may pass."""
        headers = request.headers
        path = request.scope["path"]
        writes = request.method not in SAFE
        host = headers.get("host", "").lower()
        origin = headers.get("origin")
        if self.own and {host, host.rpartition(":")[0]}.isdisjoint((*LOOPBACK, "[::1]")):
            name, port = request.scope["server"]
            known = URL("http://h/").replace(hostname=name, port=port)
            return refusal(path, 400, f"{host!r} is no name of this computer's own server; open {known} instead")
        outside = origin not in (None, f"http://{host}", f"https://{host}")
        cross = headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
        strange = _first_refusal(
            path,
            (403, f"a page of another origin sent this: {origin!r}", writes and outside),
            (403, "a page of another site sent this", writes and cross),
        )
        if strange is None and path == "/" and (given := request.query_params.get("token")):  # it leaves the address
            entered = Response(headers={"refresh": "0; url=/"})  # no redirect: it would keep the site that led here
            return self.keys.let_in(request, given, entered)
        return strange if strange is not None or path in OPEN else self._check_session(request, path, writes)

    def _check_session(self, request: Request, path: str, writes: bool) -> Response | None:
        """Note who sent a request, and return why it is not passed on; nothing if it may pass."""
        bearer = request.headers.get("authorization", "").partition("Bearer ")[2]
        session = request.cookies.get(cookie_of(request), "")
        token = self.keys.find(bearer) if bearer else self.keys.find(session, "session")
        role = self.keys.roles.get(token, "")
        csrf = self.keys.keyed(token, "csrf")
        request.scope["state"].update(role=role, name=self.keys.names.get(token, ""), csrf=csrf)
        needed = "approver" if path.rpartition("/")[2] in DECISIONS else "editor"
        elsewhere = role == AGENT and not f"{path}/".startswith("/mcp/")
        forged = writes and not bearer and not is_same(request.headers.get("x-csrf-token", ""), csrf)
        lacks = writes and role != AGENT and not is_at_least(role, needed)
        return _first_refusal(
            path,
            (401, "the bearer token is wrong", bearer and not token),
            (401, "no session: open the printed address, or send the token as bearer", not token),
            (403, "your token has the role agent; it reaches the tools under /mcp/ alone", elsewhere),
            (403, "the header x-csrf-token is not the one of this session; load the page again", forged),
            (403, f"your token has the role {role}; only an {needed} may do this", lacks),
        )


def _first_refusal(path: str, *faults: tuple[int, str, object]) -> Response | None:
    """Return the refusal by the first fault that is the case, each with its status and sentence."""
    return next((refusal(path, status, sentence) for status, sentence, is_so in faults if is_so), None)


def is_at_least(role: str, needed: str) -> bool:
    """Return whether a role, or none, may do what needs another."""
    return role in ROLES[ROLES.index(needed) :]


def is_same(given: str, secret: str) -> bool:
    """Return whether a text is a secret, in a time that does not depend on it."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def refusal(path: str, status: int, sentence: str) -> Response:
    """Return a refusal: JSON for programs and scripts, elsewhere plain text, or without a session the login."""
    if path.startswith(("/api/", "/mcp/", "/login")):
        return JSONResponse({"detail": sentence}, status)
    return RedirectResponse("/login", 303) if status == 401 else PlainTextResponse(f"{sentence}\n", status)
