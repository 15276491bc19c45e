"""A store that answers badly while a recording runs and while its files are made."""

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from deployment import Deployment, deployed
from nexus.recorder.v1 import recording_pb2
from nexus_testkit import Answer, FaultProxy, Hang, Reset, Truncate, wait_until
from recorded_call import recorded_call
from service_process import PATIENCE_SECONDS, ServiceProcess

SPEC = recording_pb2.RecordingSpec(tracks=True, segment_ms=2_000, durability=recording_pb2.DURABILITY_STORE)
REFUSAL = b"<Error><Code>AccessDenied</Code><Message>not now</Message></Error>"
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>reduce your rate</Message></Error>"

pytestmark = [pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]


def slow_down(proxy: FaultProxy) -> None:
    proxy.inject(Answer(503, {"Retry-After": "1"}, SLOW_DOWN), times=6, methods=("PUT",))


def refuse(proxy: FaultProxy) -> None:
    proxy.inject(Answer(403, body=REFUSAL), times=6)


def hang(proxy: FaultProxy) -> None:
    proxy.inject(Hang(), times=2, methods=("PUT",))


def lose_answers(proxy: FaultProxy) -> None:
    """The store carries the request out, but its answer is lost."""
    proxy.inject(Reset(served=True), times=4, methods=("PUT",))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    async with deployed(tmp_path_factory.mktemp("chaos")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recorder(deployment: Deployment) -> ServiceProcess:
    return deployment.recorder("faults")


@pytest.mark.parametrize("fault", [slow_down, refuse, hang, lose_answers])
async def test_a_store_that_fails_for_a_while_loses_nothing(
    deployment: Deployment, recorder: ServiceProcess, fault: Callable[[FaultProxy], None]
) -> None:
    proxy = deployment.proxy
    async with recorded_call(deployment, f"store-{fault.__name__}", recorder) as call:
        await call.start(SPEC)
        fault(proxy)
        await wait_until(lambda: not proxy.pending, PATIENCE_SECONDS, "the store was not used")
        await call.segments(4)
        # While files are made: segments that are cut off on their way, and the same fault again.
        proxy.inject(Truncate(100), times=3, methods=("GET",), containing="/segments/")
        fault(proxy)
        result = await call.finish()
    proxy.clear()
    result.check()
    names = result.event_names()
    assert names.count("degraded") >= 2
    assert result.events[-1].HasField("completed")
