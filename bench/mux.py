"""Measures what frames and containers cost the recorder, in CPU time of one thread: `bench/mux.py`.

One track of 1.5 Mbit/s video (180 packets/s, 30 frames/s) and one of Opus (50 packets/s) pass through the
steps that a recorder takes: parse the batches, assemble frames, write segments of 6 s, and at the end make
one seekable file of all segments. The pictures are VP8 and H.264 by real encoders, with padding to the
bitrate. Writes bench/results/mux.json.
"""

import argparse
import io
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from _load import ROOT
from _machine import machine
from nexus.sfu.v1 import track_stream_pb2 as pb
from nexus_frames import AudioFormat, Codec, Frame, FrameAssembler, VideoFormat
from nexus_frames.mux import (
    AudioTimeline,
    Container,
    FileReport,
    Segment,
    SegmentWriter,
    container_for,
    make_file,
)
from nexus_frames.testing import TrackWriter, encode_sound, encode_video

BATCH_US = 500_000
SEGMENT_US = 6_000_000
BITRATE_BPS = 1_500_000
FRAME_US = 33_333
SOUND_US = 20_000


@dataclass(frozen=True, slots=True)
class Row:
    codec: str
    seconds: int
    packets: int
    # Share of a core of one track: video with its audio.
    assemble: float
    segments: float
    tracks_per_core: float
    file_cpu_seconds_per_hour: float
    file_bytes: int
    peak_memory_mib: float
    memory_per_track_kib: int


def batches(codec: Codec, seconds: int) -> Iterator[bytes]:
    """Serialised batches of 0.5 s; the pictures repeat every 4 s."""
    video = codec.is_video
    writer = TrackWriter(codec)
    writer.source()
    if video:
        encoded = encode_video(
            codec, 120, width=1280, height=720, keyframe_every=120, bitrate_bps=BITRATE_BPS
        )
        wanted = BITRATE_BPS // 8 * FRAME_US // 1_000_000
        frames = [(padded(codec, frame.data, wanted), frame.keyframe) for frame in encoded]
    else:
        frames = [(sound, False) for sound in encode_sound(200)]
    step = FRAME_US if video else SOUND_US
    for number in range(seconds * 1_000_000 // step):
        data, keyframe = frames[number % len(frames)]
        writer.frame(data, number * step, keyframe=keyframe)
        if number * step // BATCH_US != (number + 1) * step // BATCH_US:
            yield writer.take().SerializeToString()
    yield writer.take().SerializeToString()


def padded(codec: Codec, data: bytes, wanted: int) -> bytes:
    """The frame with bytes that its decoder ignores, up to `wanted`."""
    missing = wanted - len(data)
    if missing <= 8:
        return data
    if codec is Codec.H264:  # a filler data NAL unit (H.264 section 7.3.2.7)
        return data + b"\x00\x00\x00\x01\x0c" + b"\xff" * (missing - 6) + b"\x80"
    return data + bytes(missing)


class Recorder:
    """The path of one track, from batches to segments in memory."""

    def __init__(self, codec: Codec) -> None:
        self.container = container_for(codec)
        self.assembler = FrameAssembler()
        self.timeline = AudioTimeline()
        self.segments: list[bytes] = []
        self.sink = io.BytesIO()
        self.writer: SegmentWriter | None = None
        self.assemble_seconds = self.write_seconds = 0.0

    def take(self, batch: bytes) -> None:
        began = time.thread_time()
        events = self.assembler.add(pb.StreamTrackResponse.FromString(batch))
        between = time.thread_time()
        for event in events:
            if isinstance(event, Frame):
                self._write(event)
        self.assemble_seconds += between - began
        self.write_seconds += time.thread_time() - between

    def _write(self, frame: Frame) -> None:
        if self.writer is not None and frame.media_time_us // SEGMENT_US > len(self.segments):
            self.finish()
        if self.writer is None:
            video = frame.format if isinstance(frame.format, VideoFormat) else None
            self.writer = SegmentWriter(
                self.sink,
                self.container,
                origin_us=0,
                video=video,
                audio=AudioFormat() if video is None else None,
                timeline=self.timeline,
            )
        self.writer.write(frame)

    def finish(self) -> None:
        assert self.writer is not None
        self.writer.close()
        self.segments.append(self.sink.getvalue())
        self.writer, self.sink = None, io.BytesIO()


def record(codec: Codec, seconds: int, folder: Path) -> tuple[Recorder, list[Path]]:
    recorder = Recorder(codec)
    paths: list[Path] = []
    for batch in batches(codec, seconds):
        recorder.take(batch)
        while len(paths) < len(recorder.segments):
            number = len(paths)
            paths.append(folder / f"{codec.name}-{number:05}")
            paths[-1].write_bytes(recorder.segments[number])
            recorder.segments[number] = b""
    recorder.finish()
    paths.append(folder / f"{codec.name}-last")
    paths[-1].write_bytes(recorder.segments[-1])
    return recorder, paths


def memory_per_track(codec: Codec, tracks: int = 40) -> float:
    """KiB of a track with its audio, in the middle of a segment, beside its batches."""
    video = [list(batches(codec, 5)), list(batches(Codec.OPUS, 5))]
    warm = [Recorder(codec), Recorder(Codec.OPUS)]
    for recorder, parts in zip(warm, video, strict=True):
        for batch in parts:
            recorder.take(batch)
    before = resident_kib()
    recorders = [(Recorder(codec), Recorder(Codec.OPUS)) for _ in range(tracks)]
    for pair in recorders:
        for recorder, parts in zip(pair, video, strict=True):
            for batch in parts:
                recorder.take(batch)
    # The contents of the sinks do not count: a recorder writes them to a disk.
    held = sum(recorder.sink.tell() for pair in recorders for recorder in pair) / 1024
    return (resident_kib() - before - held) / tracks


def resident_kib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024


def measure(codec: Codec, seconds: int) -> Row:
    memory = memory_per_track(codec)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as name:
        folder = Path(name)
        video, video_paths = record(codec, seconds, folder)
        audio, audio_paths = record(Codec.OPUS, seconds, folder)
        container = Container.WEBM if codec is Codec.VP8 else Container.MP4
        began = time.process_time()
        report: FileReport = make_file(
            folder / f"file.{container.extension}",
            container,
            end_us=seconds * 1_000_000,
            video=[Segment(str(path)) for path in video_paths],
            audio=[Segment(str(path)) for path in audio_paths],
        )
        file_seconds = time.process_time() - began
    assemble = (video.assemble_seconds + audio.assemble_seconds) / seconds
    segments = (video.write_seconds + audio.write_seconds) / seconds
    packets = video.assembler.counters.packets + audio.assembler.counters.packets
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Row(
        codec.name,
        seconds,
        packets,
        round(assemble, 6),
        round(segments, 6),
        round(1 / (assemble + segments), 1),
        round(file_seconds * 3_600 / seconds, 2),
        report.size,
        round(peak, 1),
        round(memory),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3_600, help="length of the recording")
    seconds = parser.parse_args().seconds
    (ROOT / "build").mkdir(exist_ok=True)
    rows = [measure(codec, seconds) for codec in (Codec.VP8, Codec.H264)]
    for row in rows:
        print(
            f"{row.codec:<5} {row.packets:,} packets: frames {row.assemble:.5f} core, segments "
            f"{row.segments:.5f} core, so {row.tracks_per_core:,.0f} tracks with audio per core; the file of "
            f"an hour {row.file_cpu_seconds_per_hour:.1f} s of CPU; peak memory "
            f"{row.peak_memory_mib:.0f} MiB, of a track {row.memory_per_track_kib:,} KiB"
        )
    results = ROOT / "bench" / "results"
    results.mkdir(exist_ok=True)
    found = {"machine": machine(), "rows": [asdict(row) for row in rows]}
    (results / "mux.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
