"""Serves the page from a thread of the live run."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pipeline.config.config import Config
from pipeline.config.output_settings import WebSettings
from pipeline.core.errors import InputError
from pipeline.drawing.preview_feed import PreviewHook
from pipeline.live.telling.metrics import Metrics
from pipeline.live.telling.status import StatusSource
from pipeline.live.web.app import build_app
from pipeline.live.web.auth import TokenGate
from pipeline.live.web.local_user import can_tell_users
from pipeline.live.web.page_server import PageServer, allowed_hosts
from pipeline.live.web.preview import PreviewStore
from pipeline.live.web.search_queue import Search, SearchQueue
from pipeline.live.web.timeline import Timeline

_log = logging.getLogger(__name__)


class WebServer:
    """The page of one run.

    The run passes its rows to `timeline` (a sink), its frames to `preview_hook` and their ages to
    `metrics.observe_frame_age`; then `start` serves the page.

    Args:
        secret: the token; None if the page needs none.

    Raises:
        InputError: the address cannot be used, or others can reach it and there is no token.
    """

    def __init__(self, settings: WebSettings, secret: str | None) -> None:
        if secret is None and not settings.is_local:
            raise InputError(f"live.web.host {settings.host} can be reached by others, so the page needs a token")
        self._settings = settings
        self._gate = TokenGate(secret)
        self.timeline = Timeline(settings.timeline_minutes * 60, settings.timeline_max_visits)
        self.metrics = Metrics()
        self._preview = None
        if settings.preview != "off":
            self._preview = PreviewStore(blurred=settings.preview == "blurred", width_px=settings.preview_width_px)
        self._page = PageServer(settings, "tracking continues without it")
        self.url = self._page.url
        self._searches: SearchQueue | None = None

    @property
    def preview_hook(self) -> PreviewHook | None:
        """The hook for the run; None if pictures are off."""
        return None if self._preview is None else self._preview.hook

    def start(self, source: StatusSource, now_s: Callable[[], float], search: Search | None = None) -> None:
        """Serve the page of this run from now on.

        Args:
            now_s: returns Unix seconds on the run's clock.
            search: searches the people of the run by a picture; None if that is off.

        Raises:
            InputError: the TLS files cannot be used.
        """
        settings = self._settings
        self.metrics.watch(source)
        self._searches = None if search is None else SearchQueue(search)
        app = build_app(
            source=source,
            metrics=self.metrics,
            timeline=self.timeline,
            preview=self._preview,
            gate=self._gate,
            allowed_hosts=allowed_hosts(settings),
            timeline_s=settings.timeline_minutes * 60,
            now_s=now_s,
            secure_cookie=self._page.has_tls,
            own_user_only=self._own_user_only(),
            searches=self._searches,
        )
        self._page.start(app)

    @property
    def searching(self) -> bool:
        """Whether a search is running; see `SearchQueue`."""
        return self._searches is not None and self._searches.searching

    def prepare_reload(self, config: Config) -> Callable[[], None]:
        """Read token file and TLS files again; return the function that uses them for new requests.

        Raises:
            InputError: a file cannot be used; nothing has changed.
        """
        secret = config.live.web.secret
        use_tls = self._page.prepare_reload()

        def use() -> None:
            self._gate.set_token(secret)
            use_tls()

        return use

    def _own_user_only(self) -> bool:
        if self._gate.closed or not self._settings.is_local or self._settings.local_users == "all":
            return False
        if can_tell_users():
            return True
        _log.warning("every user of this machine can read the page: set live.web.token to prevent that")
        return False

    def close(self, within_s: float = 0.3) -> None:
        """Stop serving; a thread that takes longer ends by itself."""
        if self._searches is not None:
            self._searches.close()
        self._page.close(within_s)
