"""Routes of a page for logging in with the token, and out again."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from pipeline.live.web.auth import COOKIE, SESSION_S, TokenGate, address_of, too_many

_NO_PROBLEM = "<!-- problem -->"
_WRONG_TOKEN = '<p class="alert" role="alert">Wrong token.</p>'
# Larger than any form with a token.
_MAX_FORM_BYTES = 4096


class LoginRoutes:
    """Answers /login with a form, and opens a session for the right token; /logout ends it.

    Args:
        form: the HTML page with the form.
        secure_cookie: whether the page is served over TLS only.
        cookie: name of the cookie of a session. Browsers send cookies of 127.0.0.1 to every port.
        in_address: whether the address may hold the token, as /login?token=TOKEN; for a token that was made for one
            start of the program.
    """

    def __init__(
        self, gate: TokenGate, form: str, *, secure_cookie: bool, cookie: str = COOKIE, in_address: bool = False
    ) -> None:
        self._gate = gate
        self._form = form
        self._secure_cookie = secure_cookie
        self._cookie = cookie
        self._in_address = in_address

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/login", self.login, methods=["GET", "POST"]),
            Route("/logout", self.logout, methods=["POST"]),
        ]

    async def login(self, request: Request) -> Response:
        """Show the form, or open a session."""
        if not self._gate.closed:
            return RedirectResponse("/", 303)
        token = request.query_params.get("token") if self._in_address and request.method == "GET" else None
        if request.method == "GET" and token is None:
            return HTMLResponse(self._form)
        address = address_of(request)
        must_wait = self._gate.must_wait(address)
        if not self._gate.check(await _form_value(request, "token") if token is None else token, address):
            if must_wait:
                return await too_many()
            return HTMLResponse(self._form.replace(_NO_PROBLEM, _WRONG_TOKEN), 401)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            self._cookie,
            self._gate.open_session(),
            max_age=int(SESSION_S),
            httponly=True,
            samesite="strict",
            secure=self._secure_cookie,
        )
        return response

    async def logout(self, request: Request) -> Response:
        """End the session."""
        self._gate.end_session(request.cookies.get(self._cookie))
        response = RedirectResponse("/login", 303)
        response.delete_cookie(self._cookie)
        return response


async def _form_value(request: Request, name: str) -> str:
    """Return a field of a small urlencoded form; empty if it is missing, the body is too long, or the client left."""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_FORM_BYTES:
                return ""
    except ClientDisconnect:
        return ""
    return parse_qs(body.decode("utf-8", "replace")).get(name, [""])[0]
