"""The cost of the file of a long recording, in CPU time of this process, and that of the media half of the
recorder without gRPC, NATS and S3.

One participant with 1.5 Mbit/s of VP8 (180 packets/s, 30 frames/s) and Opus (50 packets/s) is recorded as
fast as the process can: batches of 0.5 s are parsed, assembled, cut into segments of 6 s, written to the
spool with fdatasync, and put into a store that is a folder. Then the file is made.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from mux import FRAME_US, SOUND_US, padded
from nexus.recorder.v1 import recording_pb2
from nexus.sfu.v1.track_stream_pb2 import StreamTrackResponse
from nexus.types.v1.media_pb2 import TrackKind, TrackSource
from nexus_frames import Codec
from nexus_frames.testing import TrackWriter, encode_sound, encode_video
from nexus_recorder.core.knowledge import Knowledge, to_checkpoint
from nexus_recorder.core.records import LineEntry
from nexus_recorder.core.selection import Publication, Publisher
from nexus_recorder.media.containers import FramesMuxer
from nexus_recorder.media.finishing import Finisher, FinishingParts
from nexus_recorder.media.media_metrics import MediaMetrics
from nexus_recorder.media.parts import RunParts
from nexus_recorder.media.ports import FeedEnd, RoomChange, RoomSnapshot
from nexus_recorder.media.room_run import RoomRun
from nexus_recorder.media.spool import Spool, SpoolSpace
from nexus_recorder.media.workers import DiskWorkers
from nexus_recorder.run import RunEvent, RunRequest, SegmentStored
from nexus_runtime import MetricSet, SystemClock
from nexus_storage import FolderSettings, FolderStore, StoreSet
from nexus_testkit import wait_until
from prometheus_client import CollectorRegistry

BATCH_US = 500_000
BITRATE_BPS = 1_500_000
# The node's clock at the start of the recording.
MEDIA_TIME_US = 1_000_000


@dataclass(frozen=True, slots=True)
class LongFile:
    """A file of `seconds`, and the CPU time of its recording and of its making."""

    seconds: int
    segments: int
    bytes: int
    recording_cpu_seconds: float
    file_cpu_seconds_per_hour: float


def batches(codec: Codec, seconds: int) -> list[bytes]:
    """Serialised batches of a track, the last of which ends it. The pictures repeat every 4 s."""
    return list(_batches(codec, seconds))


def _batches(codec: Codec, seconds: int) -> Iterator[bytes]:
    writer = TrackWriter(codec)
    writer.source()
    if codec.is_video:
        encoded = encode_video(
            codec, 120, width=1280, height=720, keyframe_every=120, bitrate_bps=BITRATE_BPS
        )
        wanted = BITRATE_BPS // 8 * FRAME_US // 1_000_000
        frames = [(padded(codec, frame.data, wanted), frame.keyframe) for frame in encoded]
    else:
        frames = [(sound, False) for sound in encode_sound(200)]
    step = FRAME_US if codec.is_video else SOUND_US
    position = 0
    for number in range(seconds * 1_000_000 // step):
        data, keyframe = frames[number % len(frames)]
        writer.frame(data, MEDIA_TIME_US + number * step, keyframe=keyframe)
        if number * step // BATCH_US != (number + 1) * step // BATCH_US:
            batch = writer.take()
            position += len(batch.records)
            batch.position = position
            yield batch.SerializeToString()
    writer.end()
    batch = writer.take()
    batch.position = position + len(batch.records)
    yield batch.SerializeToString()


class Feed:
    """A `TrackFeed` that always has the next batch."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = iter(parts)
        self.end: FeedEnd | None = None

    def __aiter__(self) -> AsyncIterator[StreamTrackResponse]:
        return self

    async def __anext__(self) -> StreamTrackResponse:
        await asyncio.sleep(0)  # other tracks have their turn, as they have with gRPC
        part = next(self._parts, None)
        if part is None:
            self.end = FeedEnd.ENDED
            raise StopAsyncIteration
        return StreamTrackResponse.FromString(part)

    def acknowledge(self, position: int) -> None:
        pass

    def request_keyframe(self) -> None:
        pass

    async def close(self, *, remove: bool) -> None:
        pass


class Room:
    """A `ports.Room` in which all tracks are there at once."""

    def __init__(self, participants: int, video: list[bytes], audio: list[bytes]) -> None:
        self._participants = range(participants)
        self._media = {"V": video, "A": audio}

    def watch(self) -> "Room":
        return self

    async def __aiter__(self) -> AsyncIterator[RoomChange]:
        publishers = tuple(Publisher(f"PA_{n}", f"user-{n}") for n in self._participants)
        tracks = [
            (
                Publication(f"V{n}", f"PA_{n}", TrackKind.TRACK_KIND_VIDEO, TrackSource.TRACK_SOURCE_CAMERA),
                Publication(
                    f"A{n}", f"PA_{n}", TrackKind.TRACK_KIND_AUDIO, TrackSource.TRACK_SOURCE_MICROPHONE
                ),
            )
            for n in self._participants
        ]
        yield RoomSnapshot("node", "node:1", "RM_1", publishers, tuple(t for pair in tracks for t in pair))
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass

    def feed(self, address: str, track_id: str) -> Feed:
        return Feed(self._media[track_id[0]])


class Lease:
    """A `RunLease` that is always held."""

    epoch = 1

    def held(self) -> bool:
        return True

    def lost(self) -> bool:
        return False

    async def confirmed(self) -> None:
        return


async def measure(seconds: int, folder: Path) -> LongFile:
    recording = recording_pb2.Recording(
        id="RC_1", app="bench", room="room", spec=recording_pb2.RecordingSpec(participants=True)
    )
    store = FolderStore("local", FolderSettings(kind="folder", path=folder / "store", create=True))
    workers = DiskWorkers()
    registry = CollectorRegistry()
    video, audio = batches(Codec.VP8, seconds), batches(Codec.OPUS, seconds)
    # The line has its place already: media that comes faster than it was sampled would be placed before the
    # start.
    knowledge = Knowledge()
    knowledge.add([LineEntry(line="node/RM_1", offset_us=MEDIA_TIME_US, from_us=0)])
    stored: list[SegmentStored] = []
    parts = RunParts(
        room=Room(1, video, audio),
        store=store,
        spool=Spool(folder / "spool", SpoolSpace(1 << 40)),
        workers=workers,
        open_muxer=FramesMuxer,
        clock=SystemClock(),
        rng=random.Random(1),
        owner="bench",
        metrics=MediaMetrics(MetricSet("recorder", registry)),
    )

    def on_event(event: RunEvent) -> None:
        if isinstance(event, SegmentStored):
            stored.append(event)

    request = RunRequest(recording, Lease(), on_event, checkpoint=to_checkpoint(1, knowledge))
    run = RoomRun(request, parts)
    began = time.process_time()
    task = asyncio.create_task(run.run())
    ended = ("nexus_recorder_tracks_ended_total", {"reason": "ended"})
    await wait_until(lambda: registry.get_sample_value(*ended) == 2, 3_600)
    run.stop(recording_pb2.END_REASON_STOPPED)
    await task
    spent = time.process_time() - began
    finisher = Finisher(
        FinishingParts(StoreSet({"local": store}), folder / "work", workers, random.Random(1))
    )
    began = time.process_time()
    (file,) = (await finisher.finish(recording, Lease())).files
    file_seconds = time.process_time() - began
    workers.close()
    await store.close()
    return LongFile(
        seconds, len(stored), file.bytes, round(spent, 2), round(file_seconds / seconds * 3_600, 2)
    )
