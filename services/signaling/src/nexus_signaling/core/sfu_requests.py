"""Translates clients' requests into requests to the SFU, with checks of permissions, and the SFU's answers
back.

A client may change its own participant and tracks; those of others require the grant `admin`. Publishing and
subscribing require their grants. The SFU repeats the checks for which it has the information.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from nexus.sfu.v1 import sfu_pb2
from nexus.signaling.v1 import session_pb2
from nexus.types.v1 import media_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rooms import ParticipantRequest, ParticipantResponse
from nexus_rpc import RpcError

from nexus_signaling.core.seat import Seat
from nexus_signaling.core.texts import check_attributes, check_metadata, check_name

MAX_IDS: Final = 256
MAX_PUBLICATIONS: Final = 64
# Maximum layers of a publication. A simulcast has three in practice; the SFU refuses more than its engine
# supports.
MAX_LAYERS: Final = 8
MAX_RID_BYTES: Final = 64
MAX_PRIORITY: Final = 255


@dataclass(frozen=True, slots=True)
class Requester:
    """The participant that sent the request: its seat and its own tracks."""

    seat: Seat
    own_track_ids: Collection[str]


def permitted(granted: bool, grant: str) -> None:
    """Raises RpcError PERMISSION_DENIED unless `granted`."""
    if not granted:
        raise RpcError(
            ErrorCode.PERMISSION_DENIED, f"The token does not grant `{grant}`.", details={"grant": grant}
        )


def check_publications(publications: Collection[media_pb2.Publication], grants: media_pb2.Grants) -> None:
    if publications:
        permitted(grants.publish, "publish")
    if len(publications) > MAX_PUBLICATIONS:
        raise RpcError(
            ErrorCode.TOO_MANY_TRACKS,
            "Too many publications in one offer.",
            details={"limit": MAX_PUBLICATIONS},
        )
    for publication in publications:
        check_name(publication.name, "publications.name")
        check_name(publication.scalability_mode, "publications.scalability_mode")
        if len(publication.layers) > MAX_LAYERS:
            raise RpcError(
                ErrorCode.INVALID_ARGUMENT,
                "Too many layers in one publication.",
                details={"field": "publications.layers", "limit": MAX_LAYERS},
            )
        if any(len(layer.rid) > MAX_RID_BYTES for layer in publication.layers):
            raise RpcError(
                ErrorCode.INVALID_ARGUMENT,
                "`publications.layers.rid` is too long.",
                details={"field": "publications.layers.rid", "limit_bytes": MAX_RID_BYTES},
            )


def to_sfu(message: session_pb2.ClientMessage, requester: Requester) -> ParticipantRequest:
    """The request to the SFU for a request of a joined client. Raises RpcError."""
    name = message.WhichOneof("request")
    translate = _TO_SFU.get(name) if name is not None else None
    if translate is None:
        raise RpcError(ErrorCode.INVALID_MESSAGE, "The message has no request known to this server.")
    return translate(message, requester)


def _offer(message: session_pb2.ClientMessage, requester: Requester) -> ParticipantRequest:
    request = message.offer
    if not request.sdp:
        raise RpcError(ErrorCode.INVALID_SDP, "The offer is empty.")
    check_publications(request.publications, requester.seat.grants)
    return sfu_pb2.OfferRequest(
        room=requester.seat.room_key,
        participant_id=requester.seat.participant_id,
        sdp=request.sdp,
        publications=request.publications,
    )


def _update_slots(message: session_pb2.ClientMessage, requester: Requester) -> ParticipantRequest:
    request = message.update_slots
    if request.bind_track_ids:
        permitted(requester.seat.grants.subscribe, "subscribe")
    _check_ids(len(request.bind_track_ids) + len(request.unbind_track_ids))
    return sfu_pb2.UpdateSlotsRequest(
        room=requester.seat.room_key,
        participant_id=requester.seat.participant_id,
        bind_track_ids=request.bind_track_ids,
        unbind_track_ids=request.unbind_track_ids,
    )


def _update_subscriptions(message: session_pb2.ClientMessage, requester: Requester) -> ParticipantRequest:
    request = message.update_subscriptions
    if request.subscribed:
        permitted(requester.seat.grants.subscribe, "subscribe")
    _check_ids(len(request.track_ids))
    return sfu_pb2.UpdateSubscriptionsRequest(
        room=requester.seat.room_key,
        participant_id=requester.seat.participant_id,
        track_ids=request.track_ids,
        subscribed=request.subscribed,
    )


def _update_view(message: session_pb2.ClientMessage, requester: Requester) -> ParticipantRequest:
    request = message.update_view
    permitted(requester.seat.grants.subscribe, "subscribe")
    _check_ids(len(request.views))
    for view in request.views:
        _check_id(view.track_id, "views.track_id")
        if view.priority > MAX_PRIORITY:
            raise RpcError(
                ErrorCode.INVALID_ARGUMENT,
                "`views.priority` is out of range.",
                details={"field": "views.priority", "limit": MAX_PRIORITY},
            )
    return sfu_pb2.UpdateViewRequest(
        room=requester.seat.room_key, participant_id=requester.seat.participant_id, views=request.views
    )


def _set_muted(message: session_pb2.ClientMessage, requester: Requester) -> ParticipantRequest:
    request = message.set_muted
    _check_id(request.track_id, "track_id")
    return sfu_pb2.SetMutedRequest(
        room=requester.seat.room_key,
        # The SFU knows the track's owner: an admin may mute tracks of others but not unmute them.
        participant_id=requester.seat.participant_id,
        track_id=request.track_id,
        muted=request.muted,
    )


def _unpublish(message: session_pb2.ClientMessage, requester: Requester) -> ParticipantRequest:
    """For tracks of other participants, the request has no participant; `unpublishing` looks up the
    owners."""
    request = message.unpublish
    _check_ids(len(request.track_ids))
    if not request.track_ids:
        raise RpcError(ErrorCode.INVALID_ARGUMENT, "`track_ids` is empty.", details={"field": "track_ids"})
    own = all(track_id in requester.own_track_ids for track_id in request.track_ids)
    if not own:
        permitted(requester.seat.grants.admin, "admin")
    return sfu_pb2.UnpublishRequest(
        room=requester.seat.room_key,
        participant_id=requester.seat.participant_id if own else "",
        track_ids=request.track_ids,
    )


def _update_participant(message: session_pb2.ClientMessage, requester: Requester) -> ParticipantRequest:
    request = message.update_participant
    target = request.participant_id or requester.seat.participant_id
    if target != requester.seat.participant_id:
        permitted(requester.seat.grants.admin, "admin")
    check_attributes(request.attributes)
    update = sfu_pb2.UpdateParticipantRequest(
        room=requester.seat.room_key, participant_id=target, attributes=request.attributes
    )
    if request.HasField("name"):
        check_name(request.name, "name")
        update.name = request.name
    if request.HasField("metadata"):
        check_metadata(request.metadata)
        update.metadata = request.metadata
    return update


def _remove_participant(message: session_pb2.ClientMessage, requester: Requester) -> ParticipantRequest:
    permitted(requester.seat.grants.admin, "admin")
    _check_id(message.remove_participant.participant_id, "participant_id")
    return sfu_pb2.LeaveRequest(
        room=requester.seat.room_key,
        participant_id=message.remove_participant.participant_id,
        reason=media_pb2.DISCONNECT_REASON_REMOVED,
    )


_TO_SFU: Final[Mapping[str, Callable[[session_pb2.ClientMessage, Requester], ParticipantRequest]]] = {
    "offer": _offer,
    "update_slots": _update_slots,
    "update_subscriptions": _update_subscriptions,
    "update_view": _update_view,
    "set_muted": _set_muted,
    "unpublish": _unpublish,
    "update_participant": _update_participant,
    "remove_participant": _remove_participant,
}


def _check_id(text: str, field: str) -> None:
    if not text:
        raise RpcError(ErrorCode.INVALID_ARGUMENT, f"`{field}` is missing.", details={"field": field})


def _check_ids(count: int) -> None:
    if count > MAX_IDS:
        raise RpcError(ErrorCode.INVALID_ARGUMENT, "Too many ids in one request.", details={"limit": MAX_IDS})


def to_client(request_id: int, response: ParticipantResponse) -> session_pb2.ServerMessage:
    """The reply to the client with the SFU's answer."""
    reply = session_pb2.ServerMessage(request_id=request_id)
    match response:
        case sfu_pb2.OfferResponse():
            reply.offer.sdp = response.sdp
            reply.offer.slots.CopyFrom(response.slots)
            reply.offer.tracks.extend(response.tracks)
            reply.offer.unused_sections.extend(response.unused_sections)
        case sfu_pb2.UpdateSlotsResponse():
            reply.update_slots.slots.CopyFrom(response.slots)
            reply.update_slots.unplaced_track_ids.extend(response.unplaced_track_ids)
        case sfu_pb2.UpdateSubscriptionsResponse():
            reply.update_subscriptions.slots.CopyFrom(response.slots)
        case sfu_pb2.UpdateViewResponse():
            reply.update_view.SetInParent()
        case sfu_pb2.SetMutedResponse():
            reply.set_muted.SetInParent()
        case sfu_pb2.UnpublishResponse():
            reply.unpublish.SetInParent()
        case sfu_pb2.UpdateParticipantResponse():
            reply.update_participant.participant.CopyFrom(response.participant)
        case sfu_pb2.LeaveResponse():
            reply.remove_participant.SetInParent()
    return reply
