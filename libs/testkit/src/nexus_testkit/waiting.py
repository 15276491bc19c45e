"""Waiting for a condition instead of for a time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast, overload

T = TypeVar("T")

POLL_SECONDS = 0.01


class ConditionNotMet(AssertionError):
    """The condition did not become true within the timeout."""


@overload
async def wait_until(predicate: Callable[[], Awaitable[T]], timeout: float = ..., what: str = ...) -> T: ...
@overload
async def wait_until(predicate: Callable[[], T], timeout: float = ..., what: str = ...) -> T: ...
async def wait_until(predicate: Callable[[], T | Awaitable[T]], timeout: float = 10.0, what: str = "") -> T:
    """Polls `predicate` (sync or async) until it is true, and returns its value.

    Raises ConditionNotMet, with the last value, after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = predicate()
        value = cast(T, await answer if inspect.isawaitable(answer) else answer)
        if value:
            return value
        if time.monotonic() >= deadline:
            raise ConditionNotMet(
                f"{what or 'the condition'} did not hold within {timeout} s; last value {value!r}"
            )
        await asyncio.sleep(POLL_SECONDS)
