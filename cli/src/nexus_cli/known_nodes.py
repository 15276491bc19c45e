"""The SFU nodes that the broker knows: bucket `nodes`, one heartbeat a node (docs/architecture/contracts.md).

Read with the NATS client itself, not with `nexus_bus`: opening a bucket there creates it, and an onlooker
must not lay down how the services' bucket behaves.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import nats
from nats.js import JetStreamContext
from nats.js.errors import BucketNotFoundError, KeyNotFoundError
from nexus.types.v1.state_pb2 import NodeRecord

BUCKET: Final = "nodes"


@asynccontextmanager
async def broker(nats_url: str) -> AsyncIterator[JetStreamContext]:
    """Raises OSError or nats.errors.Error when no broker answers."""
    client = await nats.connect(nats_url, name="nexus-cli", allow_reconnect=False, connect_timeout=3)
    try:
        yield client.jetstream()
    finally:
        await client.close()


async def known_nodes(stream: JetStreamContext) -> list[NodeRecord]:
    """Those whose heartbeat has not expired, by id; none before the first node has registered."""
    records = []
    try:
        bucket = await stream.key_value(BUCKET)
        # Not `bucket.keys()`: each call makes a consumer on the broker, and whoever asks again and again
        # reaches its limit.
        told = await stream.stream_info(f"KV_{BUCKET}", subjects_filter=">")
        for subject in told.state.subjects or {}:
            try:
                value = (await bucket.get(subject.removeprefix(f"$KV.{BUCKET}."))).value
            except KeyNotFoundError:  # deleted, or expired meanwhile
                continue
            records.append(NodeRecord.FromString(value or b""))
    except BucketNotFoundError:
        return []
    return sorted(records, key=lambda record: record.node_id)
