"""Routes of the page for searching: a picture in, the people of the run who look like it out."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.live.web.auth import address_of
from pipeline.live.web.search_queue import SearchQueue, SearchRequest, TooManySearches

#: Larger pictures are refused before they are read completely.
MAX_PICTURE_BYTES = 10_000_000
# A page of another site cannot send these types without asking first, and this server does not agree.
_TYPES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff", "application/octet-stream")
_MOST_DIGITS = 4
# Pictures that may be received at a time; more would take memory from tracking.
_MOST_UPLOADS = 3


class SearchRoutes:
    """Answers POST /api/find with the number of a job, and GET /api/find/JOB with its result.

    Args:
        searches: None if searching is off.
    """

    def __init__(self, searches: SearchQueue | None) -> None:
        self._searches = searches
        self._uploads = 0

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/api/find", self.start, methods=["POST"]),
            Route("/api/find/{job}", self.result),
        ]

    async def start(self, request: Request) -> Response:
        """Start a search for the picture in the body."""
        if self._searches is None:
            return _error("live.web.search is off", 404)
        if not _is_own_origin(request):
            return _error("the request comes from a page of another site", 403)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _TYPES:
            return _error(f"the content-type must be one of {', '.join(_TYPES)}", 415)
        person = request.query_params.get("person", "")
        if person and not (person.isascii() and person.isdecimal() and len(person) <= _MOST_DIGITS):
            return _error("person must be a number", 422)
        if self._uploads >= _MOST_UPLOADS:
            return _error("other pictures are being received; try again in a moment", 429)
        self._uploads += 1
        try:
            data = await _body(request)
        finally:
            self._uploads -= 1
        if data is None:
            return _error(f"the picture has more than {MAX_PICTURE_BYTES / 1e6:g} MB", 413)
        if not data:
            return _error("the body must be a picture", 422)
        wanted = SearchRequest(data, request.query_params.get("camera") or None, int(person) if person else None)
        try:
            job = self._searches.submit(wanted, address_of(request))
        except TooManySearches as error:
            return _error(str(error), 429)
        return JSONResponse({"job": job}, 202)

    async def result(self, request: Request) -> Response:
        """Return the result of a search, or {"done": false}."""
        if self._searches is None:
            return _error("live.web.search is off", 404)
        result = self._searches.result(str(request.path_params["job"]))
        if result is None:
            return _error("there is no such search (any more)", 404)
        return JSONResponse({"done": bool(result), **result})


def _error(text: str, status: int) -> Response:
    return JSONResponse({"error": text}, status)


def _is_own_origin(request: Request) -> bool:
    """Return whether a request was not sent by a page of another site; programs send no origin."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


async def _body(request: Request) -> bytes | None:
    """Return the body; None if it is too long, empty if the client left."""
    parts: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_PICTURE_BYTES:
                return None
            parts.append(chunk)
    except ClientDisconnect:
        return b""
    return b"".join(parts)
