"""Performs a join: verifies the token, finds or places the room, and joins it on its SFU node."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from nexus.sfu.v1 import sfu_pb2
from nexus.signaling.v1 import session_pb2
from nexus.types.v1 import media_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_bus import BusError
from nexus_rooms import Feeds, Member, NodeDirectory, Sfu, holds_room
from nexus_rpc import RpcError

from nexus_signaling.core.seat import Seat
from nexus_signaling.core.sfu_requests import check_publications
from nexus_signaling.core.texts import check_attributes, check_metadata, check_name
from nexus_signaling.outgoing import SharedEvent
from nexus_signaling.room_directory import PlacedRoom, RoomDirectory
from nexus_signaling.tokens import Claims, TokenVerifier

log = structlog.get_logger()

# Maximum number of nodes tried for one join: after a crash of a host, records of several dead nodes may
# remain.
_MAX_NODES_TRIED = 5

IceServersFor = Callable[[str], list[media_pb2.IceServer]]


@dataclass(frozen=True, slots=True)
class JoinTerms:
    """Values in every join's answer."""

    ping_interval_ms: int
    server_version: str


class Joiner:
    def __init__(
        self,
        verifier: TokenVerifier,
        rooms: RoomDirectory,
        nodes: NodeDirectory,
        feeds: Feeds[SharedEvent],
        sfu: Sfu,
        ice_servers: IceServersFor,
        terms: JoinTerms,
    ) -> None:
        self._verifier = verifier
        self._rooms = rooms
        self._nodes = nodes
        self._feeds = feeds
        self._sfu = sfu
        self._ice_servers = ice_servers
        self._terms = terms

    async def join(
        self, request: session_pb2.JoinRequest, member: Member[SharedEvent]
    ) -> tuple[Seat, session_pb2.JoinResponse]:
        """Joins the room. Raises RpcError. On success `member` is in the room's feed until
        `RoomFeeds.exit`."""
        claims = await self._check(request)
        try:
            # Before the SFU is called, so that no event is missed between its answer and the subscription.
            await self._feeds.enter(claims.app, claims.room, member)
            try:
                return await self._join_room(request, claims)
            except BaseException:
                self._feeds.exit(claims.app, claims.room, member)
                raise
        except BusError as error:
            log.warning("join_without_broker", error=type(error).__name__)
            raise RpcError(
                ErrorCode.SERVICE_UNAVAILABLE, "Rooms cannot be looked up at the moment.", retry_after_ms=1000
            ) from error

    async def _check(self, request: session_pb2.JoinRequest) -> Claims:
        claims = await self._verifier.verify(request.token, app_id=request.app_id, room=request.room)
        if not request.sdp:
            raise RpcError(ErrorCode.INVALID_SDP, "The offer is empty.")
        check_publications(request.publications, claims.grants)
        check_name(request.name, "name")
        check_metadata(request.metadata)
        check_attributes(request.attributes)
        return claims

    async def _join_room(
        self, request: session_pb2.JoinRequest, claims: Claims
    ) -> tuple[Seat, session_pb2.JoinResponse]:
        not_on: frozenset[str] = frozenset()
        while True:
            placed = await self._rooms.resolve(
                claims.app, claims.room, may_create=claims.grants.create, not_on=not_on
            )
            try:
                answer = await self._sfu.join(placed.address, self._sfu_request(request, claims, placed))
            except RpcError as refused:
                not_on |= {placed.node_id}
                if len(not_on) < _MAX_NODES_TRIED and await self._may_move(refused, claims, placed):
                    continue
                raise
            return self._accepted(answer, claims, placed)

    async def _may_move(self, refused: RpcError, claims: Claims, placed: PlacedRoom) -> bool:
        """Whether the room may be placed on another node after this one refused: only if this node does not
        have the room, or is gone."""
        if refused.code == ErrorCode.NODE_DRAINING:
            return not await self.holds_room(placed.address, claims.app, claims.room)
        if refused.code == ErrorCode.SFU_UNREACHABLE:
            heard_at_ms = self._nodes.forget(placed.node_id)
            return placed.placed_now or await self._is_gone(placed, claims, heard_at_ms)
        return False

    async def _is_gone(self, placed: PlacedRoom, claims: Claims, heard_at_ms: int) -> bool:
        """Whether the node is gone: it does not answer a second call, and sends no heartbeats either.

        The record of a killed node remains until it expires. A node that still sends heartbeats is alive but
        unreachable from here; placing its room again would split the room.
        """
        if await self.holds_room(placed.address, claims.app, claims.room):
            return False
        return await self._nodes.falls_silent(placed.node_id, heard_at_ms)

    async def holds_room(self, address: str, app: str, room: str) -> bool:
        return await holds_room(self._sfu, address, app, room)

    def _sfu_request(
        self, request: session_pb2.JoinRequest, claims: Claims, placed: PlacedRoom
    ) -> sfu_pb2.JoinRequest:
        return sfu_pb2.JoinRequest(
            room=sfu_pb2.RoomKey(app=claims.app, room=claims.room),
            room_id=placed.room_id,
            identity=claims.identity,
            # Values signed by the app's server take precedence over the client's own.
            name=claims.name if claims.name is not None else request.name,
            metadata=claims.metadata if claims.metadata is not None else request.metadata,
            attributes={**request.attributes, **claims.attributes},
            grants=claims.grants,
            sdp=request.sdp,
            publications=request.publications,
            bind_existing=request.bind_existing and claims.grants.subscribe,
        )

    def _accepted(
        self, answer: sfu_pb2.JoinResponse, claims: Claims, placed: PlacedRoom
    ) -> tuple[Seat, session_pb2.JoinResponse]:
        seat = Seat(
            app=claims.app,
            room=claims.room,
            room_id=answer.room.id,
            node_id=placed.node_id,
            address=placed.address,
            identity=claims.identity,
            participant_id=answer.participant.id,
            grants=claims.grants,
        )
        return seat, session_pb2.JoinResponse(
            room=answer.room,
            participant=answer.participant,
            participants=answer.participants,
            sdp=answer.sdp,
            slots=answer.slots,
            ice_servers=self._ice_servers(claims.identity),
            grants=claims.grants,
            revision=answer.revision,
            ping_interval_ms=self._terms.ping_interval_ms,
            server_version=self._terms.server_version,
            node_id=placed.node_id,
            active_speakers=answer.active_speakers,
            unused_sections=answer.unused_sections,
        )
