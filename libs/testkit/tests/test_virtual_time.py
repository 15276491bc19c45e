"""The event loop with virtual time."""

import asyncio
import time

import pytest
from nexus_testkit import NothingScheduled, VirtualTimeLoop, run_in_virtual_time


def test_time_jumps_to_the_next_timer_in_order() -> None:
    order: list[tuple[str, int]] = []

    async def main(clock: VirtualTimeLoop) -> None:
        began_ms = clock.monotonic_ms()

        async def wait(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            order.append((name, clock.monotonic_ms() - began_ms))

        await asyncio.gather(wait("b", 3600), wait("a", 0.5))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 60)
        order.append(("timeout", clock.monotonic_ms() - began_ms))

    began = time.monotonic()
    run_in_virtual_time(main)
    assert order == [("a", 500), ("b", 3_600_000), ("timeout", 3_660_000)]
    assert time.monotonic() - began < 3600


def test_both_clocks_move_together() -> None:
    async def main(clock: VirtualTimeLoop) -> None:
        before = clock.now()
        await asyncio.sleep(2)
        after = clock.now()
        assert after.monotonic_ms - before.monotonic_ms == after.epoch_ms - before.epoch_ms == 2_000

    run_in_virtual_time(main)


def test_a_deadlock_is_an_error() -> None:
    async def main(clock: VirtualTimeLoop) -> None:
        await asyncio.Event().wait()

    with pytest.raises(NothingScheduled):
        run_in_virtual_time(main)
