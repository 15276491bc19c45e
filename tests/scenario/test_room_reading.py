"""Following a room and reading its tracks in a real system, over connections that a test cuts."""

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest
from dev_system import Development, development
from nexus.sfu.v1 import sfu_pb2, track_stream_pb2
from nexus_bus import NatsBus
from nexus_bus.subjects import NODES, ROOMS
from nexus_cli import development as settings
from nexus_rooms import (
    BareEvent,
    FollowLimits,
    NodeDirectory,
    ParticipantJoined,
    ReadEnd,
    ReadEnded,
    RoomChange,
    RoomClosed,
    RoomFeeds,
    RoomFollower,
    RoomLookup,
    RoomMissing,
    RoomSnapshotted,
    RoomUpdated,
    SfuClient,
    TapOptions,
    TrackBatch,
    TrackReader,
)
from nexus_rtc import App, LocalTrack, NexusClient, RecordingChanged, mint_token
from nexus_rtc import Room as JoinedRoom
from nexus_rtc.synthetic import SyntheticMicrophone
from nexus_runtime import MetricSet, SystemClock
from nexus_testkit import TcpLink, wait_until
from prometheus_client import CollectorRegistry

APP = App(settings.KEY_ID, settings.SECRET)
PATIENCE_SECONDS = 90.0

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Development]:
    with development(tmp_path_factory.mktemp("dev")) as running:
        yield running


async def join(dev: Development, room: str, identity: str) -> JoinedRoom:
    token = mint_token(APP, room=room, identity=identity, grants=("create", "publish", "subscribe"))
    client = NexusClient(server_url=dev.url, token=token, connect_seconds=60)
    return await client.join(tracks=(LocalTrack(SyntheticMicrophone()),))


def make_sfu() -> SfuClient:
    metrics = MetricSet("scenario", CollectorRegistry())
    return SfuClient(metrics, timeout_ms=20_000, join_timeout_ms=20_000)


async def test_a_room_is_followed_while_the_broker_comes_and_goes(dev: Development) -> None:
    key = sfu_pb2.RoomKey(app=APP.key_id, room="followed")
    changes: list[RoomChange] = []

    def of(kind: type[RoomChange]) -> list[Any]:
        return [change for change in changes if isinstance(change, kind)]

    link = TcpLink.to(dev.nats_url)
    await link.restore()
    bus = await NatsBus.connect(link.url, "follower")
    clock, sfu = SystemClock(), make_sfu()
    nodes = NodeDirectory(clock, timeout_ms=10_000)
    knowing = asyncio.create_task(nodes.follow(await bus.kv(NODES)))
    feeds = RoomFeeds(bus, MetricSet("scenario", CollectorRegistry()), BareEvent)
    lookup = RoomLookup(await bus.kv(ROOMS), nodes, sfu)
    follower = RoomFollower(lookup, feeds, sfu, clock, FollowLimits(fetch_ms=1_000))

    async def follow() -> None:
        async for change in follower.follow(APP.key_id, "followed"):
            changes.append(change)

    following = asyncio.create_task(follow())
    await wait_until(lambda: of(RoomMissing), PATIENCE_SECONDS)
    ann = await join(dev, "followed", "ann")
    await wait_until(lambda: of(RoomSnapshotted), PATIENCE_SECONDS)
    assert [one.identity for one in of(RoomSnapshotted)[-1].participants] == ["ann"]

    events = ann.events()
    await sfu.update_room(dev.sfu, sfu_pb2.UpdateRoomRequest(room=key, recording=True))
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for event in events:
            if isinstance(event, RecordingChanged):
                break
    assert ann.recording
    await wait_until(lambda: of(RoomUpdated) or of(RoomSnapshotted)[-1].room.recording, PATIENCE_SECONDS)

    await link.cut()
    bob = await join(dev, "followed", "bob")
    assert bob.recording  # in the answer of the join
    await wait_until(lambda: len(of(RoomSnapshotted)[-1].participants) == 2, PATIENCE_SECONDS)
    await link.restore()
    carol = await join(dev, "followed", "carol")
    await wait_until(
        lambda: (
            any(one.participant.identity == "carol" for one in of(ParticipantJoined))
            or len(of(RoomSnapshotted)[-1].participants) == 3
        ),
        PATIENCE_SECONDS,
    )
    for participant in (ann, bob, carol):
        await participant.leave()
    await wait_until(lambda: of(RoomClosed) or len(of(RoomMissing)) > 1, PATIENCE_SECONDS)
    following.cancel()
    knowing.cancel()
    await asyncio.gather(following, knowing, return_exceptions=True)
    await bus.close()
    await link.cut()
    await sfu.close()


async def test_a_track_is_read_whole_over_a_connection_that_breaks(dev: Development) -> None:
    ann = await join(dev, "read", "ann")
    (track,) = ann.local_participant.tracks.values()
    link = TcpLink.to(f"grpc://{dev.sfu}")
    await link.restore()
    sfu = make_sfu()
    key = sfu_pb2.RoomKey(app=APP.key_id, room="read")
    packets: list[int] = []
    gaps: list[track_stream_pb2.StreamGap] = []
    sources = 0
    ended: ReadEnd | None = None
    reader = TrackReader(
        sfu,
        link.url.removeprefix("grpc://"),
        key,
        track.id,
        TapOptions(name="scenario", retain_ms=60_000),
        clock=SystemClock(),
        rng=random.Random(3),
    )

    async def read() -> None:
        nonlocal ended, sources
        async for item in reader.read():
            match item:
                case ReadEnded(reason):
                    ended = reason
                case TrackBatch(response, position):
                    for record in response.records:
                        if record.HasField("packet"):
                            packets.append(record.packet.sequence_number)
                        elif record.HasField("gap"):
                            gaps.append(record.gap)
                        sources += record.HasField("source")
                    reader.acknowledge(position)

    reading = asyncio.create_task(read())
    for _ in range(3):
        before = len(packets)
        await wait_until(lambda before=before: len(packets) >= before + 50, PATIENCE_SECONDS)  # type: ignore[misc]
        await link.cut()
        await asyncio.sleep(0.5)  # the publisher goes on sending
        await link.restore()
    before = len(packets)
    await wait_until(lambda: len(packets) >= before + 50, PATIENCE_SECONDS)
    await ann.leave()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await reading
    assert ended in (ReadEnd.PARTICIPANT_LEFT, ReadEnd.ROOM_CLOSED)
    assert (packets, gaps) == (list(range(packets[0], packets[0] + len(packets))), [])
    assert sources == 4  # each connection begins with one
    assert await reader.remove()
    await reader.close()
    await link.cut()
    await sfu.close()
