"""Serves the page of finished runs until the user ends it."""

from __future__ import annotations

import secrets

from pipeline.config.output_settings import WebSettings
from pipeline.live.web.auth import TokenGate
from pipeline.live.web.local_user import can_tell_users
from pipeline.live.web.page_server import PageServer, allowed_hosts
from pipeline.view.app import build_app
from pipeline.view.library import Library
from pipeline.view.review_routes import ReviewRoutes

_CLOSE_S = 3.0


class ViewServer:
    """The page in a thread; a context manager.

    Args:
        settings: `live.web`; without a token there, one is made for this start.
        review: see `build_app`.

    Attributes:
        url: address for the browser of the user; with the token, if it was made for this start.

    Raises:
        InputError: the address, the token or the TLS files cannot be used.
    """

    def __init__(self, library: Library, settings: WebSettings, review: ReviewRoutes | None = None) -> None:
        self._library = library
        known = settings.secret
        token = known or secrets.token_urlsafe(24)
        own_user_only = settings.is_local and settings.local_users == "own" and can_tell_users()
        self._page = PageServer(settings, "start it again")
        self.url = self._page.url + ("" if known else f"login?token={token}")
        self._app = build_app(
            library,
            TokenGate(token),
            allowed_hosts(settings),
            own_user_only=own_user_only,
            secure_cookie=self._page.has_tls,
            review=review,
        )

    def __enter__(self) -> ViewServer:
        try:
            self._page.start(self._app)
        except BaseException:
            self._page.close(_CLOSE_S)
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._page.close(_CLOSE_S)
        self._library.close()
