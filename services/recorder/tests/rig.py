"""A room, its nodes and their taps in emulated time, for the media half of the recorder.

`Stage.play` runs coroutines on a `VirtualTimeLoop`, so an hour of a call takes as long as its packets take to
handle. A `Publication` is written as a list of records with the moment at which the node has each of them; a
`Tap` keeps what is not acknowledged, as the engine does.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from nexus.recorder.v1 import recording_pb2
from nexus.sfu.v1 import track_stream_pb2 as pb
from nexus.types.v1.media_pb2 import TrackKind, TrackSource
from nexus_frames.formats import Codec
from nexus_frames.testing import TrackWriter, encode_sound, encode_video
from nexus_recorder.core.selection import Publication, Publisher
from nexus_recorder.media.containers import FramesMuxer
from nexus_recorder.media.finishing import Finisher, FinishingParts
from nexus_recorder.media.media_metrics import MediaMetrics
from nexus_recorder.media.parts import RunParts
from nexus_recorder.media.ports import FeedEnd, RoomChange, RoomSnapshot
from nexus_recorder.media.room_run import RoomRun
from nexus_recorder.media.spool import Spool, SpoolSpace
from nexus_recorder.media.workers import DiskWorkers
from nexus_recorder.run import FinishedRecording, RunEnd, RunEvent, RunRequest
from nexus_runtime import MetricSet
from nexus_storage import StoreSet
from nexus_storage.testing import MemoryStore
from nexus_testkit import VirtualTimeLoop
from prometheus_client import CollectorRegistry

T = TypeVar("T")

SECOND = 1_000_000
MS = 1_000
# Unix time at which every stage begins, in milliseconds, and the loop's time then, in seconds.
EPOCH_MS = 1_770_001_000_000
BEGIN_S = 1_000.0
# How long a packet is on its way to the recorder at least: the rest is batching.
DELAY_US = 40 * MS
BATCH_US = 500 * MS


class InlineWorkers(DiskWorkers):
    """Runs what blocks at once, because threads know no emulated time."""

    async def run(self, function: Callable[[], T]) -> T:
        return function()


@dataclass(slots=True)
class Lease:
    """A `RunLease` that a test takes away."""

    epoch: int = 1
    is_held: bool = True
    is_lost: bool = False

    def held(self) -> bool:
        return self.is_held and not self.is_lost

    def lost(self) -> bool:
        return self.is_lost

    async def confirmed(self) -> None:
        assert not self.is_lost


@dataclass
class Tape:
    """The records of one track with the true time at which the node has each, in microseconds of the stage.

    `clock_us` is what the node's clock shows at 0. All times given are true times.
    """

    codec: Codec
    track_id: str
    identity: str
    source: int
    name: str = ""
    clock_us: int = EPOCH_MS * 1000
    records: list[tuple[int, pb.StreamRecord]] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    """The true times of all frames that were sent."""

    def __post_init__(self) -> None:
        self._writer = TrackWriter(self.codec)
        self._at = 0
        self.write(0, lambda w: w.source(codec=self.codec))

    @property
    def is_video(self) -> bool:
        return self.codec is not Codec.OPUS

    def write(self, at_us: int, action: Callable[[TrackWriter], None]) -> None:
        """Lets the writer write at a true time."""
        self._at = max(self._at, at_us)
        action(self._writer)
        self.records += [(self._at, record) for record in self._writer.take().records]

    def sound(self, from_us: int, to_us: int, *, step_us: int = 20 * MS) -> "Tape":
        """Packets of Opus. `step_us` is the true interval between two packets of 20 ms."""
        packets = encode_sound(50)
        for number, at in enumerate(range(from_us, to_us, step_us)):
            packet = packets[number % len(packets)]
            self.sent.append(at)
            self.write(at, lambda w, p=packet, t=at: w.frame(p, t + self.clock_us))  # type: ignore[misc]
        return self

    def pictures(
        self,
        from_us: int,
        to_us: int,
        *,
        step_us: int = 33_333,
        keyframe_every: int = 60,
        width: int = 160,
        height: int = 96,
        orientation: int | None = None,
        lose: frozenset[int] = frozenset(),
    ) -> "Tape":
        """Frames of video. The frames whose numbers are in `lose` never arrive whole."""
        times = list(range(from_us, to_us, step_us))
        encoded = encode_video(
            self.codec, min(len(times), 300), width=width, height=height, keyframe_every=keyframe_every
        )
        for number, at in enumerate(times):
            frame = encoded[number % len(encoded)]
            lost = (0,) if number in lose else ()
            if not lost:
                self.sent.append(at)

            def write(w: TrackWriter, frame: Any = frame, at: int = at, lost: tuple[int, ...] = lost) -> None:
                w.frame(
                    frame.data,
                    at + self.clock_us,
                    keyframe=frame.keyframe,
                    orientation=orientation,
                    lose=lost,
                )

            self.write(at, write)
        return self

    def mute(self, muted: bool, at_us: int) -> "Tape":
        self.write(at_us, lambda w: w.mute(muted, at_us + self.clock_us))
        return self

    def source_change(self, at_us: int, *, codec: Codec | None = None, ssrc: int = 2) -> "Tape":
        self.codec = codec or self.codec
        self.write(at_us, lambda w: w.source(codec=codec, ssrc=ssrc))
        return self

    def end(self, at_us: int) -> "Tape":
        self.write(at_us, lambda w: w.end())
        return self

    @property
    def publisher(self) -> Publisher:
        return Publisher(f"PA_{self.identity}", self.identity, self.identity.title())

    @property
    def publication(self) -> Publication:
        kind = TrackKind.TRACK_KIND_VIDEO if self.is_video else TrackKind.TRACK_KIND_AUDIO
        return Publication(self.track_id, f"PA_{self.identity}", kind, self.source, self.name)


class Tap:
    """The named tap of one track: its records, what was acknowledged, and who reads it. It begins with the
    last source, and with what the node receives from now on."""

    def __init__(self, tape: Tape, now_us: int) -> None:
        first = next((i for i, (at, _) in enumerate(tape.records) if at >= now_us), len(tape.records))
        sources = [each for each in tape.records[:first] if each[1].WhichOneof("record") == "source"]
        self.records = sources[-1:] + tape.records[first:]
        self.acknowledged = 0
        self.reader: object = None
        self.removed = False
        self.keyframes = 0


@dataclass(slots=True)
class Node:
    """An SFU node with its tracks. `dead_at_us`: it answers no longer."""

    node_id: str
    room_id: str = "RM_1"
    tapes: dict[str, Tape] = field(default_factory=dict)
    taps: dict[str, Tap] = field(default_factory=dict)
    dead_at_us: int | None = None


class Feed:
    """A `TrackFeed`."""

    def __init__(self, node: Node, track_id: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._node = node
        self._tape = node.tapes.get(track_id)
        self.end: FeedEnd | None = None
        tap = node.taps.get(track_id)
        if tap is None or tap.removed:
            tap = None if self._tape is None else Tap(self._tape, self._now())
            if tap is not None:
                node.taps[track_id] = tap
        self._tap = tap
        if tap is not None:
            tap.reader = self
            self._position = tap.acknowledged
            # The source and mute state of that place, which have no positions of their own.
            before = [record for _, record in tap.records[: self._position]]
            self._state = [
                found[-1]
                for kind in ("source", "muted")
                if (found := [record for record in before if record.WhichOneof("record") == kind])
            ]

    def _now(self) -> int:
        return round((self._loop.time() - BEGIN_S) * SECOND)

    def __aiter__(self) -> AsyncIterator[pb.StreamTrackResponse]:
        return self

    async def __anext__(self) -> pb.StreamTrackResponse:
        while True:
            self._check()
            assert self._tap is not None
            records = self._tap.records
            until = self._position
            now = self._now() - DELAY_US
            while until < len(records) and records[until][0] <= now:
                until += 1
            if until > self._position:
                state, self._state = self._state, []
                batch = pb.StreamTrackResponse(
                    records=[*state, *(record for _, record in records[self._position : until])],
                    position=until,
                )
                self._position = until
                return batch
            await asyncio.sleep(BATCH_US / SECOND)

    def _check(self) -> None:
        dead = self._node.dead_at_us is not None and self._now() >= self._node.dead_at_us
        if self._tap is None:
            self.end = FeedEnd.REFUSED
        elif dead:
            self.end = FeedEnd.LOST
        elif self._tap.reader is not self:
            self.end = FeedEnd.TAKEN
        elif self._position >= len(self._tap.records) and self._ended():
            self.end = FeedEnd.ENDED
        if self.end is not None:
            raise StopAsyncIteration

    def _ended(self) -> bool:
        assert self._tap is not None
        records = self._tap.records
        return bool(records) and records[-1][1].WhichOneof("record") == "end"

    def acknowledge(self, position: int) -> None:
        assert self._tap is not None
        assert position <= len(self._tap.records)
        if self._tap.reader is self:
            self._tap.acknowledged = max(self._tap.acknowledged, position)

    def request_keyframe(self) -> None:
        assert self._tap is not None
        self._tap.keyframes += 1

    async def close(self, *, remove: bool) -> None:
        if remove and self._tap is not None and self._tap.reader is self:
            self._tap.removed = True


class Watch:
    """A `RoomWatch` of the changes that a test writes: (true time, change), in order."""

    def __init__(self, script: list[tuple[int, RoomChange]]) -> None:
        self._script = list(script)

    async def __aiter__(self) -> AsyncIterator[RoomChange]:
        loop = asyncio.get_running_loop()
        begun = round((loop.time() - BEGIN_S) * SECOND)
        snapshot = None
        for at, change in self._script:
            if at <= begun and isinstance(change, RoomSnapshot):
                snapshot = change
        if snapshot is not None:
            yield snapshot
        for at, change in self._script:
            if at <= begun:
                continue
            await asyncio.sleep(max(0.0, at / SECOND - loop.time() + BEGIN_S))
            yield change
        await asyncio.sleep(10**9)

    async def close(self) -> None:
        pass


@dataclass(slots=True)
class Stage:
    """A room with its recorder: the nodes, the store, the disk, and what the run reports."""

    folder: Path
    store: MemoryStore = field(default_factory=MemoryStore)
    nodes: dict[str, Node] = field(default_factory=lambda: {"node-1": Node("node-1")})
    script: list[tuple[int, RoomChange]] = field(default_factory=list)
    events: list[RunEvent] = field(default_factory=list)
    spool_bytes: int = 1 << 30
    spool_name: str = "spool"
    loop: VirtualTimeLoop = field(default_factory=VirtualTimeLoop)
    recording: recording_pb2.Recording = field(
        default_factory=lambda: recording_pb2.Recording(
            id="RC_1", app="demo", room="standup", room_id="RM_1", started_at_ms=0
        )
    )

    # Writing the room

    @property
    def node(self) -> Node:
        return self.nodes["node-1"]

    def tape(
        self, codec: Codec, track_id: str, identity: str = "anna", source: int | None = None, **more: Any
    ) -> Tape:
        """A track of the first node, or of `node`."""
        usual = (
            TrackSource.TRACK_SOURCE_MICROPHONE if codec is Codec.OPUS else TrackSource.TRACK_SOURCE_CAMERA
        )
        node = self.nodes[more.pop("node", "node-1")]
        tape = Tape(codec, track_id, identity, usual if source is None else source, **more)
        node.tapes[track_id] = tape
        return tape

    def snapshot(self, at_us: int = 0, node: str = "node-1", tapes: list[Tape] | None = None) -> None:
        """At that time, the room consists of these tracks; without a list, of all of the node."""
        there = self.nodes[node]
        chosen = list(there.tapes.values()) if tapes is None else tapes
        self.script.append(
            (
                at_us,
                RoomSnapshot(
                    node,
                    node,
                    there.room_id,
                    tuple({t.publisher.participant_id: t.publisher for t in chosen}.values()),
                    tuple(t.publication for t in chosen),
                ),
            )
        )
        self.script.sort(key=lambda each: each[0])

    # Room

    def watch(self) -> Watch:
        return Watch(self.script)

    def feed(self, address: str, track_id: str) -> Feed:
        return Feed(self.nodes[address], track_id)

    # The recorder

    def run(self, lease: Lease | None = None, **request: Any) -> RoomRun:
        parts = RunParts(
            room=self,
            store=self.store,
            spool=Spool(self.folder / self.spool_name, SpoolSpace(self.spool_bytes)),
            workers=InlineWorkers(1),
            open_muxer=FramesMuxer,
            clock=self.loop,
            rng=random.Random(1),
            owner=f"owner-{(lease or Lease()).epoch}",
            metrics=MediaMetrics(MetricSet("recorder", CollectorRegistry())),
        )
        return RoomRun(RunRequest(self.recording, lease or Lease(), self.events.append, **request), parts)

    def play(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs it in emulated time."""
        asyncio.set_event_loop(self.loop)
        try:
            return self.loop.run_until_complete(coroutine)
        finally:
            asyncio.set_event_loop(None)

    def record(self, until_us: int, reason: Any = recording_pb2.END_REASON_STOPPED, **request: Any) -> RunEnd:
        """Records from the present time of the stage until the stop."""

        async def session() -> RunEnd:
            run = self.run(**request)
            task = asyncio.create_task(run.run())
            await self.at(until_us)
            run.stop(reason)
            return await task

        end = self.play(session())
        self.recording.started_at_ms = self.recording.started_at_ms or EPOCH_MS
        self.recording.ended_at_ms = EPOCH_MS + until_us // 1000
        self.recording.end_reason = end.reason
        return end

    async def at(self, time_us: int) -> None:
        """Returns at a true time."""
        await asyncio.sleep(max(0.0, time_us / SECOND - self.loop.time() + BEGIN_S))

    def finish(self, lease: Lease | None = None) -> FinishedRecording:
        """Makes the files, in real time."""

        async def session() -> FinishedRecording:
            workers = DiskWorkers(2)
            parts = FinishingParts(
                StoreSet({"memory": self.store}), self.folder / "work", workers, random.Random(1)
            )
            try:
                return await Finisher(parts).finish(self.recording, lease or Lease())
            finally:
                workers.close()

        return asyncio.run(session())

    def fetch(self, key: str) -> Path:
        """A file of the store on the disk."""
        path = self.folder / key.replace("/", "_")
        path.write_bytes(asyncio.run(self.store.get(key)))
        return path

    def spec(self, **fields: Any) -> "Stage":
        self.recording.spec.MergeFrom(recording_pb2.RecordingSpec(**fields))
        return self


def moved(publisher: Publisher, **changes: Any) -> Publisher:
    return replace(publisher, **changes)
