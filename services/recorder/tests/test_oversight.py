"""Oversight: another process does what a dead one has left undone. In virtual time."""

import asyncio

import pytest
from nexus.recorder.v1 import recorder_pb2, recording_pb2
from nexus_bus import BusError
from nexus_recorder.core import inputs
from nexus_recorder.core.inputs import Due
from nexus_testkit import wait_until

from services.recorder.tests.harness import PATIENCE, Deployment, Replica, events_of, in_virtual_time


async def completed(deployment: Deployment, replica: Replica) -> recording_pb2.Recording:
    recording = await replica.control.recordings.start(deployment.request())
    await replica.has_run(len(replica.runs.runs) + 1)
    await deployment.state(recording, "RUNNING")
    await replica.control.recordings.stop(deployment.app, recording.id)
    return await deployment.state(recording, "COMPLETED")


@in_virtual_time
async def test_a_recording_without_job_gets_one(memory: Deployment) -> None:
    first = await memory.replica(takes=False)
    jobs = first.control.jobs

    async def die(*_: object) -> None:
        raise BusError("the process died after the record was written")

    jobs.ensure = die  # type: ignore[method-assign, assignment]
    with pytest.raises(BusError):
        await first.control.recordings.start(memory.request(request_id="r1"))
    await first.die()
    second = await memory.replica()
    run = await second.has_run()
    await memory.state(run.request.recording, "RUNNING")


@in_virtual_time
async def test_a_recording_whose_end_nobody_handled_is_finished(memory: Deployment) -> None:
    replica = await memory.replica(takes=False)
    recording = await replica.control.recordings.start(memory.request())
    over = inputs.Over(1, recording_pb2.END_REASON_STOPPED)
    await replica.control.directory.change(
        memory.app, recording.id, inputs.Claimed(1), inputs.Started(1, "RM_1", 5), over
    )
    await replica.die()
    await memory.replica()
    await memory.state(recording, "COMPLETED")


@in_virtual_time
async def test_an_expired_recording_is_deleted_and_one_on_hold_is_not(memory: Deployment) -> None:
    replica = await memory.replica()
    expired, held = await completed(memory, replica), await completed(memory, replica)
    for one, hold in ((expired, False), (held, True)):
        update = recorder_pb2.UpdateRecordingRequest(
            app=memory.app, recording_id=one.id, expires_at_ms=memory.clock.epoch_ms() + 60_000, hold=hold
        )
        await replica.control.recordings.update(update)
    await asyncio.sleep(120)
    await memory.state(expired, "DELETED")
    assert replica.files.deleted == [expired.id]
    assert (await memory.state(held, "COMPLETED")).hold
    assert (await events_of(replica.runtime.bus, memory.app, check=False))[-1] == "deleted"


@in_virtual_time
async def test_the_record_of_a_deleted_recording_is_removed_after_a_day(memory: Deployment) -> None:
    replica = await memory.replica(keep_deleted_ms=60_000)
    recording = await completed(memory, replica)
    await replica.control.recordings.delete(memory.app, recording.id)
    assert replica.control.directory.catalog.get(memory.app, recording.id) is not None
    await asyncio.sleep(50)
    assert replica.control.directory.catalog.get(memory.app, recording.id) is not None
    await wait_until(
        lambda: replica.control.directory.catalog.get(memory.app, recording.id) is None, PATIENCE
    )


@in_virtual_time
async def test_a_job_that_fails_to_delete_is_followed_by_another(memory: Deployment) -> None:
    replica = await memory.replica(takes=False)
    recording = await replica.control.recordings.start(memory.request())
    await replica.control.recordings.stop(memory.app, recording.id)
    stored = await replica.control.directory.change(memory.app, recording.id, inputs.Delete())
    stored = await replica.control.jobs.ensure(stored)
    first_job = stored.record.delete_job_id
    await replica.control.job_queue.request_stop("record", first_job)
    await wait_until(lambda: _job(replica, recording) not in ("", first_job), PATIENCE)
    replica.control.worker.set_accepting(True)
    await memory.state(recording, "DELETED")


def _job(replica: Replica, recording: recording_pb2.Recording) -> str:
    entry = replica.control.directory.catalog.get(recording.app, recording.id)
    assert entry is not None
    assert entry.due is Due.DELETE
    return entry.job_ids[0] if entry.job_ids else ""
