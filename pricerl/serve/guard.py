"""Door of the server: host, origin, session, proof against forged requests and size, before a request is read."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
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


@dataclass(frozen=True)
class Keys:
    """Secrets of one server."""

    token: str
    """Token in the address, or from the file of ``--token_file``."""
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """Value of the cookie of a browser that knew the token."""

    @property
    def csrf(self) -> str:
        """Proof that a page of this server sent a request: keyed hash of the session."""
        return hmac.new(self.session.encode(), b"csrf", hashlib.sha256).hexdigest()


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
        if not is_same(given[-1], self.keys.token):
            return refusal(scope, 403, "this token is not the one that pricerl serve printed when it started")
        answer: Response = RedirectResponse("/", 303)
        set_session(answer, self.keys, self.cookie)
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
        if bearer:
            return None if is_same(bearer, self.keys.token) else refusal(scope, 401, "the bearer token is wrong")
        if not is_same(cookies_of(headers).get(self.cookie, ""), self.keys.session):
            if scope["path"].startswith("/api/"):
                return refusal(scope, 401, "no session: open the printed address, or send the token as bearer")
            return RedirectResponse("/login", 303)
        if scope["method"] not in SAFE and not is_same(headers.get(CSRF, ""), self.keys.csrf):
            return refusal(scope, 403, f"the header {CSRF} is not that of this session; load the page again")
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


def is_same(given: str, secret: str) -> bool:
    """Return whether a text is a secret, in a time that does not depend on it."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def set_session(answer: Response, keys: Keys, cookie: str) -> None:
    """Set the cookie of the session, which neither scripts nor pages of other sites can use."""
    answer.set_cookie(cookie, keys.session, httponly=True, samesite="strict", path="/")


def cookies_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the cookies of a request; none if they cannot be read."""
    found = SimpleCookie()
    try:
        found.load(headers.get("cookie", ""))
    except CookieError:
        return {}
    return {name: item.value for name, item in found.items()}


def refusal(scope: Scope, status: int, sentence: str) -> Response:
    """Return a refusal: JSON under ``/api``, plain text elsewhere."""
    if scope["path"].startswith("/api/"):
        return JSONResponse({"detail": sentence}, status)
    return PlainTextResponse(f"{sentence}\n", status)
