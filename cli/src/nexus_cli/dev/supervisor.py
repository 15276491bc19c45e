"""Starts processes in order, ends them in the opposite order, and ends them all when one of them dies.

Knows nothing about calls: what to start is `services.py`, when a call can be made is `readiness.py`.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from nexus_cli.dev.log_view import LogView
from nexus_cli.dev.process import Child

EXIT_CHILD_ENDED_EARLY: Final = 1
EXIT_NEVER_READY: Final = 1

Environment = Mapping[str, str]
T = TypeVar("T")


class NeverReady(Exception):
    """A process runs and yet does not do what it is for; the message says what was waited for."""


async def _at_once() -> Environment:
    return {}


@dataclass(frozen=True, slots=True)
class Stage:
    """One process, and what the next ones wait for: `started` returns what it adds to their environment, for
    example its address, or raises NeverReady."""

    name: str
    command: Sequence[str]
    environment: Environment = field(default_factory=dict)
    started: Callable[[], Awaitable[Environment]] = _at_once
    shown: Callable[[str], bool] = lambda line: True
    """Which lines of its log are worth a look."""


class Supervisor:
    """`await run(stages, ready)` returns the exit code for the whole."""

    def __init__(self, log: LogView, *, stop_seconds: float = 12.0) -> None:
        self._log = log
        self._stop_seconds = stop_seconds
        self._children: list[Child] = []
        self._asked_to_stop = asyncio.Event()
        self._exit_code = 0

    @property
    def children(self) -> Sequence[Child]:
        return tuple(self._children)

    def stop(self) -> None:
        """A Ctrl-C. The second one is impatient."""
        if self._asked_to_stop.is_set():
            self._log.own("killing what is left")
            for child in self._children:
                child.kill()
            return
        self._log.own("stopping")
        self._asked_to_stop.set()

    async def run(self, stages: Sequence[Stage], ready: Callable[[Environment], Awaitable[None]]) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        work = asyncio.create_task(self._start_all(stages, ready))
        stop = asyncio.create_task(self._asked_to_stop.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        except NeverReady as error:
            self._log.own(f"not ready: {error}")
            self._exit_code = self._exit_code or EXIT_NEVER_READY
        except OSError as error:
            self._log.own(f"cannot start: {error}")
            self._exit_code = self._exit_code or EXIT_NEVER_READY
        finally:
            work.cancel()
            stop.cancel()
            await asyncio.gather(work, stop, return_exceptions=True)
            await self._stop_all()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
        return self._exit_code

    async def _start_all(
        self, stages: Sequence[Stage], ready: Callable[[Environment], Awaitable[None]]
    ) -> None:
        """Returns only when a child has died."""
        added: dict[str, str] = {}
        death: asyncio.Task[None] | None = None
        try:
            for stage in stages:
                await self._start(stage, added)
                if death is not None:
                    death.cancel()
                death = asyncio.create_task(self._first_death())
                added |= await self._unless(death, stage.started())
            assert death is not None
            await self._unless(death, ready(added))
            await death
        except _ChildDied:
            return
        finally:
            if death is not None:
                death.cancel()

    async def _start(self, stage: Stage, added: Environment) -> None:
        def on_line(text: str) -> None:
            if stage.shown(text):
                self._log.line(stage.name, text)

        environment = {**os.environ, **stage.environment, **added}
        self._children.append(await Child.start(stage.name, stage.command, environment, on_line))

    async def _unless(self, death: asyncio.Task[None], awaitable: Awaitable[T]) -> T:
        """Its result, unless a child dies first."""
        task = asyncio.ensure_future(awaitable)
        try:
            await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
            if death.done():
                raise _ChildDied
            return task.result()
        finally:
            task.cancel()

    async def _first_death(self) -> None:
        waits = {asyncio.create_task(child.wait()): child for child in self._children}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        for wait in done:
            if self._asked_to_stop.is_set():
                return
            code = wait.result()
            self._log.own(f"{waits[wait].name} died with exit code {code}: stopping everything")
            # A service that leaves unasked with code 0 has failed us all the same.
            self._exit_code = self._exit_code or code or EXIT_CHILD_ENDED_EARLY

    async def _stop_all(self) -> None:
        for child in reversed(self._children):
            if child.running and not await child.stop(self._stop_seconds):
                self._log.own(f"{child.name} did not stop within {self._stop_seconds:g} s and was killed")
        sys.stdout.flush()


class _ChildDied(Exception):
    pass
