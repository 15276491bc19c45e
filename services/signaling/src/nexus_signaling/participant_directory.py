"""The newest session of each identity, in KV `participants`, for operators and other services. Calls do not
depend on it, so an outage of the broker only loses the record."""

from google.protobuf.message import DecodeError
from nexus.types.v1 import state_pb2
from nexus_bus import KeyValue, RevisionMismatch
from nexus_bus.subjects import participant_key, participants_filter

from nexus_signaling.core.seat import Seat


class ParticipantDirectory:
    def __init__(self, bucket: KeyValue, signaling_id: str) -> None:
        self._bucket = bucket
        self._signaling_id = signaling_id

    async def enter(self, seat: Seat, joined_at_ms: int) -> None:
        """Raises BusError."""
        record = state_pb2.ParticipantRecord(
            app=seat.app,
            room=seat.room,
            identity=seat.identity,
            participant_id=seat.participant_id,
            signaling_id=self._signaling_id,
            node_id=seat.node_id,
            joined_at_ms=joined_at_ms,
        )
        await self._bucket.put(
            participant_key(seat.app, seat.room, seat.identity), record.SerializeToString()
        )

    async def leave(self, seat: Seat) -> None:
        """Deletes the record unless it belongs to a newer session. Raises BusError."""
        key = participant_key(seat.app, seat.room, seat.identity)
        entry = await self._bucket.get(key)
        if entry is None:
            return
        try:
            if state_pb2.ParticipantRecord.FromString(entry.value).participant_id != seat.participant_id:
                return
        except DecodeError:
            pass  # a malformed record is deleted
        try:
            await self._bucket.delete(key, entry.revision)
        except RevisionMismatch:
            return  # a newer session has just replaced the record

    async def clear_room(self, app: str, room: str) -> None:
        """Deletes the records of a closed room that a crashed replica has left. Raises BusError."""
        for key in await self._bucket.keys(participants_filter(app, room)):
            await self._bucket.delete(key)
