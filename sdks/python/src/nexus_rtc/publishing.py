"""A published track: an aiortc track with its description on the wire."""

from dataclasses import dataclass, field
from typing import Final

from aiortc import MediaStreamTrack, RTCRtpTransceiver
from nexus.types.v1 import media_pb2

from nexus_rtc.model import SOURCE_VALUES, Source

_CODECS: Final = {"opus": media_pb2.CODEC_OPUS, "vp8": media_pb2.CODEC_VP8, "h264": media_pb2.CODEC_H264}


@dataclass(slots=True, eq=False)
class LocalTrack:
    """A track to publish. `codec` (vp8 or h264) is a preference; `source` defaults to microphone or
    camera."""

    media: MediaStreamTrack
    source: Source = "unknown"
    name: str = ""
    codec: str | None = None
    width: int = 0
    height: int = 0
    muted: bool = False
    transceiver: RTCRtpTransceiver | None = field(default=None, repr=False)
    """Set when the track is part of a connection."""

    def __post_init__(self) -> None:
        if self.source == "unknown":
            self.source = "camera" if self.media.kind == "video" else "microphone"
        if self.codec is not None and self.codec not in _CODECS:
            raise ValueError(f"codec {self.codec!r}: aiortc sends {', '.join(_CODECS)}")

    @property
    def mid(self) -> str:
        """The track's media section; empty before its first offer."""
        return (self.transceiver.mid or "") if self.transceiver else ""

    def publication(self) -> media_pb2.Publication:
        return media_pb2.Publication(
            mid=self.mid,
            source=SOURCE_VALUES[self.source],
            name=self.name,
            muted=self.muted,
            width=self.width,
            height=self.height,
            preferred_codec=_CODECS[self.codec] if self.codec else media_pb2.CODEC_UNSPECIFIED,
        )
