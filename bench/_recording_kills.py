"""The cost of kill -9 of a recorder: packets that are missing in the store, and the time until another
recorder reads on.

A second tap of each track reads beside the recorder, and notes when every frame was sent. The spool of a
killed recorder is removed, as if its node were lost, so that only the SFU's retention and the store are left.
The kept frames are read from the segments. A file may leave out audio that its sender dated wrongly: a load
generator that stalls sends packets of times that have passed.
"""

import asyncio
import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from _load_nexus import ROOM
from _recording_marks import Marked, marked_frames, sent_us
from _recording_system import MeasurementFailed, RecordingSystem
from nexus.recorder.v1 import recording_pb2
from nexus.sfu.v1 import sfu_pb2
from nexus_frames import Frame, FrameAssembler
from nexus_rooms import ReadEnded, SfuClient, TapOptions, TrackReader
from nexus_runtime import MetricSet, SystemClock
from nexus_testkit import wait_until
from prometheus_client import CollectorRegistry

RECORDERS: Final = ("first", "second")
# Deaths of one recording. After a third within a minute it would count as their cause.
KILLS_PER_RECORDING: Final = 2
# How long an owner records before it is killed, at least: several segments are then acknowledged.
SETTLED_SECONDS: Final = 7.0
TAKEOVER_PATIENCE_SECONDS: Final = 60.0


@dataclass(slots=True)
class Witness:
    """The frames that a second tap of a track received: how many were sent at each time, and their packets. A
    generator that is late sends several at once."""

    track_id: str
    frames: Counter[int] = field(default_factory=Counter)
    packets: Counter[int] = field(default_factory=Counter)

    def compare(self, segments: Sequence[Sequence[Marked]], filed: Sequence[Marked]) -> "Difference":
        """Compares with the frames of the track's segments, between the first and the last, and with those of
        its file. Segments of two owners may have the same frames, the file may not."""
        kept = Counter(frame.sent_us for segment in segments for frame in segment)
        first, last = min(kept), max(kept)
        expected = {at: count for at, count in self.frames.items() if first <= at <= last}
        lost = [at for at, count in expected.items() if kept[at] < count]
        found = Counter(frame.sent_us for frame in filed)
        return Difference(
            packets=sum(self.packets[at] for at in expected),
            packets_lost=sum(self.packets[at] for at in lost),
            frames_twice=sum(max(0, count - self.frames[at]) for at, count in found.items()),
            frames_out_of_time=sum(
                max(0, min(count, kept[at]) - found[at]) for at, count in expected.items()
            ),
        )


@dataclass(frozen=True, slots=True)
class Difference:
    packets: int = 0
    packets_lost: int = 0
    frames_twice: int = 0
    # Kept, but not in the file.
    frames_out_of_time: int = 0

    def __add__(self, other: "Difference") -> "Difference":
        return Difference(
            self.packets + other.packets,
            self.packets_lost + other.packets_lost,
            self.frames_twice + other.frames_twice,
            self.frames_out_of_time + other.frames_out_of_time,
        )


@dataclass(frozen=True, slots=True)
class Kills:
    tracks: int
    takeover_seconds: list[float]
    packets: int
    packets_lost: int
    frames_twice: int
    frames_out_of_time: int


async def measure(system: RecordingSystem, participants: int, recordings: int) -> Kills:
    await system.join(participants)
    takeovers: list[float] = []
    difference = Difference()
    for name in RECORDERS:
        await system.add_recorder(name)
    for _ in range(recordings):
        seen, done = await _recorded(system, takeovers)
        difference += sum((_difference(system, done, witness) for witness in seen), Difference())
    for name in RECORDERS:
        await system.recorders[name].stop()
    return Kills(
        2 * participants,
        [round(each, 2) for each in takeovers],
        difference.packets,
        difference.packets_lost,
        difference.frames_twice,
        difference.frames_out_of_time,
    )


def _difference(system: RecordingSystem, done: recording_pb2.Recording, witness: Witness) -> Difference:
    manifest = json.loads((system.objects / done.manifest_key).read_bytes())
    keys = [each["key"] for each in manifest["segments"] if each["track_id"] == witness.track_id]
    segments = [_only(marked_frames(system.objects / key)) for key in keys]
    (file,) = (file for file in done.files if witness.track_id in file.track_ids)
    return witness.compare(segments, _only(marked_frames(system.objects / file.key)))


def _only(frames: dict[str, list[Marked]]) -> list[Marked]:
    """The frames of a file or segment with one track."""
    return frames["audio"] or frames["video"]


async def _recorded(
    system: RecordingSystem, takeovers: list[float]
) -> tuple[list[Witness], recording_pb2.Recording]:
    """A recording whose owner is killed several times, and what the second taps saw meanwhile."""
    metrics = MetricSet("bench", CollectorRegistry())
    sfu = SfuClient(metrics, timeout_ms=10_000, join_timeout_ms=10_000)
    address = f"127.0.0.1:{system.sfu.grpc_port}"
    room = await sfu.get_room(address, sfu_pb2.GetRoomRequest(room=ROOM))
    seen, watching = [], []
    for participant in room.participants:
        for track in participant.tracks:
            seen.append(Witness(track.id))
            watching.append(asyncio.create_task(_watch(sfu, address, track.id, seen[-1])))
    owner, other = RECORDERS
    spec = recording_pb2.RecordingSpec(
        tracks=True, durability=recording_pb2.DURABILITY_STORE, keep_segments=True
    )
    recording_id = await system.begin(system.recorders[owner], spec)
    owner = _owner_of(system, recording_id)
    for _ in range(KILLS_PER_RECORDING):
        other = next(name for name in RECORDERS if name != owner)
        await asyncio.sleep(SETTLED_SECONDS)
        takeovers.append(await _kill(system, owner, recording_id))
        await system.add_recorder(owner)
        owner = other
    await asyncio.sleep(SETTLED_SECONDS)
    recorder = system.recorders[owner]
    await system.stop_recording(recorder, recording_id)
    done = await system.until(recorder, recording_id, recording_pb2.RECORDING_STATE_COMPLETED, 120)
    for task in watching:
        task.cancel()
    for result in await asyncio.gather(*watching, return_exceptions=True):
        if isinstance(result, Exception):
            raise MeasurementFailed("a second tap has ended") from result
    await sfu.close()
    return seen, done


async def _kill(system: RecordingSystem, owner: str, recording_id: str) -> float:
    """Kills the owner, and returns the seconds until another recorder reads every track."""
    recorder = system.recorders[owner]
    at = time.time()
    await recorder.stop(kill=True)
    shutil.rmtree(recorder.spool)
    tracks = 2 * len(system.participants)
    await wait_until(
        lambda: len(_readings(system, recording_id, at)) >= tracks, TAKEOVER_PATIENCE_SECONDS, "a takeover"
    )
    return max(_readings(system, recording_id, at)) - at


def _readings(system: RecordingSystem, recording_id: str, since: float) -> list[float]:
    """When readers of the recording's taps came, by the log of the SFU, in seconds of Unix time."""
    found = []
    for line in (system.folder / "sfu.log").read_text().splitlines():
        if '"stream_started"' in line and f'"recorder/{recording_id}"' in line:
            at = datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp()
            if at > since:
                found.append(at)
    return found


def _owner_of(system: RecordingSystem, recording_id: str) -> str:
    """The recorder in whose spool the recording is."""
    for name in RECORDERS:
        if (system.recorders[name].spool / "segments" / recording_id).is_dir():
            return name
    raise MeasurementFailed("no recorder has the recording")


async def _watch(sfu: SfuClient, address: str, track_id: str, witness: Witness) -> None:
    options = TapOptions(name=f"witness/{track_id}", retain_ms=60_000, batch_ms=500)
    reader = TrackReader(sfu, address, ROOM, track_id, options, clock=SystemClock(), rng=random.Random(1))
    assembler = FrameAssembler()
    try:
        async for item in reader.read():
            if isinstance(item, ReadEnded):
                raise MeasurementFailed(f"the tap of the witness ended: {item.reason}")
            for event in assembler.add(item.response):
                if isinstance(event, Frame):
                    sent = sent_us(event.data)
                    if sent is not None:
                        witness.frames[sent] += 1
                        witness.packets[sent] += event.last_sequence_number - event.first_sequence_number + 1
            reader.acknowledge(item.position)
    finally:
        await reader.remove()
