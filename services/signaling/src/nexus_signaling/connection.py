"""One WebSocket: reads frames into the session core, carries out its effects, writes its outbox."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, assert_never

import structlog
from aiohttp import WSMsgType
from nexus.sfu.v1 import sfu_pb2
from nexus.signaling.v1 import session_pb2
from nexus.types.v1 import media_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rooms import Feeds, Nodes, ParticipantRequest, ParticipantResponse, Sfu
from nexus_rpc import RpcError, internal, request_id
from nexus_runtime import Background, Clock

from nexus_signaling.codec import Codec
from nexus_signaling.core import effects as do
from nexus_signaling.core import inputs as on
from nexus_signaling.core.limits import SessionLimits
from nexus_signaling.core.outbox import Outbox
from nexus_signaling.core.seat import Seat
from nexus_signaling.core.session import Session, State
from nexus_signaling.departures import Departures
from nexus_signaling.joining import Joiner
from nexus_signaling.metrics import Metrics
from nexus_signaling.outgoing import SharedEvent
from nexus_signaling.unpublishing import unpublish_for_owners
from nexus_signaling.web_socket import RtcWebSocket

log = structlog.get_logger()

CLOSE_TIMEOUT_SECONDS = 2.0

_connection_numbers = itertools.count(1)  # for the log only


@dataclass(frozen=True, slots=True)
class Services:
    """What every connection uses."""

    joiner: Joiner
    feeds: Feeds[SharedEvent]
    nodes: Nodes
    sfu: Sfu
    departures: Departures
    background: Background
    metrics: Metrics
    limits: SessionLimits
    outbox_messages: int
    outbox_bytes: int
    # So that a broker's return does not make every session ask its SFU at the same instant.
    snapshot_turns: asyncio.Semaphore
    clock: Clock


class Connection:
    def __init__(
        self, socket: RtcWebSocket, abort: Callable[[], None], codec: Codec, services: Services
    ) -> None:
        self._socket = socket
        self._abort = abort
        self._codec = codec
        self._services = services
        self._metrics = services.metrics
        self._session = Session(codec, services.limits, services.clock.now())
        limits = services.limits
        self._outbox = Outbox(services.outbox_messages, services.outbox_bytes, limits.max_catch_up)
        self._wake = asyncio.Event()
        self._closing: do.Close | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writer: asyncio.Task[None] | None = None
        self._over = False
        self._seat: Seat | None = None  # in the room's feed, to be released once
        self._client_close_code: int | None = None
        self._log = log.bind(connection=next(_connection_numbers))

    async def run(self) -> None:
        """Returns when the WebSocket is closed and the session over."""
        self._socket.on_too_large = self._say_too_large
        self._arm_timer()
        self._writer = asyncio.create_task(self._write(), name="rtc-writer")
        reader = asyncio.create_task(self._read(), name="rtc-reader")
        try:
            await asyncio.wait({self._writer, reader}, return_when=asyncio.FIRST_COMPLETED)
            if self._closing is not None and not reader.done():
                await self._close_socket(self._closing, reader)
        finally:
            self._over = True
            # First of all, and without waiting for anything: nobody may stay behind in the room.
            self._apply(on.SocketClosed(self._client_close_code))
            for task in (reader, self._writer):
                task.cancel()
            await asyncio.gather(reader, self._writer, return_exceptions=True)
            self._metrics.outbox_dropped.inc(self._outbox.clear())

    def end(self, reason: media_pb2.DisconnectReason.ValueType, message: str) -> None:
        """The service ends the session."""
        self._apply(on.Ended(reason, message))

    @property
    def node_id(self) -> str | None:
        """Where the session's media is; None while it is not joined."""
        return self._seat.node_id if self._seat is not None else None

    # the feed's member

    def deliver(self, event: SharedEvent) -> None:
        self._apply(on.RoomEventArrived(event))

    def events_may_be_missing(self) -> None:
        self._apply(on.EventsMayBeMissing())

    # in

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message.type in (WSMsgType.BINARY, WSMsgType.TEXT):
                self._metrics.messages_in.inc()
                self._metrics.bytes_in.inc(len(message.data))
                self._apply(on.FrameReceived(message.data))
            elif message.type is WSMsgType.PING:
                self._apply(on.ControlFrameReceived())
                await self._socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self._apply(on.ControlFrameReceived())
            else:
                # aiohttp also calls a torn connection 1000; only a close frame is the client's word.
                if message.type is WSMsgType.CLOSE:
                    self._client_close_code = message.data
                return

    async def _say_too_large(self) -> None:
        """Called before the WebSocket layer closes over a message that exceeds the limit."""
        self._apply(on.FrameTooLarge())
        if self._writer is not None:
            await asyncio.wait({self._writer}, timeout=CLOSE_TIMEOUT_SECONDS)

    def _apply(self, event: on.Input) -> None:
        try:
            effects = self._session.handle(event, self._services.clock.monotonic_ms())
        except Exception:
            # A defect of ours ends this one session, named in the log, and nobody else's.
            self._log.exception("session_failed", input=type(event).__name__)
            effects = self._session.handle(on.Broken(), self._services.clock.monotonic_ms())
        for effect in effects:
            try:
                self._perform(effect)
            except Exception:
                # Whoever called (the feed of a whole room, perhaps) must go on.
                self._log.exception("effect_failed", effect=type(effect).__name__)
                self._abort()
        if self._session.state is State.CLOSED:
            self._release_seat()
        self._arm_timer()

    def _arm_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._session.next_deadline()
        if deadline is not None and not self._over:
            delay_seconds = max(0, deadline - self._services.clock.monotonic_ms()) / 1000
            self._timer = asyncio.get_running_loop().call_later(delay_seconds, self._apply, on.TimePassed())

    def _release_seat(self) -> None:
        seat, self._seat = self._seat, None
        if seat is not None:
            self._services.feeds.exit(seat.app, seat.room, self)
            self._services.departures.gone(seat)
            self._metrics.sessions.dec()

    # effects

    def _perform(self, effect: do.Effect) -> None:
        match effect:
            case do.Send():
                self._send(effect)
            case do.StartJoin():
                self._start("join", self._join(effect.request))
            case do.CallSfu():
                self._start("sfu-call", self._call_sfu(effect))
            case do.FetchSnapshot():
                self._start("snapshot", self._fetch_snapshot())
            case do.LeaveRoom():
                self._services.departures.leave(effect.seat, effect.reason)
            case do.Close():
                self._begin_close(effect)
            case _:
                assert_never(effect)

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """In the background, under a request id of its own that also stands in the log of the called SFU."""
        with request_id.bound():
            self._services.background.start(name, work)

    def _send(self, send: do.Send) -> None:
        message = send.outgoing.message
        if message.HasField("error"):
            self._metrics.errors.labels(RpcError.from_wire(message.error).name).inc()
        if self._closing is not None or self._over:
            return
        if not self._outbox.put(self._codec.encode(send.outgoing), catch_up=send.catch_up):
            self._log.warning(
                "client_too_slow", queued=len(self._outbox), queued_bytes=self._outbox.bytes_queued
            )
            self._apply(on.OutboxFull())
            return
        self._wake.set()

    async def _join(self, request: session_pb2.JoinRequest) -> None:
        started_ms = self._services.clock.monotonic_ms()
        try:
            seat, response = await self._services.joiner.join(request, self)
        except RpcError as refused:
            self._metrics.joins.labels(refused.name).inc()
            self._log.info("join_refused", code=refused.name, room=request.room)
            self._apply(on.JoinRefused(refused))
            return
        except Exception:
            self._metrics.joins.labels("INTERNAL").inc()
            self._log.exception("join_failed", room=request.room)
            self._apply(on.JoinRefused(internal()))
            return
        self._metrics.joins.labels("ok").inc()
        self._metrics.join_seconds.observe((self._services.clock.monotonic_ms() - started_ms) / 1000)
        self._metrics.sessions.inc()
        self._log = self._log.bind(
            app=seat.app, room=seat.room, participant=seat.participant_id, node=seat.node_id
        )
        self._log.info("joined", identity=seat.identity, client=request.client.sdk[:32])
        self._seat = seat
        self._apply(on.JoinAccepted(seat, response))
        if self._seat is not None:
            await self._services.departures.enter(seat, response.participant.joined_at_ms)

    async def _call_sfu(self, effect: do.CallSfu) -> None:
        seat = self._session.seat
        assert seat is not None
        try:
            self._apply(on.SfuAnswered(await self._ask_sfu(seat.address, effect.request)))
        except RpcError as refused:
            self._apply(on.SfuAnswered(refused))
        except Exception:
            self._log.exception("sfu_call_broke")
            self._apply(on.SfuAnswered(internal()))

    async def _ask_sfu(self, address: str, request: ParticipantRequest) -> ParticipantResponse:
        sfu = self._services.sfu
        if isinstance(request, sfu_pb2.UnpublishRequest) and not request.participant_id:
            return await unpublish_for_owners(sfu, address, request)
        return await sfu.call(address, request)

    async def _fetch_snapshot(self) -> None:
        seat = self._session.seat
        assert seat is not None
        request = sfu_pb2.GetRoomRequest(room=seat.room_key, participant_id=seat.participant_id)
        try:
            async with self._services.snapshot_turns:
                answer = await self._services.sfu.get_room(seat.address, request)
        except RpcError as refused:
            self._metrics.snapshots.labels(refused.name).inc()
            if refused.code == ErrorCode.SFU_UNREACHABLE and self._services.nodes.is_gone(seat.node_id):
                self._apply(on.Ended(media_pb2.DISCONNECT_REASON_MEDIA_FAILED, "the media server is gone"))
            else:
                self._apply(on.SnapshotFetched(refused))
            return
        self._metrics.snapshots.labels("ok").inc()
        self._apply(on.SnapshotFetched(_snapshot(answer)))

    # out

    async def _write(self) -> None:
        """Ends when the socket fails, or when a close is wanted and all before it has been written."""
        with suppress(ConnectionError):
            while True:
                frame = self._outbox.pop()
                if frame is None:
                    if self._closing is not None:
                        return
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                self._metrics.messages_out.inc()
                self._metrics.bytes_out.inc(len(frame))
                if isinstance(frame, str):
                    await self._socket.send_str(frame)
                else:
                    await self._socket.send_bytes(frame)

    def _begin_close(self, close: do.Close) -> None:
        self._closing = close
        self._metrics.closes.labels(str(int(close.code))).inc()
        self._log.info("session_closed", close_code=int(close.code), reason=close.reason)
        self._wake.set()
        if not close.flush:
            self._metrics.outbox_dropped.inc(self._outbox.clear())
        # A client that does not read must not keep us: after this long its TCP connection is cut.
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_SECONDS, self._cut)

    def _cut(self) -> None:
        if not self._socket.closed:
            self._abort()

    async def _close_socket(self, close: do.Close, reader: asyncio.Task[None]) -> None:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                await self._socket.close(code=close.code, message=close.reason.encode()[:120])


def _snapshot(answer: sfu_pb2.GetRoomResponse) -> session_pb2.RoomSnapshot:
    return session_pb2.RoomSnapshot(
        room=answer.room,
        participants=answer.participants,
        slots=answer.slots,
        revision=answer.revision,
        layer_demands=answer.layer_demands,
        paused_tracks=answer.paused_tracks,
        active_speakers=answer.active_speakers,
    )
