"""Rules that start recordings when a room begins.

Every replica follows the records of the rooms, so that a room is found also if it began while the broker, or
every recorder, was away. The start is idempotent for each rule and each life of a room.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from google.protobuf.message import DecodeError
from nexus.recorder.v1 import recorder_pb2, recording_pb2
from nexus.types.v1 import state_pb2
from nexus_bus import BusError, Change, LazyKeyValue, Synced, subjects
from nexus_jobs import JobError
from nexus_rpc import RpcError
from nexus_runtime import Clock, run_together
from nexus_storage import StoreSet

from nexus_recorder import errors
from nexus_recorder.core import validation
from nexus_recorder.core.wildcards import matches
from nexus_recorder.metrics import Metrics
from nexus_recorder.recordings import Recordings, check_spec

log = structlog.get_logger()

MAX_RULES_PER_APP: Final = 100
RETRY_SECONDS: Final = 1.0
# How long a start by a rule is tried.
MAX_ATTEMPTS: Final = 30
# Maximum number of starts that wait for another attempt.
MAX_WAITING: Final = 10_000
# How far the clocks of signaling and of the recorder may differ, so that a room that begins just after its
# rule was written is recorded.
CLOCK_MARGIN_MS: Final = 2_000

Sleep = Callable[[float], Awaitable[None]]


class Rules:
    def __init__(
        self,
        rules: LazyKeyValue,
        rooms: LazyKeyValue,
        recordings: Recordings,
        stores: StoreSet,
        clock: Clock,
        metrics: Metrics,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._rules_bucket = rules
        self._rooms_bucket = rooms
        self._recordings = recordings
        self._stores = stores
        self._clock = clock
        self._metrics = metrics
        self._sleep = sleep
        self._rules: dict[str, recording_pb2.RecordingRule] = {}
        self._rooms: dict[str, state_pb2.RoomRecord] = {}
        self._synced = asyncio.Event()
        self._starts: asyncio.Queue[tuple[recording_pb2.RecordingRule, state_pb2.RoomRecord, int]] = (
            asyncio.Queue(MAX_WAITING)
        )

    # Requests

    async def put(self, given: recording_pb2.RecordingRule) -> recording_pb2.RecordingRule:
        """Writes a rule, or replaces the one of its name. Raises RpcError, BusError."""
        rule = validation.rule(given)
        check_spec(self._stores, rule.spec, "rule.spec")
        rule.updated_at_ms = self._clock.epoch_ms()
        key = subjects.recording_rule_key(rule.app, rule.name)
        present = await self._rules_bucket.keys(subjects.app_filter(rule.app))
        if key not in present and len(present) >= MAX_RULES_PER_APP:
            raise errors.invalid_argument("rule.name", f"an app has at most {MAX_RULES_PER_APP} rules")
        await self._rules_bucket.put(key, rule.SerializeToString())
        return rule

    async def delete(self, app: str, name: str) -> None:
        """Deletes a rule, if it exists. Its recordings continue. Raises RpcError, BusError."""
        validation.name("app", app)
        validation.name("name", name)
        await self._rules_bucket.delete(subjects.recording_rule_key(app, name))

    async def list(self, app: str) -> list[recording_pb2.RecordingRule]:
        """The rules of an app, by name. Raises RpcError, BusError."""
        validation.name("app", app)
        found = []
        for key in await self._rules_bucket.keys(subjects.app_filter(app)):
            entry = await self._rules_bucket.get(key)
            rule = None if entry is None else _rule(key, entry.value)
            if rule is not None:
                found.append(rule)
        return sorted(found, key=lambda rule: rule.name)

    # Starting recordings

    async def run(self) -> None:
        """Follows rules and rooms, and starts recordings, until cancelled."""
        await run_together(
            {
                "rules": self._follow(self._rules_bucket, self._rule_changed, self._synced.set),
                "rules-rooms": self._follow(self._rooms_bucket, self._room_changed, lambda: None),
                "rules-start": self._start_forever(),
            }
        )

    async def _follow(
        self,
        bucket: LazyKeyValue,
        changed: Callable[[Change], None],
        synced: Callable[[], None],
    ) -> None:
        while True:
            try:
                async with await bucket.watch() as watch:
                    async for step in watch:
                        if isinstance(step, Synced):
                            synced()
                        else:
                            changed(step)
            except BusError as error:
                log.debug("rules_interrupted", error=repr(error))
            await self._sleep(RETRY_SECONDS)

    def _rule_changed(self, step: Change) -> None:
        rule = None if step.value is None else _rule(step.key, step.value)
        if rule is None:
            self._rules.pop(step.key, None)
            return
        self._rules[step.key] = rule
        for room in list(self._rooms.values()):
            self._consider(rule, room)

    def _room_changed(self, step: Change) -> None:
        if step.value is None:
            self._rooms.pop(step.key, None)
            return
        try:
            room = state_pb2.RoomRecord.FromString(step.value)
        except DecodeError:
            log.warning("room_record_malformed", key=step.key)
            return
        self._rooms[step.key] = room
        for rule in list(self._rules.values()):
            self._consider(rule, room)

    def _consider(self, rule: recording_pb2.RecordingRule, room: state_pb2.RoomRecord) -> None:
        if rule.app != room.app or rule.disabled or not matches(rule.room_pattern, room.room.name):
            return
        if room.room.created_at_ms + CLOCK_MARGIN_MS < rule.updated_at_ms:
            return  # the room began before the rule was written
        self._enqueue(rule, room, 1)

    def _enqueue(self, rule: recording_pb2.RecordingRule, room: state_pb2.RoomRecord, attempt: int) -> None:
        try:
            self._starts.put_nowait((rule, room, attempt))
        except asyncio.QueueFull:
            self._metrics.rule_starts.labels("DROPPED").inc()

    async def _start_forever(self) -> None:
        while True:
            rule, room, attempt = await self._starts.get()
            try:
                await self._start(rule, room)
            except (BusError, JobError, RpcError) as error:
                log.info("rule_not_applied", rule=rule.name, room=room.room.name, error=repr(error))
                if attempt >= MAX_ATTEMPTS:
                    self._metrics.rule_starts.labels("FAILED").inc()
                    continue
                self._enqueue(rule, room, attempt + 1)
                await self._sleep(RETRY_SECONDS)
            else:
                self._metrics.rule_starts.labels("OK").inc()

    async def _start(self, rule: recording_pb2.RecordingRule, room: state_pb2.RoomRecord) -> None:
        check_spec(self._stores, rule.spec, "rule.spec")
        request = recorder_pb2.StartRecordingRequest(
            app=room.app,
            room=room.room.name,
            request_id=f"{rule.name}\0{room.room.id}",
            started_by=rule.name,
        )
        await self._recordings.create(request, rule.spec, "rule")


def _rule(key: str, value: bytes) -> recording_pb2.RecordingRule | None:
    try:
        return recording_pb2.RecordingRule.FromString(value)
    except DecodeError:
        log.warning("recording_rule_malformed", key=key)
        return None
