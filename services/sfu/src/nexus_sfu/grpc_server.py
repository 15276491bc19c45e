"""The gRPC face of the service: messages in, messages out, errors translated once.

An error is a status plus `nexus-error-bin`: a serialised `nexus.types.v1.Error` with the stable code.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import grpc
import structlog
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from nexus.sfu.v1 import sfu_pb2, sfu_pb2_grpc, track_stream_pb2
from nexus.types.v1 import error_pb2, media_pb2
from nexus_runtime import ClientError, NexusError

from nexus_sfu import requests
from nexus_sfu.core import commands as cmd
from nexus_sfu.core import watching
from nexus_sfu.core.model import Reason, RoomKey
from nexus_sfu.core.room import RoomState
from nexus_sfu.core.wire import participant_message, slot_table_message, track_message
from nexus_sfu.engine_port import DataMessage
from nexus_sfu.metrics import Metrics
from nexus_sfu.sfu import Sfu
from nexus_sfu.stats import ReportLost, Stats

log = structlog.get_logger()

ERROR_METADATA = "nexus-error-bin"
SERVICE_NAME = sfu_pb2.DESCRIPTOR.services_by_name["SfuService"].full_name
MIN_STATS_INTERVAL_MS = 200
DEFAULT_STATS_INTERVAL_MS = 1_000

Request = TypeVar("Request")
Response = TypeVar("Response")
Context = aio.ServicerContext[Any, Any]

_STATUS = {
    "INVALID_ARGUMENT": grpc.StatusCode.INVALID_ARGUMENT,
    "DATA_TOO_LARGE": grpc.StatusCode.INVALID_ARGUMENT,
    "INVALID_SDP": grpc.StatusCode.INVALID_ARGUMENT,
    "UNSUPPORTED_CODEC": grpc.StatusCode.INVALID_ARGUMENT,
    "PERMISSION_DENIED": grpc.StatusCode.PERMISSION_DENIED,
    "ROOM_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "PARTICIPANT_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "TRACK_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "SLOTS_EXHAUSTED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "ROOM_FULL": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "TOO_MANY_ROOMS": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "TOO_MANY_TRACKS": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "NODE_DRAINING": grpc.StatusCode.UNAVAILABLE,
    "SERVICE_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
}


class SfuServicer(sfu_pb2_grpc.SfuServiceServicer):
    def __init__(self, sfu: Sfu, stats: Stats, metrics: Metrics, node_id: str) -> None:
        self._sfu = sfu
        self._stats = stats
        self._metrics = metrics
        self._node_id = node_id

    async def Join(self, request: sfu_pb2.JoinRequest, context: Context) -> sfu_pb2.JoinResponse:
        return await self._answer("Join", self._join, request, context)

    async def Offer(self, request: sfu_pb2.OfferRequest, context: Context) -> sfu_pb2.OfferResponse:
        return await self._answer("Offer", self._offer, request, context)

    async def Leave(self, request: sfu_pb2.LeaveRequest, context: Context) -> sfu_pb2.LeaveResponse:
        return await self._answer("Leave", self._leave, request, context)

    async def UpdateSlots(
        self, request: sfu_pb2.UpdateSlotsRequest, context: Context
    ) -> sfu_pb2.UpdateSlotsResponse:
        return await self._answer("UpdateSlots", self._update_slots, request, context)

    async def UpdateSubscriptions(
        self, request: sfu_pb2.UpdateSubscriptionsRequest, context: Context
    ) -> sfu_pb2.UpdateSubscriptionsResponse:
        return await self._answer("UpdateSubscriptions", self._update_subscriptions, request, context)

    async def UpdateView(
        self, request: sfu_pb2.UpdateViewRequest, context: Context
    ) -> sfu_pb2.UpdateViewResponse:
        return await self._answer("UpdateView", self._update_view, request, context)

    async def SetMuted(self, request: sfu_pb2.SetMutedRequest, context: Context) -> sfu_pb2.SetMutedResponse:
        return await self._answer("SetMuted", self._set_muted, request, context)

    async def Unpublish(
        self, request: sfu_pb2.UnpublishRequest, context: Context
    ) -> sfu_pb2.UnpublishResponse:
        return await self._answer("Unpublish", self._unpublish, request, context)

    async def UpdateParticipant(
        self, request: sfu_pb2.UpdateParticipantRequest, context: Context
    ) -> sfu_pb2.UpdateParticipantResponse:
        return await self._answer("UpdateParticipant", self._update_participant, request, context)

    async def GetRoom(self, request: sfu_pb2.GetRoomRequest, context: Context) -> sfu_pb2.GetRoomResponse:
        return await self._answer("GetRoom", self._get_room, request, context)

    async def SendData(self, request: sfu_pb2.SendDataRequest, context: Context) -> sfu_pb2.SendDataResponse:
        return await self._answer("SendData", self._send_data, request, context)

    async def CloseRoom(
        self, request: sfu_pb2.CloseRoomRequest, context: Context
    ) -> sfu_pb2.CloseRoomResponse:
        return await self._answer("CloseRoom", self._close_room, request, context)

    async def SetDraining(
        self, request: sfu_pb2.SetDrainingRequest, context: Context
    ) -> sfu_pb2.SetDrainingResponse:
        return await self._answer("SetDraining", self._set_draining, request, context)

    async def WatchStats(
        self, request: sfu_pb2.WatchStatsRequest, context: Context
    ) -> AsyncIterator[sfu_pb2.WatchStatsResponse]:
        try:
            key = requests.room_key(request.room) if request.HasField("room") else None
            if key is not None:
                self._sfu.node.room(key)
        except NexusError as error:
            self._metrics.requests.labels("WatchStats", error.code).inc()
            await abort(context, error)
        self._metrics.requests.labels("WatchStats", "OK").inc()
        interval_ms = max(request.interval_ms or DEFAULT_STATS_INTERVAL_MS, MIN_STATS_INTERVAL_MS)
        while True:
            try:
                message = await self._stats.message(key)
            except ReportLost:
                log.warning("report_lost")
            else:
                if message is None:
                    return
                yield message
            await asyncio.sleep(interval_ms / 1000)

    def StreamTrack(
        self, request: sfu_pb2.StreamTrackRequest, context: Context
    ) -> AsyncIterator[track_stream_pb2.StreamTrackResponse]:
        raise NotImplementedError("another handler stands in this one's place: track_stream.py")

    async def _answer(
        self,
        method: str,
        handler: Callable[[Request], Awaitable[Response]],
        request: Request,
        context: Context,
    ) -> Response:
        code = "INTERNAL"
        try:
            response = await handler(request)
            code = "OK"
            return response
        except NexusError as error:
            code = error.code
            if not isinstance(error, ClientError):
                log.error("request_failed", method=method, code=code, error=error.message, **error.fields)
            await abort(context, error)
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        except Exception:
            log.error("request_crashed", method=method, exc_info=True)
            await abort(context, NexusError("INTERNAL", "the server failed; its log says why"))
        finally:
            self._metrics.requests.labels(method, code).inc()
        raise AssertionError("abort has raised")

    async def _join(self, request: sfu_pb2.JoinRequest) -> sfu_pb2.JoinResponse:
        answered = await self._sfu.join(requests.join_wish(request))
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
            room=_room_message(room),
            participant=participant_message(participant, with_mids=True),
            participants=[participant_message(p) for p in room.visible_participants(participant.id)],
            sdp=answered.sdp,
            slots=slot_table_message(participant),
            revision=room.revision,
            node_id=self._node_id,
        )

    async def _offer(self, request: sfu_pb2.OfferRequest) -> sfu_pb2.OfferResponse:
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
        )

    async def _leave(self, request: sfu_pb2.LeaveRequest) -> sfu_pb2.LeaveResponse:
        key = requests.room_key(request.room)
        self._sfu.leave(key, request.participant_id, requests.reason(request.reason))
        return sfu_pb2.LeaveResponse()

    async def _update_slots(self, request: sfu_pb2.UpdateSlotsRequest) -> sfu_pb2.UpdateSlotsResponse:
        key = requests.room_key(request.room)
        bind, unbind = tuple(request.bind_track_ids), tuple(request.unbind_track_ids)
        outcome = self._sfu.handle(key, cmd.UpdateSlots(request.participant_id, bind, unbind))
        return sfu_pb2.UpdateSlotsResponse(
            slots=self._slots(key, request.participant_id), unplaced_track_ids=outcome.unplaced
        )

    async def _update_subscriptions(
        self, request: sfu_pb2.UpdateSubscriptionsRequest
    ) -> sfu_pb2.UpdateSubscriptionsResponse:
        key = requests.room_key(request.room)
        command = cmd.UpdateSubscriptions(
            request.participant_id, tuple(request.track_ids), request.subscribed
        )
        self._sfu.handle(key, command)
        return sfu_pb2.UpdateSubscriptionsResponse(slots=self._slots(key, request.participant_id))

    async def _update_view(self, request: sfu_pb2.UpdateViewRequest) -> sfu_pb2.UpdateViewResponse:
        command = cmd.UpdateView(request.participant_id, requests.views(request.views))
        self._sfu.handle(requests.room_key(request.room), command)
        return sfu_pb2.UpdateViewResponse()

    async def _set_muted(self, request: sfu_pb2.SetMutedRequest) -> sfu_pb2.SetMutedResponse:
        command = cmd.SetMuted(request.participant_id, request.track_id, request.muted)
        self._sfu.handle(requests.room_key(request.room), command)
        return sfu_pb2.SetMutedResponse()

    async def _unpublish(self, request: sfu_pb2.UnpublishRequest) -> sfu_pb2.UnpublishResponse:
        command = cmd.Unpublish(request.participant_id, tuple(request.track_ids))
        self._sfu.handle(requests.room_key(request.room), command)
        return sfu_pb2.UnpublishResponse()

    async def _update_participant(
        self, request: sfu_pb2.UpdateParticipantRequest
    ) -> sfu_pb2.UpdateParticipantResponse:
        key = requests.room_key(request.room)
        self._sfu.handle(key, requests.update_participant(request))
        participant = self._sfu.node.room(key).participant(request.participant_id)
        return sfu_pb2.UpdateParticipantResponse(participant=participant_message(participant))

    async def _get_room(self, request: sfu_pb2.GetRoomRequest) -> sfu_pb2.GetRoomResponse:
        room = self._sfu.node.room(requests.room_key(request.room))
        asker = room.participant(request.participant_id) if request.participant_id else None
        visible = [p for p in room.participants.values() if not p.grants.hidden or p is asker]
        return sfu_pb2.GetRoomResponse(
            room=_room_message(room),
            participants=[participant_message(p, with_mids=p is asker) for p in visible],
            slots=slot_table_message(asker) if asker else None,
            revision=room.revision,
            layers_wanted=watching.wanted_messages(asker) if asker else (),
            paused_track_ids=watching.paused_tracks(asker) if asker else (),
        )

    async def _send_data(self, request: sfu_pb2.SendDataRequest) -> sfu_pb2.SendDataResponse:
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

    async def _close_room(self, request: sfu_pb2.CloseRoomRequest) -> sfu_pb2.CloseRoomResponse:
        self._sfu.close_room(requests.room_key(request.room), Reason.ROOM_CLOSED)
        return sfu_pb2.CloseRoomResponse()

    async def _set_draining(self, request: sfu_pb2.SetDrainingRequest) -> sfu_pb2.SetDrainingResponse:
        self._sfu.set_draining(request.draining, refuse_joins=request.refuse_joins)
        return sfu_pb2.SetDrainingResponse()

    def _slots(self, key: RoomKey, participant_id: str) -> media_pb2.SlotTable:
        return slot_table_message(self._sfu.node.room(key).participant(participant_id))


def _room_message(room: RoomState) -> media_pb2.Room:
    return media_pb2.Room(id=room.room_id, name=room.key.room, created_at_ms=room.created_at_ms)


async def abort(context: Context, error: NexusError) -> None:
    """Ends the call with the error's status and the error itself. Does not return."""
    message = error_pb2.Error(
        code=error_pb2.ErrorCode.Value(error.code),
        message=error.message,
        details={name: str(value) for name, value in error.fields.items()},
    )
    status = _STATUS.get(error.code, grpc.StatusCode.INTERNAL)
    await context.abort(status, str(error), ((ERROR_METADATA, message.SerializeToString()),))


class GrpcServer:
    """The listening server, with the standard health service and reflection beside ours."""

    def __init__(self, servicer: SfuServicer, host: str, port: int, max_message_bytes: int) -> None:
        options = [("grpc.max_receive_message_length", max_message_bytes), ("grpc.so_reuseport", 0)]
        self._server = aio.server(options=options)
        self._health = health.aio.HealthServicer()
        sfu_pb2_grpc.add_SfuServiceServicer_to_server(servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise ClientError("GRPC_PORT_UNAVAILABLE", f"cannot listen for gRPC on {address}") from error

    def add_method(self, name: str, handler: "grpc.RpcMethodHandler[Any, Any]") -> None:
        """In the place of the generated handler. Before `start`."""
        self._server.add_registered_method_handlers(SERVICE_NAME, {name: handler})

    async def start(self) -> None:
        await self._server.start()
        await self._health.set(SERVICE_NAME, health_pb2.HealthCheckResponse.SERVING)

    async def set_serving(self, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        await self._health.set(SERVICE_NAME, status.SERVING if serving else status.NOT_SERVING)

    async def close(self, grace_seconds: float = 1.0) -> None:
        await self._server.stop(grace_seconds)
