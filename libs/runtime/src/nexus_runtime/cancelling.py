"""Ends tasks for certain."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

# How long tasks have to end until they are cancelled again.
AGAIN_SECONDS: Final = 0.5


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels tasks until they have ended. Their results and errors stay in them.

    `asyncio.wait_for` of Python 3.11, with which nats-py waits for answers, drops a cancellation that comes
    together with the answer. The task then goes on, so once is not enough.
    """
    every = list(tasks)
    while pending := [task for task in every if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=AGAIN_SECONDS)
    for task in every:
        if not task.cancelled():
            task.exception()  # marks it as seen
