"""A child process of `nexus dev`.

It runs in its own session, so that Ctrl-C reaches only `nexus dev`, which then stops the children in order.
The kernel kills it when `nexus dev` dies for any reason (prctl(2), PR_SET_PDEATHSIG).
"""

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from nexus_cli.dev.lines import LineSplitter

_PR_SET_PDEATHSIG: Final = 1
_CHUNK_BYTES: Final = 64 * 1024
# Loaded before any fork, because hardly any operation is safe between fork and exec.
_PRCTL = ctypes.CDLL(None, use_errno=True).prctl


def _dies_with(parent: int) -> Callable[[], None]:
    def between_fork_and_exec() -> None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the call
            os._exit(1)

    return between_fork_and_exec


class Child:
    """A running process. Each line of its standard output and standard error goes to `on_line`."""

    def __init__(
        self, name: str, process: asyncio.subprocess.Process, on_line: Callable[[str], None]
    ) -> None:
        self.name = name
        self._process = process
        self._on_line = on_line
        self._ended = asyncio.create_task(self._run(), name=f"{name} output")

    @classmethod
    async def start(
        cls, name: str, command: Sequence[str], environment: Mapping[str, str], on_line: Callable[[str], None]
    ) -> "Child":
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_dies_with(os.getpid()),
        )
        return cls(name, process, on_line)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def wait(self) -> int:
        """Waits for the end and returns the exit code; 128 + n if signal n ended the process, as in a
        shell."""
        await asyncio.shield(self._ended)
        code = self._process.returncode
        assert code is not None
        return code if code >= 0 else 128 - code

    async def stop(self, deadline_seconds: float) -> bool:
        """Sends SIGTERM and, after the deadline, SIGKILL to the process and its children. Returns whether
        SIGTERM was enough."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_seconds):
                await self.wait()
            return True
        self.kill()
        await self.wait()
        return False

    def kill(self) -> None:
        """Kills the process and its children, which share its process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _run(self) -> None:
        output = asyncio.create_task(self._pump())
        await self._process.wait()
        # The last lines are still in the pipe. A grandchild may hold the pipe open, so the wait is bounded.
        done, _ = await asyncio.wait({output}, timeout=1.0)
        if not done:
            output.cancel()

    async def _pump(self) -> None:
        assert self._process.stdout is not None
        splitter = LineSplitter()
        while chunk := await self._process.stdout.read(_CHUNK_BYTES):
            for line in splitter.feed(chunk):
                self._on_line(line)
        for line in splitter.finish():
            self._on_line(line)
