"""Serves the interface to a browser on this computer: to the one who knows the token, and to no page but its own."""

import asyncio
import logging
import secrets
import sys
from pathlib import Path
from typing import Any

import aiohttp_jinja2
from aiohttp import web
from textual_serve.server import Server, to_int

HOST = "127.0.0.1"
PAGE = Path(__file__).parent / "page"


class LocalServer(Server):
    """A server for one user, who has its token from the terminal in which it was started.

    The address 127.0.0.1 keeps other computers out, but neither other users of this one nor a page of another site
    that is open in the same browser. The first address carries the token, a cookie carries it from then on; without
    either, and for other names and origins than its own, every answer is 403. The page loads nothing from elsewhere,
    which its Content-Security-Policy enforces, and no page may frame it.

    Attributes:
        token: The secret, 32 random bytes.
        address: Where the interface is, with the token.
    """

    def __init__(self, command: str, port: int):
        super().__init__(command, host=HOST, port=port, title="simplexlab", templates_path=PAGE)
        self.token = secrets.token_urlsafe(32)
        self.names = {f"{host}:{port}" for host in (HOST, "localhost")}
        if port == 80:
            self.names |= {HOST, "localhost"}
        self.address = f"{self.public_url}/?token={self.token}"
        # Cookies do not know ports: two servers of one user must not take each other's.
        self.cookie = f"simplexlab-{port}"
        self.shown: set[asyncio.Future] = set()

    def initialize_logging(self) -> None:
        """Say no more than warnings: a log of requests would hold the token."""
        logging.basicConfig(level=logging.WARNING)

    async def on_startup(self, app: web.Application) -> None:
        """Tell the address."""
        print(
            f"{self.address}\nOpen it in a browser on this computer; it is for you alone. Ctrl-C ends.", file=sys.stderr
        )

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Show the interface in a browser tab until one of both ends."""
        shown = asyncio.ensure_future(super().handle_websocket(request))
        self.shown.add(shown)
        shown.add_done_callback(self.shown.discard)
        return await shown

    async def on_shutdown(self, app: web.Application) -> None:
        """End what is shown in browser tabs, each with its process."""
        for shown in list(self.shown):
            shown.cancel()
        await asyncio.gather(*self.shown, return_exceptions=True)

    async def _make_app(self) -> web.Application:
        application = await super()._make_app()
        application.middlewares.append(self._guard)
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if request.host not in self.names or (origin is not None and origin.removeprefix("http://") not in self.names):
            raise web.HTTPForbidden(text="this page may not use simplexlab\n", headers=HEADERS)
        if request.path == "/" and self._is_token(request.query.get("token")):
            # The token leaves the address bar, and with it the history and what is shown on a projector.
            entrance = web.Response(status=302, headers=HEADERS | {"Location": "/"})
            entrance.set_cookie(self.cookie, self.token, httponly=True, samesite="Lax")
            return entrance
        if not self._is_token(request.cookies.get(self.cookie)):
            words = "simplexlab is for the user who started it: open the address that it printed, with its token\n"
            raise web.HTTPForbidden(text=words, headers=HEADERS)
        if request.path == "/ws" and origin is None:
            raise web.HTTPForbidden(text="a web socket must say which page opens it\n", headers=HEADERS)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            error.headers.update(HEADERS)
            raise
        if not response.prepared:
            response.headers.update(HEADERS | dict(response.headers))
        return response

    def _is_token(self, word: str | None) -> bool:
        return word is not None and secrets.compare_digest(word.encode(errors="replace"), self.token.encode())

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """The page, whose parts come from the name under which it was asked for, where its cookie is valid."""
        nonce = secrets.token_urlsafe(16)
        context: dict[str, Any] = {
            "application": {"name": self.title},
            "config": {"static": {"url": "/static/"}},
            "app_websocket_url": f"ws://{request.host}/ws",
            "font_size": to_int(request.query.get("fontsize", "16"), 16),
            "nonce": nonce,
        }
        response = aiohttp_jinja2.render_template("app_index.html", request, context)
        own = f"'self' ws://{request.host}"
        response.headers["Content-Security-Policy"] = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; font-src 'self'; "
            f"img-src 'self' data:; connect-src {own}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return response


HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def serve(command: str, port: int) -> None:
    """Serve what a command shows, one process a browser tab, until Ctrl-C.

    Args:
        command: shell command of the terminal application.
        port: port on 127.0.0.1.

    Raises:
        OSError: the port is taken or not allowed.
    """
    LocalServer(command, port).serve()
