"""Writes recordings of every codec and container into a folder: `write_files.py FOLDER`. Each lasts 2 s."""

import io
import sys
from pathlib import Path

from nexus_frames import AudioFormat, Codec, Frame, VideoFormat
from nexus_frames.mux import AudioTimeline, Container, Segment, SegmentWriter, make_file
from nexus_frames.testing import sound_frames, video_frames

END_US = 2_000_000
FRAME_US = 33_333
VIDEO = [
    (Codec.VP8, Container.WEBM),
    (Codec.VP9, Container.MP4),
    (Codec.VP9, Container.WEBM),
    (Codec.H264, Container.MP4),
    (Codec.AV1, Container.MP4),
    (Codec.AV1, Container.WEBM),
]


def times(start_us: int) -> range:
    return range(start_us, start_us + 30 * FRAME_US, FRAME_US)


def segment(container: Container, frames: list[Frame]) -> bytes:
    sink = io.BytesIO()
    kind = frames[0].format
    writer = SegmentWriter(
        sink,
        container,
        origin_us=0,
        video=kind if isinstance(kind, VideoFormat) else None,
        audio=kind if isinstance(kind, AudioFormat) else None,
        timeline=AudioTimeline(),
    )
    for frame in frames:
        writer.write(frame)
    writer.close(END_US)
    return sink.getvalue()


def main(folder: Path) -> None:
    audio = segment(Container.MP4, sound_frames(range(0, END_US, 20_000)))
    (folder / "segment-opus.mp4").write_bytes(audio)
    for container in Container:
        parts = [Segment(io.BytesIO(audio))]
        make_file(folder / f"opus.{container.extension}", container, end_us=END_US, audio=parts)
    for codec, container in VIDEO:
        name = f"{codec.name.lower()}.{container.extension}"
        small = video_frames(codec, times(0), width=160, height=96)
        large = video_frames(codec, times(1_000_000), width=320, height=192)
        data = segment(container, small + large)
        (folder / f"segment-{name}").write_bytes(data)
        make_file(
            folder / f"both-{name}",
            container,
            end_us=END_US,
            video=[Segment(io.BytesIO(data))],
            audio=[Segment(io.BytesIO(audio))],
        )
        turned = video_frames(codec, times(0), orientation=1)
        (folder / f"turned-{name}").write_bytes(segment(container, turned))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
