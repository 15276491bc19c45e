"""Tasks that lose a cancellation end nevertheless."""

import asyncio

import pytest
from nexus_runtime import cancel_all, run_together
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


def test_works_that_run_together_end_although_one_loses_a_cancellation() -> None:
    lost = 0

    async def deaf() -> None:
        nonlocal lost
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost += 1
        await asyncio.Event().wait()

    async def main(clock: VirtualTimeLoop) -> None:
        running = asyncio.create_task(run_together({"deaf": deaf()}))
        await asyncio.sleep(0.1)
        for _ in range(3):  # as `cancel_all` of a caller does
            running.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([running])
        assert running.cancelled()
        assert len(asyncio.all_tasks()) == 1

    run_in_virtual_time(main)
    assert lost >= 1


def test_the_first_error_of_works_that_run_together_is_raised() -> None:
    async def waits() -> None:
        await asyncio.Event().wait()

    async def fails() -> None:
        raise ValueError("x")

    async def main(clock: VirtualTimeLoop) -> None:
        with pytest.raises(ValueError, match="x"):
            await run_together({"waits": waits(), "fails": fails()})
        assert len(asyncio.all_tasks()) == 1

    run_in_virtual_time(main)
