"""A foreign client as a process, with JSON lines in both directions (README.md, "The protocol")."""

import asyncio
import contextlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Variables that make the clients' stacks log warnings.
LOGGING = {"PION_LOG_WARN": "all"}
# Maximum length of a line: a line of the final report holds the checksums of a whole run.
LINE_LIMIT_BYTES = 4 * 1024 * 1024

Event = Mapping[str, Any]


class ClientFailed(AssertionError):
    """The client ended, or did not send an expected report; the message holds its last reports and log
    lines."""


@dataclass(slots=True)
class Participant:
    identity: str
    process: asyncio.subprocess.Process
    log: Path
    events: list[Event] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _reader: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, identity: str, command: Sequence[str], configuration: Mapping[str, Any], folder: Path
    ) -> "Participant":
        log = folder / f"{identity}.log"
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**os.environ, **LOGGING},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                limit=LINE_LIMIT_BYTES,
            )
        participant = cls(identity, process, log)
        participant._reader = asyncio.create_task(participant._read(), name=identity)
        await participant._write(configuration)
        return participant

    async def tell(self, command: str, **fields: Any) -> None:
        await self._write({"command": command, **fields})

    def all(self, event: str) -> list[Event]:
        return [one for one in self.events if one["event"] == event]

    async def until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Waits until reports fulfil `condition`. Raises ClientFailed on a timeout or if the process ends
        before."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: condition() or self.ended)
        except TimeoutError:
            raise self.failed(f"{what}: not within {seconds:.0f} s") from None
        if not condition():
            raise self.failed(f"{what}: the process ended before")

    async def has(self, event: str, seconds: float, count: int = 1) -> None:
        await self.until(lambda: len(self.all(event)) >= count, seconds, f"{count} × {event}")

    @property
    def ended(self) -> bool:
        return self._reader is not None and self._reader.done()

    def failed(self, why: str) -> ClientFailed:
        said = [json.dumps(one)[:300] for one in self.events if one["event"] not in ("second", "payloads")]
        return ClientFailed(
            f"{self.identity}: {why}\nlast reports:\n" + "\n".join(said[-12:]) + f"\n{self._last_words()}"
        )

    async def leave(self, seconds: float) -> int:
        """Asks the client to leave, and returns its exit code."""
        await self.tell("leave")
        try:
            async with asyncio.timeout(seconds):
                return await self.process.wait()
        except TimeoutError:
            raise self.failed(f"it did not end within {seconds:.0f} s after the command to leave") from None

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        if self._reader is not None:
            await self._reader

    async def _write(self, message: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        with contextlib.suppress(ConnectionError):  # `until` and `leave` report the end of the process
            await self.process.stdin.drain()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        try:
            # Kept beside the log, for the analysis of failures.
            with self.log.with_suffix(".jsonl").open("wb") as transcript:
                async for line in self.process.stdout:
                    transcript.write(line)
                    if not line.endswith(b"\n"):
                        break  # the process was killed while it wrote
                    event = json.loads(line)
                    async with self._changed:
                        self.events.append(event)
                        self._changed.notify_all()
        finally:
            asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(self._notify()))

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]
