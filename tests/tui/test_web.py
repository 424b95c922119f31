"""`tui --web` answers the user who has its token, and nobody else."""

import asyncio
import re

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from simplexlab.tui.web import PAGE, LocalServer


class SilentServer(LocalServer):
    """A server whose web sockets start no process."""

    async def handle_websocket(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.close()
        return socket


def serving(check, kind=SilentServer, command="true"):
    """Serve, and let `check(server, session, base)` ask."""

    async def main():
        port = unused_port()
        server = kind(command, port)
        application = await server._make_app()
        async with (
            TestServer(application, host="127.0.0.1", port=port),
            aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
        ):
            await check(server, session, f"http://127.0.0.1:{port}")

    asyncio.run(main())


async def status(session, url, **headers):
    async with session.get(url, headers=headers, allow_redirects=False) as response:
        assert response.headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
        return response.status


async def socket_status(session, base, **headers):
    """101 where a web socket is opened, else the status of the refusal."""
    try:
        async with session.ws_connect(f"{base}/ws", headers=headers):
            return 101
    except aiohttp.WSServerHandshakeError as error:
        return error.status


PAGES = ("/", "/static/js/textual.js", "/static/", "/download/anything", "/nothing", "/?fontsize=20")


def test_without_the_token_everything_is_forbidden():
    async def check(server, session, base):
        for page in PAGES:
            assert await status(session, base + page) == 403
            assert await status(session, base + page, Origin=base) == 403
        for wrong in ("", "x", server.token[:-1], server.token + "x", "%00", "ä"):
            assert await status(session, f"{base}/?token={wrong}") == 403
            assert await status(session, base + "/", Cookie=f"{server.cookie}={wrong}", Origin=base) == 403
        assert await socket_status(session, base, Origin=base) == 403
        assert await socket_status(session, f"{base}", Origin=base, Cookie=f"{server.cookie}=x") == 403
        assert await status(session, f"{base}/static/?token={server.token}") == 403  # the token opens the page alone

    serving(check)


def test_the_token_becomes_a_cookie_and_leaves_the_address():
    async def check(server, session, base):
        async with session.get(server.address, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (302, "/")
            cookie = response.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert [await status(session, base + page) for page in PAGES] == [200, 200, 200, 404, 404, 200]
        assert await socket_status(session, base, Origin=base) == 101

    serving(check)


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://example.org"}, {"Host": "example.org"}, {"Origin": "null"}, {"Origin": "https://127.0.0.1"}],
)
def test_another_page_is_turned_away_even_with_the_cookie(headers):
    async def check(server, session, base):
        assert await status(session, server.address) == 302
        assert await status(session, base + "/", **headers) == 403
        assert await socket_status(session, base, **({"Origin": base} | headers)) == 403

    serving(check)


def test_a_web_socket_says_which_page_opens_it():
    async def check(server, session, base):
        assert await status(session, server.address) == 302
        assert await socket_status(session, base) == 403

    serving(check)


def test_the_page_asks_nothing_of_other_machines():
    async def check(server, session, base):
        async with session.get(server.address) as response:
            page, policy = await response.text(), response.headers["Content-Security-Policy"]
        addresses = re.findall(r'(?:\bsrc="|\bhref="|url\(")([^"]*)', page)
        assert addresses
        assert all(one.startswith(("/static/", "/", "data:")) and "//" not in one for one in addresses), addresses
        assert f'data-session-websocket-url="ws://127.0.0.1:{server.port}/ws"' in page
        assert policy.startswith("default-src 'none'")
        assert set(re.findall(r"\b(?:https?|wss?)://[^ ;]+", policy)) == {f"ws://127.0.0.1:{server.port}"}
        for address in addresses:
            if address.startswith("/static"):
                assert await status(session, base + address) == 200

    serving(check)


def test_two_servers_have_other_tokens_and_cookies():
    one, two = (LocalServer("true", port) for port in (8000, 8001))
    assert one.token != two.token
    assert len(one.token) >= 40
    assert one.cookie != two.cookie
    assert (PAGE / "app_index.html").exists()


def test_the_log_of_requests_is_silent(caplog):
    async def check(server, session, base):
        server.initialize_logging()
        await status(session, server.address)
        assert server.token not in caplog.text

    serving(check)


def test_the_end_of_the_server_ends_what_it_shows():
    async def check(server, session, base):
        await status(session, server.address)
        async with session.ws_connect(f"{base}/ws", headers={"Origin": base}) as socket:
            async with asyncio.timeout(20):
                while not server.shown:
                    await asyncio.sleep(0.01)
                end = asyncio.ensure_future(server.on_shutdown(None))
                while (await socket.receive()).type is not aiohttp.WSMsgType.CLOSED:
                    pass
                await end
                assert not server.shown

    # An application that greets as Textual does, and quits at the first word to it.
    serving(check, LocalServer, "echo __GANGLION__; head -c 1 > /dev/null")
