"""The states of a recording: each input in the states where it matters."""

import pytest
from nexus.recorder.v1 import recording_pb2
from nexus.recorder.v1.recording_pb2 import EndReason, RecordingState
from nexus.types.v1 import error_pb2
from nexus_recorder.core import inputs
from nexus_recorder.core.inputs import Due
from nexus_recorder.core.record import (
    MAX_CHECKPOINT_BYTES,
    MAX_FILE_BYTES,
    MAX_MARKER_BYTES,
    MAX_MARKERS,
    MAX_PAUSES,
    Fenced,
    Record,
)
from nexus_recorder.core.recording import due_job, handle, new_record
from nexus_rpc import RpcError

NOW = 1_000_000
NO_CAPACITY = error_pb2.Error(code=error_pb2.NO_CAPACITY)
FULL = error_pb2.Error(code=error_pb2.SERVICE_UNAVAILABLE)


class Scene:
    """A recording to which inputs are given, one second apart."""

    def __init__(self, **spec: object) -> None:
        recording = recording_pb2.Recording(id="RC_1", app="app", room="lobby")
        for name, value in spec.items():
            setattr(recording.spec, name, value)
        self.record: Record = new_record(recording, "", NOW)
        self.now = NOW

    def give(self, *given: inputs.Input) -> "Scene":
        for one in given:
            self.now += 1_000
            self.record = handle(self.record, one, self.now).record
        return self

    def running(self) -> "Scene":
        return self.give(inputs.Claimed(1), inputs.Started(1, "RM_1", self.now + 2_000))

    @property
    def recording(self) -> recording_pb2.Recording:
        return self.record.recording

    @property
    def state(self) -> str:
        return RecordingState.Name(self.recording.state).removeprefix("RECORDING_STATE_")

    @property
    def events(self) -> list[str]:
        return [str(event.WhichOneof("event")) for event in self.record.unpublished]


def refusal(scene: Scene, given: inputs.Input) -> str:
    with pytest.raises(RpcError) as refused:
        scene.give(given)
    return refused.value.name


def test_a_recording_from_start_to_files() -> None:
    scene = Scene(retention_seconds=60).running()
    assert (scene.state, scene.recording.room_id) == ("RUNNING", "RM_1")
    scene.give(inputs.Stop())
    assert (scene.state, scene.recording.stop_requested) == ("RUNNING", True)
    scene.give(inputs.Over(1, EndReason.END_REASON_STOPPED))
    assert (scene.state, due_job(scene.record)) == ("FINISHING", Due.FINISH)
    file = recording_pb2.RecordedFile(key="a")
    scene.give(inputs.FilesMade([file], "manifest", 7))
    assert (scene.state, due_job(scene.record)) == ("COMPLETED", None)
    assert scene.recording.expires_at_ms == scene.now + 60_000
    assert scene.events == ["queued", "started", "completed"]
    assert [event.number for event in scene.record.unpublished] == [1, 2, 3]


def test_published_events_leave_the_record() -> None:
    scene = Scene().running().give(inputs.Published(1))
    assert (scene.events, scene.recording.last_event) == (["started"], 2)


def test_a_recording_that_is_stopped_before_an_owner_takes_it_has_ended() -> None:
    scene = Scene().give(inputs.Stop())
    assert (scene.state, scene.events) == ("COMPLETED", ["queued", "completed"])


@pytest.mark.parametrize("given", [inputs.Stop(), inputs.Pause(), inputs.Resume()])
def test_requests_that_change_nothing_return_the_very_record(given: inputs.Input) -> None:
    ended = Scene().running().give(inputs.Over(1, EndReason.END_REASON_ROOM_CLOSED))
    assert handle(ended.record, given, NOW).record is ended.record
    once = Scene().running().give(given)
    assert handle(once.record, given, NOW).record is once.record


def test_a_pause_holds_when_the_owner_reports_it() -> None:
    scene = Scene().running().give(inputs.Pause())
    assert (scene.state, scene.recording.pause_requested) == ("RUNNING", True)
    scene.give(inputs.Paused(1))
    assert scene.state == "PAUSED"
    scene.give(inputs.Resume(), inputs.Resumed(1))
    assert (scene.state, scene.events[-2:]) == ("RUNNING", ["paused", "resumed"])
    (pause,) = scene.recording.pauses
    assert pause.to_ms - pause.from_ms == 2_000


def test_an_end_closes_an_open_pause() -> None:
    scene = Scene().running().give(inputs.Pause(), inputs.Paused(1))
    scene.give(inputs.Over(1, EndReason.END_REASON_ROOM_CLOSED))
    assert scene.recording.pauses[0].to_ms == scene.now


def test_pauses_are_bounded() -> None:
    scene = Scene().running()
    for _ in range(MAX_PAUSES):
        scene.recording.pauses.add(from_ms=1, to_ms=2)
    assert refusal(scene, inputs.Pause()) == "INVALID_ARGUMENT"


@pytest.mark.parametrize(("keep", "offset"), [(False, 3_000), (True, 5_000)])
def test_a_marker_is_on_the_timeline_of_the_files(keep: bool, offset: int) -> None:
    scene = Scene(keep_pauses=keep).running()
    start = scene.recording.started_at_ms
    scene.recording.pauses.add(from_ms=start + 1_000, to_ms=start + 3_000)
    scene.give(inputs.Mark("goal", start + 5_000))
    assert scene.recording.markers[0].offset_ms == offset


def test_a_marker_before_the_start_is_at_zero() -> None:
    scene = Scene().give(inputs.Mark("early", NOW)).running()
    assert scene.recording.markers[0].offset_ms == 0


def test_an_owner_of_an_older_epoch_is_fenced_off() -> None:
    scene = Scene().running().give(inputs.Claimed(2))
    for late in (
        inputs.Claimed(1),
        inputs.Started(1, "RM_2", 1),
        inputs.Paused(1),
        inputs.Resumed(1),
        inputs.Progress(1),
        inputs.DegradedChanged(1, None),
        inputs.Over(1, EndReason.END_REASON_STOPPED),
        inputs.Returned(1, b""),
    ):
        with pytest.raises(Fenced):
            scene.give(late)


def test_a_takeover_within_five_seconds_is_no_event() -> None:
    scene = Scene().running().give(inputs.Returned(1, b"where"), inputs.Claimed(2))
    assert (scene.record.checkpoint, scene.state) == (b"where", "RUNNING")
    scene.give(inputs.Started(2, "RM_1", 99))
    assert scene.events == ["queued", "started"]
    assert scene.recording.started_at_ms == NOW + 2_000


def test_a_recording_without_owner_is_queued_again() -> None:
    scene = Scene().running().give(inputs.Returned(1, b"", FULL), inputs.Waiting())
    assert (scene.state, scene.events[-2:]) == ("QUEUED", ["degraded", "queued"])
    scene.give(inputs.Claimed(2), inputs.Started(2, "RM_1", 1))
    assert (scene.state, scene.events[-1]) == ("RUNNING", "started")


def test_a_paused_recording_stays_paused_under_the_next_owner() -> None:
    scene = Scene().running().give(inputs.Pause(), inputs.Paused(1), inputs.Returned(1, b""))
    scene.give(inputs.Waiting(), inputs.Claimed(2))
    assert (scene.state, scene.events[-3:]) == ("PAUSED", ["paused", "queued", "paused"])


def test_without_capacity_a_recording_fails_with_what_was_kept() -> None:
    assert Scene().give(inputs.Unclaimed(NO_CAPACITY)).state == "FAILED"
    scene = Scene().running().give(inputs.Returned(1, b""), inputs.Unclaimed(NO_CAPACITY))
    assert scene.state == "FINISHING"
    scene.give(inputs.FilesMade([recording_pb2.RecordedFile(key="a")], "m", 1))
    assert (scene.state, scene.recording.error) == ("FAILED", NO_CAPACITY)
    assert [file.key for file in scene.record.unpublished[-1].failed.files] == ["a"]


def test_a_stopped_recording_without_owner_completes() -> None:
    scene = Scene().running().give(inputs.Returned(1, b""), inputs.Stop(), inputs.Unclaimed(NO_CAPACITY))
    scene.give(inputs.FilesMade([], "m", 0))
    assert (scene.state, scene.recording.end_reason) == ("COMPLETED", EndReason.END_REASON_STOPPED)


def test_degradation_is_reported_once() -> None:
    degraded = recording_pb2.Degraded(since_ms=1, error=FULL)
    scene = Scene().running()
    scene.give(inputs.DegradedChanged(1, degraded), inputs.DegradedChanged(1, degraded))
    scene.give(inputs.DegradedChanged(1, None), inputs.DegradedChanged(1, None))
    assert scene.events[-2:] == ["degraded", "degraded"]
    assert len(scene.events) == 4


def test_changes_of_an_ended_recording_are_refused() -> None:
    scene = Scene().running().give(inputs.Over(1, EndReason.END_REASON_STOPPED))
    assert refusal(scene, inputs.Mark("x", 1)) == "RECORDING_ENDED"
    assert refusal(scene, inputs.Update(selection=recording_pb2.TrackSelection())) == "RECORDING_ENDED"
    assert refusal(scene, inputs.Update(limits=recording_pb2.RecordingLimits())) == "RECORDING_ENDED"
    scene.give(inputs.Update(expires_at_ms=5, hold=True))
    assert (scene.recording.expires_at_ms, scene.recording.hold) == (5, True)


def test_a_live_recording_is_stopped_before_it_is_deleted() -> None:
    scene = Scene().running().give(inputs.Delete())
    assert (scene.state, scene.recording.stop_requested) == ("RUNNING", True)
    scene.give(inputs.Over(1, EndReason.END_REASON_STOPPED))
    assert due_job(scene.record) is Due.DELETE
    scene.give(inputs.ObjectsDeleted())
    assert (scene.state, scene.events[-1], due_job(scene.record)) == ("DELETED", "deleted", None)
    assert handle(scene.record, inputs.Delete(), NOW).record is scene.record


def test_files_that_are_being_made_are_deleted_afterwards() -> None:
    scene = Scene().running().give(inputs.Over(1, EndReason.END_REASON_STOPPED))
    scene.give(inputs.JobCreated(Due.FINISH, "JB_1"), inputs.Delete())
    assert due_job(scene.record) is Due.FINISH
    scene.give(inputs.FilesMade([], "m", 1))
    assert due_job(scene.record) is Due.DELETE


def test_a_failed_job_is_followed_by_another() -> None:
    scene = Scene().running().give(inputs.Delete(), inputs.Over(1, EndReason.END_REASON_STOPPED))
    scene.give(inputs.JobCreated(Due.DELETE, "JB_1"), inputs.JobFailed("JB_1"), inputs.JobFailed("JB_1"))
    assert (scene.record.failed_jobs, scene.record.delete_job_id) == (1, "")


def test_a_hold_protects_from_every_deletion() -> None:
    scene = Scene().running().give(inputs.Update(hold=True))
    assert refusal(scene, inputs.Delete()) == "PERMISSION_DENIED"
    assert refusal(scene, inputs.Forget("ada")) == "PERMISSION_DENIED"


def test_a_forgotten_identity_is_not_recorded_any_more() -> None:
    scene = Scene().running().give(inputs.Forget("a*a"))
    assert [pattern.identity for pattern in scene.recording.spec.selection.exclude] == ["a?a"]
    scene.give(inputs.Update(selection=recording_pb2.TrackSelection()))
    assert len(scene.recording.spec.selection.exclude) == 1


def test_what_was_recorded_of_an_identity_is_deleted_after_the_end() -> None:
    scene = Scene().running().give(inputs.Over(1, EndReason.END_REASON_STOPPED))
    files = [recording_pb2.RecordedFile(key=key, identity=key) for key in ("ada", "bob")]
    scene.give(inputs.FilesMade(files, "m", 1), inputs.Forget("ada"))
    assert due_job(scene.record) is Due.DELETE
    scene.give(inputs.IdentityDeleted("ada", ["ada"]))
    assert ([file.key for file in scene.recording.files], scene.recording.file_count) == (["bob"], 1)
    assert (due_job(scene.record), scene.record.unpublished[-1].deleted.identity) == (None, "ada")


def test_markers_are_bounded() -> None:
    scene = Scene()
    for number in range(MAX_MARKERS):
        scene.recording.markers.add(name=f"{number}")
    assert refusal(scene, inputs.Mark("one more", 1)) == "INVALID_ARGUMENT"


def test_the_largest_record_fits_into_a_message_of_the_broker() -> None:
    scene = Scene().running()
    recording, name = scene.recording, "x" * (MAX_MARKER_BYTES // MAX_MARKERS)
    for _ in range(MAX_MARKERS):
        recording.markers.add(name=name, at_ms=2**41, offset_ms=2**31)
    for _ in range(MAX_PAUSES):
        recording.pauses.add(from_ms=2**41, to_ms=2**41)
    for _ in range(64):
        recording.spec.selection.include.add(identity="i" * 512, name="n" * 512)
        recording.spec.selection.exclude.add(identity="i" * 512, name="n" * 512)
    segment = recording_pb2.RecordingSegment(key="k" * 1024)
    scene.give(inputs.Progress(1, [segment] * 1_000))
    assert handle(scene.record, inputs.Progress(1, [segment]), NOW).unreported == 1
    assert recording.last_event < 1_000
    scene.give(inputs.Returned(1, b"c" * MAX_CHECKPOINT_BYTES))
    largest = scene.record.ByteSize()
    file = recording_pb2.RecordedFile(key="k" * 1024)
    scene.give(inputs.Unclaimed(NO_CAPACITY), inputs.FilesMade([file] * 1_000, "m", 1))
    assert recording.ByteSize() < largest
    assert (scene.recording.file_count, len(scene.recording.files)) == (1_000, MAX_FILE_BYTES // 1_027)
    assert max(largest, scene.record.ByteSize()) < 1_000_000
