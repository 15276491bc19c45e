"""An independent peer: aiortc publishes VP8 and Opus to the engine and receives them from it."""

import asyncio
import fractions
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import nexus_media as media
import numpy as np
import pytest
from aiortc import (
    AudioStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
    sdp,
)
from av import AudioFrame, VideoFrame

EXTENSIONS = {
    "urn:ietf:params:rtp-hdrext:sdes:mid": media.HeaderExtension.MID,
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level": media.HeaderExtension.AUDIO_LEVEL,
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time": media.HeaderExtension.ABS_SEND_TIME,
}
CODECS = {"audio/opus": media.Codec.OPUS, "video/VP8": media.Codec.VP8, "video/H264": media.Codec.H264}


@dataclass
class Peer:
    """The engine's ids for the sections of one offer."""

    transport: int
    tracks: dict[str, int] = field(default_factory=dict)  # by mid
    slots: dict[str, media.SlotDescription] = field(default_factory=dict)
    answer: str = ""


def codecs_of(section: sdp.MediaDescription, wanted: set[str]) -> dict[int, media.CodecBinding]:
    """The codecs of a section, by payload type."""
    rtx = {c.parameters["apt"]: c.payloadType for c in section.rtp.codecs if c.name == "rtx"}
    return {
        c.payloadType: media.CodecBinding(
            payload_type=c.payloadType,
            codec=CODECS[c.mimeType],
            clock_rate=c.clockRate,
            rtx_payload_type=rtx.get(c.payloadType),
        )
        for c in section.rtp.codecs
        if c.payloadType is not None and c.mimeType in wanted
    }


def transport_options(offer: sdp.SessionDescription, wanted: set[str]) -> media.TransportOptions:
    ice, dtls = offer.media[0].ice, offer.media[0].dtls
    assert ice is not None
    assert ice.usernameFragment is not None
    assert ice.password is not None
    assert dtls is not None
    codecs: dict[int, media.CodecBinding] = {}
    extensions: dict[media.HeaderExtension, int] = {}
    for section in offer.media:
        codecs.update(codecs_of(section, wanted))
        for header in section.rtp.headerExtensions:
            extensions[EXTENSIONS[header.uri]] = header.id
    return media.TransportOptions(
        remote_ufrag=ice.usernameFragment,
        remote_pwd=ice.password,
        fingerprints=[(f.algorithm, f.value) for f in dtls.fingerprints],
        codecs=list(codecs.values()),
        extensions=extensions,
    )


def connect(engine: media.Engine, room: int, offer_sdp: str, wanted: set[str], number: int = 1) -> Peer:
    """Creates the transport, tracks of its sendonly and slots of its recvonly sections, and the answer."""
    offer = sdp.SessionDescription.parse(offer_sdp)
    description = engine.create_transport(room, transport_options(offer, wanted))
    peer = Peer(description.transport)
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        "a=group:BUNDLE " + " ".join(section.rtp.muxId for section in offer.media),
        "a=msid-semantic:WMS *",
    ]
    for position, section in enumerate(offer.media):
        mid = section.rtp.muxId
        kind = media.Kind.AUDIO if section.kind == "audio" else media.Kind.VIDEO
        own: list[str] = []
        if section.direction == "sendonly":
            options = media.TrackOptions(
                kind=kind, number=number * 100 + position, mid=mid, ssrcs=[s.ssrc for s in section.ssrc][:1]
            )
            peer.tracks[mid] = engine.add_track(peer.transport, options)
        else:
            slot = engine.add_slot(peer.transport, kind, pair=0)
            peer.slots[mid] = slot
            own = [f"a=msid:slot-0 track-{mid}"]
            if slot.rtx_ssrc is not None:
                own.append(f"a=ssrc-group:FID {slot.ssrc} {slot.rtx_ssrc}")
                own.append(f"a=ssrc:{slot.rtx_ssrc} cname:engine")
            own.append(f"a=ssrc:{slot.ssrc} cname:engine")
        lines += section_lines(section, wanted, engine, description, own)
    peer.answer = "\r\n".join(lines) + "\r\n"
    return peer


def section_lines(
    section: sdp.MediaDescription,
    wanted: set[str],
    engine: media.Engine,
    description: media.TransportDescription,
    own: list[str],
) -> list[str]:
    chosen = [c for c in section.rtp.codecs if c.mimeType in wanted]
    apts = {c.payloadType for c in chosen}
    chosen += [c for c in section.rtp.codecs if c.name == "rtx" and c.parameters["apt"] in apts]
    lines = [
        f"m={section.kind} 9 UDP/TLS/RTP/SAVPF " + " ".join(str(c.payloadType) for c in chosen),
        "c=IN IP4 0.0.0.0",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        f"a=mid:{section.rtp.muxId}",
        "a=recvonly" if section.direction == "sendonly" else "a=sendonly",
        f"a=ice-ufrag:{description.ufrag}",
        f"a=ice-pwd:{description.pwd}",
        f"a=fingerprint:sha-256 {engine.fingerprint}",
        "a=setup:passive",
    ]
    lines += [f"a=extmap:{h.id} {h.uri}" for h in section.rtp.headerExtensions]
    for c in chosen:
        channels = "/2" if c.mimeType == "audio/opus" else ""
        lines.append(f"a=rtpmap:{c.payloadType} {c.name}/{c.clockRate}{channels}")
        lines += [f"a=rtcp-fb:{c.payloadType} {f.type} {f.parameter or ''}".rstrip() for f in c.rtcpFeedback]
        if c.parameters:
            lines.append(f"a=fmtp:{c.payloadType} " + ";".join(f"{k}={v}" for k, v in c.parameters.items()))
    lines += [
        f"a=candidate:{c.foundation} 1 udp {c.priority} {c.ip} {c.port} typ host"
        for c in description.candidates
    ]
    return [*lines, "a=end-of-candidates", *own]


WANTED = {"audio/opus", "video/VP8"}
TONE_HZ = 1000


class Green(VideoStreamTrack):
    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        picture = np.zeros((240, 320, 3), np.uint8)
        picture[:, :, 1] = 200
        frame = VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(AudioStreamTrack):
    """A loud sine of TONE_HZ at 48 kHz, in frames of 20 ms."""

    def __init__(self) -> None:
        super().__init__()
        self._pace = 0

    async def recv(self) -> AudioFrame:
        silence = await super().recv()  # keeps the real-time pace
        assert silence.pts is not None
        at = np.arange(960) + self._pace
        self._pace += 960
        samples = (np.sin(2 * np.pi * TONE_HZ * at / 48000) * 20000).astype(np.int16).reshape(1, -1)
        frame = AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48000, int(at[0])
        frame.time_base = fractions.Fraction(1, 48000)
        return frame


class Events:
    """All events of an engine, awaited by predicate."""

    def __init__(self, engine: media.Engine) -> None:
        self._engine = engine
        self.seen: list[media.Event] = []
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(engine.event_fd, self._read)

    def _read(self) -> None:
        self.seen += self._engine.poll_events()
        self._news.set()

    async def wait(self, wanted: Callable[[media.Event], bool], within: float = 20) -> media.Event:
        async with asyncio.timeout(within):
            while True:
                for event in self.seen:
                    if wanted(event):
                        return event
                self._news.clear()
                await self._news.wait()

    async def wait_state(self, transport: int, state: media.TransportState) -> media.TransportChanged:
        def is_it(event: media.Event) -> bool:
            if not isinstance(event, media.TransportChanged):
                return False
            return event.transport == transport and event.state == state

        event = await self.wait(is_it)
        assert isinstance(event, media.TransportChanged)
        return event

    async def wait_slot(self, slot: int, track: int) -> None:
        await self.wait(lambda e: isinstance(e, media.SlotChanged) and e.slot == slot and e.track == track)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._engine.event_fd)


async def join(
    engine: media.Engine, room: int, prepare: Callable[[RTCPeerConnection], Any], number: int
) -> tuple[RTCPeerConnection, Peer]:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    prepare(pc)
    await pc.setLocalDescription(await pc.createOffer())
    peer = connect(engine, room, pc.localDescription.sdp, WANTED, number)
    await pc.setRemoteDescription(RTCSessionDescription(peer.answer, "answer"))
    return pc, peer


def publish(pc: RTCPeerConnection) -> None:
    pc.addTransceiver(Tone(), "sendonly")
    pc.addTransceiver(Green(), "sendonly")


def subscribe(pc: RTCPeerConnection) -> None:
    pc.addTransceiver("audio", "recvonly")
    pc.addTransceiver("video", "recvonly")


def spy_csrcs(pc: RTCPeerConnection) -> dict[str, set[tuple[int, ...]]]:
    """CSRC lists of received packets, by kind."""
    seen: dict[str, set[tuple[int, ...]]] = {"audio": set(), "video": set()}
    for transceiver in pc.getTransceivers():
        receiver = transceiver.receiver
        original = receiver._handle_rtp_packet

        async def handle(
            packet: Any, arrival_time_ms: int, _kind: str = transceiver.kind, _next: Any = original
        ) -> None:
            seen[_kind].add(tuple(packet.csrc))
            await _next(packet, arrival_time_ms=arrival_time_ms)

        receiver._handle_rtp_packet = handle  # type: ignore[method-assign]
    return seen


async def first_green(track: Any) -> None:
    while True:
        pixels = (await track.recv()).to_ndarray(format="rgb24").astype(int)
        red, green, blue = pixels.reshape(-1, 3).mean(axis=0)
        if green > 150 and red < 60 and blue < 60:
            return


async def first_tone(track: Any) -> None:
    while True:
        frame = await track.recv()
        samples = frame.to_ndarray().reshape(-1).astype(float)
        samples = samples[:: len(frame.layout.channels)]
        if np.abs(samples).max() < 3000:
            continue
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
        peak = np.fft.rfftfreq(len(samples), 1 / frame.sample_rate)[spectrum.argmax()]
        if abs(peak - TONE_HZ) < 60:
            return


@pytest.mark.parametrize(
    ("profile", "gcm_library"),
    [("AEAD_AES_128_GCM", "auto"), ("AEAD_AES_128_GCM", "openssl"), ("AES_CM_128_HMAC_SHA1_80", "auto")],
)
async def test_a_subscriber_receives_video_and_audio_with(profile: str, gcm_library: str) -> None:
    engine = media.Engine(
        media.EngineConfig(srtp_profiles=[profile], gcm_library=gcm_library, bind_addresses=["0.0.0.0"])
    )
    events = Events(engine)
    room = engine.create_room()
    alice, alice_peer = await join(engine, room, publish, number=1)
    bob, bob_peer = await join(engine, room, subscribe, number=2)
    csrcs = spy_csrcs(bob)
    try:
        for peer in (alice_peer, bob_peer):
            connected = await events.wait_state(peer.transport, media.TransportState.CONNECTED)
            assert connected.srtp_profile == profile
            assert connected.remote_address
        (audio_mid, video_mid) = alice_peer.tracks
        (audio_slot, video_slot) = bob_peer.slots.values()
        engine.bind_slot(video_slot.slot, alice_peer.tracks[video_mid])

        tracks = {t.kind: t.receiver.track for t in bob.getTransceivers()}
        async with asyncio.timeout(40):
            await asyncio.gather(first_green(tracks["video"]), first_tone(tracks["audio"]))

        for slot, mid in ((audio_slot, audio_mid), (video_slot, video_mid)):
            await events.wait_slot(slot.slot, alice_peer.tracks[mid])
        assert csrcs == {"audio": {(100,)}, "video": {(101,)}}
        await events.wait(
            lambda e: (
                isinstance(e, media.SpeakersChanged)
                and [t for t, _ in e.speakers] == [alice_peer.tracks[audio_mid]]
            )
        )

        request = engine.request_stats(room)
        report = await events.wait(lambda e: isinstance(e, media.StatsReady) and e.request == request)
        assert isinstance(report, media.StatsReady)
        assert {t.srtp_profile for t in report.transports} == {profile}
        assert all(t.packets > 0 for t in report.tracks)
        assert report.engine.drops["srtp_rejected"] == 0
        assert {s.track for s in report.slots} == set(alice_peer.tracks.values())

        engine.close_transport(alice_peer.transport)
        await events.wait_state(alice_peer.transport, media.TransportState.CLOSED)
        await bob.close()
        await events.wait_state(bob_peer.transport, media.TransportState.CLOSED)
        assert not [e for e in events.seen if isinstance(e, media.CommandRejected)]
    finally:
        events.close()
        await alice.close()
        await bob.close()
        engine.close()
