"""Selects the codecs and header extensions of an offer that are accepted, and their order.

A slot accepts every known codec that the client decodes, because any track may be bound to it. A publication
gets a single codec, so that the stream never changes codec for its receivers: the preferred one if offered,
otherwise the first in the policy's order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nexus_sfu.core.model import Codec, CodecChoice, Extension, Kind
from nexus_sfu.sdp.offer import Capabilities, ExtMap, RtpCodec

VIDEO_ORDER = (Codec.VP8, Codec.H264, Codec.VP9, Codec.AV1)

_NAMES = {
    ("opus", 48_000): Codec.OPUS,
    ("vp8", 90_000): Codec.VP8,
    ("vp9", 90_000): Codec.VP9,
    ("h264", 90_000): Codec.H264,
    ("av1", 90_000): Codec.AV1,
}

_MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
_URIS = {
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level": Extension.AUDIO_LEVEL,
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time": Extension.ABS_SEND_TIME,
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01": Extension.TRANSPORT_WIDE_CC,
    _MID_URI: Extension.MID,
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id": Extension.RTP_STREAM_ID,
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id": Extension.REPAIRED_RTP_STREAM_ID,
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension": (
        Extension.DEPENDENCY_DESCRIPTOR
    ),
    "urn:3gpp:video-orientation": Extension.VIDEO_ORIENTATION,
}
_VIDEO_ONLY = frozenset(
    (
        Extension.RTP_STREAM_ID,
        Extension.REPAIRED_RTP_STREAM_ID,
        Extension.DEPENDENCY_DESCRIPTOR,
        Extension.VIDEO_ORIENTATION,
    )
)

# RTCP feedback that the engine sends or handles. goog-remb is not needed with transport-cc.
_FEEDBACK = {
    Kind.AUDIO: ("transport-cc",),
    Kind.VIDEO: ("transport-cc", "ccm fir", "nack", "nack pli"),
}

H264_PREFERRED_PROFILE = 0x42E01F


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted payload type of the offer, with its retransmissions (RFC 4588) and redundancy (RFC
    2198)."""

    codec: Codec
    rtp: RtpCodec
    rtx: RtpCodec | None
    red: RtpCodec | None = None

    @property
    def feedback(self) -> tuple[str, ...]:
        return tuple(kind for kind in _FEEDBACK[self.codec.kind] if kind in self.rtp.feedback)

    def choice(self) -> CodecChoice:
        return CodecChoice(
            payload_type=self.rtp.payload_type,
            codec=self.codec,
            clock_rate=self.rtp.clock_rate,
            rtx_payload_type=self.rtx.payload_type if self.rtx else None,
            h264_profile_level_id=h264_profile(self.rtp) if self.codec is Codec.H264 else None,
            h264_packetization_mode=h264_mode(self.rtp) if self.codec is Codec.H264 else 0,
            vp9_profile=0,
        )


def supported(capabilities: Capabilities, kind: Kind) -> list[Accepted]:
    """The supported codecs of a section, in the offer's order."""
    usable = [codec for codec in capabilities.codecs if not is_rtcp_like(codec.payload_type)]
    rtx = {codec.parameter("apt"): codec for codec in usable if codec.name == "rtx"}
    accepted = []
    for rtp in usable:
        codec = _NAMES.get((rtp.name, rtp.clock_rate))
        if codec is not None and codec.kind is kind and _is_usable(codec, rtp):
            # Lost audio is not retransmitted, because it would arrive too late.
            repair = rtx.get(str(rtp.payload_type)) if kind is Kind.VIDEO else None
            red = _redundancy(usable, rtp) if codec is Codec.OPUS else None
            accepted.append(Accepted(codec, rtp, repair, red))
    return accepted


def _redundancy(codecs: Sequence[RtpCodec], opus: RtpCodec) -> RtpCodec | None:
    """RFC 2198 section 5: `a=fmtp:63 111/111` names the payload types of primary and redundant blocks.
    Video's red (RFC 5109) is another thing, and not taken: see docs/decisions/0005."""
    for red in codecs:
        same_clock = (red.clock_rate, red.channels) == (opus.clock_rate, opus.channels)
        blocks = set(red.fmtp.strip().split("/"))
        if red.name == "red" and same_clock and blocks == {str(opus.payload_type)}:
            return red
    return None


def is_rtcp_like(payload_type: int) -> bool:
    """Whether packets of this payload type cannot be distinguished from RTCP on a shared port (RFC 5761
    section 4)."""
    return 64 <= payload_type <= 95


def _is_usable(codec: Codec, rtp: RtpCodec) -> bool:
    match codec:
        case Codec.OPUS:
            return rtp.channels == 2  # RFC 7587 section 7: always 2, even for mono
        case Codec.H264:
            return h264_mode(rtp) in (0, 1)  # no browser supports the interleaved mode 2
        case Codec.VP9:
            return (rtp.parameter("profile-id") or "0") == "0"
        case Codec.AV1:
            return (rtp.parameter("profile") or "0") == "0"
        case _:
            return True


def for_publication(
    accepted: Sequence[Accepted], preferred: Codec | None, order: Sequence[Codec] = VIDEO_ORDER
) -> list[Accepted]:
    """The codecs that a publication may send, in the order of preference."""

    def rank(candidate: Accepted) -> tuple[bool, int, int]:
        codec = candidate.codec
        place = order.index(codec) if codec in order else len(order)
        return codec is not preferred, place, _h264_rank(candidate.rtp) if codec is Codec.H264 else 0

    return sorted(accepted, key=rank)


def _h264_rank(rtp: RtpCodec) -> int:
    """The rank of an H.264 variant, best first: every browser decodes constrained baseline in packetization
    mode 1 (RFC 7742 section 6.2)."""
    profile = h264_profile(rtp)
    if profile == H264_PREFERRED_PROFILE:
        rank = 0
    elif profile >> 16 == 0x42:
        rank = 1
    else:
        rank = 2
    return rank + (0 if h264_mode(rtp) == 1 else 10)


def h264_profile(rtp: RtpCodec) -> int:
    """The profile-level-id; baseline level 1 by default (RFC 6184 section 8.1)."""
    text = rtp.parameter("profile-level-id") or ""
    try:
        return int(text, 16) & 0xFFFFFF if len(text) == 6 else 0x42000A
    except ValueError:
        return 0x42000A


def h264_mode(rtp: RtpCodec) -> int:
    text = rtp.parameter("packetization-mode") or "0"
    return int(text) if text in ("0", "1") else 2


def extension_of(offered: ExtMap, kind: Kind, *, two_byte: bool) -> Extension | None:
    """The extension, if the engine supports it and its id is valid: 1 to 14 with the one-byte header, 15 is
    reserved (RFC 8285 section 4.2), up to 255 with two bytes (section 4.3)."""
    extension = _URIS.get(offered.uri)
    usable = 1 <= offered.id <= 14 or (two_byte and 16 <= offered.id <= 255)
    if extension is None or not usable or offered.direction == "inactive":
        return None
    if extension is Extension.DEPENDENCY_DESCRIPTOR and not two_byte:
        return None  # its structure is longer than the 16 bytes of a one-byte element
    if extension in _VIDEO_ONLY and kind is Kind.AUDIO:
        return None
    if extension is Extension.AUDIO_LEVEL and kind is Kind.VIDEO:
        return None
    return extension


def sends_mid(offered: ExtMap) -> bool:
    """Whether the offerer's packets carry the MID of their media section."""
    return offered.uri == _MID_URI and offered.direction in ("", "sendonly", "sendrecv")
