"""An SFU for tests: it serves the contract with rooms, participants, tracks and events, but has no media."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
from nexus.events.v1 import room_pb2
from nexus.sfu.v1 import sfu_pb2, sfu_pb2_grpc, track_stream_pb2
from nexus.types.v1 import media_pb2, state_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_bus import Bus
from nexus_bus.subjects import NODES, room_event
from nexus_rpc import Context, RpcError, RpcServer

from nexus_rooms.testing.fake_taps import FakeTaps


@dataclass
class FakeRoom:
    app: str
    name: str
    room_id: str
    revision: int = 0
    recording: bool = False
    transcribing: bool = False
    participants: dict[str, media_pb2.Participant] = field(default_factory=dict)
    grants: dict[str, media_pb2.Grants] = field(default_factory=dict)

    def message(self) -> media_pb2.Room:
        return media_pb2.Room(
            id=self.room_id,
            name=self.name,
            created_at_ms=1,
            recording=self.recording,
            transcribing=self.transcribing,
        )


class FakeSfu(sfu_pb2_grpc.SfuServiceServicer):
    """The servicer. `before_join_answer` runs after `Join` has changed the state and before it answers, for
    tests of events that overtake the answer."""

    def __init__(self, bus: Bus, node_id: str = "sfu-1", region: str = "") -> None:
        self.bus = bus
        self.node_id = node_id
        self.region = region
        self.rooms: dict[tuple[str, str], FakeRoom] = {}
        self.requests: list[Any] = []
        self.draining = False
        self.max_participants = 1_000
        self.refuse_joins = False
        self.fail_with: grpc.StatusCode | None = None
        self.before_join_answer: Callable[[], Awaitable[None]] | None = None
        self.get_room_calls = 0
        self.cpu = 0.0
        self.layer_demands: list[media_pb2.LayerDemand] = []
        self.paused_tracks: list[room_pb2.TrackPaused] = []
        self.active_speakers = room_pb2.ActiveSpeakers()
        self._numbers = itertools.count(1)
        # The answers of `StreamTrack`, by track.
        self.streams: dict[str, list[track_stream_pb2.StreamTrackResponse]] = {}
        # Tracks whose records a test adds while they are streamed.
        self.taps: dict[str, FakeTaps] = {}
        self.tap_updates: list[sfu_pb2.UpdateTapRequest] = []
        self._server: RpcServer | None = None
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = RpcServer(
            "127.0.0.1", self.port, max_message_bytes=1 << 20, observe=lambda _method, _outcome: None
        )
        descriptor = sfu_pb2.DESCRIPTOR.services_by_name["SfuService"]
        self._server.add_service(descriptor, sfu_pb2_grpc.add_SfuServiceServicer_to_server, self)
        self.port = self._server.port
        await self._server.start()
        await self.heartbeat()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.close(0)
            self._server = None

    async def heartbeat(self) -> None:
        record = state_pb2.NodeRecord(
            node_id=self.node_id, region=self.region, grpc_address=self.address, draining=self.draining
        )
        record.load.cpu = self.cpu
        record.load.participants = sum(len(room.participants) for room in self.rooms.values())
        bucket = await self.bus.kv(NODES, ttl_seconds=300)  # one heartbeat lasts for a whole test
        await bucket.put(self.node_id, record.SerializeToString())

    async def emit(self, room: FakeRoom, kind: str, /, state: bool = True, **event: Any) -> None:
        if state:
            room.revision += 1
        message = room_pb2.RoomEvent(
            app=room.app,
            room=room.name,
            room_id=room.room_id,
            revision=room.revision if state else 0,
            **event,
        )
        await self.bus.publish(room_event(room.app, room.name, kind), message.SerializeToString())

    # Methods of the service.

    async def Join(self, request: sfu_pb2.JoinRequest, context: Context) -> sfu_pb2.JoinResponse:
        await self._begin(request, context)
        key = (request.room.app, request.room.room)
        room = self.rooms.get(key)
        if self.refuse_joins or (room is None and self.draining):
            raise RpcError(ErrorCode.NODE_DRAINING, "draining")
        if room is None:
            if not request.grants.create:
                raise RpcError(ErrorCode.ROOM_NOT_FOUND, "no such room")
            room = self.rooms[key] = FakeRoom(request.room.app, request.room.room, request.room_id)
        if len(room.participants) >= self.max_participants:
            raise RpcError(ErrorCode.ROOM_FULL, "full")
        for old in [p for p in room.participants.values() if p.identity == request.identity]:
            await self._remove(room, old.id, media_pb2.DISCONNECT_REASON_REPLACED)
        joined = media_pb2.Participant(
            id=f"PA_{next(self._numbers)}",
            identity=request.identity,
            name=request.name,
            metadata=request.metadata,
            attributes=request.attributes,
            joined_at_ms=2,
        )
        for publication in request.publications:
            joined.tracks.add(
                id=f"TR_{next(self._numbers)}",
                participant_id=joined.id,
                mid=publication.mid,
                source=publication.source,
            )
        others = list(room.participants.values())
        room.participants[joined.id] = joined
        room.grants[joined.id] = request.grants
        joined_event = room_pb2.ParticipantJoined(participant=joined)
        await self.emit(room, "participant-joined", participant_joined=joined_event)
        answer = sfu_pb2.JoinResponse(
            room=room.message(),
            participant=joined,
            participants=others,
            sdp="v=0 answer",
            revision=room.revision,
            node_id=self.node_id,
            active_speakers=self.active_speakers,
        )
        if self.before_join_answer is not None:
            await self.before_join_answer()
        return answer

    async def Offer(self, request: sfu_pb2.OfferRequest, context: Context) -> sfu_pb2.OfferResponse:
        room = await self._begin(request, context)
        participant = room.participants[request.participant_id]
        del participant.tracks[:]
        for publication in request.publications:
            participant.tracks.add(
                id=f"TR_{next(self._numbers)}", participant_id=participant.id, mid=publication.mid
            )
        return sfu_pb2.OfferResponse(sdp="v=0 answer again", tracks=participant.tracks)

    async def Leave(self, request: sfu_pb2.LeaveRequest, context: Context) -> sfu_pb2.LeaveResponse:
        room = await self._begin(request, context)
        if request.participant_id in room.participants:
            await self._remove(room, request.participant_id, request.reason)
        return sfu_pb2.LeaveResponse()

    async def UpdateSlots(
        self, request: sfu_pb2.UpdateSlotsRequest, context: Context
    ) -> sfu_pb2.UpdateSlotsResponse:
        await self._begin(request, context)
        slots = media_pb2.SlotTable(revision=2)
        for index, track_id in enumerate(request.bind_track_ids[:1]):
            slots.slots.add(mid=str(index), kind=media_pb2.TRACK_KIND_VIDEO, track_id=track_id)
        return sfu_pb2.UpdateSlotsResponse(slots=slots, unplaced_track_ids=request.bind_track_ids[1:])

    async def UpdateSubscriptions(
        self, request: sfu_pb2.UpdateSubscriptionsRequest, context: Context
    ) -> sfu_pb2.UpdateSubscriptionsResponse:
        await self._begin(request, context)
        return sfu_pb2.UpdateSubscriptionsResponse(slots=media_pb2.SlotTable(revision=3))

    async def UpdateView(
        self, request: sfu_pb2.UpdateViewRequest, context: Context
    ) -> sfu_pb2.UpdateViewResponse:
        await self._begin(request, context)
        return sfu_pb2.UpdateViewResponse()

    async def SendData(self, request: sfu_pb2.SendDataRequest, context: Context) -> sfu_pb2.SendDataResponse:
        room = await self._begin(request, context)
        here = {participant.identity for participant in room.participants.values()}
        if not here.issuperset(request.identities):
            raise RpcError(ErrorCode.PARTICIPANT_NOT_FOUND, "no such participant")
        return sfu_pb2.SendDataResponse()

    async def StreamTrack(
        self, request: sfu_pb2.StreamTrackRequest, context: Context
    ) -> AsyncIterator[track_stream_pb2.StreamTrackResponse]:
        room = await self._begin(request, context)
        if request.track_id in self.taps:
            async for response in self.taps[request.track_id].stream(request):
                yield response
            return
        tracks = {track.id for participant in room.participants.values() for track in participant.tracks}
        if request.track_id not in tracks:
            raise RpcError(ErrorCode.TRACK_NOT_FOUND, "no such track")
        for records in self.streams.get(request.track_id, ()):
            yield records

    async def UpdateTap(
        self, request: sfu_pb2.UpdateTapRequest, context: Context
    ) -> sfu_pb2.UpdateTapResponse:
        await self._begin(request, context)
        self.tap_updates.append(request)
        taps = self.taps.get(request.track_id)
        if taps is None:
            raise RpcError(ErrorCode.TAP_NOT_FOUND, "no such tap")
        return taps.update(request)

    async def SetMuted(self, request: sfu_pb2.SetMutedRequest, context: Context) -> sfu_pb2.SetMutedResponse:
        room = await self._begin(request, context)
        owner = next(
            (p for p in room.participants.values() if any(t.id == request.track_id for t in p.tracks)), None
        )
        if owner is None:
            raise RpcError(ErrorCode.TRACK_NOT_FOUND, "no such track")
        if owner.id != request.participant_id and not room.grants[request.participant_id].admin:
            raise RpcError(ErrorCode.PERMISSION_DENIED, "not the owner")
        muted = room_pb2.TrackMuted(track_id=request.track_id, participant_id=owner.id, muted=request.muted)
        await self.emit(room, "track-muted", track_muted=muted)
        return sfu_pb2.SetMutedResponse()

    async def Unpublish(
        self, request: sfu_pb2.UnpublishRequest, context: Context
    ) -> sfu_pb2.UnpublishResponse:
        room = await self._begin(request, context)
        participant = room.participants[request.participant_id]
        kept = [track for track in participant.tracks if track.id not in request.track_ids]
        del participant.tracks[:]
        participant.tracks.extend(kept)
        return sfu_pb2.UnpublishResponse()

    async def UpdateParticipant(
        self, request: sfu_pb2.UpdateParticipantRequest, context: Context
    ) -> sfu_pb2.UpdateParticipantResponse:
        room = await self._begin(request, context)
        participant = room.participants.get(request.participant_id)
        if participant is None:
            raise RpcError(ErrorCode.PARTICIPANT_NOT_FOUND, "no such participant")
        if request.HasField("name"):
            participant.name = request.name
        participant.attributes.update(request.attributes)
        return sfu_pb2.UpdateParticipantResponse(participant=participant)

    async def UpdateRoom(
        self, request: sfu_pb2.UpdateRoomRequest, context: Context
    ) -> sfu_pb2.UpdateRoomResponse:
        room = await self._begin(request, context)
        before = room.message()
        if request.HasField("recording"):
            room.recording = request.recording
        if request.HasField("transcribing"):
            room.transcribing = request.transcribing
        if room.message() != before:
            await self.emit(room, "room-updated", room_updated=room_pb2.RoomUpdated(room=room.message()))
        return sfu_pb2.UpdateRoomResponse(room=room.message())

    async def GetRoom(self, request: sfu_pb2.GetRoomRequest, context: Context) -> sfu_pb2.GetRoomResponse:
        self.get_room_calls += 1
        room = await self._begin(request, context)
        if request.participant_id and request.participant_id not in room.participants:
            raise RpcError(ErrorCode.PARTICIPANT_NOT_FOUND, "no such participant")
        return sfu_pb2.GetRoomResponse(
            room=room.message(),
            participants=room.participants.values(),
            revision=room.revision,
            layer_demands=self.layer_demands,
            paused_tracks=self.paused_tracks,
            active_speakers=self.active_speakers,
        )

    async def CloseRoom(
        self, request: sfu_pb2.CloseRoomRequest, context: Context
    ) -> sfu_pb2.CloseRoomResponse:
        await self.close_room(await self._begin(request, context))
        return sfu_pb2.CloseRoomResponse()

    async def SetDraining(
        self, request: sfu_pb2.SetDrainingRequest, context: Context
    ) -> sfu_pb2.SetDrainingResponse:
        self.draining, self.refuse_joins = request.draining, request.refuse_joins
        return sfu_pb2.SetDrainingResponse()

    async def WatchStats(
        self, request: sfu_pb2.WatchStatsRequest, context: Context
    ) -> AsyncIterator[sfu_pb2.WatchStatsResponse]:
        yield sfu_pb2.WatchStatsResponse()

    # Controls for tests.

    async def _remove(
        self, room: FakeRoom, participant_id: str, reason: media_pb2.DisconnectReason.ValueType
    ) -> None:
        gone = room.participants.pop(participant_id)
        left = room_pb2.ParticipantLeft(participant_id=gone.id, identity=gone.identity, reason=reason)
        await self.emit(room, "participant-left", participant_left=left)

    async def remove(
        self, room: FakeRoom, participant_id: str, reason: media_pb2.DisconnectReason.ValueType
    ) -> None:
        await self._remove(room, participant_id, reason)

    async def close_room(self, room: FakeRoom) -> None:
        del self.rooms[room.app, room.name]
        closed = room_pb2.RoomClosed(reason=media_pb2.DISCONNECT_REASON_ROOM_CLOSED)
        await self.emit(room, "room-closed", room_closed=closed)

    def calls(self, kind: type[Any]) -> list[Any]:
        return [request for request in self.requests if isinstance(request, kind)]

    async def _begin(self, request: Any, context: Context) -> FakeRoom:
        self.requests.append(request)
        await asyncio.sleep(0)
        if self.fail_with is not None and context is not None:
            await context.abort(self.fail_with, "made to fail: /secret/path")
        room = self.rooms.get((request.room.app, request.room.room))
        if room is None and not isinstance(request, sfu_pb2.JoinRequest):
            raise RpcError(ErrorCode.ROOM_NOT_FOUND, "no such room")
        return room  # type: ignore[return-value]  # None only for Join, which does not use the result
