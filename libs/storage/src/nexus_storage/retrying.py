"""Repeating a call to a store for as long as needed.

The waits grow exponentially and are random (between half and the whole of the present limit), so that many
uploads do not return at the same moment; a wait that the store asks for is always kept.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_never

from nexus_storage.errors import StorageError, StorageFull, StorageRefused, StorageUnavailable

T = TypeVar("T")

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt: its number from 1, its error, and how long `retrying` waits before the next one."""

    attempt: int
    error: StorageError
    wait_ms: int


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The limit of the first wait, which doubles up to the second. `refused` and `full` say whether these
    errors are retried, too: a recording that runs waits until an operator has repaired the store, one that
    has not started fails at once."""

    first_wait_ms: int = 500
    max_wait_ms: int = 60_000
    refused: bool = True
    full: bool = True

    def retries(self, error: BaseException) -> bool:
        """Whether a later attempt can succeed."""
        match error:
            case StorageUnavailable():
                return True
            case StorageRefused():
                return self.refused
            case StorageFull():
                return self.full
            case _:
                return False

    def wait_ms(self, attempt: int, error: StorageError, rng: random.Random) -> int:
        """How long to wait after the attempt of this number, counted from 1."""
        limit = min(self.max_wait_ms, self.first_wait_ms << min(attempt - 1, 30))
        backoff = limit / 2 + rng.random() * limit / 2
        asked = error.retry_after_ms if isinstance(error, StorageUnavailable) else 0
        # Jitter after the requested time, too: all callers were asked to wait for the same time.
        return round(backoff + asked) if asked else round(backoff)


async def retrying(
    call: Callable[[], Awaitable[T]],
    *,
    policy: RetryPolicy,
    rng: random.Random,
    on_failure: Callable[[Failure], None] = lambda failure: None,
    sleep: Sleep = asyncio.sleep,
) -> T:
    """Repeats `call` until it succeeds or fails with an error that the policy does not retry, and returns its
    value. Each failed attempt that is followed by another one is reported before the wait. Cancel it to give
    up."""

    def failure_of(state: RetryCallState) -> tuple[int, StorageError]:
        assert state.outcome is not None
        error = state.outcome.exception()
        assert isinstance(error, StorageError)
        return state.attempt_number, error

    def wait(state: RetryCallState) -> float:
        attempt, error = failure_of(state)
        return policy.wait_ms(attempt, error, rng) / 1000

    def report(state: RetryCallState) -> None:
        attempt, error = failure_of(state)
        assert state.next_action is not None
        on_failure(Failure(attempt, error, round(state.next_action.sleep * 1000)))

    async def once() -> T:  # tenacity awaits only what is declared as a coroutine function
        return await call()

    attempts = AsyncRetrying(
        stop=stop_never,
        wait=wait,
        retry=retry_if_exception(policy.retries),
        before_sleep=report,
        sleep=sleep,
        reraise=True,
    )
    return await attempts(once)
