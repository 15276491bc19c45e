"""The life cycle of a service: start, run until asked to stop, drain, and end with a truthful exit code.

`run(main)` calls `await main(life)` on uvloop. SIGTERM or SIGINT set `life.stopping`; a second signal ends
the process at once. `life.supervise(...)` starts background work. If such a task fails, or ends before the
service stops, the service logs its name and stops with a non-zero code, because an orchestrator can restart a
process that has ended, but not one with a dead part inside.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import structlog
import uvloop

from nexus_runtime.cancelling import cancel_all
from nexus_runtime.errors import NexusError

log = structlog.get_logger()

EXIT_OK = 0
EXIT_CRASHED = 1
EXIT_MISCONFIGURED = 2

Main = Callable[["Life"], Awaitable[None]]
DrainListener = Callable[[bool], None]


class Life:
    """The state of the process, passed to `main`: stopping, draining, exit code and supervised tasks."""

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
        """Whether to continue present work but accept no new work. Stopping implies draining."""
        return self._draining

    def stop(self, exit_code: int = EXIT_OK) -> None:
        """Asks the service to end. The first non-zero exit code is kept."""
        if self.exit_code == EXIT_OK:
            self.exit_code = exit_code
        self._stop.set()
        self._set_draining(True)

    def drain(self) -> None:
        """Starts draining. This is the service's only drain state: its health and every listener follow
        it."""
        self._set_draining(True)

    def resume(self) -> None:
        """Undoes `drain`, unless the service is stopping."""
        if not self.stopping:
            self._set_draining(False)

    def on_drain(self, listener: DrainListener) -> None:
        """Calls `listener(draining)` at every later change."""
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
        """Runs `work` in the background until the service stops, which cancels it."""
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
        await cancel_all(self._tasks)


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
            # A supervised task has failed; `main` may be waiting for it in vain.
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
