"""Tasks that lose a cancellation end nevertheless."""

import asyncio

from nexus_runtime import cancel_all
from nexus_testkit import VirtualTimeLoop, run_in_virtual_time


def test_a_task_that_loses_its_first_cancellation_ends() -> None:
    lost = 0

    async def deaf() -> None:
        nonlocal lost
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost += 1
        await asyncio.Event().wait()

    async def fails() -> None:
        raise ValueError

    async def main(clock: VirtualTimeLoop) -> None:
        tasks = [asyncio.create_task(deaf()), asyncio.create_task(fails())]
        await asyncio.sleep(0)
        await cancel_all(tasks)
        assert all(task.done() for task in tasks)

    run_in_virtual_time(main)
    assert lost == 1
