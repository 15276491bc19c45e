"""A KV bucket on JetStream.

It differs from nats-py's own in three ways: an expired key reads as absent and can be created again, the
marker of a deleted key expires, and a watch survives an outage. The names on the server are the standard ones
(NATS ADR-8), so `nats kv` and every other client can read the buckets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, StreamConfig

from nexus_bus.bus import Entry, KeyExists, NotConnected, RevisionMismatch, Synced, Watch
from nexus_bus.matching import check_key, check_pattern, check_replicas, check_ttl
from nexus_bus.nats_errors import STREAM_NAME_IN_USE, WRONG_LAST_SEQUENCE, translated
from nexus_bus.nats_watch import OPERATION, NatsWatch, is_tombstone

# How long the marker of a deleted or expired key stays: long enough for every connected watcher. A watcher
# that was disconnected for longer compares listings when it reconnects.
MARKER_SECONDS: Final = 60
_DUPLICATE_WINDOW_SECONDS: Final = 120.0

EXPECTED_LAST: Final = "Nats-Expected-Last-Subject-Sequence"
# Header with the lifetime of one message (nats-server 2.11, ADR-43).
TTL: Final = "Nats-TTL"


@dataclass(frozen=True, slots=True)
class _Last:
    """The last message on a key's subject: a value, a tombstone (`value` is None), or none at all (`revision`
    is 0)."""

    value: bytes | None
    revision: int


async def open_bucket(
    js: JetStreamContext, bucket: str, ttl_seconds: float | None, replicas: int | None = None
) -> str:
    """Creates the bucket, or sets the TTL and the replicas of an existing one. Returns the name of its
    stream."""
    if replicas is not None:
        check_replicas(replicas)
    stream = f"KV_{bucket}"
    with translated(f"bucket {bucket}"):
        try:
            existing = (await js.stream_info(stream)).config
        except nats.js.errors.NotFoundError:
            try:
                await js.add_stream(_bucket_config(stream, bucket, ttl_seconds, replicas))
            except nats.js.errors.BadRequestError as error:
                if error.err_code != STREAM_NAME_IN_USE:  # otherwise another replica created it first
                    raise
            return stream
        config = existing
        if ttl_seconds is not None and existing.max_age != ttl_seconds:
            config = config.evolve(max_age=ttl_seconds, duplicate_window=_duplicate_window(ttl_seconds))
        if replicas is not None and existing.num_replicas != replicas:
            config = config.evolve(num_replicas=replicas)
        if config is not existing:
            await js.update_stream(config)
    return stream


def _duplicate_window(ttl_seconds: float | None) -> float:
    """The duplicate window, which JetStream requires to be no longer than the lifetime of messages."""
    return min(_DUPLICATE_WINDOW_SECONDS, ttl_seconds or _DUPLICATE_WINDOW_SECONDS)


def _bucket_config(stream: str, bucket: str, ttl_seconds: float | None, replicas: int | None) -> StreamConfig:
    return StreamConfig(
        name=stream,
        subjects=[f"$KV.{bucket}.>"],
        max_msgs_per_subject=1,
        max_age=ttl_seconds,
        duplicate_window=_duplicate_window(ttl_seconds),
        discard=DiscardPolicy.NEW,
        allow_rollup_hdrs=True,
        allow_direct=True,
        deny_delete=True,
        allow_msg_ttl=True,
        subject_delete_marker_ttl=MARKER_SECONDS,
        num_replicas=1 if replicas is None else replicas,
    )


class NatsKeyValue:
    """A `KeyValue`. `adopt` registers each watch with the bus, which notifies it of reconnects and closes
    it."""

    def __init__(
        self,
        client: Client,
        js: JetStreamContext,
        bucket: str,
        stream: str,
        adopt: Callable[[NatsWatch], None],
    ) -> None:
        self._client = client
        self._js = js
        self._stream = stream
        self._prefix = f"$KV.{bucket}."
        self._adopt = adopt

    def _check_connected(self) -> None:
        # Without this check a request would wait in the send buffer and take effect after its caller's
        # timeout.
        if not self._client.is_connected:
            raise NotConnected(self._stream)

    async def get(self, key: str) -> Entry | None:
        last = await self._last(key)
        return None if last.value is None else Entry(key, last.value, last.revision)

    async def _last(self, key: str) -> _Last:
        self._check_connected()
        subject = self._prefix + check_key(key)
        with translated(subject):
            try:
                # Read from the stream's leader, not from a replica, so that a writer reads its own writes.
                message = await self._js.get_msg(self._stream, subject=subject, direct=False)
            except nats.js.errors.NotFoundError:
                return _Last(None, 0)
        revision = message.seq or 0
        return _Last(None if is_tombstone(message.headers) else message.data or b"", revision)

    async def create(self, key: str, value: bytes) -> int:
        try:
            return await self._write(key, value, {EXPECTED_LAST: "0"})
        except RevisionMismatch:
            last = await self._last(key)
        if last.value is not None:
            raise KeyExists(key)
        try:
            return await self._write(key, value, {EXPECTED_LAST: str(last.revision)})
        except RevisionMismatch:
            raise KeyExists(key) from None

    async def update(self, key: str, value: bytes, revision: int, ttl_seconds: int | None = None) -> int:
        if revision < 1:
            raise ValueError("revisions begin at 1")
        headers = {EXPECTED_LAST: str(revision)}
        if check_ttl(ttl_seconds) is not None:
            headers[TTL] = f"{ttl_seconds}s"
        return await self._write(key, value, headers)

    async def put(self, key: str, value: bytes) -> int:
        return await self._write(key, value, {})

    async def delete(self, key: str, revision: int | None = None) -> None:
        last = await self._last(key)
        if revision is not None and revision < 1:
            raise ValueError("revisions begin at 1")
        if last.value is None:
            if revision is not None:
                raise RevisionMismatch(key)
            return
        headers = {OPERATION: "PURGE", "Nats-Rollup": "sub", TTL: f"{MARKER_SECONDS}s"}
        if revision is not None:
            headers[EXPECTED_LAST] = str(revision)
        await self._write(key, b"", headers)

    async def _write(self, key: str, value: bytes, headers: dict[str, str]) -> int:
        self._check_connected()
        subject = self._prefix + check_key(key)
        with translated(subject):
            try:
                return (await self._js.publish(subject, value, headers=headers)).seq
            except nats.js.errors.APIError as error:
                if error.err_code in WRONG_LAST_SEQUENCE:
                    raise RevisionMismatch(key) from error
                raise

    async def keys(self, pattern: str = ">") -> list[str]:
        found: list[str] = []
        async with await self.watch(pattern) as steps:
            async for step in steps:
                if isinstance(step, Synced):
                    break
                if step.value is not None:
                    found.append(step.key)
        return sorted(found)

    async def watch(self, pattern: str = ">") -> Watch:
        self._check_connected()
        watch = NatsWatch(self._client, self._js, self._stream, self._prefix, check_pattern(pattern))
        self._adopt(watch)
        await watch.start()
        return watch.changes
