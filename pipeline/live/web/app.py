"""Routes of the page: what a browser, Prometheus and an orchestrator can request from a live run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pipeline.live.telling.metrics import CONTENT_TYPE, Metrics
from pipeline.live.telling.status import CameraState, StatusSource
from pipeline.live.web.auth import TokenGate, TokenMiddleware
from pipeline.live.web.headers import SecurityHeaders
from pipeline.live.web.login_routes import LoginRoutes
from pipeline.live.web.preview import PreviewStore
from pipeline.live.web.search_queue import SearchQueue
from pipeline.live.web.search_routes import SearchRoutes
from pipeline.live.web.timeline import Timeline

STATIC = Path(__file__).with_name("static")
_LOGIN = (STATIC / "login.html").read_text(encoding="utf-8")
# Of a global id, which fits into 64 bits.
_MOST_DIGITS = 18


def build_app(
    *,
    source: StatusSource,
    metrics: Metrics,
    timeline: Timeline,
    preview: PreviewStore | None,
    gate: TokenGate,
    allowed_hosts: Sequence[str],
    timeline_s: float,
    now_s: Callable[[], float],
    secure_cookie: bool = False,
    own_user_only: bool = False,
    searches: SearchQueue | None = None,
) -> Starlette:
    """Return the ASGI application.

    Args:
        preview: None for no pictures.
        allowed_hosts: names and addresses that are accepted in the Host header; '*' for all.
        timeline_s: seconds that the timeline shows.
        now_s: returns Unix seconds on the run's clock, which also gives the times of rows.
        secure_cookie: whether the page is served over TLS only.
        own_user_only: whether a page without a token refuses other users of this machine.
        searches: runs the searches by picture; None if searching is off.
    """
    page = _Page(source, metrics, timeline, preview, gate, timeline_s, now_s, can_search=searches is not None)
    return Starlette(
        routes=[
            Route("/", page.index),
            *LoginRoutes(gate, _LOGIN, secure_cookie=secure_cookie).routes(),
            Route("/api/status", page.status),
            Route("/api/timeline", page.visits),
            Route("/api/identities/{global_id}", page.identity),
            Route("/api/preview/{camera}.jpg", page.picture),
            *SearchRoutes(searches).routes(),
            Route("/metrics", page.metrics),
            Route("/healthz", page.healthy),
            Route("/livez", page.alive),
            Route("/readyz", page.ready),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts), www_redirect=False),
            Middleware(TokenMiddleware, gate=gate, own_user_only=own_user_only),
        ],
    )


class _Page:
    def __init__(
        self,
        source: StatusSource,
        metrics: Metrics,
        timeline: Timeline,
        preview: PreviewStore | None,
        gate: TokenGate,
        timeline_s: float,
        now_s: Callable[[], float],
        *,
        can_search: bool,
    ) -> None:
        self._can_search = can_search
        self._source = source
        self._metrics = metrics
        self._timeline = timeline
        self._preview = preview
        self._gate = gate
        self._timeline_s = timeline_s
        self._now_s = now_s

    async def index(self, request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def status(self, request: Request) -> Response:
        status = self._source.status()
        content: dict[str, Any] = asdict(status)
        content["utc"] = status.utc.isoformat()
        for key in ("row_latency_s", "frame_age_s"):
            content[key] = {f"{share:g}": seconds for share, seconds in content[key].items()}
        if status.counts is not None:
            crossed = status.counts.crossed.items()
            content["counts"]["crossed"] = [
                {"line": line, "direction": direction, "number": number} for (line, direction), number in crossed
            ]
        content["ready"] = status.ready
        content["counted"] = status.counted
        content["preview"] = self._preview is not None
        content["search"] = self._can_search
        content["login"] = self._gate.closed
        return JSONResponse(content)

    async def visits(self, request: Request) -> Response:
        now_s = self._now_s()
        visits = [visit.as_json() for visit in self._timeline.visits(now_s)]
        return JSONResponse({"now_s": now_s, "window_s": self._timeline_s, "visits": visits})

    async def identity(self, request: Request) -> Response:
        text = str(request.path_params["global_id"])
        # Python does not read numbers of thousands of digits.
        global_id = int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else 0
        visits = self._timeline.of(global_id, self._now_s())
        if not visits:
            return JSONResponse({"error": f"nobody with id {text[:_MOST_DIGITS]} in the last minutes"}, 404)
        content = [{**visit.as_json(), "places": visit.places} for visit in visits]
        return JSONResponse({"global_id": global_id, "visits": content})

    async def picture(self, request: Request) -> Response:
        camera = str(request.path_params["camera"])
        if self._preview is None:
            return JSONResponse({"error": "live.web.preview is off"}, 404)
        states = {each.name: each.state for each in self._source.cameras()}
        if states.get(camera) is not CameraState.UP:
            self._preview.forget(camera)
        jpeg = self._preview.jpeg(camera)
        if jpeg is None:
            return JSONResponse({"error": f"no picture of camera {camera!r}"}, 404)
        return Response(jpeg, media_type="image/jpeg")

    async def metrics(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)

    async def healthy(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def alive(self, request: Request) -> Response:
        status = self._source.status()
        if status.alive:
            return PlainTextResponse("ok\n")
        return PlainTextResponse(f"not alive: {status.stuck}\n", 503)

    async def ready(self, request: Request) -> Response:
        status = self._source.status()
        if status.ready:
            return PlainTextResponse("ok\n")
        return PlainTextResponse(f"not ready: {status.why_not_ready}\n", 503)
