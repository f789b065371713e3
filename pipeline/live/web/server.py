"""Serves the page from a thread of the live run."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn

from pipeline.config.config import Config
from pipeline.config.output_settings import WebSettings
from pipeline.core.errors import InputError
from pipeline.drawing.preview_feed import PreviewHook
from pipeline.live.telling.metrics import Metrics
from pipeline.live.telling.status import StatusSource
from pipeline.live.web.app import build_app
from pipeline.live.web.auth import TokenGate
from pipeline.live.web.connections import (
    BACKLOG,
    FewMessages,
    TimedProtocol,
    listening,
)
from pipeline.live.web.local_user import can_tell_users
from pipeline.live.web.preview import PreviewStore
from pipeline.live.web.search_queue import Search, SearchQueue
from pipeline.live.web.timeline import Timeline
from pipeline.live.web.tls import with_tls

_log = logging.getLogger(__name__)
_server_log = logging.getLogger("uvicorn.error")
_LOCAL_NAMES = ("127.0.0.1", "localhost", "::1", "[::1]")


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
        if not settings.is_local and not self._tls:
            _log.warning(
                "the page is open to others at %s without TLS: the token is sent unencrypted. Set tls_certificate "
                "and tls_key of live.web, or put a proxy with TLS in front",
                settings.host,
            )
        self._socket = listening(settings.host, settings.port, "live.web", "live.web.port")
        host, port = settings.host, self._socket.getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/"
        self._tls_context: ssl.SSLContext | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._few_messages = FewMessages()
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
            allowed_hosts=_allowed_hosts(settings),
            timeline_s=settings.timeline_minutes * 60,
            now_s=now_s,
            secure_cookie=self._tls,
            own_user_only=self._own_user_only(),
            searches=self._searches,
        )
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            proxy_headers=False,  # a client could claim any address, and so avoid the limit of wrong tokens
            server_header=False,
            lifespan="off",
            loop="asyncio",  # it accepts connections through `LimitedListener`
            http=TimedProtocol,
            ws="none",
            backlog=BACKLOG,
            timeout_graceful_shutdown=1,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
        )
        if settings.tls_certificate is not None:  # with better errors than those of uvicorn
            _load_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), settings.tls_certificate, settings.tls_key)
        try:
            config.load()
        except OSError as error:  # includes the errors of ssl
            raise _no_tls(str(settings.tls_certificate), settings.tls_key, error) from error
        self._tls_context = config.ssl
        if config.ssl is not None:
            config.http_protocol_class = with_tls(config.http_protocol_class, config.ssl)  # type: ignore[assignment]
            config.ssl = None  # the loop would add TLS of its own
        _server_log.addFilter(self._few_messages)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, args=(self._server,), name="web", daemon=True)
        self._thread.start()

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
        certificate, key = self._settings.tls_certificate, self._settings.tls_key
        if certificate is not None:
            _load_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate, key)

        def use() -> None:
            self._gate.set_token(secret)
            if certificate is not None and self._tls_context is not None:
                try:
                    _load_certificate(self._tls_context, certificate, key)
                except InputError as error:  # the files changed after they were checked
                    _log.error("%s; browsers cannot connect until the next reload", error)

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
        if self._server is None or self._thread is None:
            self._socket.close()
            return
        self._server.should_exit = True  # this closes the socket as well
        self._thread.join(within_s)
        _server_log.removeFilter(self._few_messages)

    @property
    def _tls(self) -> bool:
        return self._settings.tls_certificate is not None

    def _run(self, server: uvicorn.Server) -> None:
        try:
            server.run(sockets=[self._socket])
        except Exception:
            _log.exception("the page failed; tracking continues without it")


def _load_certificate(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    _check_no_pipe(certificate, key)
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except OSError as error:
        raise _no_tls(certificate, key, error) from error


def _check_no_pipe(*paths: str | None) -> None:
    """Raise InputError for a named pipe: OpenSSL would wait for somebody who writes to it."""
    for path in paths:
        if path is not None and Path(path).is_fifo():
            raise InputError(f"live.web: {path} is a named pipe; TLS needs files")


def _no_password() -> str:
    """Called for an encrypted key; OpenSSL itself would ask for its password on the terminal, and wait."""
    raise InputError("live.web.tls_key: the key is encrypted; decrypt it, for example with `openssl rsa`")


def _no_tls(certificate: str, key: str | None, error: OSError) -> InputError:
    return InputError(f"live.web: {certificate} and {key} cannot be used for TLS ({error})")


def _allowed_hosts(settings: WebSettings) -> Sequence[str]:
    """Return the accepted Host headers. A page without a token answers only to its own names. Otherwise another site
    could make its name resolve to this machine, and read the page through the browser of a visitor."""
    if settings.is_local:
        return [*_LOCAL_NAMES, settings.host, *settings.allowed_hosts]
    return [settings.host, *_LOCAL_NAMES, *settings.allowed_hosts] if settings.allowed_hosts else ["*"]
