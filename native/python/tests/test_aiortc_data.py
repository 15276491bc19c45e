"""Data channels with an independent peer: aiortc's SCTP against the engine's."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import nexus_media as media
import pytest
from aiortc import RTCDataChannel, RTCPeerConnection, RTCSessionDescription, sdp
from nexus_testkit import wait_until

PROTOCOL = "nexus.data.v1"


def answer_to(engine: media.Engine, room: int, offer_sdp: str, participant: str) -> tuple[int, str]:
    """The transport and the answer to an offer that has only data."""
    (section,) = sdp.SessionDescription.parse(offer_sdp).media
    assert section.ice is not None
    assert section.ice.usernameFragment is not None
    assert section.ice.password is not None
    assert section.dtls is not None
    options = media.TransportOptions(
        remote_ufrag=section.ice.usernameFragment,
        remote_pwd=section.ice.password,
        fingerprints=[(f.algorithm, f.value) for f in section.dtls.fingerprints],
        codecs=[],
        extensions={},
    )
    description = engine.create_transport(room, options)
    engine.configure_data(description.transport, participant=participant, max_message_size=262_144)
    lines = [
        *("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite"),
        f"a=group:BUNDLE {section.rtp.muxId}",
        *("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0"),
        f"a=mid:{section.rtp.muxId}",
        f"a=ice-ufrag:{description.ufrag}",
        f"a=ice-pwd:{description.pwd}",
        f"a=fingerprint:sha-256 {engine.fingerprint}",
        *("a=setup:passive", "a=sctp-port:5000", "a=max-message-size:262144"),
        *(
            f"a=candidate:{c.foundation} 1 udp {c.priority} {c.ip} {c.port} typ host"
            for c in description.candidates
        ),
        "a=end-of-candidates",
    ]
    return description.transport, "\r\n".join(lines) + "\r\n"


class Talker:
    """One aiortc peer with a channel of each kind."""

    def __init__(self) -> None:
        self.pc = RTCPeerConnection()
        self.received: list[bytes | str] = []
        self.transport = 0
        self.reliable = self._open(None)
        self.lossy = self._open(0)
        self.pc.on("datachannel", self._listen)

    def _open(self, retransmits: int | None) -> RTCDataChannel:
        channel = self.pc.createDataChannel(
            "nexus", ordered=retransmits is None, maxRetransmits=retransmits, protocol=PROTOCOL
        )
        self._listen(channel)
        return channel

    def _listen(self, channel: RTCDataChannel) -> None:
        channel.on("message", self.received.append)

    async def join(self, engine: media.Engine, room: int, participant: str) -> None:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        self.transport, answer = answer_to(engine, room, self.pc.localDescription.sdp, participant)
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await until(lambda: self.reliable.readyState == self.lossy.readyState == "open")


async def until(done: Callable[[], bool]) -> None:
    await wait_until(done, timeout=60)


def named(sender: bytes, payload: bytes, flags: int = 0) -> bytes:
    return bytes([1, flags, len(sender)]) + sender + bytes([0, 0]) + payload


@asynccontextmanager
async def two_talkers(shards: int = 1) -> AsyncIterator[tuple[media.Engine, int, Talker, Talker]]:
    engine = media.Engine(media.EngineConfig(shards=shards, bind_addresses=["127.0.0.1"]))
    room = engine.create_room()
    anna, ben = Talker(), Talker()
    try:
        await anna.join(engine, room, "PA_anna")
        await ben.join(engine, room, "PA_ben")
        yield engine, room, anna, ben
    finally:
        await anna.pc.close()
        await ben.pc.close()
        engine.close()


async def test_messages_arrive_both_ways_and_large_ones_complete() -> None:
    async with two_talkers() as (_, _, anna, ben):
        anna.reliable.send(b"\x01\x00\x00\x00\x00hello")
        await until(lambda: len(ben.received) == 1)
        assert ben.received == [named(b"PA_anna", b"hello")]
        large = bytes(range(256)) * 1_020
        ben.reliable.send(b"\x01\x00\x00\x00\x00" + large)
        ben.lossy.send(b"\x01\x00\x00\x00\x00quick")
        await until(lambda: len(anna.received) == 2)
        assert sorted(anna.received, key=len) == [named(b"PA_ben", b"quick"), named(b"PA_ben", large)]


async def test_the_largest_payload_arrives_in_two_parts() -> None:
    async with two_talkers() as (engine, room, anna, ben):
        large = bytes(range(256)) * 1024
        first, last = b"\x00\x00\x00\x07\x00\x00\x00" + large[:261_120], large[261_120:]
        anna.reliable.send(b"\x01\x08" + first)
        anna.reliable.send(b"\x01\x10\x00\x00\x00\x07\x00\x00\x00" + last)
        await until(lambda: len(ben.received) == 2)
        header = b"\x00\x00\x00\x07\x07PA_anna\x00\x00"
        assert ben.received == [b"\x01\x08" + header + large[:261_120], b"\x01\x10" + header + last]
        engine.send_data(room, large, to=[anna.transport])
        await until(lambda: len(anna.received) == 2)
        told = [message for message in anna.received if isinstance(message, bytes)]
        assert [message[1] for message in told] == [0x0E, 0x16]
        assert told[0][2:6] == told[1][2:6]
        assert told[0][9:] + told[1][9:] == large
        with pytest.raises(ValueError, match="256 KiB"):
            engine.send_data(room, large + b"x")


async def test_the_server_sends_messages_and_drops_a_forged_sender() -> None:
    async with two_talkers() as (engine, room, anna, ben):
        anna.reliable.send(named(b"PA_ben", b"i am ben"))
        engine.send_data(room, b"to ben", to=[ben.transport])
        engine.send_data(room, b"to all", topic="")
        await until(lambda: len(ben.received) == 2 and len(anna.received) == 1)
        assert ben.received == [named(b"", b"to ben", 6), named(b"", b"to all", 2)]
        assert anna.received == [named(b"", b"to all", 2)]


async def test_rooms_on_two_shards_exchange_messages_at_once() -> None:
    """usrsctp has one instance per process: shards must not disturb one another."""
    engine = media.Engine(media.EngineConfig(shards=2, bind_addresses=["127.0.0.1"]))
    pairs = [(Talker(), Talker()) for _ in range(2)]
    try:
        for number, (anna, ben) in enumerate(pairs):
            room = engine.create_room()
            await anna.join(engine, room, f"PA_a{number}")
            await ben.join(engine, room, f"PA_b{number}")
        for index in range(50):
            for anna, ben in pairs:
                anna.reliable.send(b"\x01\x00\x00\x00\x00" + bytes([index]) * 2_000)
                ben.reliable.send(b"\x01\x00\x00\x00\x00" + bytes([index]) * 2_000)
            await asyncio.sleep(0)
        await until(lambda: all(len(t.received) == 50 for pair in pairs for t in pair))
        for number, (anna, ben) in enumerate(pairs):
            assert ben.received == [named(f"PA_a{number}".encode(), bytes([i]) * 2_000) for i in range(50)]
            assert anna.received == [named(f"PA_b{number}".encode(), bytes([i]) * 2_000) for i in range(50)]
    finally:
        for pair in pairs:
            for talker in pair:
                await talker.pc.close()
        engine.close()
