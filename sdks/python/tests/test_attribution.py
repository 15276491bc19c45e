"""Attribution of frames: packets of two participants through one slot and one time line, decoded by
aiortc."""

import asyncio
import fractions
from collections.abc import AsyncIterator

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpCodecParameters
from aiortc.codecs.opus import OpusEncoder
from aiortc.rtcrtpparameters import RTCRtpDecodingParameters, RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtp import RtpPacket
from av import AudioFrame, VideoFrame
from nexus_rtc.edge.slot_receiver import REMEMBERED, SlotReceiver
from nexus_testkit import wait_until

OPUS = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48000, channels=2, payloadType=96)
SSRC = 1234


class Slot:
    def __init__(self, receiver: SlotReceiver, heard: list[tuple[int, int]]) -> None:
        self.receiver = receiver
        self.heard = heard
        self._encoder = OpusEncoder()
        self._sequence = 65_530  # across the wrap
        self._timestamp = 2**32 - 960 * 5

    async def packet(self, *csrc: int) -> int:
        """Sends 20 ms of audio of `csrc`; returns the number of the frame."""
        frame = AudioFrame.from_ndarray(np.zeros((1, 960), np.int16), layout="mono")
        frame.sample_rate = 48000
        frame.pts = 0
        frame.time_base = fractions.Fraction(1, 48000)
        (payload,), _ = self._encoder.encode(frame)
        packet = RtpPacket(payload_type=96, sequence_number=self._sequence % 65536, timestamp=self._timestamp)
        packet.ssrc, packet.csrc, packet.payload = SSRC, list(csrc), payload
        self._sequence += 1
        self._timestamp = (self._timestamp + 960) % 2**32
        await self.receiver._handle_rtp_packet(packet, 0)
        return self._sequence


@pytest.fixture
async def slot() -> AsyncIterator[Slot]:
    heard: list[tuple[int, int]] = []

    def on_frame(number: int, frame: AudioFrame | VideoFrame) -> None:
        heard.append((number, frame.pts or 0))

    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    transceiver = connection.addTransceiver("audio", direction="recvonly")
    receiver = SlotReceiver(transceiver, on_frame)
    transceiver.receiver._track = RemoteStreamTrack(kind="audio")
    encodings = [RTCRtpDecodingParameters(ssrc=SSRC, payloadType=96)]
    await transceiver.receiver.receive(RTCRtpReceiveParameters(codecs=[OPUS], encodings=encodings))
    receiver.start()
    yield Slot(receiver, heard)
    await connection.close()
    await receiver.stop()


async def test_each_frame_is_attributed_by_the_csrc_of_its_packets(slot: Slot) -> None:
    talk = [7] * 9 + [9] * 6 + [7] * 5
    for number in talk:
        await slot.packet(number)
    for _ in range(6):  # the jitter buffer holds back the last ones
        await slot.packet(11)
    await wait_until(lambda: len(slot.heard) >= len(talk))
    assert [number for number, _ in slot.heard[: len(talk)]] == talk
    assert slot.receiver.sources[7] == 14
    assert slot.receiver.sources[9] == 6


async def test_a_packet_without_exactly_one_csrc_is_not_attributed(slot: Slot) -> None:
    for csrc in ((), (7, 9), (7,), (7,), (7,), (7,), (7,), (7,)):
        await slot.packet(*csrc)
    await wait_until(lambda: slot.receiver.received.frames >= 4)
    await asyncio.sleep(0)
    assert slot.receiver.received.without_source == 2
    assert {number for number, _ in slot.heard} == {7}
    assert len(slot.heard) == slot.receiver.received.frames - 2


async def test_remembered_timestamps_are_bounded(slot: Slot) -> None:
    for number in range(REMEMBERED + 100):
        await slot.packet(number)
    assert len(slot.receiver._source_of) == REMEMBERED
    assert len(slot.receiver.sources) == REMEMBERED
