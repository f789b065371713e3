"""Routes of the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route

from pipeline.core.errors import InputError, RunError
from pipeline.homography_page.pictures import PagePicture
from pipeline.homography_page.session import Session
from pipeline.live.web.app import STATIC as LIVE_STATIC
from pipeline.live.web.auth import SESSION_S, OwnUser, TokenGate, TokenMiddleware, address_of, too_many
from pipeline.live.web.headers import SecurityHeaders

#: Not that of the live page: browsers send cookies of 127.0.0.1 to every port.
COOKIE = "mtmc_homography_session"
_STATIC = Path(__file__).with_name("static")
_LOGIN = (_STATIC / "login.html").read_text(encoding="utf-8")
_FILES = {
    "page.js": _STATIC / "page.js",
    "page.css": _STATIC / "page.css",
    "style.css": LIVE_STATIC / "style.css",
    "icon.svg": LIVE_STATIC / "icon.svg",
}
_OPEN_PATHS = ("/login", "/static/style.css", "/static/icon.svg")
# Larger than the pairs that are accepted.
_MAX_BODY_BYTES = 1 << 20


def build_app(
    session: Session, gate: TokenGate, allowed_hosts: Sequence[str], *, own_user_only: bool
) -> Starlette:
    """Return the ASGI application.

    Args:
        gate: with a token.
        allowed_hosts: names and addresses that are accepted in the Host header.
        own_user_only: whether other users of this machine are refused, with or without the token.
    """
    page = _Page(session, gate)
    middleware = [Middleware(SecurityHeaders)]
    if own_user_only:
        middleware.append(Middleware(OwnUser))
    middleware += [
        Middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts), www_redirect=False),
        Middleware(TokenMiddleware, gate=gate, cookie=COOKIE, open_paths=_OPEN_PATHS),
    ]
    return Starlette(
        routes=[
            Route("/", page.index),
            Route("/login", page.login, methods=["GET"]),
            Route("/static/{name}", page.static),
            Route("/picture.png", page.picture),
            Route("/plan.png", page.plan),
            Route("/api/state", page.state),
            Route("/api/fit", page.fit, methods=["POST"]),
            Route("/api/save", page.save, methods=["POST"]),
            Route("/api/finish", page.finish, methods=["POST"]),
        ],
        middleware=middleware,
    )


class _Page:
    def __init__(self, session: Session, gate: TokenGate) -> None:
        self._session = session
        self._gate = gate

    async def index(self, request: Request) -> Response:
        return FileResponse(_STATIC / "index.html")

    async def login(self, request: Request) -> Response:
        """Open a session with the token of the address that the command printed."""
        token = request.query_params.get("token")
        if token is None:
            return HTMLResponse(_LOGIN, 401)
        address = address_of(request)
        must_wait = self._gate.must_wait(address)
        if not self._gate.check(token, address):
            return await too_many() if must_wait else HTMLResponse(_LOGIN, 401)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE, self._gate.open_session(), max_age=int(SESSION_S), httponly=True, samesite="strict"
        )
        return response

    async def static(self, request: Request) -> Response:
        path = _FILES.get(str(request.path_params["name"]))
        return PlainTextResponse("not found\n", 404) if path is None else FileResponse(path)

    async def picture(self, request: Request) -> Response:
        return _png(self._session.picture)

    async def plan(self, request: Request) -> Response:
        return _png(self._session.plan)

    async def state(self, request: Request) -> Response:
        return JSONResponse(self._session.state())

    async def fit(self, request: Request) -> Response:
        return await _answer(request, lambda sent: self._session.fit(sent.get("pairs")))

    async def save(self, request: Request) -> Response:
        return await _answer(request, lambda sent: self._session.save(sent.get("pairs"), sent.get("plan_scale")))

    async def finish(self, request: Request) -> Response:
        self._session.finished.set()
        return JSONResponse({})


def _png(picture: PagePicture | None) -> Response:
    if picture is None:
        return PlainTextResponse("there is no plan\n", 404)
    return Response(picture.png, media_type="image/png")


async def _answer(request: Request, compute: Callable[[dict[str, Any]], dict[str, Any]]) -> Response:
    """Answer with what `compute` returns for the JSON object that was sent; errors are texts for the user."""
    # Other sites cannot send this type without a permission that this page does not give.
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return JSONResponse({"error": "send JSON"}, 415)
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BODY_BYTES:
                return JSONResponse({"error": "too long"}, 413)
        sent = json.loads(body)
    except (ValueError, RecursionError):
        return JSONResponse({"error": "this is no JSON"}, 400)
    except ClientDisconnect:
        return Response()
    if not isinstance(sent, dict):
        return JSONResponse({"error": "send a JSON object"}, 400)
    try:
        return JSONResponse(await run_in_threadpool(compute, sent))
    except InputError as error:
        return JSONResponse({"error": str(error)}, 400)
    except RunError as error:
        return JSONResponse({"error": str(error)}, 500)
