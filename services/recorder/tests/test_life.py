"""The life of recordings across replicas, in virtual time: requests, owners, takeovers, and the end."""

import asyncio

from nexus.recorder.v1 import recorder_pb2, recording_pb2
from nexus.recorder.v1.recording_pb2 import EndReason
from nexus.types.v1 import error_pb2
from nexus_bus import MemoryBus
from nexus_recorder.run import BytesChanged, Conclusion, DegradedChanged, RunEnd, SegmentStored
from nexus_recorder.testing import MemoryRun
from nexus_storage import StorageRefused, StorageUnavailable
from nexus_testkit import wait_until

from services.recorder.tests.harness import PATIENCE, Deployment, events_of, in_virtual_time, refusal


@in_virtual_time
async def test_a_recording_is_started_paused_resumed_and_stopped(memory: Deployment) -> None:
    replica, other = await memory.replica(), await memory.replica(takes=False)
    recording = await other.control.recordings.start(memory.request(started_by="ada"))
    run = await replica.has_run()
    await memory.state(recording, "RUNNING")
    await wait_until(lambda: memory.sfu.recording.get("lobby"), PATIENCE)
    run.emit(SegmentStored("key", "TR_1", 10, 0, 6_000))
    run.emit(BytesChanged(10, 20))

    paused = await other.control.recordings.pause(memory.app, recording.id)
    assert (paused.state, run.receiving) == (recording_pb2.RECORDING_STATE_PAUSED, False)
    await wait_until(lambda: memory.sfu.recording["lobby"] is False, PATIENCE)
    resumed = await other.control.recordings.resume(memory.app, recording.id)
    assert (resumed.state, run.receiving) == (recording_pb2.RECORDING_STATE_RUNNING, True)
    assert resumed.stored_bytes == 10

    stopped = await other.control.recordings.stop(memory.app, recording.id)
    assert stopped.state in (
        recording_pb2.RECORDING_STATE_FINISHING,
        recording_pb2.RECORDING_STATE_COMPLETED,
    )
    done = await memory.state(recording, "COMPLETED")
    assert [file.key for file in done.files] == [f"{recording.id}/ada.mp4"]
    assert (done.end_reason, done.started_by) == (EndReason.END_REASON_STOPPED, "ada")
    await wait_until(lambda: memory.sfu.recording["lobby"] is False, PATIENCE)
    expected = ["queued", "started", "segment", "paused", "resumed", "completed"]
    assert await events_of(other.runtime.bus, memory.app) == expected
    # Anything after the end returns the recording as it is.
    for again in ("stop", "pause", "resume"):
        method = getattr(other.control.recordings, again)
        assert (await method(memory.app, recording.id)).state == done.state


@in_virtual_time
async def test_a_dead_owner_is_replaced_with_a_higher_epoch(memory: Deployment) -> None:
    first = await memory.replica()
    recording = await first.control.recordings.start(memory.request())
    await first.has_run()
    started = await memory.state(recording, "RUNNING")
    await first.die()
    second = await memory.replica()
    run = await second.has_run()
    assert (run.request.lease.epoch, run.request.recording.started_at_ms) == (2, started.started_at_ms)
    newest = await memory.state(recording, "RUNNING")
    assert newest.epoch == 2
    await second.control.recordings.stop(memory.app, recording.id)
    await memory.state(recording, "COMPLETED")
    assert await events_of(second.runtime.bus, memory.app) == ["queued", "started", "completed"]


@in_virtual_time
async def test_a_drained_replica_returns_its_recordings(memory: Deployment) -> None:
    first = await memory.replica()
    recording = await first.control.recordings.start(memory.request())
    run = await first.has_run()
    await memory.state(recording, "RUNNING")
    second = await memory.replica()
    await wait_until(lambda: memory.sfu.recording.get("lobby"), PATIENCE)
    first.runtime.life.drain()
    await first.control.drain()
    assert memory.sfu.recording["lobby"], "the taps go on until the next owner"
    assert run.drained
    continued = await second.has_run()
    assert continued.request.checkpoint == b"checkpoint"
    assert (await memory.state(recording, "RUNNING")).epoch == 2


@in_virtual_time
async def test_without_capacity_a_recording_fails(memory: Deployment) -> None:
    replica = await memory.replica(takes=False)
    request = memory.request()
    request.spec.limits.queue_timeout_seconds = 1
    recording = await replica.control.recordings.start(request)
    assert recording.state == recording_pb2.RECORDING_STATE_QUEUED
    failed = await memory.state(recording, "FAILED")
    assert failed.error.code == error_pb2.NO_CAPACITY


@in_virtual_time
async def test_a_replica_that_cannot_go_on_hands_over(memory: Deployment) -> None:
    first = await memory.replica()
    recording = await first.control.recordings.start(memory.request())
    run = await first.has_run()
    await memory.state(recording, "RUNNING")
    second = await memory.replica()
    full = error_pb2.Error(code=error_pb2.SERVICE_UNAVAILABLE, message="the disk is full")
    run.end(RunEnd(Conclusion.UNABLE, error=full, checkpoint=b"here"))
    continued = await second.has_run()
    assert continued.request.checkpoint == b"here"
    assert (await memory.state(recording, "RUNNING")).degraded.error.message == "the disk is full"


@in_virtual_time
async def test_a_start_is_idempotent(memory: Deployment) -> None:
    replica, other = await memory.replica(takes=False), await memory.replica(takes=False)
    request = memory.request(request_id="r1")
    first = await replica.control.recordings.start(request)
    assert (await other.control.recordings.start(request)).id == first.id
    assert (await other.control.recordings.start(memory.request())).id != first.id
    assert len(await replica.control.job_records.list("record")) == 2


@in_virtual_time
async def test_a_start_waits_until_the_nodes_are_known(memory: Deployment) -> None:
    recordings = (await memory.replica(takes=False)).control.recordings
    memory.rooms.unknown = True
    starting = asyncio.create_task(recordings.start(memory.request()))
    await asyncio.sleep(2)
    assert not starting.done()
    memory.rooms.unknown = False
    assert (await starting).state == recording_pb2.RECORDING_STATE_QUEUED
    memory.rooms.unknown = True
    assert (await refusal(recordings.start(memory.request())))[0] == "SFU_UNREACHABLE"


@in_virtual_time
async def test_a_refused_store_is_reported_before_the_start(memory: Deployment) -> None:
    memory.store.failing = StorageRefused("NoSuchBucket", "the bucket does not exist")
    replica = await memory.replica()
    recording = await replica.control.recordings.start(memory.request())
    failed = await memory.state(recording, "FAILED")
    assert (failed.error.code, failed.error.details["store_code"]) == (
        error_pb2.STORAGE_REFUSED,
        "NoSuchBucket",
    )
    assert not failed.started_at_ms
    assert not replica.runs.runs


@in_virtual_time
async def test_a_store_that_does_not_answer_costs_no_recording(memory: Deployment) -> None:
    memory.store.failing = StorageUnavailable("SlowDown", "later")
    replica = await memory.replica()
    recording = await replica.control.recordings.start(memory.request())
    run = await replica.has_run()
    running = await memory.state(recording, "RUNNING")
    assert running.degraded.error.details["store_code"] == "SlowDown"
    run.emit(DegradedChanged(None))

    async def works_again() -> bool:
        newest = await replica.control.recordings.get(memory.app, recording.id)
        return not newest.HasField("degraded")

    await wait_until(works_again, PATIENCE)


@in_virtual_time
async def test_an_outage_of_the_broker_ends_no_recording(memory: Deployment) -> None:
    replica = await memory.replica()
    recording = await replica.control.recordings.start(memory.request())
    run = await replica.has_run()
    await memory.state(recording, "RUNNING")
    bus = replica.runtime.bus
    assert isinstance(bus, MemoryBus)
    bus.set_connected(False)
    run.emit(SegmentStored("key", "TR_1", 10, 0, 6_000))
    await wait_until(lambda: not run.request.lease.held(), PATIENCE)
    assert (run.receiving, run.request.lease.lost()) == (True, False)
    bus.set_connected(True)
    await wait_until(run.request.lease.held, PATIENCE)
    await replica.control.recordings.stop(memory.app, recording.id)
    await memory.state(recording, "COMPLETED")
    assert await events_of(bus, memory.app) == ["queued", "started", "segment", "completed"]


@in_virtual_time
async def test_the_longest_duration_ends_a_recording(memory: Deployment) -> None:
    def began_long_ago(run: MemoryRun) -> None:
        run.start_ms = 1_000_000

    replica = await memory.replica(began_long_ago)
    recording = await replica.control.recordings.start(memory.request())
    run = await replica.has_run()
    await wait_until(lambda: bool(run.stopped), PATIENCE)
    assert run.stopped[0] == EndReason.END_REASON_MAX_DURATION
    done = await memory.state(recording, "COMPLETED")
    assert done.end_reason == EndReason.END_REASON_MAX_DURATION


@in_virtual_time
async def test_a_change_of_the_selection_reaches_the_run(memory: Deployment) -> None:
    replica = await memory.replica()
    recording = await replica.control.recordings.start(memory.request())
    run = await replica.has_run()
    await memory.state(recording, "RUNNING")
    update = recorder_pb2.UpdateRecordingRequest(app=memory.app, recording_id=recording.id)
    update.selection.exclude.add(identity="bob")
    await replica.control.recordings.update(update)
    await wait_until(lambda: bool(run.updates), PATIENCE)
    assert run.updates[0][0] == update.selection


@in_virtual_time
async def test_a_live_recording_is_deleted(memory: Deployment) -> None:
    replica = await memory.replica()
    recording = await replica.control.recordings.start(memory.request())
    await replica.has_run()
    await memory.state(recording, "RUNNING")
    deleted = await replica.control.recordings.delete(memory.app, recording.id)
    assert deleted.state == recording_pb2.RECORDING_STATE_DELETED
    assert replica.files.deleted == [recording.id]
    assert not replica.files.finished


@in_virtual_time
async def test_files_are_made_although_the_store_fails_for_a_while(memory: Deployment) -> None:
    replica = await memory.replica()
    replica.files.failures = [StorageUnavailable("SlowDown", "later")]
    recording = await replica.control.recordings.start(memory.request())
    await replica.has_run()
    await memory.state(recording, "RUNNING")
    await replica.control.recordings.stop(memory.app, recording.id)
    assert not (await memory.state(recording, "COMPLETED")).HasField("degraded")


@in_virtual_time
async def test_two_recordings_of_a_room_share_its_state(memory: Deployment) -> None:
    replica, other = await memory.replica(), await memory.replica(takes=False)
    first = await other.control.recordings.start(memory.request())
    second = await other.control.recordings.start(memory.request())
    await replica.has_run(2)
    for one in (first, second):
        await memory.state(one, "RUNNING")
    await wait_until(lambda: memory.sfu.recording.get("lobby"), PATIENCE)
    await other.control.recordings.stop(memory.app, first.id)
    await memory.state(first, "COMPLETED")
    assert memory.sfu.recording["lobby"]
    await other.control.recordings.stop(memory.app, second.id)
    await wait_until(lambda: memory.sfu.recording["lobby"] is False, PATIENCE)


@in_virtual_time
async def test_a_fenced_run_is_cancelled_and_writes_nothing(memory: Deployment) -> None:
    def slow(run: MemoryRun) -> None:
        run.ignores_drain = True

    replica = await memory.replica(slow)
    recording = await replica.control.recordings.start(memory.request())
    run = await replica.has_run()
    await memory.state(recording, "RUNNING")
    bus = replica.runtime.bus
    assert isinstance(bus, MemoryBus)
    bus.set_connected(False)  # as for a process that is stopped
    other = await memory.replica()
    await other.has_run()
    bus.set_connected(True)
    await wait_until(lambda: run.cancelled, PATIENCE)
    assert run.request.lease.lost()
    run.emit(SegmentStored("late", "TR_1", 10, 0, 6_000))
    await other.control.recordings.stop(memory.app, recording.id)
    await memory.state(recording, "COMPLETED")
    assert "segment" not in await events_of(other.runtime.bus, memory.app)


@in_virtual_time
async def test_bad_starts_are_refused_at_once(memory: Deployment) -> None:
    replica = await memory.replica(takes=False)
    recordings = replica.control.recordings
    assert (await refusal(recordings.start(memory.request(room="other"))))[0] == "ROOM_NOT_FOUND"
    request = memory.request()
    request.spec.store = "elsewhere"
    assert await refusal(recordings.start(request)) == ("STORE_NOT_FOUND", {"store": "elsewhere"})
    request = memory.request()
    request.spec.key_template = "../{identity}"
    invalid = ("INVALID_ARGUMENT", {"field": "spec.key_template"})
    assert await refusal(recordings.start(request)) == invalid
    request.spec.key_template = "{app}/{unknown}"
    assert await refusal(recordings.start(request)) == invalid
    request = memory.request()
    request.spec.selection.include.add(track_id="TR_9")
    assert await refusal(recordings.start(request)) == ("TRACK_NOT_FOUND", {"track_id": "TR_9"})
    memory.sfu.answer.participants.add().tracks.add(id="TR_9")
    await recordings.start(request)
    for name in ("stop", "pause", "resume", "delete", "get"):
        found = await refusal(getattr(recordings, name)(memory.app, "RC_none"))
        assert found == ("RECORDING_NOT_FOUND", {"recording_id": "RC_none"})
        other_app = await refusal(getattr(recordings, name)("other", "RC_none"))
        assert other_app[0] == "RECORDING_NOT_FOUND"


@in_virtual_time
async def test_lists_have_pages(memory: Deployment) -> None:
    replica = await memory.replica(takes=False)
    recordings = replica.control.recordings
    made = {(await recordings.start(memory.request())).id for _ in range(5)}
    found: list[str] = []
    token = ""
    while True:
        request = recorder_pb2.ListRecordingsRequest(app=memory.app, page_size=2, page_token=token)
        page = await recordings.list(request)
        found += [recording.id for recording in page.recordings]
        token = page.next_page_token
        if not token:
            break
    assert (len(found), set(found)) == (5, made)
    for bad in ("x", "1", "1.", f"{'9' * 16}.RC"):
        request = recorder_pb2.ListRecordingsRequest(app=memory.app, page_token=bad)
        assert await refusal(recordings.list(request)) == ("INVALID_ARGUMENT", {"field": "page_token"})


@in_virtual_time
async def test_playback_links_the_files_and_the_manifest(memory: Deployment) -> None:
    replica = await memory.replica()
    recordings = replica.control.recordings
    recording = await recordings.start(memory.request())
    await replica.has_run()
    await memory.state(recording, "RUNNING")
    await recordings.stop(memory.app, recording.id)
    await memory.state(recording, "COMPLETED")
    request = recorder_pb2.GetPlaybackRequest(app=memory.app, recording_id=recording.id, download=True)
    links = await recordings.playback(request)
    assert [link.file.identity for link in links.links] == ["ada"]
    assert f"{recording.id}/ada.mp4" in links.links[0].url
    assert "manifest.json" in links.manifest_url
    request.expires_in_seconds = 604_801
    assert (await refusal(recordings.playback(request)))[1] == {"field": "expires_in_seconds"}


@in_virtual_time
async def test_an_identity_is_forgotten_in_every_recording(memory: Deployment) -> None:
    replica = await memory.replica()
    recordings = replica.control.recordings
    ended, held, live = [await recordings.start(memory.request()) for _ in range(3)]
    await replica.has_run(3)
    for one in (ended, held):
        await memory.state(one, "RUNNING")
        await recordings.stop(memory.app, one.id)
        await memory.state(one, "COMPLETED")
    await recordings.update(
        recorder_pb2.UpdateRecordingRequest(app=memory.app, recording_id=held.id, hold=True)
    )
    request = recorder_pb2.ForgetIdentityRequest(app=memory.app, identity="ada")
    report = await recordings.forget(request)
    assert set(report.recording_ids) == {ended.id, live.id}
    assert (report.objects_deleted, list(report.held_recording_ids)) == (1, [held.id])
    assert not (await recordings.get(memory.app, ended.id)).files
    await recordings.stop(memory.app, live.id)
    await wait_until(lambda: (live.id, "ada") in replica.files.forgotten, PATIENCE)

    async def gone() -> bool:
        return not (await recordings.get(memory.app, live.id)).files

    await wait_until(gone, PATIENCE)
    nobody = recorder_pb2.ForgetIdentityRequest(app=memory.app, identity="nobody")
    assert not (await recordings.forget(nobody)).recording_ids
