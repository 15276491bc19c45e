"""The Python client in real rooms: attribution of media, more videos than slots, and changes of tracks.

Each participant sends its own colour. A frame belongs to the track that its packets name, so a colour under
another participant's name is a failure.
"""

import asyncio
import os
import subprocess
import sysconfig
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from av import VideoFrame
from nexus_cli import development
from nexus_rtc import (
    App,
    DataReceived,
    Event,
    LocalTrack,
    NexusClient,
    NotFound,
    Participant,
    ParticipantLeft,
    PermissionDenied,
    Room,
    SessionEnded,
    Track,
    TrackMuted,
    TrackPublished,
    TrackUnpublished,
    mint_token,
    send_data,
)
from nexus_rtc.event_stream import EventStream
from nexus_rtc.synthetic import Colour, SyntheticCamera, SyntheticMicrophone, colour_of
from nexus_testkit import free_port, wait_until

APP = App(development.KEY_ID, development.SECRET)
COLOURS: list[Colour] = [
    (220, 30, 30),
    (30, 200, 30),
    (30, 30, 220),
    (220, 200, 30),
    (200, 30, 200),
    (30, 200, 200),
]
PATIENCE_SECONDS = 90.0

# Several real processes have to start, on a machine that may be busy.
pytestmark = pytest.mark.timeout(400)


# A room on one shard, and one spread over two shards by relays: clients must not notice a difference.
SHARDS = {
    "one shard": {"NEXUS_SFU_SHARDS": "1"},
    "two shards": {"NEXUS_SFU_SHARDS": "2", "NEXUS_SFU_ROOM_SHARD_PARTICIPANTS": "1"},
}


@pytest.fixture(scope="module", params=list(SHARDS.values()), ids=list(SHARDS))
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("dev")
    nexus = str(Path(sysconfig.get_path("scripts")) / "nexus")
    environment = {**os.environ, **request.param}
    with (folder / "log").open("w") as log:
        command = [nexus, "dev", "--port", str(free_port()), "--data-dir", str(folder)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("ready "), (folder / "log").read_text()[-4000:]
    yield line.split()[1]
    process.terminate()
    assert process.wait(60) == 0


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as rooms:
        yield rooms


def camera(colour: Colour) -> LocalTrack:
    media = SyntheticCamera(colour, width=160, height=96, fps=10)
    return LocalTrack(media, width=160, height=96)


async def join(
    stack: AsyncExitStack,
    url: str,
    room: str,
    identity: str,
    *publish: LocalTrack,
    grants: tuple[str, ...] = ("create", "publish", "subscribe", "data"),
    pairs: int = 4,
    attach_all: bool = True,
) -> Room:
    token = mint_token(APP, room=room, identity=identity, grants=grants)
    joined = await NexusClient(server_url=url, token=token, connect_seconds=60).join(
        tracks=publish, pairs=pairs, attach_all=attach_all
    )
    stack.push_async_callback(joined.leave)
    return joined


async def the(room: Room, identity: str, kind: str = "video") -> tuple[Participant, Track]:
    """A participant's track, as soon as `room` knows it."""

    def found() -> tuple[Participant, Track] | None:
        for person in room.participants.values():
            for track in person.tracks.values():
                if person.identity == identity and track.kind == kind:
                    return person, track
        return None

    answer = await wait_until(found, PATIENCE_SECONDS, f"{kind} of {identity}")
    assert answer is not None
    return answer


async def seen_colour(room: Room, track: Track) -> Colour:
    """The colour of a frame whose packets arrive from now on."""
    before, media = packets(room, track), room.media(track)
    await wait_until(lambda: packets(room, track) > before + 5, PATIENCE_SECONDS, f"packets of {track.id}")
    while not media._frames.empty():
        await media.recv()
    async with asyncio.timeout(PATIENCE_SECONDS):
        frame = await media.recv()
    assert isinstance(frame, VideoFrame)
    return colour_of(frame)


def packets(room: Room, track: Track) -> int:
    return sum(slot.sources.get(track.number, 0) for slot in room.peer.slots)


async def event_of(stream: EventStream, wanted: Callable[[Event], bool]) -> Event:
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for event in stream:
            if wanted(event):
                return event
    raise AssertionError("the session ended before")


def like(colour: Colour) -> object:
    """Equal within the tolerance of a codec."""
    return pytest.approx(colour, abs=40)


async def test_six_videos_are_attributed_correctly_with_fewer_slots(url: str, stack: AsyncExitStack) -> None:
    for number, colour in enumerate(COLOURS):
        await join(stack, url, "six", f"person-{number}", camera(colour), attach_all=False)
    watcher = await join(stack, url, "six", "watcher", pairs=2)
    tracks = [(await the(watcher, f"person-{number}"))[1] for number in range(len(COLOURS))]
    for _ in range(2):
        for track, colour in zip(tracks, COLOURS, strict=True):
            assert await seen_colour(watcher, track) == like(colour)
    assert sum(slot.kind == "video" for slot in watcher.peer.slots) >= len(COLOURS)
    assert watcher.unattributed_frames == 0


async def test_one_slot_carries_tracks_one_after_another(url: str, stack: AsyncExitStack) -> None:
    await join(stack, url, "rebind", "red", camera(COLOURS[0]), attach_all=False)
    await join(stack, url, "rebind", "blue", camera(COLOURS[2]), attach_all=False)
    watcher = await join(stack, url, "rebind", "watcher", pairs=1, attach_all=False)
    red, blue = (await the(watcher, "red"))[1], (await the(watcher, "blue"))[1]
    for track, other, colour in ((red, blue, COLOURS[0]), (blue, red, COLOURS[2]), (red, blue, COLOURS[0])):
        await watcher.detach(other)
        assert await watcher.attach(track) == []
        assert await seen_colour(watcher, track) == like(colour)


async def test_publish_mute_unpublish_and_leave_are_notified(url: str, stack: AsyncExitStack) -> None:
    watcher = await join(stack, url, "changes", "watcher")
    stream = watcher.events()
    ada = await join(stack, url, "changes", "ada")
    local = await ada.publish(LocalTrack(SyntheticMicrophone(), name="voice"))
    published = await event_of(stream, lambda event: isinstance(event, TrackPublished))
    assert isinstance(published, TrackPublished)
    assert (published.participant.identity, published.track.name) == ("ada", "voice")
    async with asyncio.timeout(PATIENCE_SECONDS):
        await watcher.media(published.track).recv()

    await ada.set_muted(local, True)
    muted = await event_of(stream, lambda event: isinstance(event, TrackMuted))
    assert isinstance(muted, TrackMuted)
    assert muted.track.muted

    await ada.update(name="Ada", attributes={"hand": "up"})
    await wait_until(
        lambda: watcher.participants[ada.local_participant.id].attributes == {"hand": "up"}, PATIENCE_SECONDS
    )

    await ada.unpublish(local)
    await event_of(stream, lambda event: isinstance(event, TrackUnpublished))
    again = await ada.publish(camera(COLOURS[1]))
    assert again.mid
    track = (await the(watcher, "ada"))[1]
    assert await seen_colour(watcher, track) == like(COLOURS[1])

    await ada.leave()
    left = await event_of(stream, lambda event: isinstance(event, ParticipantLeft))
    assert isinstance(left, ParticipantLeft)
    assert left.participant.identity == "ada"


async def test_a_late_participant_receives_existing_tracks(url: str, stack: AsyncExitStack) -> None:
    voice = LocalTrack(SyntheticMicrophone(), muted=True)
    ada = await join(stack, url, "late", "ada", camera(COLOURS[4]), voice)
    watcher = await join(stack, url, "late", "watcher")
    stream = watcher.events()
    assert await seen_colour(watcher, (await the(watcher, "ada"))[1]) == like(COLOURS[4])
    silent = (await the(watcher, "ada", "audio"))[1]
    assert silent.muted
    assert packets(watcher, silent) == 0

    await ada.set_muted(voice, False)
    heard = await event_of(stream, lambda event: isinstance(event, TrackMuted))
    assert isinstance(heard, TrackMuted)
    assert not heard.track.muted
    await wait_until(lambda: packets(watcher, silent) > 5, PATIENCE_SECONDS, "the voice")


async def test_the_newest_session_of_an_identity_replaces_the_older(url: str, stack: AsyncExitStack) -> None:
    first = await join(stack, url, "twice", "ada")
    stream = first.events()
    second = await join(stack, url, "twice", "ada")
    end = await event_of(stream, lambda event: isinstance(event, SessionEnded))
    assert isinstance(end, SessionEnded)
    assert end.reason == "REPLACED"
    assert second.ended is None


async def test_grants_are_enforced(url: str, stack: AsyncExitStack) -> None:
    with pytest.raises(NotFound):
        await join(stack, url, "not-there", "ada", grants=("publish", "subscribe"))
    listener = await join(stack, url, "quiet", "ada", grants=("create", "subscribe"))
    with pytest.raises(PermissionDenied):
        await listener.publish(SyntheticMicrophone())


async def test_rooms_with_hostile_names_are_separate(url: str, stack: AsyncExitStack) -> None:
    names = (">", "*", "a.b", "../x", "名前 ☃")
    rooms = [await join(stack, url, name, "ada") for name in names]
    assert [room.name for room in rooms] == list(names)
    assert all(room.participants == {} for room in rooms)


async def test_messages_reach_all_or_one_participant(url: str, stack: AsyncExitStack) -> None:
    anna = await join(stack, url, "words", "anna")
    ben = await join(stack, url, "words", "ben")
    cleo = await join(stack, url, "words", "cleo", grants=("subscribe",))
    heard: dict[str, list[DataReceived]] = {"ben": [], "cleo": []}

    async def listen(name: str, room: Room) -> None:
        async for event in room.events():
            if isinstance(event, DataReceived) and event.topic != "hello":
                heard[name].append(event)

    greeted = [room.events() for room in (ben, cleo)]

    async def both_are_there() -> None:
        """A participant does not receive messages sent before its data channels are open."""
        waiting = [
            asyncio.create_task(event_of(stream, lambda event: isinstance(event, DataReceived)))
            for stream in greeted
        ]
        while not all(task.done() for task in waiting):
            await anna.publish_data("hello", topic="hello", reliable=False)
            await asyncio.wait(waiting, timeout=0.2)

    async with asyncio.timeout(PATIENCE_SECONDS):
        await both_are_there()
    listeners = [asyncio.create_task(listen(name, room)) for name, room in (("ben", ben), ("cleo", cleo))]
    await anna.publish_data(bytes(256 * 1024), topic="large")
    await anna.publish_data("for ben", to="ben")
    await anna.publish_data("for all")
    await wait_until(lambda: len(heard["ben"]) == 3 and len(heard["cleo"]) == 2, PATIENCE_SECONDS, "messages")
    assert [message.payload for message in heard["ben"]] == [bytes(256 * 1024), "for ben", "for all"]
    assert [message.payload for message in heard["cleo"]] == [bytes(256 * 1024), "for all"]
    assert all(m.participant is not None and m.participant.identity == "anna" for m in heard["ben"])
    assert [message.directed for message in heard["ben"]] == [False, True, False]
    with pytest.raises(PermissionDenied):
        await cleo.publish_data("no")
    # The server itself, without being in the room.
    token = mint_token(APP, room="words", identity="server", grants=["admin"])
    await send_data(url, token, bytes(256 * 1024), topic="large")
    await send_data(url, token, "for ben", topic="news", to=["ben"])
    await wait_until(lambda: len(heard["ben"]) == 5 and len(heard["cleo"]) == 3, PATIENCE_SECONDS, "news")
    large, news = heard["ben"][3:]
    assert (large.payload, news.payload, news.topic) == (bytes(256 * 1024), "for ben", "news")
    assert all(message.from_server and message.participant is None for message in (large, news))
    assert (large.directed, news.directed) == (False, True)
    with pytest.raises(NotFound):
        await send_data(url, token, "x", to=["dora"])
    for task in listeners:
        task.cancel()
