"""kill -9 and SIGSTOP of what a recorder needs, one at a time, while it records."""

import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from deployment import Deployment, Target, deployed
from nexus.recorder.v1 import recording_pb2
from recorded_call import recorded_call
from service_process import ServiceProcess
from strikes import A_SECOND, strike

SPEC = recording_pb2.RecordingSpec(
    tracks=True,
    segment_ms=2_000,
    keep_segments=True,
    durability=recording_pb2.DURABILITY_STORE,
    limits=recording_pb2.RecordingLimits(empty_timeout_seconds=240),
)
Recorders = tuple[ServiceProcess, ServiceProcess]
# How long something is away: longer than a lease (4 s) and its expiry (5 s).
AWAY_SECONDS = 8.0

pytestmark = [pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    async with deployed(tmp_path_factory.mktemp("chaos")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recorders(deployment: Deployment) -> tuple[ServiceProcess, ServiceProcess]:
    """Two replicas that no test of this module ends."""
    return deployment.recorder("a"), deployment.recorder("b")


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("target", ["s3", "nats", "signaling"])
async def test_an_outage_costs_no_packet(
    deployment: Deployment, recorders: Recorders, target: Target, blow: signal.Signals
) -> None:
    name = f"{target}-{blow.name}"
    async with recorded_call(deployment, name, *recorders) as call:
        await call.start(SPEC)
        await strike(call, target, blow, AWAY_SECONDS)
        await call.segments(4)
        result = await call.finish()
        print(name, result.event_names(), result.manifest["owners"], call.caller.ends)
        result.check()
        assert {owner["epoch"] for owner in result.manifest["owners"]} == {1}
        assert ("degraded" in result.event_names()) is (target == "s3")


async def test_a_stopped_sfu_that_wakes_costs_nothing(deployment: Deployment, recorders: Recorders) -> None:
    async with recorded_call(deployment, "sfu-SIGSTOP", *recorders) as call:
        await call.start(SPEC)
        await strike(call, "sfu", signal.SIGSTOP, AWAY_SECONDS)
        await call.segments(4)
        result = await call.finish()
        print(result.event_names(), result.manifest["owners"], call.caller.ends, result.finished.gaps())
        result.check(gaps=bool(result.finished.gaps()))


async def test_a_killed_sfu_leaves_the_gap_of_the_call(deployment: Deployment, recorders: Recorders) -> None:
    async with recorded_call(deployment, "sfu-SIGKILL", *recorders) as call:
        await call.start(SPEC)
        await call.packets(3 * A_SECOND)
        killed = frozenset(call.witness.tracks)
        await strike(call, "sfu", signal.SIGKILL, AWAY_SECONDS)
        await call.segments(4)
        result = await call.finish()
        print(result.event_names(), result.manifest["owners"], call.caller.ends, result.finished.gaps())
        print(result.manifest["clocks"], result.manifest["tracks"])
        result.check(gaps=True, killed=killed)
