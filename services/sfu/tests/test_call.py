"""Calls through the real engine with an independent WebRTC implementation, aiortc, over gRPC and UDP on
localhost."""

import asyncio
import fractions
import math
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import grpc
import nexus_media as native
import numpy as np
import pytest
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, MediaStreamTrack, VideoStreamTrack
from av import AudioFrame, VideoFrame
from nexus.events.v1 import room_pb2
from nexus.sfu.v1 import sfu_pb2, sfu_pb2_grpc
from nexus.types.v1 import media_pb2
from nexus_sfu.config import SfuConfig
from nexus_sfu.native_engine import NativeEngine
from nexus_sfu.service import SfuService
from nexus_testkit import make_runtime, wait_until

ROOM = sfu_pb2.RoomKey(app="devkey", room="call")
RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)
RATE = 48_000
PATIENCE = 30.0


class Picture(VideoStreamTrack):
    """A video of one colour: 320x240 at 30 frames per second."""

    def __init__(self, colour: tuple[int, int, int]) -> None:
        super().__init__()
        self._pixels = np.full((240, 320, 3), colour, dtype=np.uint8)

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame.from_ndarray(self._pixels, format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(AudioStreamTrack):
    """A sine wave of a given frequency, in real time."""

    def __init__(self, hertz: float) -> None:
        super().__init__()
        self._hertz = hertz

    async def recv(self) -> AudioFrame:
        pace = await super().recv()
        samples = RATE // 50
        at = np.arange(samples) + int((pace.pts or 0) * (pace.time_base or 0) * RATE)
        wave = (8_000 * np.sin(2 * math.pi * self._hertz * at / RATE)).astype(np.int16)
        frame = AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.time_base = RATE, fractions.Fraction(1, RATE)
        frame.pts = int(at[0])
        return frame


@dataclass
class Peer:
    """An aiortc client of the service with two slot pairs and one more audio slot."""

    stub: sfu_pb2_grpc.SfuServiceStub
    connection: RTCPeerConnection = field(
        default_factory=lambda: RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
    )
    joined: sfu_pb2.JoinResponse | None = None
    # Changes aiortc's offers into those of another implementation.
    rewrite: Callable[[str], str] = str
    pictures: dict[str, tuple[int, ...]] = field(default_factory=dict)
    pitches: dict[str, float] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def join(
        self, identity: str, colour: tuple[int, int, int] | None = None, hertz: float = 0.0
    ) -> sfu_pb2.JoinResponse:
        sources: list[tuple[MediaStreamTrack, media_pb2.TrackSource.ValueType]] = []
        if colour is not None:
            sources.append((Tone(hertz), media_pb2.TRACK_SOURCE_MICROPHONE))
            sources.append((Picture(colour), media_pb2.TRACK_SOURCE_CAMERA))
        for track, _ in sources:
            self.connection.addTransceiver(track, direction="sendonly")
        for kind in ("audio", "video", "audio", "video", "audio"):
            self.connection.addTransceiver(kind, direction="recvonly")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        senders = self.connection.getTransceivers()[: len(sources)]
        self.joined = await self.stub.Join(
            sfu_pb2.JoinRequest(
                room=ROOM,
                room_id="RM_call",
                identity=identity,
                sdp=self.rewrite(self.connection.localDescription.sdp),
                publications=[
                    media_pb2.Publication(mid=str(transceiver.mid), source=source)
                    for transceiver, (_, source) in zip(senders, sources, strict=True)
                ],
                grants=media_pb2.Grants(create=True, publish=True, subscribe=True),
                bind_existing=True,
            )
        )
        await self.connection.setRemoteDescription(RTCSessionDescription(self.joined.sdp, "answer"))
        for transceiver in self.connection.getTransceivers()[len(sources) :]:
            watch = self._watch(str(transceiver.mid), transceiver.receiver)
            self.tasks.append(asyncio.create_task(watch))
        return self.joined

    async def reoffer(self, receive: list[str]) -> sfu_pb2.OfferResponse:
        assert self.joined is not None
        before = len(self.connection.getTransceivers())
        for kind in receive:
            self.connection.addTransceiver(kind, direction="recvonly")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        sources = {track.mid: track.source for track in self.joined.participant.tracks}
        answer: sfu_pb2.OfferResponse = await self.stub.Offer(
            sfu_pb2.OfferRequest(
                room=ROOM,
                participant_id=self.joined.participant.id,
                sdp=self.rewrite(self.connection.localDescription.sdp),
                publications=[
                    media_pb2.Publication(mid=str(t.mid), source=sources[str(t.mid)])
                    for t in self.connection.getTransceivers()
                    if t.direction == "sendonly"
                ],
            )
        )
        await self.connection.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        for transceiver in self.connection.getTransceivers()[before:]:
            watch = self._watch(str(transceiver.mid), transceiver.receiver)
            self.tasks.append(asyncio.create_task(watch))
        return answer

    async def _watch(self, mid: str, receiver: RTCRtpReceiver) -> None:
        try:
            while True:
                frame = await receiver.track.recv()
                if isinstance(frame, VideoFrame):
                    self.pictures[mid] = centre_colour(frame)
                elif isinstance(frame, AudioFrame):
                    pitch = loudest_pitch(frame)
                    if pitch:
                        self.pitches[mid] = pitch
        except MediaStreamError:
            pass

    def shows(self, colour: tuple[int, int, int]) -> bool:
        return any(nearly(seen, colour) for seen in self.pictures.values())

    def hears(self, hertz: float) -> bool:
        return any(abs(pitch - hertz) < 60 for pitch in self.pitches.values())

    async def close(self) -> None:
        await self.connection.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def centre_colour(frame: VideoFrame) -> tuple[int, ...]:
    pixels = frame.to_ndarray(format="rgb24")
    middle = pixels[
        pixels.shape[0] // 4 : -pixels.shape[0] // 4, pixels.shape[1] // 4 : -pixels.shape[1] // 4
    ]
    return tuple(int(value) for value in middle.reshape(-1, 3).mean(axis=0))


def loudest_pitch(frame: AudioFrame) -> float:
    """The pitch in hertz, accurate to 50 Hz; 0 for silence."""
    samples = frame.to_ndarray().reshape(-1)[:: len(frame.layout.channels)].astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    if spectrum.max() < 1e4:
        return 0.0
    return float(np.argmax(spectrum) * frame.sample_rate / len(samples))


def nearly(seen: tuple[int, ...], wanted: tuple[int, int, int]) -> bool:
    return all(abs(a - b) < 40 for a, b in zip(seen, wanted, strict=True))


@dataclass
class Node:
    service: SfuService
    stub: sfu_pb2_grpc.SfuServiceStub
    events: list[room_pb2.RoomEvent]
    stack: AsyncExitStack

    def peer(self, rewrite: Callable[[str], str] = str) -> Peer:
        peer = Peer(self.stub, rewrite=rewrite)
        self.stack.push_async_callback(peer.close)
        return peer

    def of_kind(self, kind: str) -> list[Any]:
        return [getattr(event, kind) for event in self.events if event.WhichOneof("event") == kind]


PROFILES = ("AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80")


@pytest.fixture(params=PROFILES)
def profile(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def node(profile: str) -> AsyncIterator[Node]:
    engine = NativeEngine(
        native.EngineConfig(bind_addresses=("127.0.0.1",), port=0, srtp_profiles=(profile,))
    )
    service = SfuService(SfuConfig.from_env(node_id="sfu-call"), make_runtime("sfu"), engine)
    events: list[room_pb2.RoomEvent] = []
    service.sfu.emit_events_to(events.append)
    await service.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(service.close)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{service.grpc.port}"))
        yield Node(service, sfu_pb2_grpc.SfuServiceStub(channel), events, stack)


async def test_every_participant_receives_the_right_tracks(node: Node, profile: str) -> None:
    alice, bob, viewer = node.peer(), node.peer(), node.peer()
    await alice.join("alice", RED, 440.0)
    await bob.join("bob", GREEN, 1_000.0)
    joined = await viewer.join("viewer")
    await wait_until(lambda: len(node.of_kind("media_connected")) == 3, PATIENCE, "three transports up")
    assert {up.srtp_profile for up in node.of_kind("media_connected")} == {profile}

    await wait_until(lambda: viewer.shows(RED) and viewer.shows(GREEN), PATIENCE, "both videos")
    await wait_until(lambda: viewer.hears(440) and viewer.hears(1_000), PATIENCE, "both tones")
    await wait_until(lambda: bob.shows(RED) and bob.hears(440), PATIENCE, "bob receives alice")
    assert not bob.shows(GREEN)

    # Each slot shows the video of the track that the slot table assigns to it.
    tracks = {t.id: p.identity for p in joined.participants for t in p.tracks}
    placed = {tracks[slot.track_id]: slot.mid for slot in joined.slots.slots if slot.track_id}
    assert nearly(viewer.pictures[placed["alice"]], RED)
    assert nearly(viewer.pictures[placed["bob"]], GREEN)


def as_dtls_server(sdp: str) -> str:
    assert "a=setup:actpass" in sdp
    return sdp.replace("a=setup:actpass", "a=setup:passive")


async def test_peers_may_be_the_dtls_server(node: Node, profile: str) -> None:
    """FFmpeg's WHIP muxer offers this role; here aiortc does the handshake."""
    alice, viewer = node.peer(as_dtls_server), node.peer(as_dtls_server)
    joined = await alice.join("alice", RED, 440.0)
    assert "a=setup:active\r\n" in joined.sdp
    await viewer.join("viewer")
    await wait_until(lambda: len(node.of_kind("media_connected")) == 2, PATIENCE, "two transports up")
    assert {up.srtp_profile for up in node.of_kind("media_connected")} == {profile}
    await wait_until(lambda: viewer.shows(RED) and viewer.hears(440), PATIENCE, "alice")
    answer = await viewer.reoffer(["audio", "video"])
    assert "a=setup:active\r\n" in answer.sdp, "and stays it"


def without_ssrc_and_mid(sdp: str) -> str:
    reported = re.sub(r"a=(ssrc|ssrc-group):[^\r]*\r\n", "", sdp)
    return re.sub(r"a=extmap:\d+ urn:ietf:params:rtp-hdrext:sdes:mid\r\n", "", reported)


async def test_packets_are_assigned_by_their_payload_type(node: Node) -> None:
    alice, viewer = node.peer(without_ssrc_and_mid), node.peer()
    joined = await alice.join("alice", RED, 440.0)
    assert "sdes:mid" not in joined.sdp
    await viewer.join("viewer")
    await wait_until(lambda: viewer.shows(RED) and viewer.hears(440), PATIENCE, "alice")


async def test_a_slot_is_rebound_to_another_track(node: Node) -> None:
    alice, bob, viewer = node.peer(), node.peer(), node.peer()
    first = await alice.join("alice", RED, 440.0)
    joined = await viewer.join("viewer")
    (slot,) = [slot for slot in joined.slots.slots if slot.track_id]
    await wait_until(lambda: viewer.shows(RED), PATIENCE, "the first video")
    second = await bob.join("bob", BLUE, 1_000.0)
    answer = await node.stub.UpdateSlots(
        sfu_pb2.UpdateSlotsRequest(
            room=ROOM,
            participant_id=joined.participant.id,
            bind_track_ids=[second.participant.tracks[1].id],
            unbind_track_ids=[first.participant.tracks[1].id],
        )
    )
    (bound,) = [slot for slot in answer.slots.slots if slot.track_id]
    assert (bound.mid, bound.ssrc) == (slot.mid, slot.ssrc)
    await wait_until(lambda: nearly(viewer.pictures[slot.mid], BLUE), PATIENCE, "the other video")


async def test_mute_leave_and_stats(node: Node) -> None:
    alice, viewer = node.peer(), node.peer()
    first = await alice.join("alice", RED, 440.0)
    joined = await viewer.join("viewer")
    microphone = first.participant.tracks[0]
    await wait_until(lambda: viewer.shows(RED) and viewer.hears(440), PATIENCE, "video and tone")

    async def packets() -> dict[str, int]:
        watch = node.stub.WatchStats(sfu_pb2.WatchStatsRequest(room=ROOM))
        stats: Any = await watch.read()
        watch.cancel()
        assert {t.state for t in stats.transports} == {"connected"}
        sent = {slot.track_id: slot.packets for slot in stats.slots if slot.packets}
        return {**{t.track_id: t.packets for t in stats.tracks}, **{f"slot:{k}": v for k, v in sent.items()}}

    before = await packets()
    assert before[microphone.id] > 0
    assert before[f"slot:{first.participant.tracks[1].id}"] > 0
    mute = sfu_pb2.SetMutedRequest(
        room=ROOM, participant_id=first.participant.id, track_id=microphone.id, muted=True
    )
    await node.stub.SetMuted(mute)
    await wait_until(lambda: node.of_kind("track_muted"), PATIENCE, "the event")

    await node.stub.Leave(sfu_pb2.LeaveRequest(room=ROOM, participant_id=first.participant.id))
    (changed,) = node.of_kind("slots_changed")
    assert not any(slot.track_id for slot in changed.slots.slots)
    await alice.close()
    # A client that closes without Leave sends close_notify over DTLS, and the participant is removed.
    await viewer.close()
    await wait_until(lambda: len(node.of_kind("participant_left")) == 2, PATIENCE, "the viewer is gone")
    left = node.of_kind("participant_left")[-1]
    assert left.participant_id == joined.participant.id
    assert left.reason == media_pb2.DISCONNECT_REASON_CLIENT_LEFT


async def test_more_slots_by_reoffer_and_a_camera_that_stops(node: Node) -> None:
    publishers = [node.peer() for _ in range(3)]
    viewer = node.peer()
    joined = await viewer.join("viewer")
    colours = (RED, GREEN, BLUE)
    cameras = []
    for index, peer in enumerate(publishers):
        answer = await peer.join(f"p{index}", colours[index], 500.0 * (index + 1))
        cameras.append(answer.participant.tracks[1].id)
    me = joined.participant.id
    bound = await node.stub.UpdateSlots(
        sfu_pb2.UpdateSlotsRequest(room=ROOM, participant_id=me, bind_track_ids=cameras)
    )
    assert list(bound.unplaced_track_ids) == cameras[2:]
    await wait_until(lambda: viewer.shows(RED) and viewer.shows(GREEN), PATIENCE, "two videos")
    (needed,) = node.of_kind("reoffer_needed")
    assert needed.pairs == 3

    more = await viewer.reoffer(["audio", "video"])
    assert [slot.track_id for slot in more.slots.slots if slot.track_id] == cameras
    await wait_until(lambda: viewer.shows(BLUE), PATIENCE, "the third video")

    first = publishers[0]
    first.connection.getTransceivers()[1].direction = "inactive"
    stopped = await first.reoffer([])
    assert [track.source for track in stopped.tracks] == [media_pb2.TRACK_SOURCE_MICROPHONE]
    (reported,) = [e for e in node.events if e.target_participant_id == me and e.HasField("slots_changed")]
    assert [slot.track_id for slot in reported.slots_changed.slots.slots if slot.track_id] == cameras[1:]
    await wait_until(lambda: viewer.hears(500), PATIENCE, "the participant without video is still heard")


async def test_the_newest_session_replaces_the_older(node: Node) -> None:
    first, second, viewer = node.peer(), node.peer(), node.peer()
    await first.join("alice", RED, 440.0)
    joined = await viewer.join("viewer")
    await wait_until(lambda: viewer.shows(RED), PATIENCE, "the first session")
    again = await second.join("alice", BLUE, 1_000.0)
    (left,) = node.of_kind("participant_left")
    assert left.reason == media_pb2.DISCONNECT_REASON_REPLACED
    await wait_until(lambda: first.connection.connectionState == "closed", PATIENCE, "DTLS is closed")
    await node.stub.UpdateSlots(
        sfu_pb2.UpdateSlotsRequest(
            room=ROOM,
            participant_id=joined.participant.id,
            bind_track_ids=[again.participant.tracks[1].id],
        )
    )
    await wait_until(lambda: viewer.shows(BLUE) and not viewer.shows(RED), PATIENCE, "the second session")
