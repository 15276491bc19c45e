"""`NexusClient` joins rooms: token, WebSocket, offer, one answer, media."""

from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from typing import Final

from nexus.qoe.v1 import telemetry_pb2 as qoe
from nexus.signaling.v1 import session_pb2 as wire

from nexus_rtc.connection import Connection
from nexus_rtc.edge.peer import IceServer, Peer, SrtpProfile
from nexus_rtc.edge.socket import Socket
from nexus_rtc.publishing import LocalTrack
from nexus_rtc.recordings import Recordings
from nexus_rtc.room import Room
from nexus_rtc.room_readings import RoomReadings
from nexus_rtc.room_telemetry import Telemetry, allowed_level, poster
from nexus_rtc.telemetry import TelemetryOption
from nexus_rtc.token import unverified_claims
from nexus_rtc.wire import BINARY, Subprotocol

# The slots of the first offer. The server requests more when they run out (docs/architecture/contracts.md,
# "The offer").
PAIRS: Final = 4
AUDIO_SLOTS: Final = 3


class NexusClient:
    """The way into rooms.

    `server_url` is http(s) or ws(s); without it the token's claim `url` is used. A token of another app than
    `app_id` is refused; an empty `app_id` is not checked. `telemetry`: whether the call is measured and
    reported to the server, "on", "quality" (no events) or "off"; operator and token can only lower it. Raises
    ValueError for an invalid token, address or level.
    """

    def __init__(
        self,
        *,
        token: str,
        server_url: str | None = None,
        app_id: str = "",
        subprotocol: Subprotocol = BINARY,
        connect_seconds: float = 10.0,
        srtp_profile: SrtpProfile | None = None,
        telemetry: TelemetryOption = "on",
    ) -> None:
        self._claims = unverified_claims(token)
        self._level = allowed_level(telemetry, self._claims.get("telemetry", "on"))
        self._url = server_url or str(self._claims.get("url", ""))
        if not self._url:
            raise ValueError("no server address: give one, or a token with the claim `url`")
        self._token = token
        self._app_id = app_id
        self._subprotocol = subprotocol
        self._connect_seconds = connect_seconds
        self._srtp_profile = srtp_profile

    @property
    def recordings(self) -> Recordings:
        """The recordings of the token's room, which need the grant `record`."""
        return Recordings(self._url, self._token)

    async def join(
        self,
        room: str | None = None,
        *,
        tracks: Iterable[LocalTrack] = (),
        name: str = "",
        attributes: Mapping[str, str] | None = None,
        ice_servers: Iterable[IceServer] = (),
        attach_all: bool = True,
        pairs: int = PAIRS,
        audio_slots: int = AUDIO_SLOTS,
        on_step: Callable[[str], None] = lambda step: None,
    ) -> Room:
        """Joins the token's room and publishes `tracks` with the join itself.

        `attach_all` requests every video track as it is published; otherwise call `room.attach`. `on_step` is
        called with "websocket", "offer" and "answer" as each is done. Raises NexusError.
        """
        room_name = room if room is not None else str(self._claims.get("room", ""))
        telemetry = Telemetry(self._level, room_name, poster(self._url, self._token))
        socket: Socket | None = None
        connection: Connection | None = None
        peer: Peer | None = None
        try:
            socket = await Socket.open(self._url, self._subprotocol, self._connect_seconds)
            telemetry.reached(qoe.JOIN_STEP_SOCKET)
            on_step("websocket")
            joining: list[Room] = []
            peer = Peer(
                lambda number, frame: joining[0].on_frame(number, frame),
                ice_servers=ice_servers,
                srtp_profile=self._srtp_profile,
            )
            joined = Room(peer, self.recordings, telemetry, attach_all=attach_all)
            joining.append(joined)
            connection = Connection(socket, joined.on_event)
            connection.on_stored = telemetry.stored
            joined.connect(connection)
            peer.add_slots(pairs, audio_slots)
            for local in tracks:
                joined.add(local)
            peer.data.open()
            sdp = await peer.offer()
            on_step("offer")
            answer = await joined.request(self._request(joined, room_name, sdp, name, attributes, attach_all))
            telemetry.reached(qoe.JOIN_STEP_ANSWER)
            on_step("answer")
            await peer.answer(answer.join.sdp)
            telemetry.start(
                RoomReadings(joined, peer, connection), answer.join.participant.id, answer.join.telemetry
            )
        except BaseException as error:
            if peer is not None:
                await peer.close()
            if connection is not None:
                await connection.close()
            elif socket is not None:
                await socket.close()
            await telemetry.close(error)
            raise
        return joined

    def _request(
        self,
        room: Room,
        room_name: str,
        sdp: str,
        name: str,
        attributes: Mapping[str, str] | None,
        bind_existing: bool,
    ) -> wire.ClientMessage:
        join = wire.JoinRequest(
            token=self._token,
            room=room_name,
            app_id=self._app_id,
            sdp=sdp,
            publications=[local.publication() for local in room.published],
            client=wire.ClientDescription(sdk="python", version=metadata.version("nexus-rtc")),
            name=name,
            attributes=attributes or {},
            bind_existing=bind_existing,
        )
        return wire.ClientMessage(join=join)
