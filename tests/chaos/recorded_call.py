"""One call that is recorded while a test strikes the deployment, and the comparison at its end."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from caller import Caller
from deployment import APP, Deployment
from evidence import TIME_TOLERANCE_S, Comparison, Finished, check_manifest, compare, offsets_s, read_finished
from grpc import aio
from nexus.recorder.v1 import recorder_pb2, recorder_pb2_grpc, recording_pb2
from nexus_bus import NatsBus, subjects
from nexus_testkit import wait_until
from service_process import PATIENCE_SECONDS, ServiceProcess
from witness import Witness

SCHEMA: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "docs/reference/recording-manifest.schema.json").read_text()
)
POLL_SECONDS: Final = 0.2
# Errors of gRPC that pass: the replica or the broker is away.
_PASSING: Final = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")

T = TypeVar("T")
Stub = recorder_pb2_grpc.RecorderServiceStub
State = recording_pb2.RecordingState


@dataclass(slots=True)
class RecordedCall:
    deployment: Deployment
    room: str
    caller: Caller
    witness: Witness
    recorders: list[ServiceProcess]
    recording_id: str = ""
    first: dict[str, int] = field(default_factory=dict)
    """The tracks that were there at the beginning, with the first number of the witness that counts."""

    async def ask(self, request: Callable[[Stub], Awaitable[T]]) -> T:
        """Asks any replica, again while none answers."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for recorder in self.recorders:
                    if not recorder.running:
                        continue
                    try:
                        async with aio.insecure_channel(recorder.grpc_address) as channel:
                            return await request(recorder_pb2_grpc.RecorderServiceStub(channel))
                    except aio.AioRpcError as error:
                        if error.code().name not in _PASSING:
                            raise
                    except KeyError:
                        pass  # it has only been started
                await asyncio.sleep(0.2)

    async def start(self, spec: recording_pb2.RecordingSpec) -> None:
        """Starts the recording, and returns when everything that is sent from now on must be in it."""
        request = recorder_pb2.StartRecordingRequest(app=APP.key_id, room=self.room, spec=spec)
        started = await self.ask(lambda stub: stub.StartRecording(request, timeout=20))
        self.recording_id = started.recording.id
        await self.until(lambda recording: recording.state == State.RECORDING_STATE_RUNNING)
        await self.packets(1)
        # The recorder opens its taps one after another, as soon as the recording runs.
        await self.segments(1)
        self.first = self.witness.last_numbers()

    async def state(self) -> recording_pb2.Recording:
        request = recorder_pb2.GetRecordingRequest(app=APP.key_id, recording_id=self.recording_id)
        answer = await self.ask(lambda stub: stub.GetRecording(request, timeout=5))
        return answer.recording

    async def until(self, holds: Callable[[recording_pb2.Recording], bool]) -> recording_pb2.Recording:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not holds(recording := await self.state()):  # noqa: ASYNC110 - another process
                await asyncio.sleep(POLL_SECONDS)
        return recording

    async def packets(self, count: int) -> None:
        """Returns when the witness has received that many more packets."""
        before = self.witness.count()
        await wait_until(lambda: self.witness.count() >= before + count, PATIENCE_SECONDS, "no packets come")

    def stored_segments(self) -> list[str]:
        """The names of the segments in the store, read from its disk."""
        folder = self.deployment.bucket / "nexus-recordings" / APP.key_id / self.recording_id / "segments"
        paths = [*folder.glob("*/*.webm"), *folder.glob("*/*.mp4")]
        return sorted(path.name for path in paths)

    def epochs(self) -> set[int]:
        """The owners that have stored a segment."""
        return {int(name.split("-")[0]) for name in self.stored_segments()}

    async def segments(self, count: int, epoch: int | None = None) -> None:
        """Returns when that many more segments are stored, of this owner or of any."""

        def stored() -> int:
            names = self.stored_segments()
            return len([n for n in names if epoch is None or n.startswith(f"{epoch:08d}-")])

        before = stored()
        await wait_until(lambda: stored() >= before + count, PATIENCE_SECONDS, "no segments come")

    async def owner(self) -> tuple[ServiceProcess, ServiceProcess]:
        """The recorder that owns the recording, and another one."""
        marks = [f'"epoch": {(await self.state()).epoch}', '"job": "']
        for recorder in self.recorders:
            claims = [line for line in recorder.log().splitlines() if '"job_claimed"' in line]
            if recorder.running and any(all(mark in line for mark in marks) for line in claims):
                return recorder, next(each for each in self.recorders if each is not recorder)
        raise AssertionError("no recorder has claimed the recording")

    async def finish(self) -> "Result":
        """Stops the recording, waits for its files, and compares."""
        last = self.witness.last_numbers()
        request = recorder_pb2.StopRecordingRequest(app=APP.key_id, recording_id=self.recording_id)
        await self.ask(lambda stub: stub.StopRecording(request, timeout=20))
        ended = (State.RECORDING_STATE_COMPLETED, State.RECORDING_STATE_FAILED)
        recording = await self.until(lambda each: each.state in ended)
        return await self.result(recording, last)

    async def result(self, recording: recording_pb2.Recording, last: dict[str, int]) -> "Result":
        store = self.deployment.open_store()
        try:
            finished = await read_finished(store, recording)
        finally:
            await store.close()
        return Result(self, finished, last, await self._events())

    async def _events(self) -> list[recording_pb2.RecordingEvent]:
        """The events of the recording in the stream, by number; each once."""
        bus = await NatsBus.connect(self.deployment.nats.url, "events")
        consumer = await bus.pull(
            subjects.RECORDINGS_STREAM,
            f"chaos-{self.recording_id}",
            filter_subject=subjects.recording_events(APP.key_id, self.room),
        )
        found: dict[int, recording_pb2.RecordingEvent] = {}
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not any(e.HasField("completed") or e.HasField("failed") for e in found.values()):
                for message in await consumer.fetch(256, 1.0):
                    await message.ack()
                    event = recording_pb2.RecordingEvent.FromString(message.payload)
                    if event.recording_id == self.recording_id:
                        found[event.number] = event
        await bus.close()
        return [found[number] for number in sorted(found)]


@dataclass(slots=True)
class Result:
    """A finished recording of a call."""

    call: RecordedCall
    finished: Finished
    last: dict[str, int]
    events: Sequence[recording_pb2.RecordingEvent]

    @property
    def manifest(self) -> dict[str, Any]:
        return self.finished.manifest

    def event_names(self) -> list[str]:
        return [str(event.WhichOneof("event")) for event in self.events]

    def check(self, *, gaps: bool = False, killed: frozenset[str] = frozenset()) -> dict[str, Comparison]:
        """Nothing is missing, nothing is there twice, and the manifest is true. `gaps`: the manifest reports
        some. `killed`: the tracks that died with the SFU. Returns the comparisons for each kind of media."""
        recording = self.finished.recording
        assert recording.state == State.RECORDING_STATE_COMPLETED, recording
        check_manifest(self.finished, SCHEMA)
        assert [event.number for event in self.events] == list(range(1, len(self.events) + 1))
        assert bool(self.finished.gaps()) is gaps, self.finished.gaps()
        results = {}
        for media in ("audio", "video"):
            tracks = [track for track in self.call.witness.tracks.values() if track.media == media]
            if not tracks:
                continue
            frames = self.finished.frames_in_files(media)
            first = self.call.first
            found = compare(frames, tracks, first=first, last=self.last, killed=killed)
            assert (found.missing, found.twice) == ([], []), self._summary(media, found)
            assert found.expected > 0
            if self.manifest["segments"]:
                kept = self.finished.frames_in_segments(media)
                of_segments = compare(kept, tracks, first=first, last=self.last, killed=killed, ordered=False)
                assert of_segments.missing == [], self._summary(media, of_segments)
            self._check_times(media)
            print(f"{self.call.room} {media}: {self._summary(media, found)}")
            results[media] = found
        return results

    def check_kept(self) -> None:
        """Everything up to the end of a recording that failed is there once, and the manifest is true."""
        check_manifest(self.finished, SCHEMA)
        for media in ("audio", "video"):
            tracks = [track for track in self.call.witness.tracks.values() if track.media == media]
            frames = self.finished.frames_in_files(media)
            found = compare(
                frames, tracks, first=self.call.first, last={}, killed=frozenset(self.call.witness.tracks)
            )
            print(f"{self.call.room} {media}: {self._summary(media, found)}")
            assert (found.missing, found.twice) == ([], []), self._summary(media, found)
            assert found.expected > 0

    def _check_times(self, media: str) -> None:
        """Each track is moved onto the timeline by a constant."""
        tracks = [track for track in self.call.witness.tracks.values() if track.media == media]
        for track_id, (least, most) in offsets_s(self.finished.frames_in_files(media), tracks).items():
            assert most - least < TIME_TOLERANCE_S, (track_id, least, most)

    @staticmethod
    def _summary(media: str, found: Comparison) -> str:
        return (
            f"{found.expected} frames expected, {len(found.missing)} missing, {len(found.twice)} twice; "
            f"ms before the first frame {[us // 1000 for us in found.late_us.values()]}, "
            f"ms lost with the SFU {[us // 1000 for us in found.lost_us.values()]}; "
            f"missing: {found.missing[:5]}, twice: {found.twice[:5]}"
        )


@asynccontextmanager
async def recorded_call(
    deployment: Deployment, room: str, *recorders: ServiceProcess, video: bool = True
) -> AsyncIterator[RecordedCall]:
    """A call with one caller and a witness, and recorders that are ready. `start` begins the recording."""
    for recorder in recorders:
        if not recorder.running:
            recorder.start()
    async with (
        Caller(deployment.url, room, "alice", video=video) as caller,
        Witness(deployment.sfu, room) as witness,
    ):
        await asyncio.gather(caller.joined(), *(recorder.ready() for recorder in recorders))
        call = RecordedCall(deployment, room, caller, witness, list(recorders))
        await call.packets(50)
        yield call
