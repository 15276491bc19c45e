"""The events of a stream, in order: frames, and all that happens between them."""

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple

from nexus_frames.formats import Codec, Format


class Frame(NamedTuple):
    """One whole frame, as a decoder takes it. A named tuple, because a frozen dataclass of so many fields
    takes five times as long to make.

    `data` is an Opus packet, a VP8 frame, a VP9 frame or superframe, an H.264 access unit in Annex B form, or
    an AV1 temporal unit with its temporal delimiter and OBUs that have sizes. A keyframe has its decoder's
    configuration inside. Times are in microseconds: `media_time_us` since 1970 by the SFU's clock.
    `duration_us` is exact for audio; for video it is the interval before this frame, and None for the first.
    `follows_loss`: something between the frame before and this one was lost or could not be decoded.
    `audio_level` is in -dBov (RFC 6464).
    """

    media_time_us: int
    rtp_timestamp: int
    keyframe: bool
    data: bytes
    format: Format
    duration_us: int | None
    first_sequence_number: int
    last_sequence_number: int
    synchronised: bool = True
    follows_loss: bool = False
    audio_level: int | None = None


class GapReason(IntEnum):
    """The reasons of `StreamGapReason`, with its numbers."""

    UNSPECIFIED = 0
    LOST = 1
    REORDER_FULL = 2
    RESTART = 3
    SLOW_READER = 4
    RETENTION = 5


@dataclass(frozen=True, slots=True)
class Gap:
    """Packets that will not arrive. The numbers are inclusive; a time is None where it is not known."""

    reason: GapReason
    first_sequence_number: int
    last_sequence_number: int
    packets_dropped: int = 0
    media_time_before_us: int | None = None
    media_time_after_us: int | None = None


@dataclass(frozen=True, slots=True)
class SourceChange:
    """The source of the frames that follow; sequence numbers and RTP timestamps start again."""

    codec: Codec
    payload_type: int
    clock_rate: int
    ssrc: int
    rid: str = ""
    scalability_mode: str = ""


@dataclass(frozen=True, slots=True)
class Mute:
    muted: bool
    media_time_us: int


class UndecodableReason(Enum):
    PACKETS = "packets"
    """The packets of the frame do not fit together."""
    BITSTREAM = "bitstream"
    """The frame is none of its codec: it is encrypted end to end, or garbage."""
    CONFIGURATION = "configuration"
    """The keyframe has no parameter sets or sequence header, and none came before."""
    TRANSFORM = "transform"
    """The `FrameTransform` refused the frame."""
    SIZE = "size"
    """The frame is larger than `MAX_FRAME_BYTES`."""
    CODEC = "codec"
    """The source has a codec that this package does not know."""


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A frame that no decoder takes.

    It is reported once until a frame is decodable again or the reason changes; `FrameCounters.undecodable`
    counts each.
    """

    reason: UndecodableReason
    media_time_us: int
    first_sequence_number: int
    last_sequence_number: int


class EndReason(IntEnum):
    """The reasons of `StreamEndReason`, with its numbers."""

    UNSPECIFIED = 0
    TRACK_ENDED = 1
    PARTICIPANT_LEFT = 2
    ROOM_CLOSED = 3
    MOVED = 4


@dataclass(frozen=True, slots=True)
class StreamEnd:
    reason: EndReason


StreamEvent = Frame | Gap | SourceChange | Mute | Undecodable | StreamEnd
