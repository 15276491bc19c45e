"""A service's life: start, run until told to stop, drain, end with an exit code that tells the truth.

`run(main)` calls `await main(life)` on uvloop. SIGTERM or SIGINT set `life.stopping`; a second one ends the
process at once. Background work is started with `life.supervise(...)`: should it ever fail, or end while
nobody has asked for that, the service logs which one and stops with a non-zero code, because a service with a
dead part inside is worse than one that its orchestrator restarts.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import structlog
import uvloop

from nexus_runtime.errors import NexusError

log = structlog.get_logger()

EXIT_OK = 0
EXIT_CRASHED = 1
EXIT_MISCONFIGURED = 2

Main = Callable[["Life"], Awaitable[None]]
DrainListener = Callable[[bool], None]


class Life:
    """Handed to `main`; knows whether the service is stopping, draining, or has lost a part of itself."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()
        self._draining = False
        self._drain_listeners: list[DrainListener] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.exit_code = EXIT_OK

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    @property
    def draining(self) -> bool:
        """Set by `drain()`: keep what is here, take nothing new. Stopping implies draining."""
        return self._draining

    def stop(self, exit_code: int = EXIT_OK) -> None:
        """Asks the service to end. The first non-zero code is the one that stays."""
        if self.exit_code == EXIT_OK:
            self.exit_code = exit_code
        self._stop.set()
        self._set_draining(True)

    def drain(self) -> None:
        """The one drain state of the service: its health, and every listener, follow it."""
        self._set_draining(True)

    def resume(self) -> None:
        """Undoes `drain`, unless the service is stopping."""
        if not self.stopping:
            self._set_draining(False)

    def on_drain(self, listener: DrainListener) -> None:
        """Calls `listener(draining)` at every change from now on."""
        self._drain_listeners.append(listener)

    def _set_draining(self, draining: bool) -> None:
        if draining == self._draining:
            return
        self._draining = draining
        if not self.stopping:
            log.info("draining" if draining else "drain_ended")
        for listener in self._drain_listeners:
            listener(draining)

    async def wait_until_stopping(self) -> None:
        await self._stop.wait()

    def supervise(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs `work` in the background for as long as the service lives; cancelled when it stops."""
        task = asyncio.create_task(self._watched(name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _watched(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception:
            log.critical("task_crashed", task=name, exc_info=True)
            self.stop(EXIT_CRASHED)
        else:
            if not self.stopping:
                log.critical("task_ended_early", task=name)
                self.stop(EXIT_CRASHED)

    async def cancel_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def run(main: Main) -> int:
    """Runs a service and returns its exit code, for ``sys.exit(run(main))``."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_live(main))


async def _live(main: Main) -> int:
    life = Life()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, life, number)
    body = asyncio.ensure_future(main(life))
    stop = asyncio.create_task(life.wait_until_stopping())
    try:
        await asyncio.wait({body, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not body.done() and life.exit_code != EXIT_OK:
            # A part has died; `main` may be waiting for something that will never come.
            body.cancel()
        await body
    except asyncio.CancelledError:
        if life.exit_code == EXIT_OK:
            raise
    except NexusError as error:
        log.critical(
            "service_failed", code=error.code, error=error.message, fault=error.fault, **error.fields
        )
        life.stop(EXIT_MISCONFIGURED if error.fault == "client" else EXIT_CRASHED)
    except Exception:
        log.critical("service_crashed", exc_info=True)
        life.stop(EXIT_CRASHED)
    finally:
        life.stop()
        stop.cancel()
        with suppress(asyncio.CancelledError):
            await stop
        await life.cancel_tasks()
    return life.exit_code


def _on_signal(life: Life, number: signal.Signals) -> None:
    if life.stopping:
        log.warning("stopped_at_once", signal=number.name)
        os._exit(128 + number)
    log.info("stopping", signal=number.name)
    life.stop()
