"""A signaling server for tests: a real WebSocket, scripted answers, and aiortc as the remote peer."""

from collections.abc import Callable

from aiohttp import WSMsgType, web
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from google.protobuf import json_format
from nexus.signaling.v1 import session_pb2 as wire
from nexus.types.v1 import media_pb2 as media

Answer = Callable[[wire.ClientMessage], wire.ServerMessage | None]


class FakeServer:
    """Answers one client. `answers` replaces the default answer to a kind of request; `sends` are the tracks
    that it sends through the first slots."""

    def __init__(self) -> None:
        self.url = ""
        self.received: list[wire.ClientMessage] = []
        self.answers: dict[str, Answer] = {}
        self.join = wire.JoinResponse(
            room=media.Room(name="lobby"),
            participant=media.Participant(id="PA_me", identity="me"),
            revision=1,
        )
        self.sends: list[MediaStreamTrack] = []
        self.far_end: RTCPeerConnection | None = None
        self.subprotocols: tuple[str, ...] = ("nexus.v1", "nexus.v1.json")
        self.close_code: int | None = None
        self._socket: web.WebSocketResponse | None = None
        self._runner: web.AppRunner | None = None

    def kinds(self) -> list[str]:
        return [message.WhichOneof("request") or "" for message in self.received]

    def last(self, kind: str) -> wire.ClientMessage:
        return [message for message in self.received if message.WhichOneof("request") == kind][-1]

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/rtc", self._serve)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self.far_end is not None:
            await self.far_end.close()
        assert self._runner is not None
        await self._runner.cleanup()

    async def push(self, message: wire.ServerMessage) -> None:
        """Sends an event, or another message that answers no request."""
        assert self._socket is not None
        if self._socket.ws_protocol == "nexus.v1.json":
            await self._socket.send_str(json_format.MessageToJson(message))
        else:
            await self._socket.send_bytes(message.SerializeToString())

    async def hang_up(self) -> None:
        assert self._socket is not None
        await self._socket.close(code=1001)

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        self._socket = web.WebSocketResponse(protocols=self.subprotocols)
        await self._socket.prepare(request)
        async for frame in self._socket:
            if frame.type == WSMsgType.TEXT:
                message = json_format.Parse(frame.data, wire.ClientMessage())
            else:
                message = wire.ClientMessage.FromString(frame.data)
            self.received.append(message)
            answer = await self._answer(message)
            if answer is not None:
                answer.request_id = message.request_id
                await self.push(answer)
        self.close_code = self._socket.close_code
        return self._socket

    async def _answer(self, message: wire.ClientMessage) -> wire.ServerMessage | None:
        kind = message.WhichOneof("request") or ""
        if kind in self.answers:
            return self.answers[kind](message)
        match kind:
            case "join":
                self.join.sdp = await self._negotiate(message.join.sdp)
                return wire.ServerMessage(join=self.join)
            case "offer":
                tracks = [
                    media.Track(id=f"TR_{one.mid}", mid=one.mid, number=90, participant_id="PA_me")
                    for one in message.offer.publications
                ]
                sdp = await self._negotiate(message.offer.sdp)
                return wire.ServerMessage(offer=wire.OfferResponse(sdp=sdp, tracks=tracks))
            case "update_slots":
                return wire.ServerMessage(update_slots=wire.UpdateSlotsResponse())
            case "set_muted":
                return wire.ServerMessage(set_muted=wire.SetMutedResponse())
            case "leave":
                return wire.ServerMessage(leave=wire.LeaveResponse())
        return None

    async def _negotiate(self, offer: str) -> str:
        if self.far_end is None:
            self.far_end = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            for track in self.sends:  # assigned by kind, in order, to the first slots
                self.far_end.addTransceiver(track, direction="sendonly")
        await self.far_end.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self.far_end.setLocalDescription()
        return str(self.far_end.localDescription.sdp)
