"""Participants, tracks and slots as values: frozen, compared by content, read from wire messages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from nexus.events.v1 import room_pb2
from nexus.types.v1 import media_pb2

Kind = Literal["audio", "video"]
Source = Literal["microphone", "camera", "screen", "screen_audio", "unknown"]

_SOURCES: Final[Mapping[int, Source]] = {
    media_pb2.TRACK_SOURCE_MICROPHONE: "microphone",
    media_pb2.TRACK_SOURCE_CAMERA: "camera",
    media_pb2.TRACK_SOURCE_SCREEN: "screen",
    media_pb2.TRACK_SOURCE_SCREEN_AUDIO: "screen_audio",
}
SOURCE_VALUES: Final[Mapping[Source, media_pb2.TrackSource.ValueType]] = {
    name: cast("media_pb2.TrackSource.ValueType", value) for value, name in _SOURCES.items()
}


ConnectionQuality = Literal["unknown", "lost", "poor", "good", "excellent"]

_QUALITIES: Final[Mapping[int, ConnectionQuality]] = {
    media_pb2.CONNECTION_QUALITY_LOST: "lost",
    media_pb2.CONNECTION_QUALITY_POOR: "poor",
    media_pb2.CONNECTION_QUALITY_GOOD: "good",
    media_pb2.CONNECTION_QUALITY_EXCELLENT: "excellent",
}


def quality_from_wire(quality: int) -> ConnectionQuality:
    return _QUALITIES.get(quality, "unknown")


# Why the server sends nothing of a requested track: the bandwidth is too low for its lowest layer, or this
# client cannot decode it.
PauseReason = Literal["bandwidth", "unsupported_codec", "unknown"]

_PAUSE_REASONS: Final[Mapping[int, PauseReason]] = {
    room_pb2.PAUSE_REASON_BANDWIDTH: "bandwidth",
    room_pb2.PAUSE_REASON_UNSUPPORTED_CODEC: "unsupported_codec",
}


def pause_reason_from_wire(reason: int) -> PauseReason:
    return _PAUSE_REASONS.get(reason, "unknown")


@dataclass(frozen=True, slots=True)
class VideoLayer:
    """One simulcast encoding or one spatial layer; 0 and "" where unknown."""

    rid: str = ""
    width: int = 0
    height: int = 0
    max_bitrate_bps: int = 0


@dataclass(frozen=True, slots=True)
class Track:
    """A published track. `number` is the CSRC of each of its packets (RFC 3550 section 5.1)."""

    id: str
    number: int
    participant_id: str
    kind: Kind
    source: Source
    name: str = ""
    codec: str = ""
    muted: bool = False
    width: int = 0
    height: int = 0
    mid: str = ""
    # The layers that are sent, low to high; empty for one encoding without spatial layers.
    layers: tuple[VideoLayer, ...] = ()

    @classmethod
    def from_wire(cls, track: media_pb2.Track) -> "Track":
        return cls(
            id=track.id,
            number=track.number,
            participant_id=track.participant_id,
            kind="video" if track.kind == media_pb2.TRACK_KIND_VIDEO else "audio",
            source=_SOURCES.get(track.source, "unknown"),
            name=track.name,
            codec=_codec(track.codec),
            muted=track.muted,
            width=track.width,
            height=track.height,
            mid=track.mid,
            layers=tuple(
                VideoLayer(layer.rid, layer.width, layer.height, layer.max_bitrate_bps)
                for layer in track.layers
                if not layer.inactive
            ),
        )


@dataclass(frozen=True, slots=True)
class Participant:
    """One session of an identity, with its tracks by id."""

    id: str
    identity: str
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    joined_at_ms: int = 0
    tracks: Mapping[str, Track] = field(default_factory=dict)
    connection_quality: ConnectionQuality = "unknown"

    @classmethod
    def from_wire(cls, participant: media_pb2.Participant) -> "Participant":
        return cls(
            id=participant.id,
            identity=participant.identity,
            name=participant.name,
            metadata=participant.metadata,
            attributes=dict(participant.attributes),
            joined_at_ms=participant.joined_at_ms,
            tracks=tracks_by_id(participant.tracks),
            connection_quality=quality_from_wire(participant.connection_quality),
        )


@dataclass(frozen=True, slots=True)
class Slot:
    """A receive-only media section; `track_id` is the bound video track, empty for audio."""

    mid: str
    kind: Kind
    pair: int
    track_id: str
    ssrc: int = 0

    @classmethod
    def from_wire(cls, slot: media_pb2.Slot) -> "Slot":
        kind: Kind = "video" if slot.kind == media_pb2.TRACK_KIND_VIDEO else "audio"
        return cls(mid=slot.mid, kind=kind, pair=slot.pair, track_id=slot.track_id, ssrc=slot.ssrc)


def tracks_by_id(tracks: Iterable[media_pb2.Track]) -> dict[str, Track]:
    return {track.id: Track.from_wire(track) for track in tracks}


def _codec(codec: media_pb2.Codec.ValueType) -> str:
    known = codec in media_pb2.Codec.values() and codec != media_pb2.CODEC_UNSPECIFIED
    return media_pb2.Codec.Name(codec).removeprefix("CODEC_").lower() if known else ""
