"""Removes the records of rooms that have ended; the replicas share this work."""

import asyncio
from typing import Final

import structlog
from google.protobuf.message import DecodeError
from nexus.events.v1 import room_pb2
from nexus_bus import Bus, BusError
from nexus_bus.subjects import ROOT
from nexus_rooms import NodeDirectory

from nexus_signaling.participant_directory import ParticipantDirectory
from nexus_signaling.room_directory import RoomDirectory

log = structlog.get_logger()

# Subject of a room's last event, which no session's feed receives, because it follows the last departure.
ROOM_CLOSED_SUBJECT: Final = f"{ROOT}.*.room.*.room-closed"
RETRY_SECONDS: Final = 1.0


class Housekeeping:
    def __init__(
        self, bus: Bus, rooms: RoomDirectory, nodes: NodeDirectory, participants: ParticipantDirectory
    ) -> None:
        self._bus = bus
        self._nodes = nodes
        self._rooms = rooms
        self._participants = participants

    async def follow_closed_rooms(self) -> None:
        """Removes records of closed rooms until cancelled. Replicas share the events."""
        while True:
            try:
                async with await self._bus.subscribe(ROOM_CLOSED_SUBJECT, queue="signaling") as closed:
                    async for message in closed:
                        await self._forget(message.payload)
            except BusError as error:
                log.warning("housekeeping_interrupted", error=type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)

    async def _forget(self, payload: bytes) -> None:
        try:
            event = room_pb2.RoomEvent.FromString(payload)
            if event.WhichOneof("event") != "room_closed":
                return
            if await self._rooms.forget(event.app, event.room, event.room_id):
                log.info("room_forgotten", app=event.app, room=event.room, room_id=event.room_id)
                await self._participants.clear_room(event.app, event.room)
        except (DecodeError, ValueError):
            log.warning("room_event_malformed")
        except BusError as error:
            # The next sweep removes the record, or the next room of this name overwrites it.
            log.warning("room_not_forgotten", error=type(error).__name__)

    async def sweep_forever(self, interval_ms: int) -> None:
        """Removes records of rooms on gone nodes until cancelled. Because a sweep reads every room's record,
        later sweeps happen only after a node has gone."""
        swept_after: int | None = None
        while True:
            await asyncio.sleep(interval_ms / 1000)
            if not self._nodes.settled() or self._nodes.departures == swept_after:
                continue
            departures = self._nodes.departures
            try:
                swept = await self._rooms.sweep()
            except BusError as error:
                log.warning("sweep_failed", error=type(error).__name__)
                continue
            swept_after = departures
            if swept:
                log.info("rooms_swept", count=swept)
