"""Recorders that are killed, stopped or drained, and disks that are lost or full."""

import asyncio
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from deployment import Deployment, deployed
from nexus.recorder.v1 import recording_pb2
from nexus.types.v1 import error_pb2
from nexus_testkit import Answer, wait_until
from recorded_call import RecordedCall, recorded_call
from service_process import PATIENCE_SECONDS, ServiceProcess

STORE: Final = recording_pb2.DURABILITY_STORE
SPOOL: Final = recording_pb2.DURABILITY_SPOOL

pytestmark = [pytest.mark.timeout(1_500), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    async with deployed(tmp_path_factory.mktemp("chaos")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def ended(deployment: Deployment) -> AsyncIterator[None]:
    """Ends the recorders of each test."""
    yield
    await deployment.end_recorders()


def spec(durability: "recording_pb2.Durability.ValueType", **limits: int) -> recording_pb2.RecordingSpec:
    return recording_pb2.RecordingSpec(
        tracks=True,
        segment_ms=2_000,
        keep_segments=True,
        durability=durability,
        limits=recording_pb2.RecordingLimits(**limits),
    )


async def taken_over(recorder: ServiceProcess, began: float) -> float:
    """Returns how many seconds after `began`, by the monotonic clock, a recorder has claimed the job."""
    await wait_until(lambda: '"job_claimed"' in recorder.log(), PATIENCE_SECONDS, "nobody takes over")
    return time.monotonic() - began


def epochs_of(call: RecordedCall, owners: list[dict[str, object]]) -> set[object]:
    return {owner["epoch"] for owner in owners}


async def test_a_lost_node_with_its_spool_costs_no_packet(deployment: Deployment, ended: None) -> None:
    first, second = deployment.recorder("lost-a"), deployment.recorder("lost-b")
    async with recorded_call(deployment, "node-lost", first) as call:
        await call.start(spec(STORE))
        second.start()
        await second.ready()
        call.recorders.append(second)
        began = time.monotonic()
        first.kill()
        shutil.rmtree(deployment.folder / "spool-lost-a")
        took = await taken_over(second, began)
        await call.segments(4, epoch=2)
        result = await call.finish()
    result.check()
    assert epochs_of(call, result.manifest["owners"]) == {1, 2}
    print(f"takeover on another node: {took:.1f} s")


async def test_a_killed_recorder_continues_on_its_own_node(deployment: Deployment, ended: None) -> None:
    only = deployment.recorder("same")
    async with recorded_call(deployment, "node-same", only) as call:
        await call.start(spec(SPOOL))
        began = time.monotonic()
        only.kill()
        only.start()
        await only.ready()
        ready = time.monotonic() - began
        took = await taken_over(only, began)
        await call.segments(4, epoch=2)
        result = await call.finish()
    result.check()
    print(f"takeover on the same node: {took:.1f} s, of which the process needed {ready:.1f} s to start")


async def test_a_stopped_recorder_that_wakes_writes_nothing(deployment: Deployment, ended: None) -> None:
    first, second = deployment.recorder("stop-a"), deployment.recorder("stop-b")
    async with recorded_call(deployment, "stopped", first) as call:
        await call.start(spec(STORE))
        second.start()
        await second.ready()
        call.recorders.append(second)
        began = time.monotonic()
        first.signal(signal.SIGSTOP)
        call.recorders.remove(first)  # it answers no request
        took = await taken_over(second, began)
        await call.segments(4, epoch=2)
        before = {name for name in call.stored_segments() if name.startswith("00000001-")}
        first.signal(signal.SIGCONT)
        await wait_until(lambda: '"job_lease_lost"' in first.log(), PATIENCE_SECONDS, "it notices nothing")
        await call.segments(4, epoch=2)
        assert {name for name in call.stored_segments() if name.startswith("00000001-")} == before
        result = await call.finish()
    result.check()
    print(f"takeover from a stopped recorder: {took:.1f} s")


async def test_the_drain_of_a_single_recorder_loses_nothing(deployment: Deployment, ended: None) -> None:
    only = deployment.recorder("drained")
    async with recorded_call(deployment, "drain", only) as call:
        await call.start(spec(SPOOL))
        assert await asyncio.to_thread(only.terminate) == 0
        await asyncio.sleep(5)
        only.start()
        await only.ready()
        await call.segments(4, epoch=2)
        result = await call.finish()
    result.check()
    reasons = [(owner["epoch"], owner["reason"]) for owner in result.manifest["owners"]]
    assert reasons == [(1, ""), (1, "drained"), (2, ""), (2, "over")]


async def test_a_run_that_ended_without_the_broker_does_not_run_again(
    deployment: Deployment, ended: None
) -> None:
    first, second = deployment.recorder("over-a"), deployment.recorder("over-b")
    async with recorded_call(deployment, "over", first, second) as call:
        await call.start(spec(STORE, empty_timeout_seconds=3))
        await call.segments(2)
        owner, _ = await call.owner()
        await deployment.kill("nats")
        last = call.witness.last_numbers()
        await call.caller.leave()
        await wait_until(lambda: '"run_ended"' in owner.log(), PATIENCE_SECONDS, "the run does not end")
        await deployment.restart("nats")
        recording = await call.until(lambda each: each.state == recording_pb2.RECORDING_STATE_COMPLETED)
        result = await call.result(recording, last)
    result.check()
    assert epochs_of(call, result.manifest["owners"]) == {1}
    runs = [log for each in (first, second) for log in each.log().splitlines() if '"run_ended"' in log]
    assert len(runs) == 1
    assert result.event_names()[-1] == "completed"


@contextmanager
def small_disk(folder: Path, kibibytes: int) -> Iterator[Path]:
    """A disk that is full soon. Skips the test where nothing can be mounted."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={kibibytes}k", "none", str(folder)]
    if subprocess.run(["mount", *options], check=False, capture_output=True).returncode:
        pytest.skip("this container may not mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_full_disk_moves_the_recording_to_another_replica(
    deployment: Deployment, ended: None, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 2_048) as disk:
        first = deployment.recorder("full-a", spool=disk, run_spool_mb=1)
        second = deployment.recorder("full-b", run_spool_mb=1)
        async with recorded_call(deployment, "full", first) as call:
            await call.start(spec(SPOOL))
            second.start()
            await second.ready()
            call.recorders.append(second)
            deployment.proxy.inject(Answer(503, body=b""), times=1_000_000)
            await taken_over(second, time.monotonic())
            degraded = await call.until(lambda each: each.degraded.error.code != 0)
            print(f"degraded by {degraded.degraded.error}")
            await call.packets(300)
            deployment.proxy.clear()
            await call.segments(4, epoch=2)
            await call.until(lambda each: not each.HasField("degraded"))
            result = await call.finish()
        result.check()
        assert epochs_of(call, result.manifest["owners"]) == {1, 2}
        await deployment.end_recorders()


async def test_files_wait_for_the_full_disk_of_a_recorder_that_is_away(
    deployment: Deployment, ended: None, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 2_048) as disk:
        first = deployment.recorder("away-a", spool=disk, run_spool_mb=1)
        second = deployment.recorder("away-b", run_spool_mb=1)
        async with recorded_call(deployment, "away", first) as call:
            await call.start(spec(SPOOL))
            second.start()
            await second.ready()
            call.recorders.append(second)
            deployment.proxy.inject(Answer(503, body=b""), times=1_000_000)
            await taken_over(second, time.monotonic())
            call.recorders.remove(first)
            first.kill()
            deployment.proxy.clear()
            await call.segments(4, epoch=2)
            finishing = asyncio.create_task(call.finish())
            waiting = await call.until(lambda each: each.state == recording_pb2.RECORDING_STATE_FINISHING)
            assert [spool.epoch for spool in waiting.left_spools] == [1]
            first.start()
            await first.ready()
            result = await finishing
        result.check()
        assert not result.finished.recording.left_spools
        await deployment.end_recorders()


async def test_a_full_disk_without_another_replica_keeps_what_was_recorded(
    deployment: Deployment, ended: None, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 2_048) as disk:
        only = deployment.recorder("alone", spool=disk, run_spool_mb=1)
        async with recorded_call(deployment, "alone", only) as call:
            await call.start(spec(SPOOL, queue_timeout_seconds=5))
            deployment.proxy.inject(Answer(503, body=b""), times=1_000_000)
            await wait_until(lambda: '"run_ended"' in only.log(), PATIENCE_SECONDS, "the disk is not full")
            await call.until(lambda each: each.state == recording_pb2.RECORDING_STATE_FINISHING)
            deployment.proxy.clear()
            recording = await call.until(lambda each: each.state == recording_pb2.RECORDING_STATE_FAILED)
            result = await call.result(recording, {})
        assert recording.error.code == error_pb2.NO_CAPACITY
        assert result.event_names()[-1] == "failed"
        result.check_kept()
        await deployment.end_recorders()
