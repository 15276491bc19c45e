"""One WebSocket: passes frames to the session core, performs its effects, and sends its outbox."""

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

_connection_numbers = itertools.count(1)  # only for the log


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that all connections share."""

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
    # Limits concurrent snapshots: after an outage of the broker, every session needs one at the same time.
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
        self._seat: Seat | None = None  # set while in the room's feed; released exactly once
        self._client_close_code: int | None = None
        self._log = log.bind(connection=next(_connection_numbers))

    async def run(self) -> None:
        """Serves the WebSocket; returns when it is closed and the session has ended."""
        self._socket.on_too_large = self._report_too_large
        self._arm_timer()
        self._writer = asyncio.create_task(self._write(), name="rtc-writer")
        reader = asyncio.create_task(self._read(), name="rtc-reader")
        try:
            await asyncio.wait({self._writer, reader}, return_when=asyncio.FIRST_COMPLETED)
            if self._closing is not None and not reader.done():
                await self._close_socket(self._closing, reader)
        finally:
            self._over = True
            # First, and without awaiting anything, so that the participant cannot remain in the room.
            self._apply(on.SocketClosed(self._client_close_code))
            for task in (reader, self._writer):
                task.cancel()
            await asyncio.gather(reader, self._writer, return_exceptions=True)
            self._metrics.outbox_dropped.inc(self._outbox.clear())

    def end(self, reason: media_pb2.DisconnectReason.ValueType, message: str) -> None:
        """Ends the session for a reason of the service."""
        self._apply(on.Ended(reason, message))

    @property
    def node_id(self) -> str | None:
        """The node of the session's room; None while it is not joined."""
        return self._seat.node_id if self._seat is not None else None

    # Member of the room's feed

    def deliver(self, event: SharedEvent) -> None:
        self._apply(on.RoomEventArrived(event))

    def events_may_be_missing(self) -> None:
        self._apply(on.EventsMayBeMissing())

    # Receiving

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
                # aiohttp reports code 1000 also for a broken connection; only a close frame has the client's
                # code.
                if message.type is WSMsgType.CLOSE:
                    self._client_close_code = message.data
                return

    async def _report_too_large(self) -> None:
        """Called before the WebSocket layer closes the connection because a message exceeds the limit."""
        self._apply(on.FrameTooLarge())
        if self._writer is not None:
            await asyncio.wait({self._writer}, timeout=CLOSE_TIMEOUT_SECONDS)

    def _apply(self, event: on.Input) -> None:
        try:
            effects = self._session.handle(event, self._services.clock.monotonic_ms())
        except Exception:
            # A defect ends only this session and is logged.
            self._log.exception("session_failed", input=type(event).__name__)
            effects = self._session.handle(on.Broken(), self._services.clock.monotonic_ms())
        for effect in effects:
            try:
                self._perform(effect)
            except Exception:
                # The caller, such as the feed of a whole room, must not be interrupted.
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

    # Effects

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
        """Starts background work with a new request id, which also appears in the log of the called SFU."""
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
            self._log.exception("sfu_call_failed")
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

    # Sending

    async def _write(self) -> None:
        """Sends the outbox until the socket fails, or until it is empty and a close has been requested."""
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
        # The connection of a client that does not read is aborted after this time.
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
