"""Encoded frames as RTP payloads, and as the records of a StreamTrack."""

from collections.abc import Sequence

from nexus.sfu.v1 import track_stream_pb2 as pb
from nexus.types.v1 import media_pb2

from nexus_frames.formats import Codec

MAX_PAYLOAD = 1_150


def _parts(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def _vp8(frame: bytes, limit: int) -> list[bytes]:
    """RFC 7741 section 4.2: only the S bit, no extension."""
    return [(b"\x00" if i else b"\x10") + part for i, part in enumerate(_parts(frame, limit))]


def _vp9(layers: Sequence[bytes], keyframe: bool, limit: int) -> list[bytes]:
    """RFC 9628 section 4.2, flexible mode: I L F B E, picture id 1, layers of one picture."""
    payloads = []
    for number, layer in enumerate(layers):
        parts = _parts(layer, limit)
        for i, part in enumerate(parts):
            head = 0x80 | (0 if keyframe else 0x40) | (0x20 if len(layers) > 1 else 0) | 0x10
            head |= (0x08 if i == 0 else 0) | (0x04 if i == len(parts) - 1 else 0)
            layer_byte = bytes([number << 1 | (number > 0)]) if len(layers) > 1 else b""
            difference = b"" if keyframe else b"\x02"
            payloads.append(bytes([head, 1]) + layer_byte + difference + part)
    return payloads


def _h264(access_unit: bytes, limit: int) -> list[bytes]:
    """RFC 6184: single NAL units, and FU-A for larger ones."""
    payloads = []
    for unit in access_unit.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01"):
        if not unit:
            continue
        if len(unit) <= limit:
            payloads.append(unit)
            continue
        parts = _parts(unit[1:], limit - 2)
        for i, part in enumerate(parts):
            edge = 0x80 if i == 0 else 0x40 if i == len(parts) - 1 else 0
            payloads.append(bytes([unit[0] & 0xE0 | 28, edge | unit[0] & 0x1F]) + part)
    return payloads


def _obus(unit: bytes) -> list[bytes]:
    """The OBUs of a temporal unit, without sizes and without the temporal delimiter."""
    found = []
    at = 0
    while at < len(unit):
        head = unit[at : at + 1 + (unit[at] >> 2 & 1)]
        at += len(head)
        size = shift = 0
        while True:
            byte = unit[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if head[0] >> 3 & 15 != 2:
            found.append(bytes([head[0] & ~2]) + head[1:] + unit[at : at + size])
        at += size
    return found


def _av1(unit: bytes, keyframe: bool, limit: int) -> list[bytes]:
    """AV1 RTP specification section 4.4: one OBU or a part of one in each packet, so that W is 1."""
    payloads = []
    for number, obu in enumerate(_obus(unit)):
        parts = _parts(obu, limit)
        for i, part in enumerate(parts):
            head = 0x10 | (0x80 if i > 0 else 0) | (0x40 if i < len(parts) - 1 else 0)
            head |= 0x08 if keyframe and number == 0 and i == 0 else 0
            payloads.append(bytes([head]) + part)
    return payloads


def packetize(
    codec: Codec, frame: bytes | Sequence[bytes], keyframe: bool, limit: int = MAX_PAYLOAD
) -> list[bytes]:
    """The RTP payloads of one frame, of about `limit` bytes.

    A sequence of frames is the spatial layers of one VP9 picture.
    """
    if codec is Codec.VP9:
        return _vp9([frame] if isinstance(frame, bytes) else frame, keyframe, limit)
    assert isinstance(frame, bytes)
    if codec is Codec.VP8:
        return _vp8(frame, limit)
    if codec is Codec.H264:
        return _h264(frame, limit)
    if codec is Codec.AV1:
        return _av1(frame, keyframe, limit)
    return [frame]


class TrackWriter:
    """The records of one track, as a tap writes them. Times are in microseconds."""

    def __init__(
        self, codec: Codec, *, first_sequence_number: int = 65_530, limit: int = MAX_PAYLOAD
    ) -> None:
        self.limit = limit
        self.codec = codec
        self.clock_rate = 48_000 if codec is Codec.OPUS else 90_000
        self.next_sequence_number = first_sequence_number
        self.records: list[pb.StreamRecord] = []

    def take(self) -> pb.StreamTrackResponse:
        """The records since the last call, as one batch."""
        records, self.records = self.records, []
        return pb.StreamTrackResponse(records=records)

    def source(self, *, codec: Codec | None = None, ssrc: int = 1) -> None:
        self.codec = codec or self.codec
        source = pb.StreamSource(
            codec=media_pb2.Codec.ValueType(self.codec),
            payload_type=96,
            clock_rate=self.clock_rate,
            ssrc=ssrc,
        )
        self.records.append(pb.StreamRecord(source=source))

    def frame(
        self,
        data: bytes | Sequence[bytes],
        time_us: int,
        *,
        keyframe: bool = False,
        orientation: int | None = None,
        lose: Sequence[int] = (),
    ) -> None:
        """Adds a frame's packets. The packets with the indices in `lose` are replaced by gaps."""
        payloads = packetize(self.codec, data, keyframe, self.limit)
        for i, payload in enumerate(payloads):
            if i in lose:
                self.gap(1)
                continue
            last = i == len(payloads) - 1
            packet = pb.StreamPacket(
                sequence_number=self.next_sequence_number,
                rtp_timestamp=time_us * self.clock_rate // 1_000_000,
                marker=last and self.codec is not Codec.OPUS,
                keyframe=keyframe and i == 0,
                media_time_us=time_us,
                synchronised=True,
                payload=payload,
            )
            if last and orientation is not None:
                packet.video_orientation = orientation
            self.next_sequence_number += 1
            self.records.append(pb.StreamRecord(packet=packet))

    def gap(self, packets: int, reason: pb.StreamGapReason.ValueType = pb.STREAM_GAP_REASON_LOST) -> None:
        first = self.next_sequence_number
        self.next_sequence_number += packets
        gap = pb.StreamGap(
            reason=reason, first_sequence_number=first, last_sequence_number=self.next_sequence_number - 1
        )
        self.records.append(pb.StreamRecord(gap=gap))

    def mute(self, muted: bool, time_us: int) -> None:
        self.records.append(pb.StreamRecord(muted=pb.StreamMuted(muted=muted, media_time_us=time_us)))

    def end(self, reason: pb.StreamEndReason.ValueType = pb.STREAM_END_REASON_TRACK_ENDED) -> None:
        self.records.append(pb.StreamRecord(end=pb.StreamEnd(reason=reason)))
