"""The plan of the files: which segments become which file.

The segments of a stream are put in order. Where a new owner has read again what an earlier one had kept, the
later segment begins behind the earlier one. A change of codec, container or rotation begins the next part,
which is a file of its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from nexus.types.v1.media_pb2 import TrackSource

from nexus_recorder.core.object_names import StreamKey
from nexus_recorder.core.records import SegmentRecord
from nexus_recorder.core.selection import PAIRED_AUDIO
from nexus_recorder.core.timeline import FileTime

# The names of sources in keys.
SOURCE_NAMES: Final[Mapping[int, str]] = {
    TrackSource.TRACK_SOURCE_UNSPECIFIED: "track",
    TrackSource.TRACK_SOURCE_MICROPHONE: "microphone",
    TrackSource.TRACK_SOURCE_CAMERA: "camera",
    TrackSource.TRACK_SOURCE_SCREEN: "screen",
    TrackSource.TRACK_SOURCE_SCREEN_AUDIO: "screen-audio",
}
# The names of the files that have the audio and the video of a participant, by the source of the video.
_PAIR_NAMES: Final[Mapping[int, str]] = {
    TrackSource.TRACK_SOURCE_CAMERA: "participant",
    TrackSource.TRACK_SOURCE_SCREEN: "screen-share",
}


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment in the store, with its key."""

    key: str
    record: SegmentRecord


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment as a file uses it: samples from `from_us` to before `to_us` (None: to its end), moved by
    `shift_us`."""

    segment: StoredSegment
    from_us: int
    to_us: int | None
    shift_us: int


@dataclass(frozen=True, slots=True)
class FilePlan:
    """One file. Times of `start_us` and `end_us` are those of the file; `container` is `mp4`, `webm` or
    `ogg`.

    `name` stands for `{source}` in the key template; `part` counts from 1, and `parts` is how many there are.
    """

    identity: str
    name: str
    part: int
    parts: int
    container: str
    start_us: int
    end_us: int
    video: tuple[Piece, ...] = ()
    audio: tuple[Piece, ...] = ()
    clockwise: int = 0
    flipped: bool = False
    track_ids: tuple[str, ...] = ()
    sources: tuple[int, ...] = ()

    @property
    def pieces(self) -> tuple[Piece, ...]:
        return self.video + self.audio


@dataclass(slots=True)
class _Part:
    """Consecutive segments of one stream that fit into one file."""

    pieces: list[Piece] = field(default_factory=list)

    @property
    def first(self) -> SegmentRecord:
        return self.pieces[0].segment.record


def in_order(segments: Iterable[StoredSegment]) -> list[tuple[StoredSegment, int]]:
    """The segments of one stream in the order of time, each with the position from which it is used. One that
    has nothing new is left out."""
    ordered = sorted(
        segments, key=lambda s: (s.record.start_us, -s.record.end_us, s.record.epoch, s.record.number)
    )
    found: list[tuple[StoredSegment, int]] = []
    until = 0
    for segment in ordered:
        record = segment.record
        if record.end_us <= until and found:
            continue
        found.append((segment, max(record.start_us, until)))
        until = max(until, record.end_us)
    return found


class Planner:
    """Plans the files of one recording. `ends_us` has the position at which each stream ended for good, where
    that is later than its last segment."""

    def __init__(
        self,
        segments: Iterable[StoredSegment],
        time: FileTime,
        ends_us: Mapping[StreamKey, int] | None = None,
    ) -> None:
        self._time = time
        self._ends_us = dict(ends_us or {})
        self._streams: dict[StreamKey, list[StoredSegment]] = {}
        for segment in segments:
            self._streams.setdefault(segment.record.stream, []).append(segment)

    @property
    def streams(self) -> list[StreamKey]:
        return sorted(self._streams, key=lambda k: (k.identity, k.source, k.name, k.ordinal))

    def plan(self, *, tracks: bool, participants: bool) -> list[FilePlan]:
        """The files for each track, for each participant, or both; neither: for each track."""
        plans: list[FilePlan] = []
        if participants:
            plans += self._participants(alone=not tracks)
        if tracks or not participants:
            plans += [plan for key in self.streams for plan in self._stream(key)]
        return plans

    def _stream(self, key: StreamKey) -> list[FilePlan]:
        """The files of one stream."""
        parts = self._parts(key)
        return [
            self._file(key, _stream_name(key), number, len(parts), part, self._until(key, parts, number))
            for number, part in enumerate(parts)
        ]

    def _participants(self, *, alone: bool) -> list[FilePlan]:
        """The files of each pair of video and audio. With `alone`, streams without a partner get a file
        too."""
        plans: list[FilePlan] = []
        used: set[StreamKey] = set()
        for key in self.streams:
            audio_source = PAIRED_AUDIO.get(key.source)
            if audio_source is None:
                continue
            partner = next(
                (k for k in self.streams if k.identity == key.identity and k.source == audio_source), None
            )
            if partner is None or partner in used:
                continue
            used |= {key, partner}
            plans += self._pair(key, partner)
        if alone:
            plans += [plan for key in self.streams if key not in used for plan in self._stream(key)]
        return plans

    def _pair(self, video: StreamKey, audio: StreamKey) -> list[FilePlan]:
        """The files of a video stream, with the audio of the same time. The first has all audio before it,
        the last all behind it."""
        parts = self._parts(video)
        sound = [piece for part in self._parts(audio) for piece in part.pieces]
        plans = []
        for number, part in enumerate(parts):
            last = number + 1 == len(parts)
            from_us = 0 if number == 0 else part.pieces[0].from_us
            to_us = None if last else parts[number + 1].pieces[0].from_us
            pieces = _between(sound, from_us, to_us)
            until = self._until(video, parts, number)
            if last:
                until = max(until, self._stream_end(audio))
            name = _PAIR_NAMES[video.source] + _suffix(video)
            plans.append(self._file(video, name, number, len(parts), part, until, tuple(pieces)))
        return plans

    def _parts(self, key: StreamKey) -> list[_Part]:
        parts: list[_Part] = []
        for segment, from_us in in_order(self._streams[key]):
            if not parts or _form(parts[-1].first) != _form(segment.record):
                parts.append(_Part())
            shift = self._time.at(segment.record.start_us) - segment.record.start_us
            parts[-1].pieces.append(Piece(segment, from_us, None, shift))
        return parts

    def _until(self, key: StreamKey, parts: list[_Part], number: int) -> int:
        """The position at which a part ends: at the beginning of the next one, or at the end of the
        stream."""
        if number + 1 < len(parts):
            return parts[number + 1].pieces[0].from_us
        return self._stream_end(key)

    def _stream_end(self, key: StreamKey) -> int:
        last = max(segment.record.end_us for segment in self._streams[key])
        return max(last, self._ends_us.get(key, 0))

    def _file(
        self,
        key: StreamKey,
        name: str,
        number: int,
        parts: int,
        part: _Part,
        until: int,
        audio: tuple[Piece, ...] = (),
    ) -> FilePlan:
        first = part.first
        is_audio = first.codec == "opus"
        pieces = tuple(part.pieces)
        everything = (*pieces, *audio)
        return FilePlan(
            identity=key.identity,
            name=name,
            part=number + 1,
            parts=parts,
            container="ogg" if is_audio else first.container,
            start_us=self._time.at(min(piece.from_us for piece in everything)),
            end_us=self._time.at(until),
            video=() if is_audio else pieces,
            audio=pieces if is_audio else audio,
            clockwise=first.clockwise,
            flipped=first.flipped,
            track_ids=_unique(piece.segment.record.track_id for piece in everything),
            sources=tuple(sorted({piece.segment.record.source for piece in everything})),
        )


def _between(pieces: list[Piece], from_us: int, to_us: int | None) -> list[Piece]:
    """The pieces of an interval, cut to it."""
    found = []
    for piece in pieces:
        begin, end = max(piece.from_us, from_us), piece.segment.record.end_us
        cut = to_us if to_us is not None and to_us < end else None
        if begin < (end if cut is None else cut):
            found.append(Piece(piece.segment, begin, cut, piece.shift_us))
    return found


def _form(record: SegmentRecord) -> tuple[str, str, int, bool]:
    return record.codec, record.container, record.clockwise, record.flipped


def _stream_name(key: StreamKey) -> str:
    return SOURCE_NAMES.get(key.source, "track") + _suffix(key)


def _suffix(key: StreamKey) -> str:
    """Distinguishes streams of one identity and source: by their names, and by their ordinals."""
    return (f"-{key.name}" if key.name else "") + (f"-{key.ordinal + 1}" if key.ordinal else "")


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))
