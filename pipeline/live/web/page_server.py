"""Serves a page from a thread, at the address and with the guards of `live.web`: TLS, limited connections, own user."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from pipeline.config.output_settings import WebSettings
from pipeline.core.errors import InputError
from pipeline.live.web.connections import BACKLOG, FewMessages, TimedProtocol, listening
from pipeline.live.web.tls import with_tls

_log = logging.getLogger(__name__)
_server_log = logging.getLogger("uvicorn.error")
_LOCAL_NAMES = ("127.0.0.1", "localhost", "::1", "[::1]")


class PageServer:
    """A socket that listens from the beginning, and the thread that answers once there is an application.

    Args:
        goes_on: what continues if the thread fails, for the log.

    Attributes:
        url: address of the page, without a token.

    Raises:
        InputError: the address cannot be used.
    """

    def __init__(self, settings: WebSettings, goes_on: str) -> None:
        self._settings = settings
        self._goes_on = goes_on
        if not settings.is_local and not self.has_tls:
            _log.warning(
                "the page is open to others at %s without TLS: the token is sent unencrypted. Set tls_certificate "
                "and tls_key of live.web, or put a proxy with TLS in front",
                settings.host,
            )
        self._socket = listening(settings.host, settings.port, "live.web", "live.web.port")
        host, port = settings.host, self._socket.getsockname()[1]
        self.url = f"{'https' if self.has_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/"
        self._tls_context: ssl.SSLContext | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._few_messages = FewMessages()

    @property
    def has_tls(self) -> bool:
        """Whether the page is served over TLS only."""
        return self._settings.tls_certificate is not None

    def start(self, app: ASGIApp) -> None:
        """Serve an application from now on.

        Raises:
            InputError: the TLS files cannot be used.
        """
        settings = self._settings
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

    def prepare_reload(self) -> Callable[[], None]:
        """Read the TLS files again; return the function that uses them for new requests.

        Raises:
            InputError: a file cannot be used; nothing has changed.
        """
        certificate, key = self._settings.tls_certificate, self._settings.tls_key
        if certificate is not None:
            _load_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate, key)

        def use() -> None:
            if certificate is not None and self._tls_context is not None:
                try:
                    _load_certificate(self._tls_context, certificate, key)
                except InputError as error:  # the files changed after they were checked
                    _log.error("%s; browsers cannot connect until the next reload", error)

        return use

    def close(self, within_s: float) -> None:
        """Stop serving; a thread that takes longer ends by itself."""
        if self._server is None or self._thread is None:
            self._socket.close()
            return
        self._server.should_exit = True  # this closes the socket as well
        self._thread.join(within_s)
        _server_log.removeFilter(self._few_messages)

    def _run(self, server: uvicorn.Server) -> None:
        try:
            server.run(sockets=[self._socket])
        except Exception:
            _log.exception("the page failed; %s", self._goes_on)


def allowed_hosts(settings: WebSettings) -> Sequence[str]:
    """Return the accepted Host headers. A page without a token answers only to its own names. Otherwise another site
    could make its name resolve to this machine, and read the page through the browser of a visitor."""
    if settings.is_local:
        return [*_LOCAL_NAMES, settings.host, *settings.allowed_hosts]
    return [settings.host, *_LOCAL_NAMES, *settings.allowed_hosts] if settings.allowed_hosts else ["*"]


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
