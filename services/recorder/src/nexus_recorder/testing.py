"""Twins of the media half (`nexus_recorder.run`), for tests of the control half and of services beside it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from nexus.recorder.v1 import recording_pb2
from nexus_storage import StorageError

from nexus_recorder.run import (
    Conclusion,
    FinishedRecording,
    ForgottenTracks,
    RunEnd,
    RunEvent,
    RunLease,
    RunRequest,
    Started,
)


class MemoryRun:
    """A `MediaRun` that a test drives. It starts at once unless it is paused."""

    def __init__(self, request: RunRequest, room_id: str = "RM_1", starts: bool = True) -> None:
        self.request = request
        self.room_id = room_id
        self.starts = starts
        # The start of the timeline, in milliseconds since the Unix epoch.
        self.start_ms = request.recording.created_at_ms
        self.receiving = False
        self.updates: list[tuple[recording_pb2.TrackSelection, recording_pb2.RecordingLimits]] = []
        self.stopped: list[recording_pb2.EndReason.ValueType] = []
        self.drained = False
        self.cancelled = False
        # Set: `drain` does not end the run, as when a segment cannot be closed.
        self.ignores_drain = False
        self._end: asyncio.Future[RunEnd] = asyncio.get_running_loop().create_future()

    async def run(self) -> RunEnd:
        if not self.request.paused:
            self._receive()
        try:
            return await self._end
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            self.receiving = False

    def _receive(self) -> None:
        self.receiving = True
        if self.starts:
            start_ms = self.request.recording.started_at_ms or self.start_ms
            self.emit(Started(self.room_id, start_ms))

    def emit(self, event: RunEvent) -> None:
        self.request.on_event(event)

    def end(self, end: RunEnd) -> None:
        if not self._end.done():
            self._end.set_result(end)

    async def pause(self) -> None:
        self.receiving = False

    async def resume(self) -> None:
        self._receive()

    def update(self, selection: recording_pb2.TrackSelection, limits: recording_pb2.RecordingLimits) -> None:
        self.updates.append((selection, limits))

    def stop(self, reason: recording_pb2.EndReason.ValueType) -> None:
        self.stopped.append(reason)
        self.end(RunEnd(Conclusion.OVER, reason))

    def drain(self) -> None:
        self.drained = True
        if not self.ignores_drain:
            self.end(RunEnd(Conclusion.DRAINED, checkpoint=b"checkpoint"))


@dataclass
class MemoryRuns:
    """A `MakeRun` that keeps the runs. `configure` is called with each before it begins."""

    configure: Callable[[MemoryRun], None] = lambda run: None
    runs: list[MemoryRun] = field(default_factory=list)

    def __call__(self, request: RunRequest) -> MemoryRun:
        run = MemoryRun(request)
        self.configure(run)
        self.runs.append(run)
        return run


@dataclass
class MemoryFiles:
    """A `FileMaker` with one file for each identity in `identities`. Calls raise and remove `failures`
    first."""

    identities: list[str] = field(default_factory=lambda: ["ada"])
    failures: list[StorageError] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    forgotten: list[tuple[str, str]] = field(default_factory=list)

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)

    async def finish(self, recording: recording_pb2.Recording, lease: RunLease) -> FinishedRecording:
        self._fail()
        self.finished.append(recording.id)
        files = [
            recording_pb2.RecordedFile(
                key=f"{recording.id}/{identity}.mp4", content_type="video/mp4", identity=identity, bytes=5
            )
            for identity in self.identities
        ]
        return FinishedRecording(files, f"{recording.id}/manifest.json", 5 * len(files))

    async def delete(self, recording: recording_pb2.Recording) -> int:
        self._fail()
        self.deleted.append(recording.id)
        return len(recording.files) + 1

    async def forget(self, recording: recording_pb2.Recording, identity: str) -> ForgottenTracks:
        self._fail()
        self.forgotten.append((recording.id, identity))
        return ForgottenTracks([file.key for file in recording.files if file.identity == identity])
