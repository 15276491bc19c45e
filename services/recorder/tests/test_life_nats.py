"""The life of recordings on a real NATS server. `test_life.py` has the details, in memory."""

from collections.abc import AsyncIterator

import pytest
from nexus.recorder.v1 import recording_pb2
from nexus.recorder.v1.recording_pb2 import EndReason
from nexus_bus import Bus, NatsBus
from nexus_recorder.run import SegmentStored
from nexus_runtime import SystemClock
from nexus_testkit import NatsServer, wait_until

from services.recorder.tests.harness import PATIENCE, Deployment, events_of


@pytest.fixture
async def site(nats_server: NatsServer, app: str) -> AsyncIterator[Deployment]:
    """A deployment on a server of its own, because the jobs of all apps share one queue."""
    opened: list[Bus] = []

    async def connect() -> Bus:
        opened.append(await NatsBus.connect(nats_server.url, "recorder"))
        return opened[-1]

    deployment = Deployment(connect, app, SystemClock())
    deployment.place()
    yield deployment
    await deployment.close()
    for bus in opened:
        await bus.close()


async def test_a_recording_is_started_paused_resumed_and_stopped(site: Deployment) -> None:
    replica, other = await site.replica(), await site.replica(takes=False)
    recording = await other.control.recordings.start(site.request(started_by="ada"))
    run = await replica.has_run()
    await site.state(recording, "RUNNING")
    await wait_until(lambda: site.sfu.recording.get("lobby"), PATIENCE)
    run.emit(SegmentStored("key", "TR_1", 10, 0, 6_000))

    paused = await other.control.recordings.pause(site.app, recording.id)
    assert (paused.state, run.receiving) == (recording_pb2.RECORDING_STATE_PAUSED, False)
    await wait_until(lambda: site.sfu.recording["lobby"] is False, PATIENCE)
    resumed = await other.control.recordings.resume(site.app, recording.id)
    assert (resumed.state, run.receiving) == (recording_pb2.RECORDING_STATE_RUNNING, True)

    stopped = await other.control.recordings.stop(site.app, recording.id)
    assert stopped.state in (
        recording_pb2.RECORDING_STATE_FINISHING,
        recording_pb2.RECORDING_STATE_COMPLETED,
    )
    done = await site.state(recording, "COMPLETED")
    assert [file.key for file in done.files] == [f"{recording.id}/ada.mp4"]
    assert (done.end_reason, done.started_by) == (EndReason.END_REASON_STOPPED, "ada")
    await wait_until(lambda: site.sfu.recording["lobby"] is False, PATIENCE)
    expected = ["queued", "started", "segment", "paused", "resumed", "completed"]
    assert await events_of(other.runtime.bus, site.app) == expected
    # Anything after the end returns the recording as it is.
    for again in ("stop", "pause", "resume"):
        method = getattr(other.control.recordings, again)
        assert (await method(site.app, recording.id)).state == done.state


async def test_a_dead_owner_is_replaced_after_an_outage_of_the_broker(
    site: Deployment, nats_server: NatsServer
) -> None:
    first = await site.replica()
    recording = await first.control.recordings.start(site.request())
    run = await first.has_run()
    started = await site.state(recording, "RUNNING")
    nats_server.stop()
    await wait_until(lambda: not run.request.lease.held(), PATIENCE)
    assert run.receiving
    nats_server.start()
    await wait_until(run.request.lease.held, PATIENCE)
    await first.die()
    second = await site.replica()
    continued = await second.has_run()
    assert continued.request.lease.epoch == 2
    assert continued.request.recording.started_at_ms == started.started_at_ms
    await second.control.recordings.stop(site.app, recording.id)
    await site.state(recording, "COMPLETED")
    assert await events_of(second.runtime.bus, site.app) == ["queued", "started", "completed"]
