"""Joining, publishing, attaching and leaving, against a fake signaling server with aiortc as the remote
peer."""

import asyncio
from typing import Any

import pytest
from aiortc import AudioStreamTrack, RTCRtpSender, VideoStreamTrack
from aiortc.rtp import RtpPacket
from nexus.events.v1 import room_pb2 as room_events
from nexus.signaling.v1 import session_pb2 as wire
from nexus.types.v1 import media_pb2 as media
from nexus.types.v1.error_pb2 import Error, ErrorCode
from nexus_rtc import (
    ConnectionFailed,
    Event,
    LocalTrack,
    NexusClient,
    ParticipantJoined,
    RecordingChanged,
    SessionEnded,
    TokenRejected,
    TrackPublished,
    TranscribingChanged,
)
from nexus_rtc.event_stream import EventStream
from nexus_rtc.testing import FakeServer
from nexus_rtc.wire import BINARY, JSON, Subprotocol
from nexus_testkit import wait_until

# The payload types that aiortc offers for Opus and VP8.
OPUS, VP8 = 96, 97


def track(number: int, kind: media.TrackKind.ValueType) -> media.Track:
    return media.Track(id=f"TR_{number}", number=number, participant_id="PA_ada", kind=kind)


def ada(*tracks: media.Track) -> media.Participant:
    return media.Participant(id="PA_ada", identity="ada", name="Ada", tracks=tracks)


async def collect(events: EventStream, heard: list[Event]) -> None:
    heard += [event async for event in events]


def published(number: int, revision: int = 2) -> wire.ServerMessage:
    event = room_events.TrackPublished(track=track(number, media.TRACK_KIND_VIDEO))
    return wire.ServerMessage(event=room_events.RoomEvent(revision=revision, track_published=event))


def mark_packets(monkeypatch: pytest.MonkeyPatch, number_of: dict[int, int]) -> None:
    """Puts a CSRC into every packet that aiortc sends, by the kind of its payload type (audio below 97)."""

    class Marked(RtpPacket):
        def __init__(self, **fields: Any) -> None:
            super().__init__(**fields)
            number = number_of.get(fields.get("payload_type", 0))
            self.csrc = [] if number is None else [number]

    monkeypatch.setattr("aiortc.rtcrtpsender.RtpPacket", Marked)


@pytest.mark.parametrize("subprotocol", [BINARY, JSON])
async def test_join_and_leave(server: FakeServer, token: str, subprotocol: Subprotocol) -> None:
    steps: list[str] = []
    client = NexusClient(server_url=server.url, token=token, subprotocol=subprotocol)
    room = await client.join(name="Me", attributes={"a": "b"}, on_step=steps.append)
    assert (room.name, room.local_participant.identity) == ("lobby", "me")
    assert steps == ["websocket", "offer", "answer"]
    join = server.last("join").join
    assert (join.token, join.room, join.name, dict(join.attributes)) == (token, "lobby", "Me", {"a": "b"})
    assert join.client.sdk == "python"
    assert join.bind_existing
    await room.leave()
    assert server.kinds()[-1] == "leave"
    assert isinstance(room.ended, SessionEnded)
    assert room.ended.reason == "CLIENT_LEFT"


async def test_a_recording_is_known_from_the_join_on(server: FakeServer, token: str) -> None:
    async with await NexusClient(server_url=server.url, token=token).join() as room:
        assert (room.recording, room.transcribing) == (False, False)
        heard: list[Event] = []
        listening = asyncio.create_task(collect(room.events(), heard))
        for revision, flags in enumerate(
            ({"recording": True}, {"recording": True, "transcribing": True}), 20
        ):
            updated = room_events.RoomUpdated(room=media.Room(id="RM_1", name="lobby", **flags))
            event = room_events.RoomEvent(revision=revision, room_updated=updated)
            await server.push(wire.ServerMessage(event=event))
        await wait_until(lambda: room.transcribing)
        assert room.recording
        # A later reader receives what runs already.
        later: list[Event] = []
        others = asyncio.create_task(collect(room.events(), later))
    await asyncio.gather(listening, others)
    for events in (heard, later):
        assert events[:2] == [RecordingChanged(True), TranscribingChanged(True)]
        assert isinstance(events[2], SessionEnded)


async def test_the_offer_follows_the_contract(server: FakeServer, token: str) -> None:
    microphone = LocalTrack(AudioStreamTrack(), name="mic", muted=True)
    async with await NexusClient(server_url=server.url, token=token).join(tracks=[microphone]):
        join = server.last("join").join
    kinds = [line.split()[0] for line in join.sdp.splitlines() if line.startswith("m=")]
    assert kinds == ["m=audio", "m=video"] * 4 + ["m=audio"] * 3 + ["m=audio", "m=application"]
    directions = [line for line in join.sdp.splitlines() if line in ("a=recvonly", "a=sendonly")]
    assert directions == ["a=recvonly"] * 11 + ["a=sendonly"]
    (publication,) = join.publications
    assert publication.mid == "11"
    assert publication.source == media.TRACK_SOURCE_MICROPHONE
    assert (publication.name, publication.muted) == ("mic", True)
    assert len({line for line in join.sdp.splitlines() if line.startswith("a=ice-ufrag")}) == 1


async def test_media_arrives_at_the_track_whose_number_the_packets_carry(
    server: FakeServer, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark_packets(monkeypatch, {OPUS: 5, VP8: 6})
    server.sends = [AudioStreamTrack(), VideoStreamTrack()]
    voice, camera, other = (
        track(5, media.TRACK_KIND_AUDIO),
        track(6, media.TRACK_KIND_VIDEO),
        track(7, media.TRACK_KIND_VIDEO),
    )
    server.join.participants.append(ada(voice, camera, other))
    async with await NexusClient(server_url=server.url, token=token).join() as room:
        tracks = room.participants["PA_ada"].tracks
        async with asyncio.timeout(60):
            sound = await room.media(tracks["TR_5"]).recv()
            picture = await room.media(tracks["TR_6"]).recv()
        assert type(sound).__name__ == "AudioFrame"
        assert type(picture).__name__ == "VideoFrame"
        assert room.unattributed_frames == 0
        assert room.media(tracks["TR_7"])._frames.empty()
        assert room.peer.srtp_profile in ("AEAD_AES_128_GCM", "SRTP_AEAD_AES_256_GCM")


@pytest.mark.parametrize("publishes", [True, False], ids=["publishes", "data alone"])
async def test_a_client_without_slots_is_connected(server: FakeServer, token: str, publishes: bool) -> None:
    tracks = [LocalTrack(AudioStreamTrack())] if publishes else []
    room = await NexusClient(server_url=server.url, token=token).join(tracks=tracks, pairs=0, audio_slots=0)
    await wait_until(lambda: room.peer.dtls_state == "connected")
    assert room.peer.milestones.dtls_at is not None
    await room.leave()


@pytest.mark.parametrize("profile", ["AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80"])
async def test_one_srtp_profile_can_be_selected(server: FakeServer, token: str, profile: str) -> None:
    client = NexusClient(server_url=server.url, token=token, srtp_profile=profile)  # type: ignore[arg-type]
    async with await client.join() as room:
        await wait_until(lambda: room.peer.dtls_state == "connected", 30)
        assert room.peer.srtp_profile == profile


async def test_participants_who_joined_before_come_first(server: FakeServer, token: str) -> None:
    server.join.participants.append(ada(track(6, media.TRACK_KIND_VIDEO)))
    async with await NexusClient(server_url=server.url, token=token).join() as room:
        stream = room.events()
        first, second = await anext(stream), await anext(stream)
    assert isinstance(first, ParticipantJoined)
    assert first.participant.name == "Ada"
    assert isinstance(second, TrackPublished)
    assert isinstance([event async for event in stream][-1], SessionEnded)


async def test_a_new_video_track_is_requested(server: FakeServer, token: str) -> None:
    server.join.participants.append(ada())
    async with await NexusClient(server_url=server.url, token=token).join():
        await server.push(published(6))
        await wait_until(lambda: "update_slots" in server.kinds())
        assert server.last("update_slots").update_slots.bind_track_ids == ["TR_6"]


async def test_nothing_is_requested_when_the_program_attaches_tracks_itself(
    server: FakeServer, token: str
) -> None:
    server.join.participants.append(ada())
    async with await NexusClient(server_url=server.url, token=token).join(attach_all=False) as room:
        assert not server.last("join").join.bind_existing
        stream = room.events()
        await anext(stream)
        await server.push(published(6))
        event = await anext(stream)
        assert isinstance(event, TrackPublished)
        await room.attach(event.track)
        assert server.kinds() == ["join", "update_slots"]


async def test_more_slots_are_offered_on_request(server: FakeServer, token: str) -> None:
    async with await NexusClient(server_url=server.url, token=token).join(pairs=1, audio_slots=1):
        wanted = room_events.ReofferNeeded(pairs=2, audio_slots=1)
        await server.push(wire.ServerMessage(event=room_events.RoomEvent(reoffer_needed=wanted)))
        await wait_until(lambda: "offer" in server.kinds())
        sdp = server.last("offer").offer.sdp
    kinds = [line.split()[0] for line in sdp.splitlines() if line.startswith("m=")]
    assert kinds == ["m=audio", "m=video", "m=audio", "m=application", "m=audio", "m=video"]


async def test_publish_mute_and_unpublish_later(server: FakeServer, token: str) -> None:
    async with await NexusClient(server_url=server.url, token=token).join(pairs=1, audio_slots=0) as room:
        local = await room.publish(LocalTrack(VideoStreamTrack(), source="screen", width=640, height=480))
        (publication,) = server.last("offer").offer.publications
        assert (publication.mid, publication.source) == (local.mid, media.TRACK_SOURCE_SCREEN)
        assert (publication.width, publication.height) == (640, 480)

        await room.set_muted(local, True)
        mute = server.last("set_muted").set_muted
        assert (mute.track_id, mute.muted) == (f"TR_{local.mid}", True)

        await room.unpublish(local)
        again = server.last("offer").offer
        assert list(again.publications) == []
        assert "a=inactive" in again.sdp
        assert room.published == ()


async def test_a_muted_track_stays_silent_through_answers(server: FakeServer, token: str) -> None:
    voice = LocalTrack(AudioStreamTrack(), muted=True)
    async with await NexusClient(server_url=server.url, token=token).join(
        pairs=1, audio_slots=0, tracks=[voice]
    ) as room:
        await room.publish(VideoStreamTrack())
        assert voice.transceiver is not None
        await wait_until(lambda: room.peer.milestones.first_sent_at is not None, 30)
        senders = [
            one.sender for one in room.peer.connection.getTransceivers() if one.direction == "sendonly"
        ]
        sent = {one.kind: await packets_sent(one) for one in senders}
        assert sent["audio"] == 0
        assert sent["video"] > 0


async def packets_sent(sender: RTCRtpSender) -> int:
    statistics = (await sender.getStats()).values()
    return sum(one.packetsSent for one in statistics if one.type == "outbound-rtp")


async def test_a_refused_join_says_why_and_leaves_nothing_open(server: FakeServer, token: str) -> None:
    error = Error(code=ErrorCode.TOKEN_EXPIRED, message="it expired", fatal=True)
    server.answers["join"] = lambda _: wire.ServerMessage(error=error)
    with pytest.raises(TokenRejected) as caught:
        await NexusClient(server_url=server.url, token=token).join()
    assert caught.value.code == "TOKEN_EXPIRED"
    await wait_until(lambda: server.close_code is not None)


async def test_joining_without_a_server_fails(token: str) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        await NexusClient(server_url="http://127.0.0.1:1", token=token).join()
    assert caught.value.code == "CONNECTION_FAILED"


async def test_joining_a_server_of_another_protocol_fails(server: FakeServer, token: str) -> None:
    server.subprotocols = ()
    with pytest.raises(ConnectionFailed, match=r"does not speak nexus\.v1"):
        await NexusClient(server_url=server.url, token=token).join()


async def test_a_server_that_goes_away_ends_the_session(server: FakeServer, token: str) -> None:
    room = await NexusClient(server_url=server.url, token=token).join()
    stream = room.events()
    await server.hang_up()
    async with asyncio.timeout(20):
        last = [event async for event in stream][-1]
    assert isinstance(last, SessionEnded)
    assert last.reason == "SIGNALING_LOST"
    await room.leave()


def test_the_address_may_be_in_the_token() -> None:
    from nexus_rtc import App, mint_token

    app = App("key", "0123456789abcdef0123456789abcdef")
    NexusClient(token=mint_token(app, room="a", identity="b", url="wss://x"))
    with pytest.raises(ValueError, match="no server address"):
        NexusClient(token=mint_token(app, room="a", identity="b"))


def test_a_codec_that_aiortc_does_not_send() -> None:
    with pytest.raises(ValueError, match="av1"):
        LocalTrack(VideoStreamTrack(), codec="av1")


async def test_active_speakers_are_delivered_to_later_listeners(server: FakeServer, token: str) -> None:
    server.join.participants.add(id="PA_ada", identity="ada")
    speaker = room_events.Speaker(participant_id="PA_ada", track_id="TR_1", level_dbov=-20)
    server.join.active_speakers.CopyFrom(room_events.ActiveSpeakers(speakers=[speaker], revision=3))
    room = await NexusClient(server_url=server.url, token=token).join()
    assert [one.participant_id for one in room.active_speakers] == ["PA_ada"]
    stream = room.events()
    told = [await anext(stream), await anext(stream)]
    assert [type(one).__name__ for one in told] == ["ParticipantJoined", "ActiveSpeakers"]
    await room.leave()
