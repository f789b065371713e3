"""Searches for people that the page starts: one after the other, in a thread of their own, a few at a time.

A search loads models and computes for some time, while tracking goes on. The page therefore gets the number of a job at
once and asks for its result. Pictures are forgotten with the search, results after some minutes; nothing is written.
"""

from __future__ import annotations

import logging
import os
import queue
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.errors import InputError

_WAITING = 2
_KEPT = 20
_KEPT_S = 300.0
# Searches that an address may start in a minute.
_PER_MINUTE = 6
_MINUTE_S = 60.0
_MAX_ADDRESSES = 1000
# Tracking goes first.
_NICE = 10
_FAILED = "the search failed; the log of the run says why"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchRequest:
    """A picture to search for.

    Attributes:
        data: an encoded picture.
        camera_id: camera of the run that took it; None if it is another one or unknown.
        person: number of the person in a picture that shows several, from 1; None if it shows one.
    """

    data: bytes = field(repr=False)
    camera_id: str | None = None
    person: int | None = None


#: Searches, and returns the result as JSON data; raises InputError with a sentence for the user.
Search = Callable[[SearchRequest], Mapping[str, Any]]


class TooManySearches(Exception):
    """A search cannot be started now; the text says why."""


@dataclass(eq=False)
class _Job:
    number: str
    request: SearchRequest | None
    result: Mapping[str, Any] | None = None
    done_s: float | None = None


class SearchQueue:
    """Runs the searches of the page.

    Args:
        search: runs in the thread of the queue.
        clock: returns monotonic seconds.

    Attributes:
        searching: whether a search is running. The process must then not end in the usual way, because the networks
            would be freed while they compute.
    """

    def __init__(self, search: Search, clock: Callable[[], float] = time.monotonic) -> None:
        self._search = search
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: queue.Queue[_Job | None] = queue.Queue(_WAITING)
        self._jobs: OrderedDict[str, _Job] = OrderedDict()
        self._started: dict[str, deque[float]] = {}
        self._thread: threading.Thread | None = None
        self._closed = False
        self.searching = False

    def submit(self, request: SearchRequest, address: str) -> str:
        """Start a search; return the secret number of its job.

        Args:
            address: of the client, whose searches are limited.

        Raises:
            TooManySearches: others wait already, or the address has started too many.
        """
        with self._lock:
            if self._closed:
                raise TooManySearches("the run is ending")
            self._check_rate(address)
            job = _Job(secrets.token_urlsafe(16), request)
            try:
                self._waiting.put_nowait(job)
            except queue.Full as error:
                raise TooManySearches("other searches are waiting; try again in a moment") from error
            self._started.setdefault(address, deque(maxlen=_PER_MINUTE)).append(self._clock())
            self._forget()
            self._jobs[job.number] = job
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="search", daemon=True)
                self._thread.start()
        return job.number

    def result(self, number: str) -> Mapping[str, Any] | None:
        """Return the result of a job as JSON data; {} while it is not done, None if there is no such job."""
        with self._lock:
            self._forget()
            job = self._jobs.get(number)
            return None if job is None else (job.result or {})

    def close(self) -> None:
        """Accept no more searches; a search that is running ends by itself."""
        with self._lock:
            self._closed = True
            if self._thread is None:
                return
            while True:
                try:
                    self._waiting.get_nowait()
                except queue.Empty:
                    break
            self._waiting.put_nowait(None)

    def _check_rate(self, address: str) -> None:
        started = self._started.get(address)
        if started is not None and len(started) == _PER_MINUTE and self._clock() - started[0] < _MINUTE_S:
            raise TooManySearches(f"more than {_PER_MINUTE} searches in a minute; wait a little")
        if started is None and len(self._started) >= _MAX_ADDRESSES:
            del self._started[next(iter(self._started))]

    def _forget(self) -> None:
        """Forget old results. Jobs that are not done are few, because the queue is short."""
        old = self._clock() - _KEPT_S
        for number, job in list(self._jobs.items()):
            done = job.done_s is not None
            if done and (len(self._jobs) > _KEPT or (job.done_s or 0.0) < old):
                del self._jobs[number]

    def _run(self) -> None:
        # Linux can do this for one thread; the threads that it starts inherit it.
        with suppress(AttributeError, OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while (job := self._waiting.get()) is not None:
            request, job.request = job.request, None
            assert request is not None
            result = self._answer(request)
            del request
            with self._lock:
                job.result, job.done_s = result, self._clock()

    def _answer(self, request: SearchRequest) -> Mapping[str, Any]:
        self.searching = True
        try:
            return self._search(request)
        except InputError as error:
            return {"error": str(error)}
        except Exception:  # tracking must not end because of a picture
            _log.exception("a search of the page failed")
            return {"error": _FAILED}
        finally:
            self.searching = False
