"""Retries: which errors, how long between them, and what the caller learns."""

import asyncio
import random

import pytest
from nexus_storage import (
    Failure,
    ObjectExists,
    RetryPolicy,
    StorageError,
    StorageFull,
    StorageRefused,
    StorageUnavailable,
    retrying,
)
from nexus_storage.testing import MemoryStore

UNAVAILABLE = StorageUnavailable("Http502", "bad gateway")
REFUSED = StorageRefused("AccessDenied", "no")
FULL = StorageFull("ENOSPC", "full")


class Sleeper:
    """Records waits in place of waiting."""

    def __init__(self) -> None:
        self.waits_s: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits_s.append(seconds)


async def attempt(errors: list[StorageError], policy: RetryPolicy) -> tuple[list[Failure], list[float]]:
    """Calls something that fails with these errors, one after another, and then succeeds."""
    left, failures, sleeper = list(errors), list[Failure](), Sleeper()

    async def call() -> str:
        if left:
            raise left.pop(0)
        return "done"

    assert (
        await retrying(call, policy=policy, rng=random.Random(1), on_failure=failures.append, sleep=sleeper)
        == "done"
    )
    return failures, sleeper.waits_s


async def test_it_goes_on_for_as_long_as_needed() -> None:
    failures, waits_s = await attempt([UNAVAILABLE] * 500, RetryPolicy(500, 60_000))
    assert [failure.attempt for failure in failures] == list(range(1, 501))
    assert [failure.wait_ms / 1000 for failure in failures] == waits_s
    limits_s = [min(60.0, 0.5 * 2**index) for index in range(500)]
    assert all(limit / 2 <= wait <= limit for wait, limit in zip(waits_s, limits_s, strict=True))
    assert len(set(waits_s[-100:])) > 90  # jitter


async def test_the_store_is_obeyed_and_all_who_were_asked_do_not_return_together() -> None:
    asked = StorageUnavailable("SlowDown", "slow down", retry_after_ms=5000)
    _, one = await attempt([asked], RetryPolicy(500, 60_000))
    assert 5.25 <= one[0] <= 5.5


async def test_a_running_recording_waits_for_a_repair_and_a_new_one_does_not() -> None:
    failures, _ = await attempt([REFUSED, FULL, UNAVAILABLE], RetryPolicy())
    assert [failure.error for failure in failures] == [REFUSED, FULL, UNAVAILABLE]
    for error in (REFUSED, FULL):
        with pytest.raises(type(error)):
            await attempt([error], RetryPolicy(refused=False, full=False))


@pytest.mark.parametrize("error", [ObjectExists("PreconditionFailed", "there"), ValueError("a defect")])
async def test_what_waiting_cannot_change_is_raised_at_once(error: Exception) -> None:
    calls = 0

    async def call() -> None:
        nonlocal calls
        calls += 1
        raise error

    with pytest.raises(type(error)):
        await retrying(call, policy=RetryPolicy(), rng=random.Random(1), sleep=Sleeper())
    assert calls == 1


async def test_it_can_be_cancelled_while_it_waits() -> None:
    store = MemoryStore()
    store.failing = UNAVAILABLE
    waiting = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(
        retrying(lambda: store.put("a", b""), policy=RetryPolicy(), rng=random.Random(1), sleep=sleep)
    )
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.calls == 1
