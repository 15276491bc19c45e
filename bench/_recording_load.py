"""The cost of a recording at a load: CPU time and memory of the recorder and of the SFU, keyframes requested
of publishers, and the skew in the files that are made of it."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from _recording_marks import marked_frames, quantile, skews_us
from _recording_system import RECORDER_CORE, MeasurementFailed, RecorderProcess, RecordingSystem
from nexus.recorder.v1 import recording_pb2

# How long the recorder works before the measurement: its first segments are in the store then.
WARMUP_SECONDS: Final = 13.0
# Two segments of each track, so that every step of their making is in the measurement.
RECORDED_SECONDS: Final = 24.0
# The same load without a recording, before and after.
BARE_SECONDS: Final = 8.0
FINISH_SECONDS: Final = 180.0
# Packets per second of a video and its audio, at least.
PACKETS_PER_TRACK: Final = 200
# Size of a segment of 6 s.
SEGMENT_BYTES: Final = 1_150_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """One stretch of time at one load. CPU is in cores."""

    seconds: float
    recorder_cores: float
    sfu_cores: float
    packets_per_second: float
    plis: int
    generator_share: float


@dataclass(frozen=True, slots=True)
class Point:
    """A load: `tracks` videos of 1.5 Mbit/s, each with its audio."""

    tracks: int
    recorder_cores: float
    tracks_per_core: float
    recorder_bytes: int
    recorder_idle_bytes: int
    packets_per_second: float
    retained_bytes_per_track: int
    sfu_bytes_per_track: int
    sfu_cores: float
    sfu_cores_bare: float
    sfu_us_per_packet: float
    sfu_us_per_packet_bare: float
    keyframes_per_minute: float
    keyframes_per_minute_bare: float
    generator_share: float
    file_cores_per_hour: float
    files: int
    skew_ms_p50: float
    skew_ms_p99: float
    skew_ms_max: float
    spooled_bytes: int
    void: list[str]


class _Meter:
    def __init__(self, system: RecordingSystem, recorder: RecorderProcess) -> None:
        self._system = system
        self._recorder = recorder

    async def over(self, seconds: float) -> Stretch:
        await self._system.ask("begin")
        before = await self._read()
        await asyncio.sleep(seconds)
        after = await self._read()
        report = await self._system.report()
        spent = [later - earlier for earlier, later in zip(before, after, strict=True)]
        passed = spent[0]
        return Stretch(
            passed,
            spent[1] / passed,
            spent[2] / passed,
            spent[3] / passed,
            round(spent[4]),
            float(report["generator_cpu_share"]),
        )

    async def _read(self) -> tuple[float, ...]:
        stats = await self._system.sfu_stats()
        return (
            time.monotonic(),
            self._recorder.cpu_seconds(),
            self._system.sfu.cpu_seconds(),
            float(sum(track.packets for track in stats.tracks)),
            float(sum(track.plis_sent for track in stats.tracks)),
        )


async def measure(system: RecordingSystem, tracks: int) -> Point:
    """Measures without, with and again without a recording of `tracks` participants, by a recorder of its
    own."""
    await system.join(tracks)
    recorder = await system.add_recorder(f"load-{tracks}", core=RECORDER_CORE)
    try:
        return await _measure(system, recorder, tracks)
    finally:
        await recorder.stop()


async def _measure(system: RecordingSystem, recorder: RecorderProcess, tracks: int) -> Point:
    meter = _Meter(system, recorder)
    idle_bytes = recorder.memory_bytes()
    bare = [await meter.over(BARE_SECONDS)]
    sfu_bytes = system.sfu.memory_bytes()
    recording_id = await system.begin(recorder, recording_pb2.RecordingSpec(participants=True))
    await asyncio.sleep(WARMUP_SECONDS)
    recorded = await meter.over(RECORDED_SECONDS)
    recorder_bytes, sfu_grown = recorder.memory_bytes(), system.sfu.memory_bytes() - sfu_bytes
    retained = await system.sfu_metric("tap_retained_bytes")
    spooled = await recorder.metric("spool_bytes")
    await system.stop_recording(recorder, recording_id)
    cpu = recorder.cpu_seconds()
    completed = recording_pb2.RECORDING_STATE_COMPLETED
    done = await system.until(recorder, recording_id, completed, FINISH_SECONDS)
    file_seconds = recorder.cpu_seconds() - cpu
    bare.append(await meter.over(BARE_SECONDS))
    paths = system.files_of(done)
    if len(paths) != tracks:
        raise MeasurementFailed(f"{len(paths)} files of {tracks} participants")
    skews = await asyncio.to_thread(lambda: [skew for _, path in paths for skew in skews_of(path)])
    hours = sum(file.duration_ms for file in done.files) / 3_600_000
    bare_cores = sum(stretch.sfu_cores for stretch in bare) / len(bare)
    bare_packets = sum(stretch.packets_per_second for stretch in bare) / len(bare)
    bare_minutes = sum(stretch.seconds for stretch in bare) / 60
    share = max(stretch.generator_share for stretch in (*bare, recorded))
    return Point(
        tracks=tracks,
        recorder_cores=round(recorded.recorder_cores, 4),
        tracks_per_core=round(tracks / recorded.recorder_cores, 1),
        recorder_bytes=recorder_bytes,
        recorder_idle_bytes=idle_bytes,
        packets_per_second=round(recorded.packets_per_second),
        retained_bytes_per_track=round(retained / tracks),
        sfu_bytes_per_track=round(sfu_grown / tracks),
        sfu_cores=round(recorded.sfu_cores, 4),
        sfu_cores_bare=round(bare_cores, 4),
        sfu_us_per_packet=round(1e6 * recorded.sfu_cores / recorded.packets_per_second, 2),
        sfu_us_per_packet_bare=round(1e6 * bare_cores / bare_packets, 2),
        keyframes_per_minute=round(recorded.plis / tracks / recorded.seconds * 60, 2),
        keyframes_per_minute_bare=round(sum(each.plis for each in bare) / tracks / bare_minutes, 2),
        generator_share=round(share, 3),
        file_cores_per_hour=round(file_seconds / hours, 1),
        files=len(paths),
        skew_ms_p50=round(quantile([abs(skew) for skew in skews], 0.5) / 1000, 2),
        skew_ms_p99=round(quantile([abs(skew) for skew in skews], 0.99) / 1000, 2),
        skew_ms_max=round(max(abs(skew) for skew in skews) / 1000, 2),
        spooled_bytes=round(spooled),
        void=_reasons_to_void(tracks, recorded, share, spooled),
    )


def skews_of(path: Path) -> list[int]:
    """The skews of all pictures of a file, in microseconds."""
    frames = marked_frames(path)
    return skews_us(frames["audio"], frames["video"])


def _reasons_to_void(tracks: int, recorded: Stretch, share: float, spooled: float) -> list[str]:
    reasons = []
    if share > 0.8:
        reasons.append("the generator was above 80 % of its core")
    if recorded.packets_per_second < 0.95 * tracks * PACKETS_PER_TRACK:
        reasons.append("the generator did not send the load")
    if spooled > 2 * SEGMENT_BYTES * tracks:
        reasons.append("the store did not take the segments in time")
    return reasons
