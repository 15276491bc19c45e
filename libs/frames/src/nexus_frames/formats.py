"""Codecs, and what a container must know of a stream before its first frame."""

from dataclasses import dataclass
from enum import IntEnum

SAMPLE_RATE = 48_000
"""Opus is always decoded at 48 kHz (RFC 7587 section 4.1)."""


class Codec(IntEnum):
    """Codecs with the numbers of `nexus.types.v1.Codec`."""

    OPUS = 1
    VP8 = 2
    VP9 = 3
    H264 = 4
    AV1 = 5

    @property
    def is_video(self) -> bool:
        return self is not Codec.OPUS


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a player must turn the picture: the byte of 3GPP TS 26.114 section 7.4.5.

    `clockwise` is 0, 90, 180 or 270 degrees. A `flipped` picture is mirrored from left to right, before it is
    turned.
    """

    clockwise: int = 0
    flipped: bool = False

    @classmethod
    def from_byte(cls, value: int) -> "Orientation":
        """Reads `0 0 0 0 C F R1 R0`. C tells which camera it is, and changes nothing."""
        return cls(90 * (value & 0x03), bool(value & 0x04))


UPRIGHT = Orientation()


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Opus; mono packets decode to two equal channels (RFC 7587 section 4.1)."""

    codec: Codec = Codec.OPUS
    channels: int = 2


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """The video at one keyframe, until the next one that differs.

    Width and height are in pixels, of the highest spatial layer, before the orientation is applied.
    `configuration` is what a decoder needs in front of the first frame: for H.264 the SPS and PPS units in
    Annex B form, for AV1 the sequence header OBU with its size. For VP8 and VP9 it is empty.
    """

    codec: Codec
    width: int
    height: int
    orientation: Orientation = UPRIGHT
    spatial_layers: int = 1
    configuration: bytes = b""


Format = AudioFormat | VideoFormat
