"""The answers of the health endpoints, in particular during an outage of the broker."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from nexus_runtime import Health, HealthServer, Life
from nexus_runtime import health as health_module
from prometheus_client import CollectorRegistry, Counter


@pytest.fixture
def life() -> Life:
    return Life()


@pytest.fixture
def health(life: Life) -> Health:
    health = Health(lambda: life.draining)
    health.note_started()
    return health


@pytest.fixture
async def base(health: Health) -> AsyncIterator[str]:
    registry = CollectorRegistry()
    Counter("nexus_demo_packets", "Packets", registry=registry).inc(3)
    async with HealthServer(health, "127.0.0.1", 0, registry) as server:
        yield f"http://127.0.0.1:{server.port}"


async def get(url: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.json()


async def test_an_empty_service_is_live_and_ready(base: str) -> None:
    assert await get(f"{base}/livez") == (200, {"live": True})
    body = {"ready": True, "started": True, "draining": False, "checks": {}}
    assert await get(f"{base}/readyz") == (200, body)


async def test_a_starting_service_is_live_but_not_ready() -> None:
    health = Health(lambda: False)
    async with HealthServer(health, "127.0.0.1", 0, CollectorRegistry()) as server:
        base = f"http://127.0.0.1:{server.port}"
        assert (await get(f"{base}/livez"))[0] == 200
        status, body = await get(f"{base}/readyz")
        assert (status, body["ready"], body["started"]) == (503, False, False)
        health.note_started()
        assert (await get(f"{base}/readyz"))[0] == 200


async def test_a_failed_required_check_makes_the_service_not_ready(health: Health, base: str) -> None:
    answers = {"ok": False}
    health.add_check("engine", lambda: answers["ok"], required=True)
    status, body = await get(f"{base}/readyz")
    assert (status, body["ready"], body["checks"]) == (
        503,
        False,
        {"engine": {"ok": False, "required": True}},
    )
    assert (await get(f"{base}/livez"))[0] == 200
    answers["ok"] = True
    assert (await get(f"{base}/readyz"))[0] == 200


async def test_a_lost_broker_is_reported_and_leaves_the_service_ready(health: Health, base: str) -> None:
    health.add_check("nats", lambda: False, required=False)
    status, body = await get(f"{base}/readyz")
    assert (status, body["checks"]["nats"]) == (200, {"ok": False, "required": False})


async def test_a_draining_service_is_live_but_not_ready_until_it_resumes(life: Life, base: str) -> None:
    life.drain()
    status, body = await get(f"{base}/readyz")
    assert (status, body["ready"], body["draining"]) == (503, False, True)
    assert (await get(f"{base}/livez"))[0] == 200
    life.resume()
    assert (await get(f"{base}/readyz"))[0] == 200


async def test_a_check_that_raises_or_hangs_fails_without_exposing_details(
    health: Health, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_module, "CHECK_TIMEOUT_SECONDS", 0.05)

    def raises() -> bool:
        raise ConnectionError("password=opaque")

    async def hangs() -> bool:
        await asyncio.Event().wait()
        return True

    health.add_check("raises", raises, required=False)
    health.add_check("hangs", hangs, required=True)
    status, body = await get(f"{base}/readyz")
    assert status == 503
    assert body["checks"]["raises"] == {"ok": False, "required": False, "error": "ConnectionError"}
    assert body["checks"]["hangs"] == {"ok": False, "required": True, "error": "timeout"}


async def test_names_of_checks_are_unique(health: Health) -> None:
    health.add_check("nats", lambda: True, required=False)
    with pytest.raises(ValueError):
        health.add_check("nats", lambda: True, required=False)


async def test_metrics_have_the_prometheus_format(base: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{base}/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain")
        assert "nexus_demo_packets_total 3.0" in await response.text()


async def test_the_port_is_free_again_after_closing(health: Health) -> None:
    server = HealthServer(health, "127.0.0.1", 0)
    await server.start()
    port = server.port
    await server.close()
    async with HealthServer(health, "127.0.0.1", port) as again:
        assert again.port == port
