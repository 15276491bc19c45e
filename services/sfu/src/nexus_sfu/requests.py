"""Converts gRPC requests to the service's types. Values outside their enum or limit raise RpcError
INVALID_ARGUMENT."""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import partial
from typing import TypeVar

from nexus.sfu.v1 import sfu_pb2
from nexus.types.v1 import media_pb2

from nexus_sfu import errors
from nexus_sfu.core import commands as cmd
from nexus_sfu.core.model import Codec, Grants, Layer, Reason, RoomKey, Source, View
from nexus_sfu.sdp import PublicationRequest
from nexus_sfu.sfu import JoinRequest

MAX_KEY_BYTES = 512
MAX_VIEWS = 256
MAX_PRIORITY = 255
MAX_PIXELS = 65_535
E = TypeVar("E", bound=IntEnum)


def room_key(message: sfu_pb2.RoomKey) -> RoomKey:
    for name, value in (("app", message.app), ("room", message.room)):
        if not value or len(value.encode()) > MAX_KEY_BYTES:
            raise errors.invalid_argument(f"{name} must have 1 to {MAX_KEY_BYTES} bytes")
    return RoomKey(message.app, message.room)


def join_request(request: sfu_pb2.JoinRequest) -> JoinRequest:
    if not request.identity or len(request.identity.encode()) > MAX_KEY_BYTES:
        raise errors.invalid_argument(f"identity must have 1 to {MAX_KEY_BYTES} bytes")
    return JoinRequest(
        room=room_key(request.room),
        room_id=request.room_id,
        sdp=request.sdp,
        publications=publications(request.publications),
        command=partial(
            cmd.Join,
            request.identity,
            grants(request.grants),
            name=request.name,
            metadata=request.metadata,
            attributes=dict(request.attributes),
            bind_existing=request.bind_existing,
            max_participants=request.max_participants,
        ),
    )


def grants(message: media_pb2.Grants) -> Grants:
    return Grants(
        create=message.create,
        publish=message.publish,
        subscribe=message.subscribe,
        data=message.data,
        hidden=message.hidden,
        recorder=message.recorder,
        admin=message.admin,
    )


def publications(messages: Iterable[media_pb2.Publication]) -> tuple[PublicationRequest, ...]:
    return tuple(
        PublicationRequest(
            mid=message.mid,
            source=_member(Source, message.source, "source"),
            name=message.name,
            muted=message.muted,
            width=min(message.width, MAX_PIXELS),
            height=min(message.height, MAX_PIXELS),
            preferred=_member(Codec, message.preferred_codec, "preferred_codec")
            if message.preferred_codec
            else None,
            layers=tuple(
                Layer(
                    rid=layer.rid,
                    width=min(layer.width, MAX_PIXELS),
                    height=min(layer.height, MAX_PIXELS),
                    max_bitrate_bps=layer.max_bitrate_bps,
                    inactive=layer.inactive,
                )
                for layer in message.layers
            ),
            scalability_mode=message.scalability_mode,
        )
        for message in messages
    )


def views(messages: Sequence[media_pb2.TrackView]) -> tuple[View, ...]:
    if len(messages) > MAX_VIEWS:
        raise errors.invalid_argument("too many views in one request", limit=MAX_VIEWS)
    return tuple(_view(message) for message in messages)


def _view(message: media_pb2.TrackView) -> View:
    if message.priority > MAX_PRIORITY:
        raise errors.invalid_argument("the priority of a view is out of range", limit=MAX_PRIORITY)
    return View(
        track_id=message.track_id,
        # A larger size than any screen means the largest layer.
        width=min(message.width, MAX_PIXELS),
        height=min(message.height, MAX_PIXELS),
        hidden=message.hidden,
        pinned=message.pinned,
        priority=message.priority,
        max_spatial=message.max_spatial if message.HasField("max_spatial") else None,
        max_temporal=message.max_temporal if message.HasField("max_temporal") else None,
    )


def reason(value: int) -> Reason:
    """The reason for leaving; CLIENT_LEFT if unset."""
    return _member(Reason, value, "reason") if value else Reason.CLIENT_LEFT


def update_participant(request: sfu_pb2.UpdateParticipantRequest) -> cmd.UpdateParticipant:
    return cmd.UpdateParticipant(
        request.participant_id,
        request.name if request.HasField("name") else None,
        request.metadata if request.HasField("metadata") else None,
        dict(request.attributes),
    )


def update_room(request: sfu_pb2.UpdateRoomRequest) -> cmd.UpdateRoom:
    return cmd.UpdateRoom(
        request.recording if request.HasField("recording") else None,
        request.transcribing if request.HasField("transcribing") else None,
    )


def _member(kind: type[E], value: int, field: str) -> E:
    try:
        return kind(value)
    except ValueError:
        raise errors.invalid_argument(f"{field} has no value {value}") from None
