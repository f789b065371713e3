"""Routes of the page of a review. Steps are made by POST only, and only from the page itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.core.errors import InputError, RunError
from pipeline.review.identities import Identities
from pipeline.review.reviewed_run import ReviewedRun
from pipeline.review.steps import Split, Step, said, step_in
from pipeline.view.library import Library
from pipeline.view.review_state import corrected, ids_now, pictures_to_show, state_of
from pipeline.view.viewed_run import ViewedRun

# Larger than any step.
_MOST_BYTES = 4096


class ReviewRoutes:
    """The routes for one run.

    Args:
        library: holds only this run, with the rows as the run wrote them.
    """

    def __init__(self, run: ReviewedRun, library: Library) -> None:
        self._run = run
        self._library = library

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/api/review", self.state),
            Route("/api/review/saved", self.saved),
            Route("/api/review/pictures/{camera}/{track:int}", self.pictures),
            Route("/api/review/steps", self.step, methods=["POST"]),
        ]

    async def state(self, request: Request) -> Response:
        """Answer with people and doubtful links; while the run is being read, with the number of rows so far."""
        try:
            viewed = self._library.get(0)
        except InputError as error:
            return JSONResponse({"error": str(error)}, 404)
        if viewed is None:
            return JSONResponse({"reading": True, "rows": self._library.rows_read(0)})
        return JSONResponse(await run_in_threadpool(self._state, viewed, ""))

    async def saved(self, request: Request) -> Response:
        """Answer whether trajectories.csv has all steps."""
        return JSONResponse({"saved": self._run.saved, "problem": self._run.problem})

    async def pictures(self, request: Request) -> Response:
        """Answer with pictures of a track."""
        viewed = self._library.get(0)
        if viewed is None:
            return JSONResponse({"error": "the run is still being read"}, 409)
        key = str(request.path_params["camera"]), int(request.path_params["track"])
        return JSONResponse(await run_in_threadpool(self._pictures, viewed, key))

    async def step(self, request: Request) -> Response:
        """Make a step; answer with the new state, or with the reason why the step is impossible."""
        if (refusal := refused(request)) is not None:
            return refusal
        viewed = self._library.get(0)
        if viewed is None:
            return JSONResponse({"error": "the run is still being read"}, 409)
        try:
            content = json.loads(await _body(request))
            if not isinstance(content, dict):
                raise ValueError("a step is a JSON object")
            told = await run_in_threadpool(self._make, content)
        except InputError as error:
            return JSONResponse({"error": str(error)}, 409)
        except RunError as error:
            return JSONResponse({"error": str(error)}, 507)
        except (ValueError, RecursionError) as error:
            return JSONResponse({"error": f"this is no step: {error}"}, 422)
        return JSONResponse(await run_in_threadpool(self._state, viewed, told))

    def _make(self, content: Mapping[str, Any]) -> str:
        """Make the step in a request; return a sentence about it."""
        if content.get("step") == "undo":
            return f"Undone: {said(self._run.undo())}"
        if content.get("step") == "redo":
            return f"Again: {said(self._run.redo())}"
        step = self._run.do(lambda identities: requested(content, identities))
        return f"{said(step)[0].upper()}{said(step)[1:]}"

    def _state(self, viewed: ViewedRun, told: str) -> dict[str, Any]:
        run, identities = self._run, self._run.identities
        viewed.ids_now = lambda camera_id, time_s, ids: ids_now(identities, camera_id, time_s, ids)
        done, undone = run.journal.done, run.journal.undone
        summary = viewed.summary()
        return {
            "reading": False,
            "told": told,
            "steps": len(done),
            "permanent_steps": run.journal.permanent,
            "undo": said(done[-1]) if done else None,
            "redo": said(undone[-1]) if undone else None,
            "saved": run.saved,
            "problem": run.problem,
            **{name: summary[name] for name in ("name", "epoch_s", "cameras", "gaps", "no_recording")},
            **state_of(corrected(viewed.data, identities), identities),
        }

    def _pictures(self, viewed: ViewedRun, key: tuple[str, int]) -> dict[str, Any]:
        boxes = pictures_to_show(corrected(viewed.data, self._run.identities), key)
        found = viewed.cut_out(boxes)
        problems = list(dict.fromkeys(found["problems"]))
        if not boxes:
            problems = [
                f"{key[0]}: {viewed.missing(key[0]) or 'none of the boxes that were kept is in this part'}"
            ]
        return {"pictures": found["pictures"], "problems": problems}


def requested(content: Mapping[str, Any], identities: Identities) -> Step:
    """Return the step of a request: as in the file of steps, but a split has `from_s`, a time on the clock of the run,
    or null, and new ids are chosen here.

    Raises:
        ValueError: it is no step; InputError if the time is not inside the track.
    """
    if content.get("step") != "split":
        return step_in(content)
    from_s = content.get("from_s")
    new = {"global_id": identities.free_id, "from_frame": None, "new_track_id": None}
    step = step_in({**content, **new})
    assert isinstance(step, Split)
    if from_s is None:
        return step
    if not isinstance(from_s, int | float) or isinstance(from_s, bool):
        raise ValueError("from_s is no number of seconds")
    identities.part(step.camera_id, step.track_id)
    key = (step.camera_id, step.track_id)
    times, frames = identities.times(key), identities.frames(key)
    # Times of rows are rounded to milliseconds.
    at = int(np.searchsorted(times, from_s - 0.001))
    if not 0 < at < len(times):
        raise InputError(
            f"track {key[0]}:{key[1]} is in view from {times[0]:.1f} to {times[-1]:.1f} s, so it cannot be split at "
            f"{from_s:.1f} s"
        )
    return Split(*key, identities.free_id, int(frames[at]), identities.free_track_id(step.camera_id))


def refused(request: Request) -> Response | None:
    """Return the refusal of a request to change something that another site may have sent; None for one of the page,
    or of a program with the token."""
    headers = request.headers
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    own = f"{request.url.scheme}://{headers.get('host', '')}"
    if site not in (None, "same-origin") or origin not in (None, own):
        return JSONResponse({"error": "another site asked for this"}, 403)
    if origin is None and site is None and not headers.get("authorization", "").lower().startswith("bearer "):
        return JSONResponse({"error": "a change needs the header Origin, or the token as a bearer"}, 403)
    if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return JSONResponse({"error": "a step is sent as application/json"}, 415)
    return None


async def _body(request: Request) -> bytes:
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_BYTES:
                raise ValueError(f"it is longer than {_MOST_BYTES} bytes")
    except ClientDisconnect as error:
        raise ValueError("it is incomplete") from error
    return body
