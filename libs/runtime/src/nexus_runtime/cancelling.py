"""Ends tasks for certain."""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, Final

# How long tasks have to end until they are cancelled again.
AGAIN_SECONDS: Final = 0.5


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels tasks until they have ended. Their results and errors stay in them.

    `asyncio.wait_for` of Python 3.11, with which nats-py waits for answers, drops a cancellation that comes
    together with the answer. The task then goes on, so once is not enough. If the caller is cancelled
    meanwhile, that is raised when all have ended.
    """
    every = list(tasks)
    interrupted: asyncio.CancelledError | None = None
    while pending := [task for task in every if not task.done()]:
        for task in pending:
            task.cancel()
        try:
            await asyncio.wait(pending, timeout=AGAIN_SECONDS)
        except asyncio.CancelledError as error:
            interrupted = error
    for task in every:
        if not task.cancelled():
            task.exception()  # marks it as seen
    if interrupted is not None:
        raise interrupted


async def run_together(works: Mapping[str, Coroutine[Any, Any, None]]) -> None:
    """Runs named tasks until all have ended. The first error ends the others and is raised. A task group of
    asyncio cancels its tasks only once, and then waits for ever for one that has lost its cancellation."""
    tasks = [asyncio.create_task(work, name=name) for name, work in works.items()]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        await cancel_all(tasks)
