"""The service's gRPC methods, which convert messages. `nexus_rpc` translates errors and counts calls."""

import asyncio
from collections.abc import AsyncIterator, Callable

import structlog
from nexus.sfu.v1 import sfu_pb2, sfu_pb2_grpc, track_stream_pb2
from nexus.types.v1 import media_pb2
from nexus_rpc import Context, RpcServer

from nexus_sfu import requests
from nexus_sfu.config import SfuConfig
from nexus_sfu.core import commands as cmd
from nexus_sfu.core import watching
from nexus_sfu.core.model import Reason, RoomKey
from nexus_sfu.core.wire import participant_message, slot_table_message, track_message
from nexus_sfu.engine_port import DataMessage
from nexus_sfu.metrics import Metrics
from nexus_sfu.sfu import Answered, Sfu
from nexus_sfu.stats import Stats, StatsLost
from nexus_sfu.track_stream import TrackStreams

log = structlog.get_logger()

SERVICE = sfu_pb2.DESCRIPTOR.services_by_name["SfuService"]
MIN_STATS_INTERVAL_MS = 200
DEFAULT_STATS_INTERVAL_MS = 1_000

# Parameters: `draining` and `refuse_joins`.
SetDraining = Callable[[bool, bool], None]


class SfuServicer(sfu_pb2_grpc.SfuServiceServicer):
    def __init__(
        self, sfu: Sfu, stats: Stats, streams: TrackStreams, node_id: str, set_draining: SetDraining
    ) -> None:
        self._sfu = sfu
        self._streams = streams
        self._set_draining = set_draining
        self._stats = stats
        self._node_id = node_id

    async def Join(self, request: sfu_pb2.JoinRequest, context: Context) -> sfu_pb2.JoinResponse:
        answered = await self._sfu.join(requests.join_request(request))
        room, participant = answered.room, answered.participant
        log.info(
            "participant_joined",
            app=room.key.app,
            room=room.key.room,
            participant=participant.id,
            identity=participant.identity,
            tracks=len(participant.tracks),
            slots=len(participant.slots),
        )
        return sfu_pb2.JoinResponse(
            room=room.message(),
            participant=participant_message(participant, with_mids=True),
            participants=[participant_message(p) for p in room.visible_participants(participant.id)],
            sdp=answered.sdp,
            slots=slot_table_message(participant),
            revision=room.revision,
            node_id=self._node_id,
            active_speakers=room.active_speakers(),
            unused_sections=_unused_sections(answered),
        )

    async def Offer(self, request: sfu_pb2.OfferRequest, context: Context) -> sfu_pb2.OfferResponse:
        answered = await self._sfu.offer(
            requests.room_key(request.room),
            request.participant_id,
            request.sdp,
            requests.publications(request.publications),
        )
        return sfu_pb2.OfferResponse(
            sdp=answered.sdp,
            slots=slot_table_message(answered.participant),
            tracks=[track_message(t, with_mid=True) for t in answered.participant.tracks.values()],
            unused_sections=_unused_sections(answered),
        )

    async def UpdateTap(
        self, request: sfu_pb2.UpdateTapRequest, context: Context
    ) -> sfu_pb2.UpdateTapResponse:
        return self._streams.update_tap(request)

    async def Leave(self, request: sfu_pb2.LeaveRequest, context: Context) -> sfu_pb2.LeaveResponse:
        key = requests.room_key(request.room)
        self._sfu.leave(key, request.participant_id, requests.reason(request.reason))
        return sfu_pb2.LeaveResponse()

    async def UpdateSlots(
        self, request: sfu_pb2.UpdateSlotsRequest, context: Context
    ) -> sfu_pb2.UpdateSlotsResponse:
        key = requests.room_key(request.room)
        bind, unbind = tuple(request.bind_track_ids), tuple(request.unbind_track_ids)
        outcome = self._sfu.handle(key, cmd.UpdateSlots(request.participant_id, bind, unbind))
        return sfu_pb2.UpdateSlotsResponse(
            slots=self._slots(key, request.participant_id), unplaced_track_ids=outcome.unplaced
        )

    async def UpdateSubscriptions(
        self, request: sfu_pb2.UpdateSubscriptionsRequest, context: Context
    ) -> sfu_pb2.UpdateSubscriptionsResponse:
        key = requests.room_key(request.room)
        command = cmd.UpdateSubscriptions(
            request.participant_id, tuple(request.track_ids), request.subscribed
        )
        self._sfu.handle(key, command)
        return sfu_pb2.UpdateSubscriptionsResponse(slots=self._slots(key, request.participant_id))

    async def UpdateView(
        self, request: sfu_pb2.UpdateViewRequest, context: Context
    ) -> sfu_pb2.UpdateViewResponse:
        command = cmd.UpdateView(request.participant_id, requests.views(request.views))
        self._sfu.handle(requests.room_key(request.room), command)
        return sfu_pb2.UpdateViewResponse()

    async def SetMuted(self, request: sfu_pb2.SetMutedRequest, context: Context) -> sfu_pb2.SetMutedResponse:
        command = cmd.SetMuted(request.participant_id, request.track_id, request.muted)
        self._sfu.handle(requests.room_key(request.room), command)
        return sfu_pb2.SetMutedResponse()

    async def Unpublish(
        self, request: sfu_pb2.UnpublishRequest, context: Context
    ) -> sfu_pb2.UnpublishResponse:
        command = cmd.Unpublish(request.participant_id, tuple(request.track_ids))
        self._sfu.handle(requests.room_key(request.room), command)
        return sfu_pb2.UnpublishResponse()

    async def UpdateParticipant(
        self, request: sfu_pb2.UpdateParticipantRequest, context: Context
    ) -> sfu_pb2.UpdateParticipantResponse:
        key = requests.room_key(request.room)
        self._sfu.handle(key, requests.update_participant(request))
        participant = self._sfu.node.room(key).participant(request.participant_id)
        return sfu_pb2.UpdateParticipantResponse(participant=participant_message(participant))

    async def UpdateRoom(
        self, request: sfu_pb2.UpdateRoomRequest, context: Context
    ) -> sfu_pb2.UpdateRoomResponse:
        key = requests.room_key(request.room)
        self._sfu.handle(key, requests.update_room(request))
        return sfu_pb2.UpdateRoomResponse(room=self._sfu.node.room(key).message())

    async def GetRoom(self, request: sfu_pb2.GetRoomRequest, context: Context) -> sfu_pb2.GetRoomResponse:
        room = self._sfu.node.room(requests.room_key(request.room))
        requester = room.participant(request.participant_id) if request.participant_id else None
        visible = [p for p in room.participants.values() if not p.grants.hidden or p is requester]
        return sfu_pb2.GetRoomResponse(
            room=room.message(),
            participants=[participant_message(p, with_mids=p is requester) for p in visible],
            slots=slot_table_message(requester) if requester else None,
            revision=room.revision,
            layer_demands=watching.demand_messages(requester) if requester else (),
            paused_tracks=watching.paused_tracks(requester) if requester else (),
            active_speakers=room.active_speakers(),
        )

    async def SendData(self, request: sfu_pb2.SendDataRequest, context: Context) -> sfu_pb2.SendDataResponse:
        self._sfu.send_data(
            requests.room_key(request.room),
            request.identities,
            DataMessage(
                payload=request.payload,
                topic=request.topic,
                text=request.text,
                reliable=not request.lossy,
                ordered=not request.unordered,
            ),
        )
        return sfu_pb2.SendDataResponse()

    async def CloseRoom(
        self, request: sfu_pb2.CloseRoomRequest, context: Context
    ) -> sfu_pb2.CloseRoomResponse:
        self._sfu.close_room(requests.room_key(request.room), Reason.ROOM_CLOSED)
        return sfu_pb2.CloseRoomResponse()

    async def SetDraining(
        self, request: sfu_pb2.SetDrainingRequest, context: Context
    ) -> sfu_pb2.SetDrainingResponse:
        self._set_draining(request.draining, request.refuse_joins)
        return sfu_pb2.SetDrainingResponse()

    async def WatchStats(
        self, request: sfu_pb2.WatchStatsRequest, context: Context
    ) -> AsyncIterator[sfu_pb2.WatchStatsResponse]:
        key = requests.room_key(request.room) if request.HasField("room") else None
        if key is not None:
            self._sfu.node.room(key)
        interval_ms = max(request.interval_ms or DEFAULT_STATS_INTERVAL_MS, MIN_STATS_INTERVAL_MS)
        while True:
            try:
                message = await self._stats.message(key)
            except StatsLost:
                log.warning("stats_lost")
            else:
                if message is None:
                    return
                yield message
            await asyncio.sleep(interval_ms / 1000)

    def StreamTrack(
        self, request: sfu_pb2.StreamTrackRequest, context: Context
    ) -> AsyncIterator[track_stream_pb2.StreamTrackResponse]:
        raise NotImplementedError("the handler of track_stream.py replaces this method")

    def _slots(self, key: RoomKey, participant_id: str) -> media_pb2.SlotTable:
        return slot_table_message(self._sfu.node.room(key).participant(participant_id))


def _unused_sections(answered: Answered) -> list[media_pb2.UnusedSection]:
    return [media_pb2.UnusedSection(mid=mid, reason=reason) for mid, reason in answered.unused.items()]


def make_server(config: SfuConfig, metrics: Metrics) -> RpcServer:
    """Binds the port. Raises ClientError."""
    return RpcServer(
        config.grpc_host,
        config.grpc_port,
        max_message_bytes=config.grpc_message_bytes,
        observe=lambda method, outcome: metrics.requests.labels(method, outcome).inc(),
        tls=config.rpc_tls(),
    )


def serve(server: RpcServer, servicer: SfuServicer, streams: TrackStreams) -> None:
    """Adds the methods to the server, before it starts."""
    server.add_service(SERVICE, sfu_pb2_grpc.add_SfuServiceServicer_to_server, servicer)
    server.add_method(SERVICE, "StreamTrack", streams.handler())
