"""Rooms at all documented limits: a client that reads is never "too slow", for any size of the room's state
and any number of events queued behind it."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from nexus.events.v1 import room_pb2
from nexus.types.v1 import media_pb2
from nexus_bus import MemoryBus
from nexus_rooms.testing import FakeRoom
from nexus_signaling.core.texts import (
    MAX_ATTRIBUTES,
    MAX_ATTRIBUTES_BYTES,
    MAX_METADATA_BYTES,
    MAX_NAME_BYTES,
)

from services.signaling.tests.harness import APP, Client, Harness, mint

# The SFU's limit of participants in a room.
PARTICIPANTS = 200
TRACKS = 8


def largest_texts(seed: int) -> dict[str, object]:
    """A name, metadata and attributes of the maximum size, with text that hardly compresses."""
    rng = random.Random(seed)
    value_bytes = MAX_ATTRIBUTES_BYTES // MAX_ATTRIBUTES - 8
    return {
        "name": rng.randbytes(MAX_NAME_BYTES // 2).hex(),
        "metadata": rng.randbytes(MAX_METADATA_BYTES // 2).hex(),
        "attributes": {f"key-{n:04}": rng.randbytes(value_bytes // 2).hex() for n in range(MAX_ATTRIBUTES)},
    }


def fill(room: FakeRoom, participants: int) -> None:
    for number in range(participants):
        texts: dict[str, object] = largest_texts(number)
        present = media_pb2.Participant(id=f"PA_f{number}", identity=f"full-{number}", **texts)  # type: ignore[arg-type]
        for track in range(TRACKS):
            present.tracks.add(id=f"TR_f{number}_{track}", participant_id=present.id, source=1)
        room.participants[present.id] = present


@pytest.fixture
async def full() -> AsyncIterator[Harness]:
    """A service with one room that has only a few places left."""
    async with Harness(MemoryBus(), sfu_join_timeout_ms=60_000, sfu_timeout_ms=60_000) as harness:
        room = harness.sfu.rooms[APP, "lobby"] = FakeRoom(APP, "lobby", "RM_full")
        fill(room, PARTICIPANTS - 8)
        yield harness


async def join(harness: Harness, number: int, subprotocol: str) -> tuple[Client, int]:
    """A client that joins with the largest texts, and the number of other participants in its answer."""
    client = await harness.connect(subprotocol, compress=0)
    reply = await client.join(mint(f"late-{number}"), **largest_texts(1000 + number))
    assert reply.WhichOneof("body") == "join", reply
    return client, len(reply.join.participants)


async def arrivals_seen(client: Client, count: int) -> list[str]:
    seen = []
    for _ in range(count):
        event = await client.event("participant_joined")
        seen.append(event.event.participant_joined.participant.identity)
    return seen


@pytest.mark.parametrize("subprotocol", ["nexus.v1", "nexus.v1.json"])
async def test_simultaneous_joins_into_a_full_room_keep_every_client_connected(
    full: Harness, subprotocol: str
) -> None:
    joined = await asyncio.gather(*(join(full, number, subprotocol) for number in range(4)))
    for client, others in joined:
        missing = PARTICIPANTS - 8 + 3 - others
        await arrivals_seen(client, missing)
        assert (await client.request(ping={})).WhichOneof("body") == "ping"
    assert full.metric("sessions") == 4
    assert full.metric("outbox_dropped_total") == 0


async def test_events_held_for_a_large_answer_follow_it_at_once(full: Harness) -> None:
    """The maximum number of held events, each of the maximum size."""
    burst = [
        room_pb2.ParticipantJoined(participant=media_pb2.Participant(id=f"PA_b{n}", identity=f"burst-{n}"))
        for n in range(1000)
    ]
    for number, joined in enumerate(burst[:300]):
        joined.participant.metadata = random.Random(number).randbytes(MAX_METADATA_BYTES // 2).hex()

    async def overtake() -> None:
        for joined in burst:
            await full.sfu.emit(full.room(), "participant-joined", participant_joined=joined)
        await asyncio.sleep(0.05)

    full.sfu.before_join_answer = overtake
    client, _ = await join(full, 0, "nexus.v1")
    assert await arrivals_seen(client, len(burst)) == [f"burst-{n}" for n in range(len(burst))]


async def test_a_burst_of_events_is_sent_as_it_arrives(full: Harness) -> None:
    client, _ = await join(full, 0, "nexus.v1")
    for number in range(3000):
        muted = room_pb2.TrackMuted(track_id=f"TR_{number}", muted=True)
        await full.sfu.emit(full.room(), "track-muted", track_muted=muted)
    received = [(await client.event("track_muted")).event.track_muted.track_id for _ in range(3000)]
    assert received == [f"TR_{number}" for number in range(3000)]


async def test_a_snapshot_of_a_full_room_follows_events_that_are_still_queued(full: Harness) -> None:
    client, _ = await join(full, 0, "nexus.v1")
    room = full.room()
    for number in range(200):
        joined = room_pb2.ParticipantJoined(
            participant=media_pb2.Participant(id=f"PA_q{number}", metadata="m" * MAX_METADATA_BYTES)
        )
        if number == 150:
            room.revision += 1  # a lost event
        await full.sfu.emit(room, "participant-joined", participant_joined=joined)
    snapshot = (await client.event("snapshot")).snapshot
    assert len(snapshot.participants) == PARTICIPANTS - 8 + 1
    assert (await client.request(ping={})).WhichOneof("body") == "ping"
    assert full.metric("outbox_dropped_total") == 0
