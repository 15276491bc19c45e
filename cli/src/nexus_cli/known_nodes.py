"""The SFU nodes registered in the broker's bucket `nodes` (docs/architecture/contracts.md).

They are read with the NATS client and not with `nexus_bus`, which creates a bucket when it opens one: a mere
reader must not determine the configuration of the services' bucket.
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
    """Connects to the broker. Raises OSError or nats.errors.Error if it is unreachable."""
    client = await nats.connect(nats_url, name="nexus-cli", allow_reconnect=False, connect_timeout=3)
    try:
        yield client.jetstream()
    finally:
        await client.close()


async def known_nodes(stream: JetStreamContext) -> list[NodeRecord]:
    """The nodes whose heartbeat has not expired, sorted by id."""
    records = []
    try:
        bucket = await stream.key_value(BUCKET)
        # Not `bucket.keys()`: each call creates a consumer on the broker, so that polling would reach its
        # limit.
        info = await stream.stream_info(f"KV_{BUCKET}", subjects_filter=">")
        for subject in info.state.subjects or {}:
            try:
                value = (await bucket.get(subject.removeprefix(f"$KV.{BUCKET}."))).value
            except KeyNotFoundError:  # deleted or expired in the meantime
                continue
            records.append(NodeRecord.FromString(value or b""))
    except BucketNotFoundError:
        return []
    return sorted(records, key=lambda record: record.node_id)
