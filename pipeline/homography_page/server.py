"""Serves the page on this machine until the user ends it."""

from __future__ import annotations

import logging
import secrets
import threading

import uvicorn

from pipeline.homography_page.app import build_app
from pipeline.homography_page.session import Session
from pipeline.live.web.auth import TokenGate
from pipeline.live.web.connections import BACKLOG, TimedProtocol, listening
from pipeline.live.web.local_user import can_tell_users

_HOST = "127.0.0.1"
_CLOSE_S = 3.0


class PointServer:
    """Serves the page of a session in a thread; a context manager.

    Only this machine can reach it, on Linux only this user, and only with the token in `url`.

    Args:
        port: 0 for any free one.

    Attributes:
        url: address with the token, for the browser of the user.

    Raises:
        InputError: the port cannot be used.
    """

    def __init__(self, session: Session, port: int = 0) -> None:
        token = secrets.token_urlsafe(24)
        self._socket = listening(_HOST, port, "the page", "--port")
        self.url = f"http://{_HOST}:{self._socket.getsockname()[1]}/login?token={token}"
        app = build_app(session, TokenGate(token), [_HOST, "localhost"], own_user_only=can_tell_users())
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                log_level=logging.WARNING,
                access_log=False,  # it would hold the token
                proxy_headers=False,
                server_header=False,
                lifespan="off",
                loop="asyncio",
                http=TimedProtocol,
                ws="none",
                backlog=BACKLOG,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="homography page", daemon=True
        )

    def __enter__(self) -> PointServer:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.should_exit = True
        self._thread.join(_CLOSE_S)
        self._socket.close()
