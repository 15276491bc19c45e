"""Waiting for an event."""

import asyncio

import pytest
from nexus_runtime import is_set_within
from nexus_testkit import VirtualTimeLoop, run_in_virtual_time


@pytest.mark.parametrize(
    ("set_after", "expected", "until"), [(0.0, True, 0.0), (2.0, True, 2.0), (9.0, False, 5.0)]
)
def test_it_returns_when_the_event_is_set_or_the_time_is_over(
    set_after: float, expected: bool, until: float
) -> None:
    async def main(clock: VirtualTimeLoop) -> None:
        loop = asyncio.get_running_loop()
        began, event = loop.time(), asyncio.Event()
        loop.call_later(set_after, event.set)
        assert await is_set_within(event, 5.0) is expected
        assert loop.time() - began == pytest.approx(until)

    run_in_virtual_time(main)


def test_a_cancellation_that_comes_together_with_the_event_is_not_lost() -> None:
    async def main(clock: VirtualTimeLoop) -> None:
        event = asyncio.Event()
        waiting = asyncio.create_task(is_set_within(event, 5.0))
        await asyncio.sleep(1.0)
        event.set()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run_in_virtual_time(main)
