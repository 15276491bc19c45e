"""The bounded pool of threads."""

import asyncio
import threading

import pytest
from nexus_runtime import MetricSet
from nexus_storage import StorageUnavailable, StoreMetrics
from nexus_storage.workers import Workers
from nexus_testkit import wait_until
from prometheus_client import CollectorRegistry


async def test_calls_beyond_the_threads_wait_and_beyond_the_bound_fail() -> None:
    workers = Workers("test", threads=2, max_waiting=3)
    release = threading.Event()
    tasks = [asyncio.create_task(workers.run("put", release.wait)) for _ in range(5)]
    await wait_until(lambda: workers.waiting == 3)
    with pytest.raises(StorageUnavailable, match="TooManyCalls"):
        await workers.run("put", release.wait)
    release.set()
    assert await asyncio.gather(*tasks) == [True] * 5
    assert workers.waiting == 0
    workers.close()


async def test_a_cancelled_call_keeps_its_thread_until_it_ends() -> None:
    workers = Workers("test", threads=1)
    began, release = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        release.wait()

    task = asyncio.create_task(workers.run("put", work))
    await wait_until(began.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    second = asyncio.create_task(workers.run("head", lambda: "second"))
    await wait_until(lambda: workers.waiting == 1)
    assert not second.done()
    release.set()
    assert await second == "second"
    workers.close()


async def test_a_call_that_is_cancelled_while_it_waits_never_begins() -> None:
    workers = Workers("test", threads=1)
    release = threading.Event()
    ran: list[str] = []
    first = asyncio.create_task(workers.run("put", release.wait))
    second = asyncio.create_task(workers.run("put", lambda: ran.append("second")))
    await wait_until(lambda: workers.waiting == 1)
    second.cancel()
    await wait_until(lambda: workers.waiting == 0)
    release.set()
    await first
    assert await workers.run("put", lambda: "free again") == "free again"
    assert ran == []
    workers.close()


async def test_a_closed_pool_is_unavailable() -> None:
    workers = Workers("test", threads=1)
    workers.close()
    for _ in range(2):
        with pytest.raises(StorageUnavailable, match="StoreClosed"):
            await workers.run("put", lambda: None)


async def test_calls_are_counted_by_store_operation_and_result() -> None:
    registry = CollectorRegistry()
    workers = Workers("archive", threads=1, metrics=StoreMetrics(MetricSet("recorder", registry)))

    def fail(error: Exception) -> None:
        raise error

    await workers.run("put", lambda: None)
    with pytest.raises(StorageUnavailable):
        await workers.run("put", lambda: fail(StorageUnavailable("SlowDown", "no")))
    with pytest.raises(ZeroDivisionError):
        await workers.run("get", lambda: fail(ZeroDivisionError()))  # type: ignore[arg-type]
    workers.close()

    def count(operation: str, result: str) -> float | None:
        labels = {"store": "archive", "operation": operation, "result": result}
        return registry.get_sample_value("nexus_recorder_store_calls_total", labels)

    assert count("put", "ok") == 1
    assert count("put", "StorageUnavailable") == 1
    assert count("get", "defect") == 1
    seconds = {"store": "archive", "operation": "put"}
    assert registry.get_sample_value("nexus_recorder_store_seconds_count", seconds) == 2
