"""One recording during which everything around the recorder, and the recorder with its disk, is lost in turn.

`make chaos-recording` strikes each of them alone, for longer, and in more ways (`tests/chaos`).
"""

import asyncio
import shutil
import signal
from pathlib import Path

import pytest
from deployment import deployed
from nexus.recorder.v1 import recording_pb2
from recorded_call import recorded_call
from strikes import strike

AWAY_SECONDS = 3.0

pytestmark = pytest.mark.timeout(900)


async def test_a_recording_outlives_everything_around_it(tmp_path: Path) -> None:
    spec = recording_pb2.RecordingSpec(
        tracks=True,
        segment_ms=2_000,
        keep_segments=True,
        durability=recording_pb2.DURABILITY_STORE,
        limits=recording_pb2.RecordingLimits(empty_timeout_seconds=240),
    )
    async with deployed(tmp_path) as deployment:
        first, second = deployment.recorder("first"), deployment.recorder("second")
        async with recorded_call(deployment, "struck", first, second) as call:
            await call.start(spec)
            await strike(call, "s3", signal.SIGKILL, AWAY_SECONDS)
            await strike(call, "nats", signal.SIGSTOP, AWAY_SECONDS)
            await strike(call, "nats", signal.SIGKILL, AWAY_SECONDS)
            await strike(call, "signaling", signal.SIGKILL, AWAY_SECONDS)
            owner, _ = await call.owner()
            await asyncio.to_thread(owner.kill)
            shutil.rmtree(tmp_path / f"spool-{owner.name}")
            await call.segments(2, epoch=2)
            killed = frozenset(call.witness.tracks)
            await strike(call, "sfu", signal.SIGKILL, AWAY_SECONDS)
            await call.segments(4)
            result = await call.finish()
    result.check(gaps=True, killed=killed)
    assert {gap["reason"] for gap in result.finished.gaps()} == {"node_lost"}
    assert {owner["epoch"] for owner in result.manifest["owners"]} == {1, 2}
    assert len(result.manifest["clocks"]) == 2
    assert "degraded" in result.event_names()
