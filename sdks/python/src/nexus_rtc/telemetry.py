"""Computes samples of telemetry from readings of aiortc, without I/O: the same messages as the web SDK sends,
with what aiortc has. Other counters are marked as absent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from google.protobuf.descriptor import FieldDescriptor
from nexus.qoe.v1 import telemetry_pb2 as qoe
from nexus.types.v1 import media_pb2

from nexus_rtc.model import SOURCE_VALUES, Source

TelemetryOption = Literal["on", "quality", "off"]
LEVELS: Final[Mapping[str, qoe.TelemetryLevel.ValueType]] = {
    "off": qoe.TELEMETRY_LEVEL_OFF,
    "quality": qoe.TELEMETRY_LEVEL_QUALITY,
    "on": qoe.TELEMETRY_LEVEL_ON,
}

CODECS: Final[Mapping[str, media_pb2.Codec.ValueType]] = {
    "opus": media_pb2.CODEC_OPUS,
    "vp8": media_pb2.CODEC_VP8,
    "vp9": media_pb2.CODEC_VP9,
    "h264": media_pb2.CODEC_H264,
    "av1": media_pb2.CODEC_AV1,
}

MAX_TRACKS: Final = 64
"""Maximum number of tracks in a sample; the server drops the others."""

# Fields of a track's message that are no counters.
_NO_COUNTERS: Final = frozenset(("series", "index", "state", "switched", "freezes_derived", "limitation"))


@dataclass(frozen=True, slots=True)
class TrackReading:
    """The counters of one track's RTP stream since its beginning. None: not known."""

    track_id: str
    stream: str
    """Names the RTP stream: the section, and the direction."""
    sent: bool
    kind: str
    codec: str
    """In lower case, as in `Track.codec`; empty: not known."""
    source: Source
    muted: bool = False
    paused: bool = False
    packets: int = 0
    bytes: int = 0
    lost: int | None = None
    jitter_us: int | None = None
    frames: int | None = None
    """Decoded frames of received video."""


@dataclass(frozen=True, slots=True)
class PathReading:
    """The counters of the transport since its beginning."""

    rtt_us: int | None = None
    bytes_sent: int = 0
    bytes_received: int = 0
    pair: str = ""
    """Names the selected candidate pair; empty: there is none."""


@dataclass(slots=True)
class Sampler:
    """Turns readings into samples. It keeps the last readings, and the declared series by track."""

    before_at_ms: int
    _path: PathReading = field(default_factory=PathReading)
    _streams: dict[str, TrackReading] = field(default_factory=dict)
    _series: dict[tuple[bool, str], qoe.TrackSeries] = field(default_factory=dict)

    def sample(
        self, path: PathReading, tracks: Iterable[TrackReading], at_ms: int
    ) -> tuple[qoe.TelemetrySample, Sequence[qoe.TrackSeries]]:
        """The sample since the last call, and the series that it uses. `at_ms`: monotonic."""
        readings = {(one.sent, one.track_id): one for one in list(tracks)[:MAX_TRACKS]}
        sample = qoe.TelemetrySample(interval_ms=max(1, at_ms - self.before_at_ms))
        self.before_at_ms = at_ms
        self._add_path(sample.path, path)
        kept = {key: one.number for key, one in self._series.items() if key in readings}
        free = iter(sorted(set(range(1, MAX_TRACKS + 1)) - set(kept.values())))
        declared: dict[tuple[bool, str], qoe.TrackSeries] = {}
        for key, reading in readings.items():
            number = kept.get(key) or next(free)
            series = _series_of(reading, number, self._add_track(sample, reading, number))
            known = self._series.get(key)
            declared[key] = known if known == series and known is not None else series
        self._series = declared
        return sample, list(declared.values())

    def _add_path(self, sample: qoe.PathSample, path: PathReading) -> None:
        before, self._path = self._path, path
        if not path.pair:
            return
        if path.rtt_us is not None:
            sample.rtt_us = path.rtt_us
        sample.protocol = qoe.PATH_PROTOCOL_UDP
        sample.bytes_sent = max(0, path.bytes_sent - before.bytes_sent)
        sample.bytes_received = max(0, path.bytes_received - before.bytes_received)
        sample.network_changed = bool(before.pair) and before.pair != path.pair

    def _add_track(self, sample: qoe.TelemetrySample, reading: TrackReading, number: int) -> int:
        """Adds a track's counters, and returns the bits of the absent ones."""
        before = self._streams.get(reading.stream)
        self._streams[reading.stream] = reading
        state = qoe.TRACK_STATE_UNSPECIFIED
        if reading.muted or reading.paused:
            state = qoe.TRACK_STATE_MUTED if reading.muted else qoe.TRACK_STATE_PAUSED
        counted: Any
        if reading.sent and reading.kind == "video":
            video = sample.sent_video.add(series=number, state=state)
            counted = video.encodings.add()
        elif reading.sent:
            counted = sample.sent_audio.add(series=number, state=state)
        else:
            received = sample.received_video if reading.kind == "video" else sample.received_audio
            counted = received.add(series=number, state=state)
            counted.switched = before is not None and before.track_id != reading.track_id
        counted.packets = max(0, reading.packets - (before.packets if before else 0))
        counted.bytes = max(0, reading.bytes - (before.bytes if before else 0))
        known = {"packets", "bytes"}
        if reading.lost is not None:
            counted.lost = reading.lost - ((before.lost or 0) if before else 0)
            known.add("lost")
        if reading.jitter_us is not None:
            counted.jitter_us = reading.jitter_us
        if reading.frames is not None and not reading.sent and reading.kind == "video":
            counted.frames_decoded = max(0, reading.frames - ((before.frames or 0) if before else 0))
            known.add("frames_decoded")
        return _absent(counted.DESCRIPTOR.fields, known)


def _absent(fields: Iterable[FieldDescriptor], known: set[str]) -> int:
    """The bits of the counters that are not known."""
    bits = 0
    for one in fields:
        if not one.has_presence and one.name not in known and one.name not in _NO_COUNTERS:
            bits |= 1 << one.number
    return bits


def _series_of(reading: TrackReading, number: int, absent: int) -> qoe.TrackSeries:
    series = qoe.TrackSeries(
        number=number,
        track_id=reading.track_id,
        codec=CODECS.get(reading.codec, media_pb2.CODEC_UNSPECIFIED),
        source=SOURCE_VALUES.get(reading.source, media_pb2.TRACK_SOURCE_UNSPECIFIED),
        absent=absent,
    )
    if reading.sent and reading.kind == "video":
        series.encodings.add()
    return series
