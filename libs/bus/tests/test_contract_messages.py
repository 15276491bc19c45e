"""Contract of every bus: publish, subscribe and request."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from nexus_bus import Bus, Message, NoResponder, PayloadTooLarge, RequestTimeout, Subscription
from nexus_bus.bus import MAX_PAYLOAD_BYTES
from nexus_testkit import wait_until

Connect = Callable[[], Awaitable[Bus]]
Unique = Callable[[str], str]


async def take(subscription: Subscription, count: int) -> list[Message]:
    async def read() -> list[Message]:
        return [await anext(subscription) for _ in range(count)]

    return await asyncio.wait_for(read(), 10)


async def test_messages_arrive_in_order_at_every_subscriber(connect: Connect, unique: Unique) -> None:
    publisher, reader = await connect(), await connect()
    subject = unique("order.")
    first, second = await reader.subscribe(subject), await publisher.subscribe(subject)
    for number in range(100):
        await publisher.publish(subject, b"%d" % number)
    wanted = [Message(subject, b"%d" % number) for number in range(100)]
    assert await take(first, 100) == wanted
    assert await take(second, 100) == wanted


async def test_wildcards_select(bus: Bus, unique: Unique) -> None:
    root = unique("wild")
    one = await bus.subscribe(f"{root}.*.x")
    rest = await bus.subscribe(f"{root}.>")
    for subject in (root, f"{root}.a.x", f"{root}.a.y", f"{root}.a.b.x", f"{root}x.a.x"):
        await bus.publish(subject, b"")
    assert [m.subject for m in await take(rest, 3)] == [f"{root}.a.x", f"{root}.a.y", f"{root}.a.b.x"]
    await bus.publish(f"{root}.z.x", b"")
    assert [m.subject for m in await take(one, 2)] == [f"{root}.a.x", f"{root}.z.x"]


async def test_a_queue_group_shares_the_work(connect: Connect, unique: Unique) -> None:
    subject = unique("work.")
    members = [await (await connect()).subscribe(subject, queue="workers") for _ in range(2)]
    witness = await (await connect()).subscribe(subject)
    publisher = await connect()
    for number in range(60):
        await publisher.publish(subject, b"%d" % number)
    await take(witness, 60)
    taken: list[bytes] = []

    async def work(member: Subscription) -> None:
        async for message in member:
            taken.append(message.payload)

    tasks = [asyncio.create_task(work(member)) for member in members]
    await wait_until(lambda: len(taken) >= 60)
    for member in members:
        await member.close()
    await asyncio.gather(*tasks)
    assert sorted(taken, key=int) == [b"%d" % number for number in range(60)]


async def test_a_slow_reader_keeps_the_newest_and_counts_the_dropped(bus: Bus, unique: Unique) -> None:
    subject = unique("slow.")
    slow = await bus.subscribe(subject, max_pending=3)
    witness = await bus.subscribe(subject)
    for number in range(10):
        await bus.publish(subject, b"%d" % number)
    await take(witness, 10)
    await wait_until(lambda: slow.dropped == 7)
    assert [m.payload for m in await take(slow, 3)] == [b"7", b"8", b"9"]


async def test_closing_a_subscription_ends_its_iteration(bus: Bus, unique: Unique) -> None:
    subject = unique("end.")
    async with await bus.subscribe(subject) as subscription:
        await bus.publish(subject, b"x")
        await take(subscription, 1)
    assert [message async for message in subscription] == []
    await subscription.close()


async def test_closing_the_bus_ends_subscriptions(connect: Connect, unique: Unique) -> None:
    bus = await connect()
    subscription = await bus.subscribe(unique("end."))
    reading = asyncio.create_task(anext(aiter(subscription), None))
    await bus.close()
    assert await asyncio.wait_for(reading, 10) is None
    assert not bus.connected


async def test_each_request_receives_its_answer(connect: Connect, unique: Unique) -> None:
    server, client = await connect(), await connect()
    subject = unique("ask.")
    questions = await server.subscribe(subject)

    async def serve() -> None:
        async for question in questions:
            assert question.reply is not None
            await server.publish(question.reply, question.payload.upper())

    serving = asyncio.create_task(serve())
    answers = await asyncio.gather(
        *(client.request(subject, b"q%d" % n, timeout_seconds=10) for n in range(5))
    )
    assert answers == [b"Q%d" % n for n in range(5)]
    await questions.close()
    await serving


async def test_a_request_without_a_subscriber_fails_at_once(bus: Bus, unique: Unique) -> None:
    with pytest.raises(NoResponder):
        await asyncio.wait_for(bus.request(unique("nobody."), b"", timeout_seconds=60), 10)


async def test_a_request_without_an_answer_times_out(bus: Bus, unique: Unique) -> None:
    subject = unique("silent.")
    await bus.subscribe(subject)
    with pytest.raises(RequestTimeout):
        await bus.request(subject, b"", timeout_seconds=0.05)


@pytest.mark.parametrize("subject", ["", ".", "a..b", "a.", "a b", "a.*", "a.>", "a\n.b"])
async def test_a_bad_subject_cannot_be_published_to(bus: Bus, subject: str) -> None:
    with pytest.raises(ValueError):
        await bus.publish(subject, b"")


@pytest.mark.parametrize("pattern", ["", "a..b", "a.>.b", "a*", "a b"])
async def test_a_bad_pattern_cannot_be_subscribed_to(bus: Bus, pattern: str) -> None:
    with pytest.raises(ValueError):
        await bus.subscribe(pattern)


async def test_the_largest_payload_is_accepted_and_a_larger_one_refused(bus: Bus, unique: Unique) -> None:
    subject = unique("large.")
    subscription = await bus.subscribe(subject)
    await bus.publish(subject, bytes(MAX_PAYLOAD_BYTES))
    assert len((await take(subscription, 1))[0].payload) == MAX_PAYLOAD_BYTES
    with pytest.raises(PayloadTooLarge):
        await bus.publish(subject, bytes(MAX_PAYLOAD_BYTES + 1))
    assert bus.connected
