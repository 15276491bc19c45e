"""The session core: every state, deadline and limit, without a socket and with manual time."""

from typing import Any, TypeVar

import pytest
from nexus.events.v1 import room_pb2
from nexus.sfu.v1 import sfu_pb2
from nexus.signaling.v1 import session_pb2
from nexus.types.v1 import media_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import RpcError
from nexus_runtime import Now
from nexus_signaling.codec import BinaryCodec
from nexus_signaling.core import effects as do
from nexus_signaling.core import inputs as on
from nexus_signaling.core.limits import SessionLimits
from nexus_signaling.core.seat import Seat
from nexus_signaling.core.session import Session, State
from nexus_signaling.errors import CloseCode
from nexus_signaling.outgoing import SharedEvent

E = TypeVar("E")
START = 100_000
LIMITS = SessionLimits(
    messages_per_second=10, message_burst=20, max_rate_limited=5, max_malformed=3, max_pending_requests=4
)


def only(effects: list[do.Effect], kind: type[E]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]


def sent(effects: list[do.Effect]) -> list[session_pb2.ServerMessage]:
    return [effect.outgoing.message for effect in only(effects, do.Send)]


def codes(effects: list[do.Effect]) -> list[str]:
    return [ErrorCode.Name(message.error.code) for message in sent(effects) if message.HasField("error")]


def event(revision: int, room_id: str = "RM_1", **fields: Any) -> SharedEvent:
    if not any(
        isinstance(value, room_pb2.TrackMuted | room_pb2.ParticipantLeft) for value in fields.values()
    ):
        fields.setdefault("track_muted", room_pb2.TrackMuted(track_id=f"TR_{revision}"))
    return SharedEvent(room_pb2.RoomEvent(room_id=room_id, revision=revision, **fields))


class Driver:
    """A session and its clock."""

    def __init__(self, limits: SessionLimits = LIMITS) -> None:
        self.now = START
        self.session = Session(BinaryCodec(), limits, Now(START, 1_000_000))
        self._request_id = 0

    def on(self, event: on.Input) -> list[do.Effect]:
        return self.session.handle(event, self.now)

    def request(self, **request: Any) -> list[do.Effect]:
        self._request_id += 1
        message = session_pb2.ClientMessage(request_id=self._request_id, **request)
        return self.on(on.FrameReceived(message.SerializeToString()))

    def begin_join(self) -> list[do.Effect]:
        return self.request(join=session_pb2.JoinRequest(token="t", room="lobby", sdp="v=0"))

    def seat(self, **grants: bool) -> Seat:
        granted = {"publish": True, "subscribe": True} | grants
        return Seat(
            app="app",
            room="lobby",
            room_id="RM_1",
            node_id="n",
            address="a:1",
            identity="ann",
            participant_id="PA_1",
            grants=media_pb2.Grants(**granted),
        )

    def accept(self, revision: int = 5, **grants: bool) -> list[do.Effect]:
        own = media_pb2.Participant(id="PA_1", tracks=[media_pb2.Track(id="TR_own")])
        answer = session_pb2.JoinResponse(revision=revision, participant=own)
        return self.on(on.JoinAccepted(self.seat(**grants), answer))

    def joined(self, revision: int = 5, **grants: bool) -> "Driver":
        self.begin_join()
        self.accept(revision, **grants)
        return self

    def state(self) -> State:
        return self.session.state

    def wait(self, ms: int) -> list[do.Effect]:
        self.now += ms
        return self.on(on.TimePassed())


def test_a_join_is_answered_under_its_request_id() -> None:
    driver = Driver()
    assert len(only(driver.begin_join(), do.StartJoin)) == 1
    assert driver.state() is State.JOINING
    (reply,) = sent(driver.accept())
    assert (reply.request_id, reply.WhichOneof("body")) == (1, "join")
    assert driver.state() is State.JOINED


def test_a_missing_join_ends_the_session() -> None:
    driver = Driver()
    assert driver.session.next_deadline() == START + 10_000
    assert driver.wait(9_900) == []
    effects = driver.wait(100)
    assert codes(effects) == ["JOIN_TIMEOUT"]
    assert sent(effects)[0].error.fatal
    assert only(effects, do.Close)[0].code is CloseCode.PROTOCOL_ERROR
    assert driver.session.next_deadline() is None


def test_requests_except_pings_are_refused_before_the_join() -> None:
    driver = Driver()
    assert codes(driver.request(set_muted=session_pb2.SetMutedRequest(track_id="TR_own"))) == ["NOT_JOINED"]
    assert codes(driver.request(leave=session_pb2.LeaveRequest())) == ["NOT_JOINED"]
    driver.now += 2_500
    (pong,) = sent(driver.request(ping=session_pb2.PingRequest(sent_at_ms=77)))
    assert (pong.request_id, pong.ping.sent_at_ms, pong.ping.server_at_ms) == (3, 77, 1_002_500)


def test_a_second_join_is_refused_and_the_first_continues() -> None:
    driver = Driver()
    driver.begin_join()
    assert codes(driver.begin_join()) == ["ALREADY_JOINED"]
    driver.accept()
    assert codes(driver.begin_join()) == ["ALREADY_JOINED"]
    assert driver.state() is State.JOINED


@pytest.mark.parametrize(
    ("code", "close"),
    [
        (ErrorCode.TOKEN_EXPIRED, CloseCode.TOKEN_REJECTED),
        (ErrorCode.ROOM_MISMATCH, CloseCode.TOKEN_REJECTED),
        (ErrorCode.ROOM_FULL, CloseCode.REFUSED),
        (ErrorCode.NO_SFU_AVAILABLE, CloseCode.REFUSED),
        (ErrorCode.PERMISSION_DENIED, CloseCode.REFUSED),
    ],
)
def test_a_refused_join_closes_with_its_code(code: ErrorCode.ValueType, close: CloseCode) -> None:
    driver = Driver()
    driver.begin_join()
    effects = driver.on(on.JoinRefused(RpcError(code, "no", retry_after_ms=7)))
    (reply,) = sent(effects)
    assert reply.request_id == 1
    assert reply.error.fatal
    assert reply.error.retry_after_ms == 7
    assert only(effects, do.Close)[0].code is close
    assert only(effects, do.LeaveRoom) == []


@pytest.mark.parametrize("request_id", [0, 1])
def test_request_ids_must_increase(request_id: int) -> None:
    driver = Driver()
    driver.begin_join()
    again = session_pb2.ClientMessage(request_id=request_id, ping=session_pb2.PingRequest())
    effects = driver.on(on.FrameReceived(again.SerializeToString()))
    assert codes(effects) == ["INVALID_MESSAGE"]


def test_too_many_malformed_messages_end_the_session() -> None:
    driver = Driver().joined()
    for _ in range(2):
        effects = driver.on(on.FrameReceived(b"\xff\xff"))
        assert codes(effects) == ["INVALID_MESSAGE"]
        assert only(effects, do.Close) == []
    effects = driver.on(on.FrameReceived(b"\xff\xff"))
    assert sent(effects)[0].error.fatal
    assert only(effects, do.Close)[0].code is CloseCode.PROTOCOL_ERROR
    assert only(effects, do.LeaveRoom)[0].reason == media_pb2.DISCONNECT_REASON_PROTOCOL_ERROR


def test_the_rate_limit_refuses_with_a_retry_time_and_finally_closes() -> None:
    driver = Driver()
    for _ in range(20):
        assert codes(driver.request(ping=session_pb2.PingRequest())) == []
    effects = driver.request(ping=session_pb2.PingRequest())
    assert codes(effects) == ["RATE_LIMITED"]
    (refusal,) = sent(effects)
    assert refusal.request_id == 21
    assert refusal.error.retry_after_ms == 100
    driver.now += 100
    assert codes(driver.request(ping=session_pb2.PingRequest())) == []
    for _ in range(3):
        assert only(driver.request(ping=session_pb2.PingRequest()), do.Close) == []
    effects = driver.request(ping=session_pb2.PingRequest())
    assert only(effects, do.Close)[0].code is CloseCode.RATE_LIMITED


def test_bytes_have_their_own_rate_limit() -> None:
    limits = SessionLimits(bytes_per_second=1000, bytes_burst=1500, max_message_bytes=1000)
    driver = Driver(limits)
    frame = session_pb2.ClientMessage(
        request_id=1, join=session_pb2.JoinRequest(sdp="v" * 900)
    ).SerializeToString()
    assert codes(driver.on(on.FrameReceived(frame))) == []
    assert codes(driver.on(on.FrameReceived(frame))) == ["RATE_LIMITED"]


def test_an_oversized_message_ends_the_session_with_its_own_code() -> None:
    driver = Driver(SessionLimits(max_message_bytes=100)).joined()
    effects = driver.on(on.FrameReceived(b"x" * 101))
    assert codes(effects) == ["MESSAGE_TOO_LARGE"]
    assert sent(effects)[0].error.details["limit_bytes"] == "100"
    assert only(effects, do.Close)[0].code is CloseCode.MESSAGE_TOO_LARGE


def test_websocket_pings_count_towards_the_rate() -> None:
    driver = Driver()
    effects: list[do.Effect] = []
    for _ in range(21):
        effects = driver.on(on.ControlFrameReceived())
    assert codes(effects) == ["RATE_LIMITED"]


def test_silence_for_three_intervals_ends_the_session() -> None:
    driver = Driver().joined()
    assert driver.session.next_deadline() == START + 30_000
    driver.now += 20_000
    driver.request(ping=session_pb2.PingRequest())
    assert driver.wait(29_900) == []
    effects = driver.wait(100)
    (farewell,) = sent(effects)
    assert farewell.disconnected.can_rejoin
    assert only(effects, do.Close)[0].code is CloseCode.PING_TIMEOUT
    assert only(effects, do.LeaveRoom)[0].reason == media_pb2.DISCONNECT_REASON_SIGNALING_LOST


def test_sfu_requests_go_one_at_a_time_and_in_order() -> None:
    driver = Driver().joined()
    offer = driver.request(offer=session_pb2.OfferRequest(sdp="v=0"))
    assert isinstance(only(offer, do.CallSfu)[0].request, sfu_pb2.OfferRequest)
    assert driver.request(update_slots=session_pb2.UpdateSlotsRequest(bind_track_ids=["TR_x"])) == []
    effects = driver.on(on.SfuAnswered(sfu_pb2.OfferResponse(sdp="v=0 a")))
    (reply,) = sent(effects)
    assert (reply.request_id, reply.offer.sdp) == (2, "v=0 a")
    assert isinstance(only(effects, do.CallSfu)[0].request, sfu_pb2.UpdateSlotsRequest)
    refused = RpcError(ErrorCode.TRACK_NOT_FOUND, "no such track")
    (error,) = sent(driver.on(on.SfuAnswered(refused)))
    assert (error.request_id, ErrorCode.Name(error.error.code), error.error.fatal) == (
        3,
        "TRACK_NOT_FOUND",
        False,
    )


def test_pending_requests_are_bounded() -> None:
    driver = Driver().joined()
    for _ in range(5):
        assert codes(driver.request(update_slots=session_pb2.UpdateSlotsRequest())) == []
    assert codes(driver.request(update_slots=session_pb2.UpdateSlotsRequest())) == ["RATE_LIMITED"]


def test_leave_is_answered_and_closes_the_socket_and_notifies_the_sfu() -> None:
    driver = Driver().joined()
    effects = driver.request(leave=session_pb2.LeaveRequest())
    reply, farewell = sent(effects)
    assert (reply.request_id, reply.WhichOneof("body")) == (2, "leave")
    assert farewell.disconnected.reason == media_pb2.DISCONNECT_REASON_CLIENT_LEFT
    assert only(effects, do.Close)[0].code is CloseCode.LEFT
    assert only(effects, do.LeaveRoom)[0].reason == media_pb2.DISCONNECT_REASON_CLIENT_LEFT


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (None, media_pb2.DISCONNECT_REASON_SIGNALING_LOST),
        (1006, media_pb2.DISCONNECT_REASON_SIGNALING_LOST),
        (1000, media_pb2.DISCONNECT_REASON_CLIENT_LEFT),
        (1001, media_pb2.DISCONNECT_REASON_CLIENT_LEFT),
    ],
)
def test_a_socket_that_closes_makes_the_participant_leave_once(code: int | None, reason: int) -> None:
    driver = Driver().joined()
    effects = driver.on(on.SocketClosed(code))
    assert [leave.reason for leave in only(effects, do.LeaveRoom)] == [reason]
    assert only(effects, do.Close) == []
    assert driver.on(on.SocketClosed(code)) == []


def test_a_join_that_succeeds_after_the_socket_closed_is_undone() -> None:
    driver = Driver()
    driver.begin_join()
    assert only(driver.on(on.SocketClosed(None)), do.LeaveRoom) == []
    effects = driver.accept()
    assert sent(effects) == []
    assert only(effects, do.LeaveRoom)[0].seat.participant_id == "PA_1"


def test_a_client_that_does_not_read_is_closed_without_flushing() -> None:
    effects = Driver().joined().on(on.OutboxFull())
    (close,) = only(effects, do.Close)
    assert (close.code, close.flush) == (CloseCode.TOO_SLOW, False)
    assert len(only(effects, do.LeaveRoom)) == 1


def test_events_before_the_answer_are_held_and_those_it_includes_dropped() -> None:
    driver = Driver()
    driver.begin_join()
    for revision in (4, 5, 6, 0, 7):
        assert driver.on(on.RoomEventArrived(event(revision))) == []
    messages = sent(driver.accept(revision=5))
    assert messages[0].WhichOneof("body") == "join"
    assert [message.event.revision for message in messages[1:]] == [6, 0, 7]


def test_events_of_another_room_id_are_ignored() -> None:
    driver = Driver().joined(revision=5)
    assert driver.on(on.RoomEventArrived(event(6, room_id="RM_0"))) == []
    assert len(sent(driver.on(on.RoomEventArrived(event(6))))) == 1


def test_internal_and_targeted_events_count_but_are_not_sent() -> None:
    driver = Driver().joined(revision=5)
    assert driver.on(on.RoomEventArrived(event(6, internal=True))) == []
    assert driver.on(on.RoomEventArrived(event(7, target_participant_id="PA_2"))) == []
    shown = sent(driver.on(on.RoomEventArrived(event(8, target_participant_id="PA_1"))))
    assert [message.event.revision for message in shown] == [8]


def test_a_gap_fetches_a_snapshot_before_later_events() -> None:
    driver = Driver().joined(revision=5)
    effects = driver.on(on.RoomEventArrived(event(7)))
    assert len(only(effects, do.FetchSnapshot)) == 1
    assert sent(effects) == []
    assert driver.on(on.RoomEventArrived(event(9))) == []
    messages = sent(driver.on(on.SnapshotFetched(session_pb2.RoomSnapshot(revision=8))))
    assert [message.WhichOneof("body") for message in messages] == ["snapshot", "event"]
    assert messages[1].event.revision == 9


def test_a_gap_after_the_snapshot_fetches_another_later() -> None:
    driver = Driver().joined(revision=5)
    driver.on(on.RoomEventArrived(event(9)))
    effects = driver.on(on.SnapshotFetched(session_pb2.RoomSnapshot(revision=7)))
    assert only(effects, do.FetchSnapshot) == []
    deadline = driver.session.next_deadline()
    assert deadline == START + 1_000
    assert len(only(driver.wait(1_000), do.FetchSnapshot)) == 1


def test_an_older_snapshot_is_not_sent() -> None:
    driver = Driver().joined(revision=5)
    driver.on(on.RoomEventArrived(event(6)))
    driver.on(on.EventsMayBeMissing())
    assert sent(driver.on(on.SnapshotFetched(session_pb2.RoomSnapshot(revision=5)))) == []
    assert len(sent(driver.on(on.RoomEventArrived(event(7))))) == 1


def test_overflow_of_held_events_fetches_another_snapshot() -> None:
    driver = Driver(SessionLimits(max_held_events=3)).joined(revision=5)
    driver.on(on.EventsMayBeMissing())
    for revision in range(6, 12):
        driver.on(on.RoomEventArrived(event(revision)))
    effects = driver.on(on.SnapshotFetched(session_pb2.RoomSnapshot(revision=5)))
    assert [m.event.revision for m in sent(effects) if m.HasField("event")] == [6, 7, 8]
    assert len(only(driver.wait(1_000), do.FetchSnapshot)) == 1
    snapshot = driver.on(on.SnapshotFetched(session_pb2.RoomSnapshot(revision=11)))
    assert sent(snapshot)[0].snapshot.revision == 11


def test_an_outage_during_the_join_fetches_a_snapshot_after_it() -> None:
    driver = Driver()
    driver.begin_join()
    assert driver.on(on.EventsMayBeMissing()) == []
    assert len(only(driver.accept(), do.FetchSnapshot)) == 1


def test_a_failed_snapshot_is_retried() -> None:
    driver = Driver().joined()
    driver.on(on.EventsMayBeMissing())
    refused = RpcError(ErrorCode.SFU_UNREACHABLE, "no")
    assert driver.on(on.SnapshotFetched(refused)) == []
    assert len(only(driver.wait(1_000), do.FetchSnapshot)) == 1


@pytest.mark.parametrize("code", [ErrorCode.ROOM_NOT_FOUND, ErrorCode.PARTICIPANT_NOT_FOUND])
def test_an_sfu_without_the_session_ends_it(code: ErrorCode.ValueType) -> None:
    driver = Driver().joined()
    driver.on(on.EventsMayBeMissing())
    effects = driver.on(on.SnapshotFetched(RpcError(code, "gone")))
    assert sent(effects)[0].disconnected.can_rejoin
    assert only(effects, do.Close)[0].code is CloseCode.MEDIA_FAILED
    assert only(effects, do.LeaveRoom) == []


@pytest.mark.parametrize(
    ("reason", "close", "can_rejoin"),
    [
        (media_pb2.DISCONNECT_REASON_REPLACED, CloseCode.REPLACED, False),
        (media_pb2.DISCONNECT_REASON_REMOVED, CloseCode.REMOVED, False),
        (media_pb2.DISCONNECT_REASON_MEDIA_FAILED, CloseCode.MEDIA_FAILED, True),
    ],
)
def test_the_clients_own_departure_ends_the_session_even_after_a_gap(
    reason: media_pb2.DisconnectReason.ValueType, close: CloseCode, can_rejoin: bool
) -> None:
    driver = Driver().joined(revision=5)
    left = room_pb2.ParticipantLeft(participant_id="PA_1", reason=reason)
    effects = driver.on(on.RoomEventArrived(event(99, participant_left=left)))
    (farewell,) = sent(effects)
    assert (farewell.disconnected.reason, farewell.disconnected.can_rejoin) == (reason, can_rejoin)
    assert only(effects, do.Close)[0].code is close
    assert only(effects, do.LeaveRoom) == []


def test_a_departure_that_overtakes_the_join_answer_ends_the_session() -> None:
    driver = Driver()
    driver.begin_join()
    left = room_pb2.ParticipantLeft(participant_id="PA_1", reason=media_pb2.DISCONNECT_REASON_REPLACED)
    driver.on(on.RoomEventArrived(event(6, participant_left=left)))
    effects = driver.accept(revision=5)
    assert [message.WhichOneof("body") for message in sent(effects)] == ["join", "disconnected"]
    assert only(effects, do.Close)[0].code is CloseCode.REPLACED


def test_a_closed_session_does_nothing_more() -> None:
    driver = Driver().joined()
    driver.request(leave=session_pb2.LeaveRequest())
    assert driver.request(ping=session_pb2.PingRequest()) == []
    assert driver.on(on.RoomEventArrived(event(6))) == []
    assert driver.on(on.Ended(media_pb2.DISCONNECT_REASON_SERVER_SHUTDOWN, "x")) == []
    assert driver.session.next_deadline() is None


@pytest.mark.parametrize(
    ("request_fields", "missing"),
    [
        ({"unpublish": session_pb2.UnpublishRequest(track_ids=["TR_other"])}, "admin"),
        (
            {"update_participant": session_pb2.UpdateParticipantRequest(participant_id="PA_2", name="x")},
            "admin",
        ),
        ({"remove_participant": session_pb2.RemoveParticipantRequest(participant_id="PA_2")}, "admin"),
        (
            {"offer": session_pb2.OfferRequest(sdp="v=0", publications=[media_pb2.Publication(mid="1")])},
            "publish",
        ),
        ({"update_slots": session_pb2.UpdateSlotsRequest(bind_track_ids=["TR_2"])}, "subscribe"),
        (
            {
                "update_subscriptions": session_pb2.UpdateSubscriptionsRequest(
                    track_ids=["TR_2"], subscribed=True
                )
            },
            "subscribe",
        ),
    ],
)
def test_requests_without_their_grant_are_denied(request_fields: dict[str, Any], missing: str) -> None:
    driver = Driver().joined(publish=False, subscribe=False)
    effects = driver.request(**request_fields)
    assert codes(effects) == ["PERMISSION_DENIED"]
    assert sent(effects)[0].error.details["grant"] == missing
    granted = Driver().joined(**{missing: True}).request(**request_fields)
    assert len(only(granted, do.CallSfu)) == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"offer": session_pb2.OfferRequest()}, "INVALID_SDP"),
        ({"set_muted": session_pb2.SetMutedRequest()}, "INVALID_ARGUMENT"),
        ({"unpublish": session_pb2.UnpublishRequest()}, "INVALID_ARGUMENT"),
        ({"update_slots": session_pb2.UpdateSlotsRequest(bind_track_ids=["x"] * 300)}, "INVALID_ARGUMENT"),
        (
            {"update_participant": session_pb2.UpdateParticipantRequest(metadata="x" * 20_000)},
            "INVALID_ARGUMENT",
        ),
        (
            {
                "update_participant": session_pb2.UpdateParticipantRequest(
                    attributes={str(n): "" for n in range(65)}
                )
            },
            "INVALID_ARGUMENT",
        ),
        (
            {
                "offer": session_pb2.OfferRequest(
                    sdp="v=0", publications=[media_pb2.Publication(mid="1")] * 65
                )
            },
            "TOO_MANY_TRACKS",
        ),
    ],
)
def test_invalid_arguments_are_refused(fields: dict[str, Any], code: str) -> None:
    effects = Driver().joined().request(**fields)
    assert codes(effects) == [code]
    assert only(effects, do.CallSfu) == []
