"""Starts processes in order, stops them in reverse order, and stops all of them when one exits.

It knows nothing about calls: `services.py` defines the processes and `readiness.py` when calls are possible.
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
    """A process runs but did not become ready in time; the message names the missing part."""


async def _at_once() -> Environment:
    return {}


@dataclass(frozen=True, slots=True)
class Stage:
    """One process. The next one starts after `started`, which returns variables for the environment of the
    later processes, for example an address, or raises NeverReady."""

    name: str
    command: Sequence[str]
    environment: Environment = field(default_factory=dict)
    started: Callable[[], Awaitable[Environment]] = _at_once
    shown: Callable[[str], bool] = lambda line: True
    """Selects the lines of its log that are shown."""


class Supervisor:
    """Runs stages. `await run(stages, ready)` returns the exit code of `nexus dev`."""

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
        """Handles Ctrl-C: the first stops the children, the second kills them."""
        if self._asked_to_stop.is_set():
            self._log.own("killing the remaining processes")
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
        """Starts all stages, then returns when a child exits."""
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
        """The result of `awaitable`. Raises _ChildDied if a child exits first."""
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
            self._log.own(f"{waits[wait].name} exited with code {code}: stopping everything")
            # A service that exits on its own has failed, even with code 0.
            self._exit_code = self._exit_code or code or EXIT_CHILD_ENDED_EARLY

    async def _stop_all(self) -> None:
        for child in reversed(self._children):
            if child.running and not await child.stop(self._stop_seconds):
                self._log.own(f"{child.name} did not stop within {self._stop_seconds:g} s and was killed")
        sys.stdout.flush()


class _ChildDied(Exception):
    pass
