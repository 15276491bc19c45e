"""Telemetry of one attempt to join and of the participant that it becomes: measures once a second, records
events, keeps all of it until the server has stored it, and reports over HTTP what a session cannot carry any
more."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from importlib import metadata
from typing import Final, Protocol

from nexus.qoe.v1 import telemetry_pb2 as qoe
from nexus.signaling.v1 import session_pb2 as wire

from nexus_rtc.errors import NexusError
from nexus_rtc.server_http import send_request
from nexus_rtc.session import TelemetryStored
from nexus_rtc.telemetry import LEVELS, PathReading, Sampler, TelemetryOption, TrackReading
from nexus_rtc.telemetry_outbox import TelemetryOutbox

INTERVAL_SECONDS: Final = 1.0
"""How often the call is measured."""

MAX_EVENTS: Final = 32
"""Maximum number of events in a sample."""

REPORT_BYTES: Final = 240 * 1024
"""Maximum size of a report over HTTP."""

REPORT_SECONDS: Final = 3.0
"""How long a report over HTTP may take; leaving waits for it."""

_STEPS: Final = tuple(value for value in qoe.JoinStep.values() if value)
Post = Callable[[wire.TelemetryReport], Awaitable[None]]


class MeasuredRoom(Protocol):
    """The parts of a room that telemetry uses."""

    async def read(self) -> tuple[PathReading, Iterable[TrackReading]]: ...

    def steps(self) -> Iterable[tuple[qoe.JoinStep.ValueType, float]]:
        """The steps that the media have reached, with their times on the monotonic clock."""

    async def tell(self, message: wire.ClientMessage) -> None: ...


def allowed_level(option: TelemetryOption, claim: object) -> int:
    """The lower of the application's level and the token's; an unknown claim counts as none. Raises
    ValueError for an unknown option."""
    if option not in LEVELS:
        raise ValueError(f"telemetry must be one of {', '.join(LEVELS)}")
    return min(LEVELS[option], LEVELS.get(str(claim), LEVELS["on"]))


def poster(url: str, token: str) -> Post:
    """Posts reports to the server at `url`."""

    async def post(report: wire.TelemetryReport) -> None:
        await send_request(
            url,
            "POST",
            "/v1/telemetry",
            token,
            body=report.SerializeToString(),
            headers={"Content-Type": "application/x-protobuf"},
            timeout_seconds=REPORT_SECONDS,
        )

    return post


class Telemetry:
    def __init__(
        self, level: int, room: str, post: Post, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._level = level
        self._room = room
        self._post = post
        self._clock = clock
        self._started_at = clock()
        self._outbox = TelemetryOutbox()
        self._sampler = Sampler(self._ms(self._started_at))
        self._attempt_id = str(uuid.uuid4())
        self._participant_id = ""
        self._events: list[qoe.TelemetryEvent] = []
        self._reached: set[int] = set()
        self._measured: MeasuredRoom | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.reached(qoe.JOIN_STEP_TOKEN)

    @property
    def enabled(self) -> bool:
        """Whether application, token and server allow telemetry."""
        return self._level > qoe.TELEMETRY_LEVEL_OFF

    def reached(self, step: qoe.JoinStep.ValueType, at: float | None = None) -> None:
        """Records a step of the join. `at`: monotonic, in seconds; None: now."""
        if step not in self._reached:
            self._reached.add(step)
            then = self._clock() if at is None else at
            self._record(join_step=qoe.JoinStepReached(step=step, after_ms=self._after_ms(then)))

    def failed(self, error: BaseException) -> None:
        code = error.code if isinstance(error, NexusError) else "UNKNOWN"
        self._record(error=qoe.ErrorRaised(code=code))

    def published(self, track_id: str, since: float) -> None:
        """Records a publication that was requested at `since`, monotonic, in seconds."""
        after_ms = self._ms(self._clock()) - self._ms(since)
        self._record(published=qoe.TrackPublishing(track_id=track_id, after_ms=max(0, after_ms)))

    def start(self, measured: MeasuredRoom, participant_id: str, allowed: int) -> None:
        """Measures a room that has been joined. `allowed`: the level that the server allows."""
        self._level = min(self._level, allowed)
        if self._level < qoe.TELEMETRY_LEVEL_ON:
            self._events.clear()
        if not self.enabled:
            return
        self._measured = measured
        self._participant_id = participant_id
        self._task = asyncio.create_task(self._run(), name="telemetry")

    def stored(self, stored: TelemetryStored) -> None:
        self._outbox.stored(stored.number, resend=stored.resend)

    async def measure(self) -> None:
        """Measures once, and sends what has not been sent."""
        if self._measured is None:
            return
        path, tracks = await self._measured.read()
        self._note_steps()
        sample, series = self._sampler.sample(path, tracks, self._ms(self._clock()))
        self._add(sample, series)
        for telemetry in self._outbox.unsent():
            await self._measured.tell(wire.ClientMessage(telemetry=telemetry))

    async def close(self, error: BaseException | None = None) -> None:
        """Ends the measurements after the session has ended, or the join has failed with `error`, and reports
        over HTTP what the server has not stored. A report that fails is lost."""
        if self._closed:
            return
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if not self.enabled:
            return
        if isinstance(error, NexusError):
            self._note_failure(error)
        if self._events:
            self._add(qoe.TelemetrySample(), [])
        for telemetry in self._outbox.remaining(REPORT_BYTES):
            with contextlib.suppress(NexusError, ValueError):
                await self._post(self._report(telemetry))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                await self.measure()
            except NexusError:
                return  # the connection reports it

    def _note_steps(self) -> None:
        if self._measured is not None:
            for step, at in self._measured.steps():
                self.reached(step, at)

    def _note_failure(self, error: NexusError) -> None:
        self._note_steps()
        missing = next((step for step in _STEPS if step not in self._reached), None)
        if missing is None or missing > qoe.JOIN_STEP_DTLS:
            self.failed(error)
            return
        after_ms = self._after_ms(self._clock())
        self._record(join_failed=qoe.JoinFailed(step=missing, after_ms=after_ms, code=error.code))

    def _add(self, sample: qoe.TelemetrySample, series: Sequence[qoe.TrackSeries]) -> None:
        now_ms = self._ms(self._clock())
        sample.at_ms = now_ms
        sample.wall_at_ms = round(time.time() * 1000)  # noqa: TID251 - a date for readers
        sample.events.extend(self._events)
        self._events.clear()
        self._outbox.add(sample, series, now_ms)

    def _record(self, **event: object) -> None:
        if self._level >= qoe.TELEMETRY_LEVEL_ON and len(self._events) < MAX_EVENTS:
            at_ms = self._ms(self._clock())
            self._events.append(qoe.TelemetryEvent(at_ms=at_ms, **event))  # type: ignore[arg-type]

    def _report(self, telemetry: qoe.Telemetry) -> wire.TelemetryReport:
        return wire.TelemetryReport(
            room=self._room,
            participant_id=self._participant_id,
            attempt_id=self._attempt_id,
            client=wire.ClientDescription(sdk="python", version=metadata.version("nexus-rtc")),
            level=self._level,  # type: ignore[arg-type]
            telemetry=telemetry,
        )

    def _after_ms(self, at: float) -> int:
        return max(0, self._ms(at) - self._ms(self._started_at))

    @staticmethod
    def _ms(seconds: float) -> int:
        return round(seconds * 1000)
