"""The record of an endpoint in KV `webhooks`: how far its deliveries have come."""

from dataclasses import dataclass

from google.protobuf.message import DecodeError
from nexus.webhooks.v1 import endpoint_pb2
from nexus_bus import Bus, BusError, LazyKeyValue, subjects

from nexus_webhooks.core.endpoint_queue import QueueState, RoomKey, WaitingRoom
from nexus_webhooks.endpoints import Endpoint


class RecordUnreadable(BusError):
    """The record is not one of this release."""


@dataclass(frozen=True, slots=True)
class StoredState:
    """`revision` is 0 if there is no record yet. `epoch` is the number of owners so far: each new owner
    raises it, and stops when it sees a higher one."""

    state: QueueState
    revision: int
    epoch: int


class EndpointRecords:
    def __init__(self, bus: Bus, replicas: int = 1) -> None:
        self._bucket = LazyKeyValue(bus, subjects.WEBHOOKS, replicas=replicas)

    async def read(self, endpoint: Endpoint) -> StoredState:
        """Raises BusError."""
        entry = await self._bucket.get(_key(endpoint))
        if entry is None:
            return StoredState(QueueState(), 0, 0)
        try:
            epoch = endpoint_pb2.EndpointRecord.FromString(entry.value).epoch
            return StoredState(decode_state(entry.value), entry.revision, epoch)
        except DecodeError as error:
            raise RecordUnreadable(endpoint.id) from error

    async def write(self, endpoint: Endpoint, epoch: int, state: QueueState, revision: int) -> int:
        """Replaces the record of `revision` and returns the new revision. Raises RevisionMismatch or
        KeyExists if another process was faster, and BusError."""
        value = encode_state(endpoint, epoch, state)
        if revision == 0:
            return await self._bucket.create(_key(endpoint), value)
        return await self._bucket.update(_key(endpoint), value, revision)


def _key(endpoint: Endpoint) -> str:
    return subjects.webhook_endpoint_key(endpoint.app, endpoint.id)


def encode_state(endpoint: Endpoint, epoch: int, state: QueueState) -> bytes:
    """The bytes of an `EndpointRecord`."""
    record = endpoint_pb2.EndpointRecord(
        id=endpoint.id,
        app=endpoint.app,
        epoch=epoch,
        positions=[
            endpoint_pb2.StreamPosition(stream=stream, sequence=sequence)
            for stream, sequence in sorted(state.positions.items())
        ],
        waiting=[
            endpoint_pb2.WaitingRoom(
                stream=room.key.stream,
                room=room.key.room,
                sequence=room.sequence,
                attempts=room.attempts,
                next_attempt_at_ms=room.next_attempt_at_ms,
                waiting_since_ms=room.waiting_since_ms,
            )
            for room in state.waiting
        ],
        disabled_at_ms=state.disabled_at_ms,
    )
    return record.SerializeToString()


def decode_state(value: bytes) -> QueueState:
    """The inverse of `encode_state`. Raises DecodeError."""
    record = endpoint_pb2.EndpointRecord.FromString(value)
    return QueueState(
        positions={position.stream: position.sequence for position in record.positions},
        waiting=tuple(
            WaitingRoom(
                RoomKey(room.stream, room.room),
                room.sequence,
                room.attempts,
                room.next_attempt_at_ms,
                room.waiting_since_ms,
            )
            for room in record.waiting
        ),
        disabled_at_ms=record.disabled_at_ms,
    )
