"""The proxy that fails on demand, in front of a server that reports what reaches it."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from nexus_testkit import Answer, FaultProxy, Hang, Reset, Truncate, wait_until
from yarl import URL

BODY = b"0123456789" * 1000


@pytest.fixture
async def reached() -> list[str]:
    return []


@pytest.fixture
async def proxy(reached: list[str]) -> AsyncIterator[FaultProxy]:
    async def handle(request: web.BaseRequest) -> web.Response:
        body = await request.content.read()
        reached.append(f"{request.method} {request.raw_path} {request.headers['Host']} {len(body)}")
        return web.Response(body=BODY, headers={"X-Served": "yes"})

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with FaultProxy(f"http://127.0.0.1:{runner.addresses[0][1]}") as proxy:
        yield proxy
    await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_requests_pass_byte_for_byte(
    proxy: FaultProxy, http: aiohttp.ClientSession, reached: list[str]
) -> None:
    body = bytes(3 << 20)
    host = proxy.url.removeprefix("http://")
    async with http.put(URL(proxy.url + "/a%20b%2Fc?x=%2F&y", encoded=True), data=body) as answer:
        assert (await answer.read(), answer.headers["X-Served"]) == (BODY, "yes")
    async with http.head(proxy.url + "/a") as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(BODY)))
    assert reached == [f"PUT /a%20b%2Fc?x=%2F&y {host} {len(body)}", f"HEAD /a {host} 0"]
    assert [(seen.method, seen.size) for seen in proxy.seen] == [("PUT", len(body)), ("HEAD", 0)]


async def test_a_fault_meets_only_the_requests_that_it_is_for(
    proxy: FaultProxy, http: aiohttp.ClientSession, reached: list[str]
) -> None:
    proxy.inject(Answer(503, {"Retry-After": "2"}, b"no"), methods=("PUT",), containing="/b", skip=1, times=2)
    statuses = []
    for method, path in [("GET", "/b"), ("PUT", "/a"), *[("PUT", "/b")] * 4]:
        async with http.request(method, proxy.url + path) as answer:
            statuses.append(answer.status)
            if answer.status == 503:
                assert (answer.headers["Retry-After"], await answer.read()) == ("2", b"no")
    assert statuses == [200, 200, 200, 503, 503, 200]
    assert len(reached) == 4


@pytest.mark.parametrize("served", [False, True])
async def test_a_reset_is_before_or_after_the_server(
    proxy: FaultProxy, http: aiohttp.ClientSession, reached: list[str], served: bool
) -> None:
    proxy.inject(Reset(served=served))
    with pytest.raises(aiohttp.ClientOSError):
        await http.post(proxy.url, data=b"x")  # aiohttp would repeat a PUT
    assert len(reached) == int(served)


async def test_a_body_is_cut_off(proxy: FaultProxy, http: aiohttp.ClientSession) -> None:
    proxy.inject(Truncate(100))
    async with http.get(proxy.url) as answer:
        assert answer.headers["Content-Length"] == str(len(BODY))
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_a_hanging_request_reaches_nobody_and_ends_with_the_proxy(
    proxy: FaultProxy, http: aiohttp.ClientSession, reached: list[str]
) -> None:
    proxy.inject(Hang())
    request = asyncio.create_task(http.get(proxy.url))
    await wait_until(lambda: proxy.seen)
    assert reached == []
    assert not request.done()
    await proxy.__aexit__()
    with pytest.raises(aiohttp.ClientError):
        await request
