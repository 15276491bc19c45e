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
# The answer to most frames, which complete nothing.
NOTHING: Final = Written(b"", 0)


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
        # The last format whose orientation is that of the segment.
        self._upright: VideoFormat | None = None
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
        if kind is not self._upright and isinstance(kind, VideoFormat):
            if kind.orientation == self._orientation:
                self._upright = kind
            else:
                # It takes effect with the next keyframe, in the next segment.
                frame = frame._replace(format=replace(kind, orientation=self._orientation))
        fragment = self._writer.write(frame, position_us)
        return NOTHING if fragment is None else self._written(fragment)

    def close(self, end_us: int) -> Written:
        return self._written(self._writer.close(end_us))

    def _written(self, fragment: Fragment | None) -> Written:
        return Written(self._sink.take(), fragment.end_us if fragment else 0)
