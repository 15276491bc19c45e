"""The readings of a room's connection for telemetry."""

from collections.abc import Iterable

from nexus.qoe.v1 import telemetry_pb2 as qoe
from nexus.signaling.v1 import session_pb2 as wire

from nexus_rtc.connection import Connection
from nexus_rtc.edge.peer import Peer
from nexus_rtc.edge.readings import read_path, read_received, read_sent
from nexus_rtc.room import Room
from nexus_rtc.telemetry import PathReading, TrackReading


class RoomReadings:
    def __init__(self, room: Room, peer: Peer, connection: Connection) -> None:
        self._room = room
        self._peer = peer
        self._connection = connection

    async def read(self) -> tuple[PathReading, Iterable[TrackReading]]:
        own = {track.mid: track for track in self._room.local_participant.tracks.values() if track.mid}
        others = {
            track.number: track
            for participant in self._room.participants.values()
            for track in participant.tracks.values()
        }
        published = self._room.published
        tracks = [await read_sent(local, own[local.mid]) for local in published if local.mid in own]
        for slot in self._peer.slots:
            reading = await read_received(slot, others, self._room.paused)
            if reading is not None:
                tracks.append(reading)
        return await read_path(self._peer, published), tracks

    def steps(self) -> Iterable[tuple[qoe.JoinStep.ValueType, float]]:
        milestones = self._peer.milestones
        received = [slot.received for slot in self._peer.slots]
        packets = [one.first_packet_at for one in received if one.first_packet_at is not None]
        frames = [one.first_frame_at for one in received if one.first_frame_at is not None]
        reached: list[tuple[qoe.JoinStep.ValueType, float | None]] = [
            (qoe.JOIN_STEP_ICE, milestones.ice_at),
            (qoe.JOIN_STEP_DTLS, milestones.dtls_at),
            (qoe.JOIN_STEP_FIRST_PACKET, min(packets, default=None)),
            (qoe.JOIN_STEP_FIRST_FRAME, min(frames, default=None)),
        ]
        return [(step, at) for step, at in reached if at is not None]

    async def tell(self, message: wire.ClientMessage) -> None:
        await self._connection.tell(message)
