"""Routes of the page of finished runs. All of them only read; a review has further ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pipeline.core.errors import InputError, RunError
from pipeline.live.web.app import STATIC as LIVE_STATIC
from pipeline.live.web.auth import OwnUser, TokenGate, TokenMiddleware
from pipeline.live.web.headers import SecurityHeaders
from pipeline.live.web.login_routes import LoginRoutes
from pipeline.view.lanes import Wanted
from pipeline.view.library import Library
from pipeline.view.review_routes import ReviewRoutes
from pipeline.view.viewed_run import ViewedRun

#: Not that of the live page: browsers send cookies of 127.0.0.1 to every port.
COOKIE = "mtmc_view_session"
REVIEW_COOKIE = "mtmc_review_session"
_STATIC = Path(__file__).with_name("static")
_OWN_FILES = ("view.js", "lanes.js", "player.js", "run_clock.js", "view.css", "review.js", "review.css")
_FILES = {name: _STATIC / name for name in _OWN_FILES} | {
    name: LIVE_STATIC / name for name in ("style.css", "icon.svg", "colours.js", "common.js")
}
_OPEN_PATHS = ("/login", "/static/style.css", "/static/icon.svg")
_MOST_LANES = 200
_MOST_FILTERED = 200
_WIDTHS_PX = (64, 1920)
# Of a number of a run, a track or a global id, which fits into 64 bits.
_MOST_DIGITS = 18


def build_app(
    library: Library,
    gate: TokenGate,
    allowed_hosts: Sequence[str],
    *,
    own_user_only: bool,
    secure_cookie: bool = False,
    review: ReviewRoutes | None = None,
) -> Starlette:
    """Return the ASGI application.

    Args:
        gate: with a token.
        allowed_hosts: names and addresses that are accepted in the Host header; '*' for all.
        own_user_only: whether other users of this machine are refused, with or without the token.
        secure_cookie: whether the page is served over TLS only.
        review: the page corrects the run with these routes; None for a page that only reads.
    """
    page = _Page(library, "index.html" if review is None else "review.html")
    cookie = COOKIE if review is None else REVIEW_COOKIE
    form = (_STATIC / "login.html").read_text(encoding="utf-8")
    login = LoginRoutes(
        gate,
        form if review is None else form.replace("mtmc view", "mtmc review"),
        secure_cookie=secure_cookie,
        cookie=cookie,
        in_address=True,
    )
    middleware = [Middleware(SecurityHeaders)]
    if own_user_only:
        middleware.append(Middleware(OwnUser))
    middleware += [
        Middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts), www_redirect=False),
        Middleware(TokenMiddleware, gate=gate, cookie=cookie, open_paths=_OPEN_PATHS),
    ]
    return Starlette(
        routes=[
            Route("/", page.index),
            *login.routes(),
            Route("/static/{name}", page.static),
            Route("/api/runs", page.runs),
            Route("/api/runs/{run}", page.run),
            Route("/api/runs/{run}/times_read", page.times_read),
            Route("/api/runs/{run}/lanes", page.lanes),
            Route("/api/runs/{run}/visits/{camera}/{track}", page.visit),
            Route("/api/runs/{run}/pictures/{camera}/{track}", page.pictures),
            Route("/api/runs/{run}/frames/{camera}.jpg", page.frame),
            *(() if review is None else review.routes()),
        ],
        middleware=middleware,
    )


class _Refused(Exception):
    """A request cannot be answered; holds the answer."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.response = JSONResponse({"error": text}, status)


class _Page:
    def __init__(self, library: Library, index: str) -> None:
        self._library = library
        self._index = _STATIC / index

    async def index(self, request: Request) -> Response:
        return FileResponse(self._index)

    async def static(self, request: Request) -> Response:
        path = _FILES.get(str(request.path_params["name"]))
        return PlainTextResponse("not found\n", 404) if path is None else FileResponse(path)

    async def runs(self, request: Request) -> Response:
        return JSONResponse({"runs": self._library.runs()})

    async def run(self, request: Request) -> Response:
        number = _whole(str(request.path_params["run"]))
        try:
            run = self._library.get(number)
        except InputError as error:
            return JSONResponse({"error": str(error)}, 404)
        if run is None:
            return JSONResponse({"reading": True, "rows": self._library.rows_read(number)})
        times_read = self._library.times_read(number)
        return JSONResponse({**await run_in_threadpool(run.summary), "times_read": times_read})

    async def times_read(self, request: Request) -> Response:
        """Answer how often the run was read; one whose files were replaced is read again now."""
        number = _whole(str(request.path_params["run"]))
        try:
            self._library.get(number)
        except InputError as error:
            return JSONResponse({"error": str(error)}, 404)
        return JSONResponse({"times_read": self._library.times_read(number)})

    async def lanes(self, request: Request) -> Response:
        try:
            run = self._opened(request)
            wanted = Wanted(
                start_s=_number(request, "from"),
                end_s=_number(request, "to"),
                cameras=request.query_params.getlist("camera")[:_MOST_FILTERED] or None,
                ids=[_whole(text) for text in request.query_params.getlist("id")[:_MOST_FILTERED]] or None,
                fragments=request.query_params.get("fragments") != "0",
                first=max(_whole(request.query_params.get("first", "0")), 0),
                count=min(max(_whole(request.query_params.get("count", "50")), 1), _MOST_LANES),
            )
        except _Refused as refused:
            return refused.response
        return JSONResponse(await run_in_threadpool(run.lanes.part, wanted))

    async def visit(self, request: Request) -> Response:
        try:
            run = self._opened(request)
        except _Refused as refused:
            return refused.response
        found = await run_in_threadpool(run.visit, *_track(request))
        if found is None:
            return JSONResponse({"error": "there is no such track"}, 404)
        return JSONResponse(found)

    async def pictures(self, request: Request) -> Response:
        try:
            run = self._opened(request)
        except _Refused as refused:
            return refused.response
        return JSONResponse(await run_in_threadpool(run.pictures, *_track(request)))

    async def frame(self, request: Request) -> Response:
        low, high = _WIDTHS_PX
        try:
            run = self._opened(request)
            time_s = _number(request, "t")
            width_px = min(max(_whole(request.query_params.get("width", "640")), low), high)
        except _Refused as refused:
            return refused.response
        boxes = request.query_params.get("boxes") != "0"
        camera_id = str(request.path_params["camera"])
        try:
            jpeg, shown = await run_in_threadpool(run.jpeg, camera_id, time_s, width_px, boxes=boxes)
        except (InputError, RunError) as error:
            return JSONResponse({"error": str(error)}, 404)
        headers = {"x-frame-time": f"{shown.frame.time_s:.6f}", "x-frame-period": f"{shown.period_s:.6f}"}
        if shown.next_time_s is not None:
            headers["x-next-time"] = f"{shown.next_time_s:.6f}"
        return Response(jpeg, media_type="image/jpeg", headers=headers)

    def _opened(self, request: Request) -> ViewedRun:
        try:
            run = self._library.get(_whole(str(request.path_params["run"])))
        except InputError as error:
            raise _Refused(str(error), 404) from error
        if run is None:
            raise _Refused("the run is still being read", 409)
        return run


def _track(request: Request) -> tuple[str, int]:
    return str(request.path_params["camera"]), _whole(str(request.path_params["track"]))


def _whole(text: str) -> int:
    """Return a whole number; -1 for any other text."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else -1


def _number(request: Request, name: str) -> float:
    text = request.query_params.get(name, "")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _Refused(f"{name} must be a number of seconds", 422)
    return number
