"""Random requests, deaths and redeliveries: any order of inputs, with invariants after every one."""

from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from nexus.recorder.v1 import recording_pb2
from nexus.recorder.v1.recording_pb2 import EndReason
from nexus.recorder.v1.recording_pb2 import RecordingState as State
from nexus.types.v1 import error_pb2
from nexus_recorder.core import inputs
from nexus_recorder.core.inputs import Due
from nexus_recorder.core.record import Fenced, has_ended, is_live
from nexus_recorder.core.recording import due_job, handle, new_record
from nexus_rpc import RpcError

# The states that may follow each state, besides itself.
FOLLOWING = {
    State.RECORDING_STATE_QUEUED: {
        State.RECORDING_STATE_RUNNING,
        State.RECORDING_STATE_PAUSED,
        State.RECORDING_STATE_FINISHING,
        State.RECORDING_STATE_COMPLETED,
        State.RECORDING_STATE_FAILED,
    },
    State.RECORDING_STATE_RUNNING: {
        State.RECORDING_STATE_QUEUED,
        State.RECORDING_STATE_PAUSED,
        State.RECORDING_STATE_FINISHING,
    },
    State.RECORDING_STATE_PAUSED: {
        State.RECORDING_STATE_QUEUED,
        State.RECORDING_STATE_RUNNING,
        State.RECORDING_STATE_FINISHING,
        State.RECORDING_STATE_COMPLETED,  # paused before the start, so that there is nothing to finish
        State.RECORDING_STATE_FAILED,
    },
    State.RECORDING_STATE_FINISHING: {
        State.RECORDING_STATE_COMPLETED,
        State.RECORDING_STATE_FAILED,
        State.RECORDING_STATE_DELETED,
    },
    State.RECORDING_STATE_COMPLETED: {State.RECORDING_STATE_DELETED},
    State.RECORDING_STATE_FAILED: {State.RECORDING_STATE_DELETED},
    State.RECORDING_STATE_DELETED: set(),
}
NO_CAPACITY = error_pb2.Error(code=error_pb2.NO_CAPACITY)
ERRORS = st.sampled_from([None, error_pb2.Error(code=error_pb2.SERVICE_UNAVAILABLE)])
REASONS = st.sampled_from([EndReason.END_REASON_STOPPED, EndReason.END_REASON_ROOM_CLOSED])


class RecordingMachine(RuleBasedStateMachine):
    """Several owners of one run, of which some are dead or late, and requests between them."""

    def __init__(self) -> None:
        super().__init__()
        recording = recording_pb2.Recording(id="RC_1", app="app", room="lobby")
        self.now_ms = 1_000
        self.record = new_record(recording, "", self.now_ms)
        self.epoch = 0
        self.numbers = [event.number for event in self.record.unpublished]
        self.published = 0

    def give(self, given: inputs.Input) -> None:
        self.now_ms += 10
        before = self.record
        kept = before.SerializeToString(deterministic=True)
        try:
            after = handle(before, given, self.now_ms).record
        except (Fenced, RpcError):
            after = before
        assert before.SerializeToString(deterministic=True) == kept, "the given record was changed"
        states = before.recording.state, after.recording.state
        assert states[0] == states[1] or states[1] in FOLLOWING[states[0]], states
        if has_ended(before.recording):
            assert after.recording.started_at_ms == before.recording.started_at_ms
            assert after.recording.ended_at_ms == before.recording.ended_at_ms
        self.numbers += [e.number for e in after.unpublished if e.number > before.recording.last_event]
        # Handling the same input again, as after a lost answer, changes nothing more.
        if not isinstance(given, inputs.Mark | inputs.Progress | inputs.Returned | inputs.DegradedChanged):
            with suppress(Fenced, RpcError):
                assert handle(after, given, self.now_ms).record == after
        self.record = after

    @rule()
    def stop(self) -> None:
        self.give(inputs.Stop())

    @rule(paused=st.booleans())
    def pause_or_resume(self, paused: bool) -> None:
        self.give(inputs.Pause() if paused else inputs.Resume())

    @rule(name=st.text(max_size=5), at_ms=st.integers(0, 5_000))
    def mark(self, name: str, at_ms: int) -> None:
        self.give(inputs.Mark(name, at_ms))

    @rule(hold=st.booleans())
    def hold(self, hold: bool) -> None:
        self.give(inputs.Update(hold=hold))

    @rule()
    def delete(self) -> None:
        self.give(inputs.Delete())

    @rule(identity=st.sampled_from(["ada", "bob*"]))
    def forget(self, identity: str) -> None:
        self.give(inputs.Forget(identity))

    @rule()
    def claim(self) -> None:
        self.epoch += 1
        self.give(inputs.Claimed(self.epoch))

    @rule(back=st.integers(0, 2), room=st.sampled_from(["RM_1", "RM_2"]))
    def start(self, back: int, room: str) -> None:
        self.give(inputs.Started(max(1, self.epoch - back), room, self.now_ms))

    @rule(back=st.integers(0, 2), paused=st.booleans())
    def owner_pauses(self, back: int, paused: bool) -> None:
        epoch = max(1, self.epoch - back)
        self.give(inputs.Paused(epoch) if paused else inputs.Resumed(epoch))

    @rule(back=st.integers(0, 1), count=st.integers(0, 3))
    def segments(self, back: int, count: int) -> None:
        segments = [recording_pb2.RecordingSegment(key=f"{i}") for i in range(count)]
        self.give(inputs.Progress(max(1, self.epoch - back), segments, 5, 6))

    @rule(back=st.integers(0, 1), error=ERRORS)
    def degraded(self, back: int, error: error_pb2.Error | None) -> None:
        value = None if error is None else recording_pb2.Degraded(since_ms=1, error=error)
        self.give(inputs.DegradedChanged(max(1, self.epoch - back), value))

    @rule(back=st.integers(0, 2), error=ERRORS)
    def owner_returns(self, back: int, error: error_pb2.Error | None) -> None:
        self.give(inputs.Returned(max(1, self.epoch - back), b"state", error))

    @rule(back=st.integers(0, 2), reason=REASONS, error=ERRORS)
    def run_ends(self, back: int, reason: EndReason.ValueType, error: error_pb2.Error | None) -> None:
        self.give(inputs.Over(max(1, self.epoch - back), reason, error))

    @rule()
    def waits(self) -> None:
        self.give(inputs.Waiting())

    @rule()
    def unclaimed(self) -> None:
        self.give(inputs.Unclaimed(NO_CAPACITY))

    @rule(kind=st.sampled_from(Due))
    def job_of(self, kind: Due) -> None:
        if due_job(self.record) is kind:
            self.give(inputs.JobCreated(kind, f"JB_{kind.value}"))

    @rule()
    def job_fails(self) -> None:
        self.give(inputs.JobFailed(self.record.finish_job_id or self.record.delete_job_id))

    @rule(back=st.integers(-1, 2), left=st.booleans(), replica=st.sampled_from(["a", "b"]))
    def spool_reported(self, back: int, left: bool, replica: str) -> None:
        epochs = (max(0, self.epoch - back),)
        before = set(self.lost())
        if left:
            self.give(inputs.SpoolsReported(replica, left=epochs))
        else:
            self.give(inputs.SpoolsReported(replica, empty=epochs))
        if not has_ended(self.record.recording):
            assert before <= set(self.lost()), "a lost spool came back"

    @rule(wait_ms=st.sampled_from([0, 50, 1_000_000]))
    def spool_wait_over(self, wait_ms: int) -> None:
        was_live = is_live(self.record.recording)
        before = self.lost()
        self.give(inputs.SpoolWaitOver(wait_ms))
        if was_live:
            assert self.lost() == before
        if wait_ms == 0 and self.record.recording.state == State.RECORDING_STATE_FINISHING:
            assert due_job(self.record) is not None, "files wait for ever"

    def lost(self) -> list[int]:
        return [spool.epoch for spool in self.record.recording.left_spools if spool.lost]

    @rule(made=st.booleans())
    def finish(self, made: bool) -> None:
        if due_job(self.record) is Due.FINISH:
            file = recording_pb2.RecordedFile(key="f", identity="ada")
            self.give(inputs.FilesMade([file], "m", 1) if made else inputs.FilesFailed(NO_CAPACITY))

    @rule()
    def deletes(self) -> None:
        if due_job(self.record) is Due.DELETE:
            for identity in list(self.record.forgotten_identities):
                self.give(inputs.IdentityDeleted(identity, []))
            self.give(inputs.ObjectsDeleted())

    @rule()
    def publish(self) -> None:
        if self.record.unpublished:
            assert self.record.unpublished[0].number == self.published + 1
            self.published = self.record.unpublished[-1].number
            self.give(inputs.Published(self.published))

    @invariant()
    def events_are_numbered_without_gap(self) -> None:
        assert self.numbers == list(range(1, len(self.numbers) + 1))
        assert self.record.recording.last_event == len(self.numbers)

    @invariant()
    def the_record_is_consistent(self) -> None:
        recording = self.record.recording
        assert recording.epoch <= self.epoch
        assert bool(recording.ended_at_ms) != is_live(recording)
        assert not (self.record.owned and not is_live(recording))
        assert recording.HasField("error") == (
            recording.end_reason == EndReason.END_REASON_FAILED
        ) or not is_live(recording)
        if recording.state == State.RECORDING_STATE_RUNNING:
            assert recording.started_at_ms
            assert all(pause.to_ms for pause in recording.pauses)
        if not is_live(recording):
            assert all(pause.to_ms for pause in recording.pauses)
        if recording.state == State.RECORDING_STATE_FAILED:
            assert recording.HasField("error")
        for one, other in zip(recording.pauses, recording.pauses[1:], strict=False):
            assert one.from_ms < one.to_ms <= other.from_ms

    @invariant()
    def files_wait_for_every_spool(self) -> None:
        recording = self.record.recording
        waits = any(not spool.lost for spool in recording.left_spools)
        epochs = [spool.epoch for spool in recording.left_spools]
        assert epochs == sorted(set(epochs))
        assert all(1 <= epoch <= recording.epoch for epoch in epochs)
        assert not (waits and has_ended(recording))
        assert not (waits and due_job(self.record) is Due.FINISH)
        assert not (waits and self.record.finish_job_id)

    @invariant()
    def an_end_has_one_event(self) -> None:
        kinds = [event.WhichOneof("event") for event in self.record.unpublished]
        assert kinds.count("completed") + kinds.count("failed") <= 1


TestRecordings = RecordingMachine.TestCase
TestRecordings.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
