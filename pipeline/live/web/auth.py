"""Access control of the page: the token is required, as a bearer header or through the cookie of the login form."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable, Collection

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.live.web.local_user import is_own_connection

COOKIE = "mtmc_session"
# Paths without personal data: style of the login form, and checks by orchestrators, which have no secret.
OPEN_PATHS = ("/login", "/healthz", "/livez", "/readyz", "/static/style.css", "/static/icon.svg")
SESSION_S = 12 * 3600.0
_MAX_SESSIONS = 100
_MAX_FAILURES = 10
_FAILURE_WINDOW_S = 60.0
_MAX_ADDRESSES = 1000
_GUESS_S = 1.0


class TokenGate:
    """Checks tokens in constant time, and keeps login sessions in memory only.

    Args:
        token: None admits everybody, for a page that only this machine can reach.
        clock: returns monotonic seconds.
    """

    def __init__(self, token: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._token: bytes | None = None
        self._expires: dict[str, float] = {}
        self.set_token(token)
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}

    def set_token(self, token: str | None) -> None:
        """Replace the token; sessions that were opened with another one end."""
        new = None if token is None else token.encode()
        if new != self._token:
            self._token, self._expires = new, {}

    @property
    def closed(self) -> bool:
        """Whether a token is required."""
        return self._token is not None

    def check(self, candidate: str, address: str) -> bool:
        """Return whether this is the token; count a wrong one against the address."""
        assert self._token is not None
        right = hmac.compare_digest(candidate.encode("utf-8", "replace"), self._token)
        if not right:
            if address not in self._failures and len(self._failures) >= _MAX_ADDRESSES:
                del self._failures[next(iter(self._failures))]
            self._failures.setdefault(address, deque(maxlen=_MAX_FAILURES)).append(self._clock())
        return right

    def must_wait(self, address: str) -> bool:
        """Return whether an address has sent too many wrong tokens within the last minute. Its next wrong ones are
        answered late; the right one is accepted, because others may share the address, such as all behind a proxy."""
        failures = self._failures.get(address)
        if failures is None or len(failures) < _MAX_FAILURES:
            return False
        return self._clock() - failures[0] < _FAILURE_WINDOW_S

    def open_session(self) -> str:
        """Create a session and return its secret, which is valid for twelve hours."""
        now = self._clock()
        self._expires = {key: end for key, end in self._expires.items() if end > now}
        while len(self._expires) >= _MAX_SESSIONS:
            del self._expires[min(self._expires, key=self._expires.__getitem__)]
        session = secrets.token_urlsafe(32)
        self._expires[session] = now + SESSION_S
        return session

    def in_session(self, session: str | None) -> bool:
        """Return whether this is the secret of a session that has not expired."""
        return session is not None and self._expires.get(session, -1.0) > self._clock()

    def end_session(self, session: str | None) -> None:
        """End a session."""
        self._expires.pop(session or "", None)


class TokenMiddleware:
    """Answers 401, or redirects a browser to the login form, unless the gate admits the request.

    Args:
        own_user_only: whether a page without a token refuses other users of this machine.
        cookie: name of the cookie of a session. Browsers send cookies of 127.0.0.1 to every port.
        open_paths: paths that need no token.
    """

    def __init__(
        self,
        app: ASGIApp,
        gate: TokenGate,
        *,
        own_user_only: bool = False,
        cookie: str = COOKIE,
        open_paths: Collection[str] = OPEN_PATHS,
    ) -> None:
        self._app = app
        self._gate = gate
        self._own_user_only = own_user_only
        self._cookie = cookie
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http" and scope["path"] not in self._open_paths:
            refusal = await self._refusal(Request(scope)) if self._gate.closed else self._of_another_user(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _of_another_user(self, scope: Scope) -> Response | None:
        if not self._own_user_only or is_own_connection(scope["client"], scope["server"][1]):
            return None
        return PlainTextResponse(
            "this page is for the user who runs mtmc live: set live.web.token, or live.web.local_users to all\n",
            403,
        )

    async def _refusal(self, request: Request) -> Response | None:
        if self._gate.in_session(request.cookies.get(self._cookie)):
            return None
        address = address_of(request)
        kind, _, candidate = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            must_wait = self._gate.must_wait(address)
            if self._gate.check(candidate.strip(), address):
                return None
            if must_wait:
                return await too_many()
        elif _is_page_view(request.headers, request.url.path):
            return RedirectResponse("/login", 303)
        return JSONResponse(
            {"error": "this needs the token, as `Authorization: Bearer TOKEN` or through /login"},
            401,
            {"WWW-Authenticate": "Bearer"},
        )


class OwnUser:
    """Answers 403 to other users of this machine, who can see the token in the list of processes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http" and not is_own_connection(scope["client"], scope["server"][1]):
            await PlainTextResponse("this page is for the user who started it\n", 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)


async def too_many() -> Response:
    """Return the answer to a wrong token after too many others, late enough to make guessing slow."""
    await asyncio.sleep(_GUESS_S)
    return PlainTextResponse("too many wrong tokens; wait for a minute\n", 429)


def address_of(request: Request) -> str:
    """Return the client's address; empty if the server does not know it."""
    return request.client.host if request.client else ""


def _is_page_view(headers: Headers, path: str) -> bool:
    return "text/html" in headers.get("accept", "") and not path.startswith("/api/")
