"""RTP packets from webrtcbin's pads, and the counters of a stream."""

import struct
import threading
from dataclasses import dataclass, field

from gi.repository import Gst
from harness.payload import begins_keyframe, checksum


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """RFC 3550 section 5.1."""

    marker: bool
    timestamp: int
    csrcs: tuple[int, ...]
    payload: bytes

    @classmethod
    def parse(cls, packet: bytes) -> "RtpPacket":
        first, second, _, timestamp, _ = struct.unpack_from("!BBHII", packet)
        count = first & 0x0F
        csrcs = struct.unpack_from(f"!{count}I", packet, 12)
        at = 12 + 4 * count
        if first & 0x10:
            at += 4 + 4 * struct.unpack_from("!HH", packet, at)[1]
        end = len(packet) - (packet[-1] if first & 0x20 else 0)
        return cls(bool(second & 0x80), timestamp, csrcs, packet[at:end])


@dataclass(slots=True)
class Stream:
    """Counters of a stream, written by a streaming thread and read by the main one."""

    packets: int = 0
    frames: int = 0
    keyframes: int = 0
    crcs: list[int] = field(default_factory=list)
    _last_key: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, codec: str, packet: RtpPacket) -> None:
        crc = checksum(codec, packet.payload)
        key = begins_keyframe(codec, packet.payload)
        with self._lock:
            self.packets += 1
            self.frames += packet.marker
            self.crcs.append(crc)
            if key and self._last_key != packet.timestamp:
                self.keyframes += 1
                self._last_key = packet.timestamp

    def counters(self) -> dict[str, int]:
        with self._lock:
            return {"packets": self.packets, "frames": self.frames, "keyframes": self.keyframes}

    def checksums(self) -> list[int]:
        with self._lock:
            return list(self.crcs)


def packets_of(info: Gst.PadProbeInfo) -> list[RtpPacket]:
    """The packets in a pad probe's buffer or list of buffers."""
    if info.type & Gst.PadProbeType.BUFFER_LIST:
        group = info.get_buffer_list()
        buffers = [group.get(at) for at in range(group.length())]
    else:
        buffers = [info.get_buffer()]
    return [RtpPacket.parse(buffer.extract_dup(0, buffer.get_size())) for buffer in buffers]
