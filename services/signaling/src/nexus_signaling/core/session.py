"""The session of one client, with the states awaiting join, joining, joined and closed. It decides without
I/O.

`handle(input, now_ms)` returns effects; the connection performs them and passes their results as further
inputs. `next_deadline()` returns when the input `TimePassed` is due. `now_ms` is in milliseconds of a
monotonic clock.
"""

from collections import deque
from enum import Enum, auto
from typing import assert_never

from nexus.signaling.v1 import session_pb2
from nexus.types.v1 import media_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rooms import Advance, FeedCursor, ParticipantResponse
from nexus_rpc import RpcError, internal
from nexus_runtime import Now

from nexus_signaling.codec import Codec, Malformed
from nexus_signaling.core import effects as do
from nexus_signaling.core import inputs as on
from nexus_signaling.core.effects import Effect
from nexus_signaling.core.endings import ending
from nexus_signaling.core.limits import SessionLimits
from nexus_signaling.core.seat import Seat
from nexus_signaling.core.sfu_requests import Requester, to_client, to_sfu
from nexus_signaling.core.token_bucket import TokenBucket
from nexus_signaling.errors import CloseCode, close_code
from nexus_signaling.outgoing import Outgoing, SharedEvent


class State(Enum):
    AWAITING_JOIN = auto()
    JOINING = auto()
    JOINED = auto()
    CLOSED = auto()


class Session:
    def __init__(self, codec: Codec, limits: SessionLimits, now: Now) -> None:
        self._codec = codec
        self._limits = limits
        now_ms = now.monotonic_ms
        # Added to `now_ms` in replies to pings, which must not step with the wall clock.
        self._epoch_ms_at_zero = now.epoch_ms - now_ms
        self._state = State.AWAITING_JOIN
        self._seat: Seat | None = None
        self._own_track_ids: set[str] = set()
        self._messages = TokenBucket(limits.messages_per_second, limits.message_burst, now_ms)
        self._bytes = TokenBucket(limits.bytes_per_second, limits.bytes_burst, now_ms)
        self._rate_limited = 0
        self._malformed = 0
        self._last_request_id = 0
        self._join_request_id = 0
        self._join_deadline = now_ms + limits.join_timeout_ms
        self._heard_at = now_ms
        self._pending: deque[session_pb2.ClientMessage] = deque()
        self._sfu_busy_with: int | None = None  # the id of the request that the SFU is handling
        self._cursor: FeedCursor[SharedEvent] = FeedCursor(limits.max_held_events)
        self._fetching_snapshot = False
        self._snapshot_wanted_at: int | None = None
        self._snapshot_allowed_at = now_ms

    @property
    def state(self) -> State:
        return self._state

    @property
    def seat(self) -> Seat | None:
        return self._seat

    def next_deadline(self) -> int | None:
        match self._state:
            case State.AWAITING_JOIN:
                return self._join_deadline
            case State.JOINING | State.CLOSED:
                return None
            case State.JOINED:
                silent_at = self._heard_at + self._limits.silence_ms
                if self._snapshot_wanted_at is None or self._fetching_snapshot:
                    return silent_at
                return min(silent_at, self._snapshot_wanted_at)

    def handle(self, event: on.Input, now_ms: int) -> list[Effect]:
        if self._state is State.CLOSED:
            return self._handle_closed(event)
        match event:
            case on.FrameReceived():
                self._heard_at = now_ms
                return self._on_frame(event.frame, now_ms)
            case on.ControlFrameReceived():
                self._heard_at = now_ms
                return self._over_rate(0, self._messages.take(now_ms))
            case on.FrameTooLarge():
                return self._fail(self._too_large())
            case on.JoinAccepted():
                return self._on_joined(event, now_ms)
            case on.JoinRefused():
                return self._fail(event.refused, self._join_request_id)
            case on.SfuAnswered():
                return self._on_sfu_answer(event.answer)
            case on.RoomEventArrived():
                return self._on_room_event(event.event, now_ms)
            case on.EventsMayBeMissing():
                if self._state is State.JOINED:
                    return self._want_snapshot(now_ms)
                self._cursor.note_loss()
                return []
            case on.SnapshotFetched():
                return self._on_snapshot(event.answer, now_ms)
            case on.Ended():
                return self._end(event.reason, event.message)
            case on.Broken():
                return self._fail(internal())
            case on.OutboxFull():
                return self._close(CloseCode.TOO_SLOW, "the client does not read", flush=False)
            case on.SocketClosed():
                return self._on_socket_closed(event.code)
            case on.TimePassed():
                return self._on_time(now_ms)
            case _:
                assert_never(event)

    # Frames

    def _on_frame(self, frame: bytes | str, now_ms: int) -> list[Effect]:
        if len(frame) > self._limits.max_message_bytes:
            return self._fail(self._too_large())
        waits = max(self._messages.take(now_ms), self._bytes.take(now_ms, len(frame)))
        try:
            message = self._codec.decode(frame)
        except Malformed as error:
            return self._over_rate(0, waits) or self._on_malformed(0, str(error))
        if waits:
            return self._over_rate(message.request_id, waits)
        if message.request_id <= self._last_request_id:
            return self._on_malformed(message.request_id, "request_id must be positive and increase.")
        self._last_request_id = message.request_id
        return self._on_request(message, now_ms)

    def _on_request(self, message: session_pb2.ClientMessage, now_ms: int) -> list[Effect]:
        request = message.WhichOneof("request")
        if request is None:
            return self._on_malformed(message.request_id, "The message has no request known to this server.")
        if request == "ping":
            return [self._pong(message, now_ms)]
        if request == "join":
            return self._on_join_request(message)
        if self._state is not State.JOINED:
            refused = RpcError(
                ErrorCode.NOT_JOINED, "The first request must be `join`.", details={"request": request}
            )
            return [self._error(refused, message.request_id)]
        if request == "leave":
            reply = session_pb2.ServerMessage(request_id=message.request_id)
            reply.leave.SetInParent()
            return [do.Send(Outgoing(reply)), *self._end(media_pb2.DISCONNECT_REASON_CLIENT_LEFT, "left")]
        if len(self._pending) >= self._limits.max_pending_requests:
            refused = RpcError(
                ErrorCode.RATE_LIMITED, "Too many requests are unanswered.", retry_after_ms=1000
            )
            return [self._error(refused, message.request_id)]
        self._pending.append(message)
        return self._next_sfu_call()

    def _on_join_request(self, message: session_pb2.ClientMessage) -> list[Effect]:
        if self._state is not State.AWAITING_JOIN:
            refused = RpcError(ErrorCode.ALREADY_JOINED, "This session has already joined or is joining.")
            return [self._error(refused, message.request_id)]
        self._state = State.JOINING
        self._join_request_id = message.request_id
        return [do.StartJoin(message.join)]

    def _pong(self, message: session_pb2.ClientMessage, now_ms: int) -> Effect:
        reply = session_pb2.ServerMessage(request_id=message.request_id)
        reply.ping.sent_at_ms = message.ping.sent_at_ms
        reply.ping.server_at_ms = self._epoch_ms_at_zero + now_ms
        return do.Send(Outgoing(reply))

    def _on_malformed(self, request_id: int, why: str) -> list[Effect]:
        self._malformed += 1
        refused = RpcError(ErrorCode.INVALID_MESSAGE, why)
        if self._malformed >= self._limits.max_malformed:
            return self._fail(refused, request_id)
        return [self._error(refused, request_id)]

    def _over_rate(self, request_id: int, wait_ms: int) -> list[Effect]:
        """The effects of a message above the rate; none if `wait_ms` is 0."""
        if not wait_ms:
            return []
        self._rate_limited += 1
        refused = RpcError(
            ErrorCode.RATE_LIMITED,
            "Too many messages or bytes in a short time.",
            retry_after_ms=wait_ms,
        )
        if self._rate_limited >= self._limits.max_rate_limited:
            return self._fail(refused, request_id)
        return [self._error(refused, request_id)]

    def _too_large(self) -> RpcError:
        limit = self._limits.max_message_bytes
        return RpcError(
            ErrorCode.MESSAGE_TOO_LARGE, "The message is too large.", details={"limit_bytes": limit}
        )

    # Requests to the SFU

    def _next_sfu_call(self) -> list[Effect]:
        """Sends requests to the SFU one at a time and in order, so that none overtakes the offer on which it
        depends."""
        done: list[Effect] = []
        while self._pending and self._sfu_busy_with is None:
            assert self._seat is not None
            message = self._pending.popleft()
            try:
                request = to_sfu(message, Requester(self._seat, self._own_track_ids))
            except RpcError as refused:
                done.append(self._error(refused, message.request_id))
                continue
            self._sfu_busy_with = message.request_id
            done.append(do.CallSfu(request))
        return done

    def _on_sfu_answer(self, answer: ParticipantResponse | RpcError) -> list[Effect]:
        request_id, self._sfu_busy_with = self._sfu_busy_with or 0, None
        if isinstance(answer, RpcError):
            return [self._error(answer, request_id), *self._next_sfu_call()]
        reply = to_client(request_id, answer)
        if reply.HasField("offer"):
            self._own_track_ids = {track.id for track in reply.offer.tracks}
        return [do.Send(Outgoing(reply)), *self._next_sfu_call()]

    # The room

    def _on_joined(self, event: on.JoinAccepted, now_ms: int) -> list[Effect]:
        self._state = State.JOINED
        self._heard_at = now_ms
        self._seat = event.seat
        self._own_track_ids = {track.id for track in event.response.participant.tracks}
        reply = session_pb2.ServerMessage(request_id=self._join_request_id, join=event.response)
        advance = self._cursor.resume(event.seat.room_id, event.response.revision)
        return [do.Send(Outgoing(reply), catch_up=True), *self._deliver(advance, now_ms, catch_up=True)]

    def _on_room_event(self, shared: SharedEvent, now_ms: int) -> list[Effect]:
        if self._seat is not None:
            ended = self._end_of_session(shared)
            if ended:
                return ended
        return self._deliver(self._cursor.take(shared), now_ms)

    def _deliver(self, advance: Advance[SharedEvent], now_ms: int, *, catch_up: bool = False) -> list[Effect]:
        assert self._seat is not None or not advance.events
        done: list[Effect] = []
        for shared in advance.events:
            ended = self._end_of_session(shared)
            if ended:
                return done + ended
            if self._is_for_client(shared):
                done.append(do.Send(shared, catch_up))
        if advance.needs_snapshot:
            done += self._want_snapshot(now_ms)
        return done

    def _is_for_client(self, shared: SharedEvent) -> bool:
        assert self._seat is not None
        event = shared.event
        return not event.internal and event.target_participant_id in ("", self._seat.participant_id)

    def _end_of_session(self, shared: SharedEvent) -> list[Effect]:
        """The effects of an event that ends this session; none for others. Such an event takes effect at
        once, even if earlier events are missing or held."""
        assert self._seat is not None
        event = shared.event
        if event.room_id != self._seat.room_id:
            return []
        kind = event.WhichOneof("event")
        if kind == "participant_left" and event.participant_left.participant_id == self._seat.participant_id:
            left = event.participant_left
            return self._end(left.reason, left.detail or "the SFU ended the session", gone=True)
        if kind == "room_closed":
            return self._end(media_pb2.DISCONNECT_REASON_ROOM_CLOSED, "the room was closed", gone=True)
        return []

    def _want_snapshot(self, now_ms: int) -> list[Effect]:
        self._cursor.wait()
        # A snapshot in progress may be older than the missing events, so another one follows it.
        if self._fetching_snapshot or now_ms < self._snapshot_allowed_at:
            self._snapshot_wanted_at = self._snapshot_allowed_at
            return []
        self._snapshot_wanted_at = None
        self._snapshot_allowed_at = now_ms + self._limits.snapshot_interval_ms
        self._fetching_snapshot = True
        return [do.FetchSnapshot()]

    def _on_snapshot(self, answer: session_pb2.RoomSnapshot | RpcError, now_ms: int) -> list[Effect]:
        self._fetching_snapshot = False
        if isinstance(answer, RpcError):
            if answer.code in (ErrorCode.ROOM_NOT_FOUND, ErrorCode.PARTICIPANT_NOT_FOUND):
                return self._end(
                    media_pb2.DISCONNECT_REASON_MEDIA_FAILED, "the SFU no longer has the session", gone=True
                )
            return self._want_snapshot(now_ms)
        assert self._seat is not None
        if answer.revision < self._cursor.revision:
            # The client already has newer state, and must not receive an older one.
            known = self._cursor.resume(self._seat.room_id, self._cursor.revision)
            return self._deliver(known, now_ms, catch_up=True)
        self._own_track_ids |= {
            track.id
            for participant in answer.participants
            if participant.id == self._seat.participant_id
            for track in participant.tracks
        }
        advance = self._cursor.resume(self._seat.room_id, answer.revision)
        snapshot = Outgoing(session_pb2.ServerMessage(snapshot=answer))
        return [do.Send(snapshot, catch_up=True), *self._deliver(advance, now_ms, catch_up=True)]

    # The end

    def _on_time(self, now_ms: int) -> list[Effect]:
        deadline = self.next_deadline()
        if deadline is None or now_ms < deadline:
            return []
        if self._state is State.AWAITING_JOIN:
            limit = {"limit_ms": self._limits.join_timeout_ms}
            return self._fail(RpcError(ErrorCode.JOIN_TIMEOUT, "No `join` arrived in time.", details=limit))
        if now_ms >= self._heard_at + self._limits.silence_ms:
            reason = media_pb2.DISCONNECT_REASON_SIGNALING_LOST
            farewell = self._farewell(reason, "the client was silent for too long", can_rejoin=True)
            return [farewell, *self._close(CloseCode.PING_TIMEOUT, "ping timeout", leave=reason)]
        return self._want_snapshot(now_ms)

    def _on_socket_closed(self, code: int | None) -> list[Effect]:
        # 1000 and 1001 are intended by the client: it left, or its page was closed (RFC 6455 §7.4.1).
        intended = code in (1000, 1001)
        reason = (
            media_pb2.DISCONNECT_REASON_CLIENT_LEFT
            if intended
            else media_pb2.DISCONNECT_REASON_SIGNALING_LOST
        )
        return self._close(None, "", leave=reason)

    def _handle_closed(self, event: on.Input) -> list[Effect]:
        # A join in progress when the socket closed has created a participant without a client: remove it.
        if isinstance(event, on.JoinAccepted):
            return [do.LeaveRoom(event.seat, media_pb2.DISCONNECT_REASON_SIGNALING_LOST)]
        return []

    def _fail(self, refused: RpcError, request_id: int = 0) -> list[Effect]:
        code = close_code(refused.code)
        error = do.Send(
            Outgoing(session_pb2.ServerMessage(request_id=request_id, error=refused.to_wire(fatal=True)))
        )
        return [
            error,
            *self._close(
                code, ErrorCode.Name(refused.code), leave=media_pb2.DISCONNECT_REASON_PROTOCOL_ERROR
            ),
        ]

    def _end(
        self, reason: media_pb2.DisconnectReason.ValueType, message: str, *, gone: bool = False
    ) -> list[Effect]:
        """Ends the session. `gone`: the SFU no longer has the participant."""
        code, can_rejoin = ending(reason)
        farewell = self._farewell(reason, message, can_rejoin=can_rejoin)
        return [farewell, *self._close(code, message, leave=None if gone else reason)]

    def _farewell(
        self, reason: media_pb2.DisconnectReason.ValueType, message: str, *, can_rejoin: bool
    ) -> Effect:
        disconnected = session_pb2.Disconnected(reason=reason, message=message, can_rejoin=can_rejoin)
        return do.Send(Outgoing(session_pb2.ServerMessage(disconnected=disconnected)))

    def _close(
        self,
        code: CloseCode | None,
        why: str,
        *,
        flush: bool = True,
        leave: media_pb2.DisconnectReason.ValueType | None = media_pb2.DISCONNECT_REASON_SIGNALING_LOST,
    ) -> list[Effect]:
        """Closes the session. `code` is None if the socket is already closed, and `leave` is None if the SFU
        no longer has the participant."""
        done: list[Effect] = []
        if code is not None:
            done.append(do.Close(code, why, flush))
        if self._state is State.JOINED and leave is not None:
            assert self._seat is not None
            done.append(do.LeaveRoom(self._seat, leave))
        self._state = State.CLOSED
        self._pending.clear()
        return done

    def _error(self, refused: RpcError, request_id: int) -> Effect:
        return do.Send(Outgoing(session_pb2.ServerMessage(request_id=request_id, error=refused.to_wire())))
