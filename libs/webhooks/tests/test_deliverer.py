"""Deliveries from the stream to a real HTTP server, on both buses."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from nexus_bus import Bus, BusError, NatsBus
from nexus_testkit import NatsServer, wait_until
from nexus_webhooks import Endpoint, SenderConfig
from nexus_webhooks.records import EndpointRecords

from libs.webhooks.tests.receiver import Received, receiver, status
from libs.webhooks.tests.site import STREAM, Replica, delivering, endpoint, event, publish

Connect = Callable[[], Awaitable[Bus]]
# An attempt does not run out while a test runs.
PATIENT = SenderConfig(allow_private=True, timeout_ms=100_000)


@pytest.fixture
async def bus(connect: Connect) -> Bus:
    bus = await connect()
    await bus.ensure_stream(STREAM)
    return bus


async def opened(replica: Replica, count: int = 1) -> None:
    """Waits until the replica delivers for this number of endpoints: then later events are sent."""
    await wait_until(lambda: replica.value("webhook_endpoints_running") == count)


async def test_events_arrive_signed_and_in_order(bus: Bus) -> None:
    async with receiver() as server, delivering(bus, endpoint(server.url)) as replica:
        await opened(replica)
        await publish(bus, event("lobby", 1, "started"))
        await publish(bus, event("lobby", 2, "segment"))
        await publish(bus, event("lobby", 3, "completed"))
        await publish(bus, event("other", 1, "queued", app="another app"))
        await wait_until(lambda: server.numbers("lobby") == [1, 3])
        assert [(received.id, received.type) for received in server.received] == [
            ("RC_lobby-1", "recording.started"),
            ("RC_lobby-3", "recording.completed"),
        ]
        assert server.received[0].data["recordingId"] == "RC_lobby"
        await wait_until(
            lambda: replica.value("webhook_waiting_rooms", endpoint=endpoint(server.url).id) == 0
        )


async def test_a_new_endpoint_gets_what_happens_from_now_on(bus: Bus) -> None:
    await publish(bus, event("lobby", 1))
    async with receiver() as server, delivering(bus, endpoint(server.url)) as replica:
        await opened(replica)
        await publish(bus, event("lobby", 2))
        await wait_until(lambda: server.numbers("lobby") == [2])


async def test_a_new_endpoint_gets_what_happens_before_its_job_is_taken(bus: Bus) -> None:
    await publish(bus, event("lobby", 1))
    async with receiver() as server:
        hook = endpoint(server.url)
        records = EndpointRecords(bus)
        async with delivering(bus, hook) as replica:
            replica.deliverer.set_accepting(False)
            await wait_until(lambda: has_record(records, hook), timeout=30)
            await publish(bus, event("lobby", 2))
        async with delivering(bus, hook):
            await wait_until(lambda: server.numbers("lobby") == [2], timeout=30)


async def has_record(records: EndpointRecords, of: Endpoint) -> bool:
    return (await records.read(of)).revision > 0


async def test_messages_of_other_apps_are_read_once(bus: Bus) -> None:
    async with receiver() as server:
        target = endpoint(server.url)
        async with delivering(bus, target) as replica:
            await opened(replica)
            for number in range(1, 6):
                await publish(bus, event("lobby", number, app="another app"))

            async def position() -> int:
                return (await EndpointRecords(bus).read(target)).state.positions.get(STREAM.name, 0)

            async def moved() -> bool:
                return await position() == 5

            await wait_until(moved, 20)
            await publish(bus, event("lobby", 1))
            await wait_until(lambda: server.numbers("lobby") == [1])


async def test_a_room_that_fails_holds_back_only_itself(bus: Bus) -> None:
    failing = True

    async def respond(received: Received, _request: web.Request) -> web.StreamResponse:
        return web.Response(status=500 if failing and received.room == "bad" else 200)

    async with receiver(respond) as server, delivering(bus, endpoint(server.url)) as replica:
        await opened(replica)
        for number in (1, 2, 3):
            await publish(bus, event("bad", number))
            await publish(bus, event("good", number))
        await wait_until(lambda: server.numbers("good") == [1, 2, 3])
        assert {received.number for received in server.received if received.room == "bad"} == {1}
        failing = False
        await wait_until(lambda: server.numbers("bad") == [1, 2, 3])


async def test_a_slow_endpoint_delays_no_other(bus: Bus) -> None:
    async def hang(_received: Received, _request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with (
        receiver(hang) as slow,
        receiver() as quick,
        delivering(bus, endpoint(slow.url), endpoint(quick.url), sender=PATIENT) as replica,
    ):
        await opened(replica, 2)
        for number in range(1, 21):
            await publish(bus, event(f"room{number}", number))
        await wait_until(lambda: len(quick.accepted) == 20)
        assert slow.accepted == []
        assert len(slow.received) <= 8


async def test_410_disables_the_endpoint_also_for_the_next_owner(bus: Bus) -> None:
    async with receiver(status(410)) as server:
        target = endpoint(server.url)
        async with delivering(bus, target) as replica:
            await opened(replica)
            await publish(bus, event("lobby", 1))
            await wait_until(lambda: replica.value("webhook_disabled", endpoint=target.id) == 1)
            await publish(bus, event("lobby", 2))
            await replica.deliverer.drain(5_000)
        async with delivering(bus, target) as replica:
            await opened(replica)
            await publish(bus, event("lobby", 3))
            assert len(server.received) == 1


async def test_a_return_loses_and_repeats_nothing(bus: Bus) -> None:
    async with receiver() as server:
        target = endpoint(server.url)
        async with delivering(bus, target) as replica:
            await opened(replica)
            await publish(bus, event("lobby", 1))
            await wait_until(lambda: server.numbers("lobby") == [1])
            await replica.deliverer.drain(5_000)
        await publish(bus, event("lobby", 2))
        async with delivering(bus, target):
            await wait_until(lambda: server.numbers("lobby") == [1, 2])
        assert [received.number for received in server.received] == [1, 2]


async def test_a_death_loses_nothing_and_keeps_order_and_ids(connect: Connect, bus: Bus) -> None:
    async def respond(received: Received, _request: web.Request) -> web.StreamResponse:
        bad = received.room == "bad" and len(server.received) < 40
        return web.Response(status=500 if bad else 200)

    async with receiver(respond) as server:
        target = endpoint(server.url)
        async with delivering(bus, target) as first:
            await opened(first)
            async with delivering(await connect(), target, replica="b") as second:
                for number in range(1, 31):
                    await publish(bus, event("good", number))
                    await publish(bus, event("bad", number))
                    if number == 10:
                        await wait_until(lambda: len(server.numbers("good")) >= 5)
                        first.die()
                await wait_until(lambda: server.numbers("bad")[-1:] == [30], 90)
                await wait_until(lambda: server.numbers("good")[-1:] == [30], 90)
                assert server.numbers("good") == server.numbers("bad") == list(range(1, 31))
                assert second.value("webhook_endpoints_running") == 1
        for received in server.received:
            assert received.id == f"RC_{received.room}-{received.number}"


async def test_what_is_published_during_an_outage_arrives_afterwards(nats_server: NatsServer) -> None:
    bus = await NatsBus.connect(nats_server.url, "webhooks")
    await bus.ensure_stream(STREAM)
    async with receiver() as server, delivering(bus, endpoint(server.url)) as replica:
        await opened(replica)
        await publish(bus, event("lobby", 1))
        await wait_until(lambda: server.numbers("lobby") == [1])
        nats_server.stop()
        await wait_until(lambda: not bus.connected)
        nats_server.start()
        await wait_until(lambda: bus.connected)
        other = await NatsBus.connect(nats_server.url, "publisher")

        async def published() -> bool:
            try:
                await publish(other, event("lobby", 2))
            except BusError:
                return False
            return True

        await wait_until(published, 20)
        await wait_until(lambda: server.numbers("lobby") == [1, 2], 30)
        await other.close()
    await bus.close()
