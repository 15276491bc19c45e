"""The containers of `nexus_frames`, as the recording of a track uses them."""

from dataclasses import replace
from typing import Final

from nexus_frames.events import Frame
from nexus_frames.formats import AudioFormat, Format, Orientation, VideoFormat
from nexus_frames.mux.containers import Container
from nexus_frames.mux.segment_writer import Fragment, SegmentWriter

from nexus_recorder.core.records import SegmentRecord
from nexus_recorder.media.ports import Written

# The longest fragment, or that of a shorter segment. A crash loses at most one that is not complete, which
# the tap still has.
FRAGMENT_US: Final = 1_900_000


class _Collector:
    """The file that a `SegmentWriter` writes to."""

    def __init__(self) -> None:
        self._data: list[bytes] = []

    def write(self, data: bytes, /) -> None:
        self._data.append(data)

    def take(self) -> bytes:
        data = b"".join(self._data)
        self._data.clear()
        return data


class FramesMuxer:
    """A `SegmentMuxer` around a `SegmentWriter`."""

    def __init__(self, record: SegmentRecord, kind: Format) -> None:
        self._sink = _Collector()
        self._orientation = Orientation(record.clockwise, record.flipped)
        is_video = isinstance(kind, VideoFormat)
        self._writer = SegmentWriter(
            self._sink,
            Container(record.container),
            origin_us=0,
            video=replace(kind, orientation=self._orientation) if isinstance(kind, VideoFormat) else None,
            audio=None if is_video else AudioFormat(),
            fragment_us=FRAGMENT_US,
        )

    def write(self, frame: Frame, position_us: int) -> Written:
        kind = frame.format
        if isinstance(kind, VideoFormat) and kind.orientation != self._orientation:
            # It takes effect with the next keyframe, in the next segment.
            kind = replace(kind, orientation=self._orientation)
        # `replace` of a whole frame would cost as much as writing it.
        placed = Frame(
            position_us,
            frame.rtp_timestamp,
            frame.keyframe,
            frame.data,
            kind,
            frame.duration_us,
            frame.first_sequence_number,
            frame.last_sequence_number,
        )
        return self._written(self._writer.write(placed))

    def close(self, end_us: int) -> Written:
        return self._written(self._writer.close(end_us))

    def _written(self, fragment: Fragment | None) -> Written:
        return Written(self._sink.take(), fragment.end_us if fragment else 0)
