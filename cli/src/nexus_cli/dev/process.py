"""A child process of `nexus dev`: in a session of its own, so that a Ctrl-C reaches us alone and we stop the
children in order; and dead when we are, however we die (prctl(2), PR_SET_PDEATHSIG)."""

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
# Loaded before any fork: between fork and exec hardly anything may be done safely.
_PRCTL = ctypes.CDLL(None, use_errno=True).prctl


def _dies_with(parent: int) -> Callable[[], None]:
    def between_fork_and_exec() -> None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before we could ask to be told
            os._exit(1)

    return between_fork_and_exec


class Child:
    """A running process whose output, both streams, goes line by line to `on_line`."""

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
        """The exit code; 128 + n when signal n ended it, as a shell says it."""
        await asyncio.shield(self._ended)
        code = self._process.returncode
        assert code is not None
        return code if code >= 0 else 128 - code

    async def stop(self, deadline_seconds: float) -> bool:
        """SIGTERM, then, past the deadline, SIGKILL for it and whatever it started. True if the first was
        enough."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wait(), deadline_seconds)
            return True
        self.kill()
        await self.wait()
        return False

    def kill(self) -> None:
        """At once. The session that it leads is its own process group, so its children go with it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _run(self) -> None:
        output = asyncio.create_task(self._pump())
        await self._process.wait()
        # Its last words are in the pipe. A grandchild may hold the pipe open; that is no reason to wait for
        # ever.
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
