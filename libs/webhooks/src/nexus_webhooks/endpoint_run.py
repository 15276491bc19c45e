"""The deliveries to one endpoint, by the process that owns them."""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog
from nexus_bus import (
    Bus,
    BusError,
    KeyExists,
    MessagesDropped,
    RevisionMismatch,
    StoredMessage,
    StreamMissing,
    StreamReader,
    StreamRecreated,
)
from nexus_runtime import Clock, cancel_all, is_set_within

from nexus_webhooks.core import endpoint_queue as core
from nexus_webhooks.core.endpoint_queue import Attempt, EndpointQueue, QueueLimits
from nexus_webhooks.core.schedule import Schedule
from nexus_webhooks.endpoints import Endpoint
from nexus_webhooks.event import MAX_BODY_BYTES, EventSource, WebhookEvent
from nexus_webhooks.metrics import WebhookMetrics
from nexus_webhooks.records import EndpointRecords, StoredState
from nexus_webhooks.sender import Accepted, Answer, GoneForever

log = structlog.get_logger()

# How long one read of a stream waits for a message.
READ_SECONDS: Final = 5.0
# How often a stream is looked for that does not exist, because its service has never run.
MISSING_SECONDS: Final = 5.0
# Maximum number of messages that are buffered for one endpoint before they are read.
MAX_PENDING: Final = 64
RETRY_SECONDS: Final = 1.0
# Shortest time between two writes of the record. What is delivered between the last one and a crash is sent
# again.
SAVE_SECONDS: Final = 0.5
# How often the record of a disabled endpoint is read, to see whether it was enabled.
DISABLED_SECONDS: Final = 5.0
# Maximum number and size of events that were read and are kept until their first attempt, which then needs no
# read.
MAX_FRESH: Final = 64
MAX_FRESH_BYTES: Final = 16 * 1024

Post = Callable[[Endpoint, WebhookEvent], Awaitable[Answer]]


class Superseded(Exception):
    """Another process delivers for this endpoint."""


@dataclass(frozen=True, slots=True)
class RunParts:
    """The parts that all runs of a process share. `turns` bounds the attempts in all."""

    bus: Bus
    clock: Clock
    records: EndpointRecords
    sources: tuple[EventSource, ...]
    post: Post
    turns: asyncio.Semaphore
    random_source: random.Random
    metrics: WebhookMetrics
    schedule: Schedule = field(default_factory=Schedule)
    limits: QueueLimits = field(default_factory=QueueLimits)


async def last_sequence(bus: Bus, stream: str) -> int:
    """The sequence of the last event of a stream; 0 if there is none. Raises BusError."""
    try:
        return (await bus.bounds(stream)).next - 1
    except StreamMissing:
        return 0


class EndpointRun:
    """`confirmed` returns when this process may act as the owner, and raises if it is not the owner any
    more."""

    def __init__(self, endpoint: Endpoint, parts: RunParts, confirmed: Callable[[], Awaitable[None]]) -> None:
        self._endpoint = endpoint
        self._parts = parts
        self._confirmed = confirmed
        self._sources = {source.stream: source for source in parts.sources}
        self._queue: EndpointQueue
        self._epoch = 0
        self._revision = 0
        self._fresh: OrderedDict[tuple[str, int], WebhookEvent] = OrderedDict()
        self._attempts: set[asyncio.Task[None]] = set()
        self._saving = asyncio.Lock()
        self._changed = asyncio.Event()  # the queue has handled an input
        self._unsaved = asyncio.Event()
        self._may_read = asyncio.Event()

    async def run(self, until: Awaitable[None]) -> None:
        """Delivers until `until` returns; attempts that are being made then are finished. Raises, in a
        group, Superseded, and StreamRecreated if the deliveries must begin again from the record."""
        await self._claim()
        metrics, endpoint_id = self._parts.metrics, self._endpoint.id
        metrics.running.inc()
        self._show()
        try:
            async with asyncio.TaskGroup() as tasks:
                saving = tasks.create_task(self._save_forever())
                working = [tasks.create_task(self._read(source)) for source in self._parts.sources]
                working.append(tasks.create_task(self._attempt_forever(tasks)))
                working.append(tasks.create_task(self._watch_enabled()))
                try:
                    await until
                    await cancel_all(working)
                    if self._attempts:
                        await asyncio.wait(self._attempts)
                    async with self._saving:  # a write that is cancelled may or may not be stored
                        saving.cancel()
                finally:  # a task group cancels only once
                    await cancel_all([*working, saving])
            with suppress(BusError):  # at worst, the last events are sent twice
                await self._save()
        finally:
            metrics.running.dec()
            metrics.forget(endpoint_id)

    # Ownership and the record

    async def _claim(self) -> None:
        """Reads the record and writes it with a new epoch, which fences off an older owner."""
        while True:
            try:
                await self._confirmed()
                stored = await self._parts.records.read(self._endpoint)
                await self._open(stored)
                await self._save()
                return
            except (RevisionMismatch, KeyExists):
                continue
            except BusError as error:
                log.debug("webhook_endpoint_not_opened", endpoint=self._endpoint.id, error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _open(self, stored: StoredState) -> None:
        parts = self._parts
        self._epoch, self._revision = stored.epoch + 1, stored.revision
        self._queue = EndpointQueue(
            stored.state, parts.clock.now(), parts.random_source, parts.schedule, parts.limits
        )
        for stream in self._sources:
            last = await last_sequence(parts.bus, stream)
            if stream not in stored.state.positions:
                self._queue.begin(stream, last)  # a new source of events; a new endpoint has a position
            elif self._queue.position(stream) > last:
                log.warning("webhook_stream_began_again", endpoint=self._endpoint.id, stream=stream)
                self._queue.begin(stream, 0)

    async def _save(self) -> None:
        """Raises BusError, with RevisionMismatch and KeyExists if another process was faster."""
        self._unsaved.clear()
        state = self._queue.state(self._parts.clock.now())
        self._revision = await self._parts.records.write(self._endpoint, self._epoch, state, self._revision)

    async def _save_forever(self) -> None:
        while True:
            await self._unsaved.wait()
            async with self._saving:
                try:
                    await self._save()
                except (RevisionMismatch, KeyExists):
                    self._unsaved.set()
                    await self._reread()
                except BusError as error:
                    self._unsaved.set()
                    log.debug("webhook_state_not_saved", endpoint=self._endpoint.id, error=repr(error))
            await asyncio.sleep(SAVE_SECONDS)

    async def _reread(self) -> None:
        """Finds out who wrote the record. Raises Superseded if it was another owner."""
        with suppress(BusError):
            stored = await self._parts.records.read(self._endpoint)
            if stored.epoch != self._epoch:
                self._parts.metrics.superseded.inc()
                log.warning("webhook_endpoint_superseded", endpoint=self._endpoint.id, epoch=self._epoch)
                raise Superseded(self._endpoint.id)
            self._revision = stored.revision  # an own write without an answer, or an operator's

    async def _watch_enabled(self) -> None:
        """Notices that an operator has enabled the endpoint again."""
        while True:
            await asyncio.sleep(DISABLED_SECONDS)
            if not self._queue.disabled or self._unsaved.is_set():
                continue
            with suppress(BusError):
                stored = await self._parts.records.read(self._endpoint)
                if stored.epoch == self._epoch and stored.state.disabled_at_ms == 0:
                    self._revision = stored.revision
                    log.info("webhook_endpoint_enabled", endpoint=self._endpoint.id)
                    self._handle(core.Enabled())

    # Reading

    async def _read(self, source: EventSource) -> None:
        """Reads a stream from front to back. Raises StreamRecreated."""
        pattern = source.pattern(self._endpoint.app)
        while True:
            try:
                first = self._queue.position(source.stream) + 1
                async with await self._parts.bus.read_stream(
                    source.stream, pattern, first, max_pending=MAX_PENDING
                ) as reader:
                    await self._follow(source, reader)
            except StreamRecreated:
                log.warning("webhook_stream_began_again", endpoint=self._endpoint.id, stream=source.stream)
                raise
            except BusError as error:
                log.debug("webhook_stream_not_read", stream=source.stream, error=repr(error))
                await asyncio.sleep(MISSING_SECONDS if isinstance(error, StreamMissing) else RETRY_SECONDS)

    async def _follow(self, source: EventSource, reader: StreamReader) -> None:
        """Raises StreamRecreated, BusError."""
        while True:
            while not self._queue.may_read:
                self._may_read.clear()
                await self._may_read.wait()
            try:
                messages = await reader.read(limit=1, timeout_seconds=READ_SECONDS)
            except MessagesDropped as dropped:
                self._parts.metrics.dropped.inc()
                log.error(
                    "webhook_events_dropped",
                    endpoint=self._endpoint.id,
                    stream=source.stream,
                    first=dropped.first,
                    last=dropped.last,
                )
                continue
            for message in messages:
                self._note(source, message)
            # The position of the reader also grows while only messages of other apps arrive.
            if not messages and reader.position - 1 > self._queue.position(source.stream):
                self._handle(core.Read(source.stream, reader.position - 1, None))

    def _note(self, source: EventSource, message: StoredMessage) -> None:
        event = source.read(message)
        if event is None:
            self._parts.metrics.malformed.inc()
            log.warning("webhook_event_malformed", stream=source.stream, sequence=message.sequence)
        wanted = event is not None and self._wants(source, event)
        if event is not None and wanted:
            if len(event.body) <= MAX_FRESH_BYTES:
                self._fresh[source.stream, message.sequence] = event
            if len(self._fresh) > MAX_FRESH:
                self._fresh.popitem(last=False)
        self._handle(
            core.Read(source.stream, message.sequence, event.room if event is not None and wanted else None)
        )

    def _wants(self, source: EventSource, event: WebhookEvent) -> bool:
        return self._endpoint.wants(event.type, on_request=event.type in source.on_request)

    async def _find(self, attempt: Attempt) -> tuple[int, WebhookEvent] | None:
        """The event of an attempt and its sequence number; None if there is none. Raises BusError."""
        source = self._sources[attempt.key.stream]
        # The attempt's number may be that of another room's event: this room's first one is at or behind it.
        fresh = self._fresh.get((source.stream, attempt.sequence))
        if fresh is not None and fresh.room == attempt.key.room:
            del self._fresh[source.stream, attempt.sequence]
            return attempt.sequence, fresh
        pattern = source.room_pattern(self._endpoint.app, attempt.key.room)
        first = attempt.sequence
        while (message := await self._parts.bus.next_message(source.stream, first, pattern)) is not None:
            if message.sequence > attempt.through:
                return None
            event = source.read(message)
            if event is not None and self._wants(source, event):
                return message.sequence, event
            first = message.sequence + 1
        return None

    # Attempts

    def _handle(self, event: core.Input) -> list[core.Effect]:
        effects = self._queue.handle(event, self._parts.clock.now())
        self._changed.set()
        self._unsaved.set()
        if self._queue.may_read:
            self._may_read.set()
        self._show()
        return effects

    def _show(self) -> None:
        metrics, name = self._parts.metrics, self._endpoint.id
        metrics.waiting.labels(name).set(self._queue.waiting_rooms)
        waited_ms = self._queue.waited_ms(self._parts.clock.monotonic_ms())
        metrics.waited.labels(name).set(waited_ms / 1000)
        metrics.disabled.labels(name).set(self._queue.disabled)

    async def _attempt_forever(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            self._changed.clear()
            now_ms = self._parts.clock.monotonic_ms()
            for attempt in self._queue.due(now_ms):
                task = tasks.create_task(self._attempt(attempt))
                self._attempts.add(task)
                task.add_done_callback(self._attempts.discard)
            deadline_ms = self._queue.next_deadline()
            wait_ms = 60_000 if deadline_ms is None else max(1, deadline_ms - now_ms)
            await is_set_within(self._changed, min(wait_ms, 60_000) / 1000)
            self._show()

    async def _attempt(self, attempt: Attempt) -> None:
        async with self._parts.turns:
            self._report(attempt, await self._result(attempt))

    async def _result(self, attempt: Attempt) -> tuple[core.Input, WebhookEvent | None]:
        await self._confirmed()
        try:
            found = await self._find(attempt)
        except BusError:
            return core.Unread(attempt.key), None
        if found is None:
            return core.CaughtUp(attempt.key, attempt.through), None
        sequence, event = found
        if len(event.body) > MAX_BODY_BYTES:
            return core.Undeliverable(attempt.key, sequence), event
        started_ms = self._parts.clock.monotonic_ms()
        answer = await self._parts.post(self._endpoint, event)
        seconds = (self._parts.clock.monotonic_ms() - started_ms) / 1000
        self._parts.metrics.attempt_seconds.observe(seconds)
        return self._outcome(attempt, sequence, event, answer), event

    def _outcome(self, attempt: Attempt, sequence: int, event: WebhookEvent, answer: Answer) -> core.Input:
        metrics = self._parts.metrics
        if isinstance(answer, Accepted):
            metrics.attempts.labels("ok").inc()
            return core.Delivered(attempt.key, sequence)
        if isinstance(answer, GoneForever):
            metrics.attempts.labels("gone").inc()
            return core.Gone(attempt.key)
        metrics.attempts.labels(answer.reason).inc()
        log.info(
            "webhook_failed",
            endpoint=self._endpoint.id,
            host=self._endpoint.host,
            webhook=event.id,
            reason=answer.reason,
            status=answer.status,
        )
        return core.Failed(attempt.key, sequence, answer.retry_after_ms, answer.pauses)

    def _report(self, attempt: Attempt, result: tuple[core.Input, WebhookEvent | None]) -> None:
        outcome, event = result
        metrics, name = self._parts.metrics, self._endpoint.id
        webhook = event.id if event is not None else ""
        if isinstance(outcome, core.Delivered):
            metrics.delivered.labels(name).inc()
            log.debug("webhook_delivered", endpoint=name, webhook=webhook)
        elif isinstance(outcome, core.Undeliverable):
            metrics.undeliverable.labels(name).inc()
            log.error("webhook_too_large", endpoint=name, webhook=webhook)
        for effect in self._handle(outcome):
            if isinstance(effect, core.GaveUp):
                metrics.given_up.labels(name).inc()
                log.error("webhook_given_up", endpoint=name, host=self._endpoint.host, webhook=webhook)
            else:
                log.error("webhook_endpoint_disabled", endpoint=name, host=self._endpoint.host)
