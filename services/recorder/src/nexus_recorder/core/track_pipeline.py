"""One track, from the batches of its tap to what the spool is to do.

The assembler of `nexus_frames` makes frames of packets, the timeline gives them positions, the segmenter
decides where segments begin and end. Here these are put together, with the notes of each segment and the
positions that the tap may forget.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from nexus.sfu.v1.track_stream_pb2 import StreamTrackResponse
from nexus_frames.assembler import FrameAssembler
from nexus_frames.events import Frame, Gap, Mute, SourceChange, StreamEnd, StreamEvent, Undecodable
from nexus_frames.formats import AudioFormat, Codec, Format, VideoFormat

from nexus_recorder.core import segmenter
from nexus_recorder.core.notes import Note, NotePad
from nexus_recorder.core.object_names import StreamKey
from nexus_recorder.core.records import SegmentRecord
from nexus_recorder.core.segmenter import Segmenter, SegmentLimits, Shape
from nexus_recorder.core.timeline import Timeline

# Maximum size of the batches of a track that wait for the place of their line.
MAX_HELD_BYTES: Final = 8 << 20
# Maximum number of batches without a packet that wait for one.
MAX_HELD_BATCHES: Final = 1_000

_CODEC_NAMES: Final = {
    Codec.OPUS: "opus",
    Codec.VP8: "vp8",
    Codec.VP9: "vp9",
    Codec.H264: "h264",
    Codec.AV1: "av1",
}
# The interval from which a picture that stands still is noted.
HELD_US: Final = 2_000_000
# The codecs that WebM holds.
_WEBM: Final = frozenset({Codec.OPUS, Codec.VP8, Codec.VP9, Codec.AV1})


@dataclass(frozen=True, slots=True)
class RecordedTrack:
    """The track whose media arrives, and the stream that its segments belong to."""

    stream: StreamKey
    track_id: str
    participant_id: str
    line: str
    is_video: bool


@dataclass(frozen=True, slots=True)
class OpenSegment:
    """Open a file for this segment. The record is complete except for its end. The effects of one batch may
    end it, and open the next."""

    record: SegmentRecord
    format: Format


@dataclass(frozen=True, slots=True)
class PutFrame:
    frame: Frame
    position_us: int


@dataclass(frozen=True, slots=True)
class CloseSegment:
    record: SegmentRecord


@dataclass(frozen=True, slots=True)
class RequestKeyframe:
    pass


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Once all segments up to this number are safe, the tap may forget its records up to `position`."""

    position: int
    number: int


PipelineEffect = OpenSegment | PutFrame | CloseSegment | RequestKeyframe | Acknowledge


@dataclass(slots=True)
class _Open:
    """The segment that is open, as far as it is known."""

    record: SegmentRecord
    frames: int = 0


class TrackPipeline:
    """The state of one track. All moments (`now_us`) are on the monotonic clock, in microseconds."""

    def __init__(
        self,
        track: RecordedTrack,
        timeline: Timeline,
        limits: SegmentLimits,
        *,
        epoch: int,
        numbers: Iterator[int] | None = None,
        after_us: int = -1,
        prefer_webm: bool = False,
    ) -> None:
        self._track = track
        self._timeline = timeline
        self._epoch = epoch
        self._prefer_webm = prefer_webm
        self._assembler = FrameAssembler()
        self._segmenter = Segmenter(limits, is_video=track.is_video, numbers=numbers, after_us=after_us)
        self._held: deque[tuple[StreamTrackResponse, int]] = deque()
        self._held_bytes = 0
        self._notes = NotePad.empty()
        self._open: _Open | None = None
        self._size = (0, 0)
        # The format of the last frame, which most frames share, and its shape.
        self._format: Format | None = None
        self._shape = Shape((0, 0, False))
        self._read_position = 0
        self._frame_position = 0
        self._ended: StreamEnd | None = None
        self._frames = 0
        self._first_media_us: int | None = None
        self._had_source = False
        self._until_us: int | None = None
        self._has_passed = False

    @property
    def last_number(self) -> int:
        """The number of the last segment, 0 for none."""
        return self._segmenter.number

    @property
    def last_us(self) -> int:
        """The position of the last frame, -1 for none."""
        return self._segmenter.last_us

    @property
    def frames(self) -> int:
        return self._frames

    @property
    def ended(self) -> StreamEnd | None:
        """The end of the track, once it has been read."""
        return self._ended

    @property
    def has_passed_end(self) -> bool:
        """Whether a frame has come that was sampled after the end of the recording."""
        return self._has_passed

    def end_at(self, until_us: int) -> None:
        """Leaves out what is sampled from this position on."""
        self._until_us = until_us

    @property
    def assembler(self) -> FrameAssembler:
        return self._assembler

    @property
    def notes(self) -> tuple[Note, ...]:
        """The notes that no complete segment has."""
        return tuple(self._notes.notes)

    def take_notes(self) -> tuple[Note, ...]:
        """Returns the notes that no segment has, and forgets them."""
        return self._notes.take()[0]

    def take(self, batch: StreamTrackResponse, arrival_us: int) -> list[PipelineEffect]:
        """Takes a batch that arrived at that moment."""
        placed = self._timeline.offset_us(self._track.line) is not None
        if not placed:
            for record in batch.records:
                if record.WhichOneof("record") == "packet":
                    placed = self._timeline.observe(self._track.line, record.packet.media_time_us, arrival_us)
        self._held.append((batch, arrival_us))
        self._held_bytes += batch.ByteSize() if not placed else 0
        if not placed and self._held_bytes > MAX_HELD_BYTES:
            self._timeline.place(self._track.line)
        return self._release(arrival_us)

    def tick(self, now_us: int) -> list[PipelineEffect]:
        """Tells that time has passed."""
        due = self._timeline.due_us(self._track.line)
        if due is not None and now_us >= due:
            self._timeline.place(self._track.line)
        effects = self._release(now_us)
        return effects + self._translate(
            self._segmenter.on_time(self._timeline.now_us(now_us)), None, self._last_position()
        )

    def next_deadline_us(self) -> int | None:
        """When `tick` is due, on the monotonic clock; None: not until the next batch."""
        if self._held and self._timeline.offset_us(self._track.line) is not None:
            return 0
        if self._held:
            return self._timeline.due_us(self._track.line)
        due = self._segmenter.next_deadline_us()
        return None if due is None else due + self._timeline.origin_us

    def drain(self, now_us: int) -> list[PipelineEffect]:
        """Ends the segment for a successor, who reads the same tap."""
        effects = self._release_now(now_us)
        return effects + self._translate(self._segmenter.on_drain(), None, self._last_position())

    def finish(self, now_us: int) -> list[PipelineEffect]:
        """Ends the segment for good: the track ended, or is not recorded any longer."""
        effects = self._release_now(now_us)
        if not self._frames and self._assembler.counters.awaiting_keyframe:
            # Frames came, but none with which a decoder can start.
            at = self._at(self._first_media_us)
            self._notes.add(Note(kind="undecodable", at_us=at, reason="keyframe"))
        return effects + self._translate(self._segmenter.on_break(), None, self._last_position())

    def _release_now(self, now_us: int) -> list[PipelineEffect]:
        if self._held:
            self._timeline.place(self._track.line)
        return self._release(now_us)

    def _release(self, now_us: int) -> list[PipelineEffect]:
        effects: list[PipelineEffect] = []
        if self._timeline.offset_us(self._track.line) is None:
            untimed = self._timeline.due_us(self._track.line) is None
            # Without a packet nothing has a time: a source waits for the media that follows.
            if untimed and (len(self._held) > MAX_HELD_BATCHES or self._has_end()):
                self._handle_untimed()
            return effects
        while self._held:
            batch, _ = self._held.popleft()
            self._held_bytes = 0
            effects += self._handle(batch, now_us)
        return effects

    def _has_end(self) -> bool:
        return any(r.WhichOneof("record") == "end" for batch, _ in self._held for r in batch.records)

    def _handle_untimed(self) -> None:
        """Reads batches without any media, such as those of a track that ends before it has sent anything."""
        while self._held:
            batch, _ = self._held.popleft()
            for event in self._assembler.add(batch):
                if isinstance(event, StreamEnd):
                    self._ended = event
            self._read_position = batch.position or self._read_position

    def _handle(self, batch: StreamTrackResponse, now_us: int) -> list[PipelineEffect]:
        effects: list[PipelineEffect] = []
        now = self._timeline.now_us(now_us)
        if self._first_media_us is None:
            packets = (r.packet for r in batch.records if r.WhichOneof("record") == "packet")
            self._first_media_us = next((packet.media_time_us for packet in packets), None)
        finder = _Finder(batch, self._frame_position)
        for event in self._assembler.add(batch):
            effects += self._on_event(event, finder, now)
        self._read_position = batch.position or self._read_position
        held = self._assembler.held_records
        # The first record of the frame that is not complete.
        self._frame_position = self._read_position - held + 1 if held else 0
        return effects

    def _on_event(self, event: StreamEvent, finder: "_Finder", now: int) -> list[PipelineEffect]:
        match event:
            case Frame():
                return self._on_frame(event, finder, now)
            case Gap():
                self._note_gap(event)
            case SourceChange() if not self._had_source:
                self._had_source = True
            case SourceChange():
                self._notes.add(Note(kind="source", at_us=self._at(None), reason=event.rid))
            case Undecodable():
                at = self._at(event.media_time_us)
                self._notes.add(Note(kind="undecodable", at_us=at, reason=event.reason.value))
            case Mute():
                at = self._at(event.media_time_us)
                self._notes.add(Note(kind="muted" if event.muted else "unmuted", at_us=at))
                if event.muted:
                    return self._translate(self._segmenter.on_break(), None, finder.position_of_mute())
            case StreamEnd():
                self._ended = event
        return []

    def _on_frame(self, frame: Frame, finder: "_Finder", now: int) -> list[PipelineEffect]:
        position = self._timeline.position_us(self._track.line, frame.media_time_us)
        if self._until_us is not None and position >= self._until_us:
            self._has_passed = True
            return []
        self._frames += 1
        if isinstance(frame.format, VideoFormat) and frame.keyframe:
            size = frame.format.width, frame.format.height
            if size != self._size:
                self._size = size
                self._notes.add(Note(kind="size", at_us=max(position, 0), width=size[0], height=size[1]))
        before = self._segmenter.last_us
        if self._track.is_video and before >= 0 and position - before >= HELD_US:
            self._notes.add(Note(kind="held", at_us=before, to_us=position))
        duration = (frame.duration_us or 0) if isinstance(frame.format, AudioFormat) else 0
        if frame.format is not self._format:
            self._format, self._shape = frame.format, _shape(frame.format)
        effects = self._segmenter.on_frame(
            self._shape, position, len(frame.data), frame.keyframe, duration, now
        )
        return self._translate(effects, frame, None, finder)

    def _translate(
        self,
        effects: list[segmenter.Effect],
        frame: Frame | None,
        position: int | None,
        finder: "_Finder | None" = None,
    ) -> list[PipelineEffect]:
        """Adds to the segmenter's effects what it does not know. `position` is the last record that was
        handled; with a frame it is looked up only if it is needed."""

        def before() -> int:
            if position is not None:
                return position
            assert finder is not None
            assert frame is not None
            return max(0, finder.position_of(frame) - 1)

        out: list[PipelineEffect] = []
        for effect in effects:
            match effect:
                case segmenter.WriteFrame(at):  # first, because it is the usual one
                    assert frame is not None
                    assert self._open is not None
                    self._open.frames += 1
                    out.append(PutFrame(frame, at))
                case segmenter.BeginSegment():
                    assert frame is not None
                    out.append(self._begin(effect, frame, before() + 1))
                case segmenter.EndSegment(_, end_us):
                    record = self._snapshot(end_us, before())
                    notes, dropped = self._notes.take()
                    self._open = None
                    out.append(
                        CloseSegment(record.model_copy(update={"notes": notes, "notes_dropped": dropped}))
                    )
                case segmenter.RequestKeyframe():
                    out.append(RequestKeyframe())
                case segmenter.Resumable(number):
                    if before():
                        out.append(Acknowledge(before(), number))
        return out

    def _begin(self, effect: segmenter.BeginSegment, frame: Frame, first_record: int) -> OpenSegment:
        kind = frame.format
        codec, clockwise, flipped = effect.shape.group
        record = SegmentRecord.model_validate(
            {
                "identity": self._track.stream.identity,
                "source": self._track.stream.source,
                "name": self._track.stream.name,
                "ordinal": self._track.stream.ordinal,
                "participant_id": self._track.participant_id,
                "track_id": self._track.track_id,
                "line": self._track.line,
                "epoch": self._epoch,
                "number": effect.number,
                "start_us": effect.start_us,
                "end_us": effect.start_us,
                "codec": _CODEC_NAMES[Codec(codec)],
                "container": self._container(Codec(codec)),
                "keyframe": effect.keyframe,
                "width": kind.width if isinstance(kind, VideoFormat) else 0,
                "height": kind.height if isinstance(kind, VideoFormat) else 0,
                "clockwise": clockwise,
                "flipped": flipped,
                "first_record": first_record,
            }
        )
        self._open = _Open(record)
        return OpenSegment(record, kind)

    def _snapshot(self, end_us: int, last_record: int) -> SegmentRecord:
        """The record of the open segment, with its notes, which stay noted."""
        assert self._open is not None
        return self._open.record.model_copy(
            update={
                "end_us": end_us,
                "frames": self._open.frames,
                "last_record": last_record,
                "notes": tuple(self._notes.notes),
                "notes_dropped": self._notes.dropped,
            }
        )

    def _container(self, codec: Codec) -> str:
        return "webm" if codec is Codec.VP8 or (self._prefer_webm and codec in _WEBM) else "mp4"

    def _note_gap(self, gap: Gap) -> None:
        at = self._at(gap.media_time_before_us)
        to = None if gap.media_time_after_us is None else self._at(gap.media_time_after_us)
        packets = gap.last_sequence_number - gap.first_sequence_number + 1
        self._notes.add(
            Note(kind="gap", at_us=at, to_us=to, reason=gap.reason.name.lower(), packets=max(0, packets))
        )

    def _at(self, media_time_us: int | None) -> int:
        """A position for a note; that of the last frame if the time is not known."""
        if media_time_us is None:
            return max(0, self._segmenter.last_us)
        return max(0, media_time_us - (self._timeline.offset_us(self._track.line) or 0))

    def _last_position(self) -> int:
        """The last record that was handled, without those of a frame that is not complete."""
        return self._read_position - self._assembler.held_records


def _shape(kind: Format) -> Shape:
    """The shape of a frame. H.264 and AV1 have their configuration in the header of
    MP4."""
    if isinstance(kind, AudioFormat):
        return Shape((int(kind.codec), 0, False))
    turned = kind.orientation
    return Shape((int(kind.codec), turned.clockwise, turned.flipped), kind.configuration)


class _Finder:
    """Finds the positions of records in a batch. It only goes forward, as events do."""

    def __init__(self, batch: StreamTrackResponse, frame_position: int) -> None:
        self._records = batch.records
        self._before = batch.position - len(batch.records)
        self._frame_position = frame_position
        self._cursor = 0

    def position_of(self, frame: Frame) -> int:
        """The position of the first record of a frame."""
        for index in range(self._cursor, len(self._records)):
            record = self._records[index]
            if (
                record.WhichOneof("record") == "packet"
                and record.packet.sequence_number == frame.first_sequence_number
            ):
                self._cursor = index
                return self._before + index + 1
        return self._frame_position or max(0, self._before)

    def position_of_mute(self) -> int:
        """The position of the next mute."""
        for index in range(self._cursor, len(self._records)):
            record = self._records[index]
            if record.WhichOneof("record") == "muted" and record.muted.muted:
                self._cursor = index + 1
                return self._before + index + 1
        return max(0, self._before)
