"""Door of the server: host, origin, session, proof against forged requests and size, before a request is read."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 200_000_000
"""Largest body of a request: several files of a large shop."""

SAFE = ("GET", "HEAD")
"""Methods that change nothing."""

OPEN = ("/login", "/static/serve.css", "/static/serve.js")
"""Paths that need no session."""

CSRF = "x-csrf-token"
"""Header with the proof that a page of this server sent a request."""

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

DECISIONS = ("approve", "override", "pause", "resume", "price-test")
"""Last parts of the paths that only an approver may write to."""


@dataclass(frozen=True)
class Keys:
    """Secrets of one server."""

    roles: Mapping[str, str]
    """Role by token: that in the address, or those of the file of ``--token_file``."""
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def role_of(self, token: str) -> str:
        """Return the role of a token; empty if it is unknown."""
        return next((role for known, role in self.roles.items() if is_same(token, known)), "")

    def keyed(self, role: str, use: str) -> str:
        """Return the cookie of a role's sessions (``use`` session), or the proof that a page sent a request (csrf)."""
        return hmac.new(self.secret.encode(), f"{use} {role}".encode(), hashlib.sha256).hexdigest()

    def let_in(self, token: str, answer: Response, cookie: str) -> bool:
        """Add the cookie of a token's role, which neither scripts nor other sites can use; False if it is unknown."""
        if role := self.role_of(token):
            answer.set_cookie(cookie, self.keyed(role, "session"), httponly=True, samesite="strict", path="/")
        return bool(role)


class Guard:
    """ASGI middleware that refuses, with a sentence, whatever a page of this server or its owner did not send.

    Of ``hosts``, values of the header ``Host``, all are answered if it is empty. Ports of one host share cookies, so
    the ``cookie`` names the port.
    """

    def __init__(
        self, app: ASGIApp, keys: Keys, hosts: frozenset[str], cookie: str, most_bytes: int = MOST_BYTES
    ) -> None:
        self.app = app
        self.keys = keys
        self.hosts = hosts
        self.cookie = cookie
        self.most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on with a limit of size."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._answer(scope)
        if answer is not None:
            await answer(scope, receive, send_safely)
        else:
            await self.app(scope, self._limited(receive), send_safely)

    def _enter(self, scope: Scope) -> Response | None:
        """Exchange the token in an address for the cookie, so that it leaves the address."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        if given is None or scope["path"] != "/":
            return None
        answer = RedirectResponse("/", 303)
        if not self.keys.let_in(given[-1], answer, self.cookie):
            return refusal(scope, 403, "this token is not the one that pricerl serve printed when it started")
        return answer

    def _answer(self, scope: Scope) -> Response | None:
        """Return why a request is not passed on, or the cookie for the token; None if it is."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.hosts and host not in self.hosts:
            return refusal(scope, 421, "this host name is not that of the server; open the printed address")
        bearer = headers.get("authorization", "").partition("Bearer ")[2]
        if scope["method"] not in SAFE:
            if (origin := headers.get("origin")) not in (None, f"http://{host}", f"https://{host}"):
                return refusal(scope, 403, f"a page of another origin sent this: {origin!r}")
            if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
                return refusal(scope, 403, "a page of another site sent this")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 15 or int(length) > self.most_bytes:
            return refusal(scope, 413, self._too_large)
        if (entered := self._enter(scope)) is not None or scope["path"] in OPEN:
            return entered
        cookie = cookie_parser(headers.get("cookie", "")).get(self.cookie, "")
        role = next((role for role in ROLES if is_same(cookie, self.keys.keyed(role, "session"))), "")
        if bearer and not (role := self.keys.role_of(bearer)):
            return refusal(scope, 401, "the bearer token is wrong")
        if not role and scope["path"].startswith(("/api/", "/mcp/")):
            return refusal(scope, 401, "no session: open the printed address, or send the token as bearer")
        if not role:
            return RedirectResponse("/login", 303)
        scope.setdefault("state", {}).update(role=role, csrf=self.keys.keyed(role, "csrf"))
        if scope["method"] in SAFE:
            return None
        if not bearer and not is_same(headers.get(CSRF, ""), scope["state"]["csrf"]):
            return refusal(scope, 403, f"the header {CSRF} is not that of this session; load the page again")
        needed = "approver" if scope["path"].rpartition("/")[2] in DECISIONS else "editor"
        if not is_at_least(role, needed):
            return refusal(scope, 403, f"your token is that of a {role}; only an {needed} may do this")
        return None

    @property
    def _too_large(self) -> str:
        return f"the upload is larger than {self.most_bytes / 1e6:g} MB; split it by year, or name it to the command"

    def _limited(self, receive: Receive) -> Receive:
        """Return a reader of the body that stops at the limit, whatever length was announced."""
        seen = 0

        async def read() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.most_bytes:
                raise HTTPException(413, self._too_large)
            return message

        return read


def is_at_least(role: str, needed: str) -> bool:
    """Return whether a role, or none, may do what needs another."""
    return role in ROLES[ROLES.index(needed) :]


def is_same(given: str, secret: str) -> bool:
    """Return whether a text is a secret, in a time that does not depend on it."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def refusal(scope: Scope, status: int, sentence: str) -> Response:
    """Return a refusal: JSON for programs, plain text elsewhere."""
    if scope["path"].startswith(("/api/", "/mcp/")):
        return JSONResponse({"detail": sentence}, status)
    return PlainTextResponse(f"{sentence}\n", status)
