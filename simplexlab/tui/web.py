"""Serves the interface to a browser on this computer, and to no page but its own."""

from aiohttp import web
from textual_serve.server import Server

HOST = "127.0.0.1"


class LocalServer(Server):
    """A server that turns away what other pages in the same browser ask of it.

    The address 127.0.0.1 keeps other computers out, but not a page of another site that is open in the browser: it may
    open web sockets to this address, or be given a name that leads to it. Requests must name this server and come from
    its own page.
    """

    async def _make_app(self) -> web.Application:
        application = await super()._make_app()
        names = {f"{host}:{self.port}" for host in (HOST, "localhost")}

        @web.middleware
        async def own_page_only(request: web.Request, handler) -> web.StreamResponse:
            origin = request.headers.get("Origin")
            if request.host not in names or (origin is not None and origin.removeprefix("http://") not in names):
                raise web.HTTPForbidden(text="this page may not use simplexlab")
            if request.path == "/ws" and origin is None:
                raise web.HTTPForbidden(text="a web socket must say which page opens it")
            return await handler(request)

        application.middlewares.append(own_page_only)
        return application


def serve(command: str, port: int) -> None:
    """Serve what a command shows, one process a browser tab, until Ctrl-C.

    Args:
        command: shell command of the terminal application.
        port: port on 127.0.0.1.

    Raises:
        OSError: the port is taken or not allowed.
    """
    LocalServer(command, host=HOST, port=port, title="simplexlab").serve()
