"""Parts of the core: token bucket, outbox, endings and codecs."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nexus.signaling.v1 import session_pb2
from nexus.types.v1 import error_pb2, media_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_signaling.codec import BinaryCodec, JsonCodec, Malformed, choose_codec
from nexus_signaling.core.endings import ending
from nexus_signaling.core.outbox import Outbox
from nexus_signaling.core.token_bucket import TokenBucket
from nexus_signaling.errors import CloseCode
from nexus_signaling.outgoing import Outgoing


def test_a_bucket_allows_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(rate_per_second=2, burst=3, now_ms=0)
    assert [bucket.take(0) for _ in range(3)] == [0, 0, 0]
    assert bucket.take(0) == 500
    assert bucket.take(500) == 0
    assert bucket.take(500) > 0


def test_a_cost_above_the_burst_leaves_a_debt() -> None:
    bucket = TokenBucket(rate_per_second=1, burst=2, now_ms=0)
    assert bucket.take(0, 10) == 0
    assert bucket.take(0, 1) == 9_000


@given(st.lists(st.tuples(st.integers(0, 5_000), st.floats(0.1, 3)), max_size=50))
def test_a_bucket_never_allows_more_than_burst_and_rate(steps: list[tuple[int, float]]) -> None:
    now, taken = 0, 0.0
    bucket = TokenBucket(rate_per_second=1, burst=4, now_ms=0)
    for pause, cost in steps:
        now += pause
        if bucket.take(now, cost) == 0:
            taken += cost
        assert taken <= 4 + now / 1000 + 1e-6


def test_an_outbox_is_bounded_by_messages_and_by_bytes() -> None:
    outbox = Outbox(max_messages=2, max_bytes=10, max_catch_up=1)
    assert outbox.put("abc")
    assert not outbox.put(b"x" * 8)
    assert outbox.put(b"abc")
    assert not outbox.put(b"")
    assert (len(outbox), outbox.bytes_queued) == (2, 6)
    assert outbox.pop() == "abc"
    assert outbox.put(b"x" * 7)
    assert outbox.clear() == 2
    assert outbox.pop() is None
    assert outbox.put(b"x" * 10)


def test_a_frame_above_the_bound_fits_alone_and_does_not_count() -> None:
    outbox = Outbox(max_messages=3, max_bytes=10, max_catch_up=1)
    assert outbox.put(b"x" * 50)
    assert outbox.put(b"y" * 10)
    assert not outbox.put(b"y")
    assert not outbox.put(b"x" * 50)  # a second one is refused
    assert outbox.pop() == b"x" * 50
    assert not outbox.put(b"y")
    assert not outbox.put(b"x" * 50)  # it does not fit behind other frames
    assert outbox.pop() == b"y" * 10
    assert outbox.put(b"x" * 50)


def test_catch_up_frames_have_their_own_bound() -> None:
    outbox = Outbox(max_messages=1, max_bytes=10, max_catch_up=2)
    assert outbox.put(b"event")
    assert outbox.put(b"s" * 50, catch_up=True)
    assert outbox.put(b"h" * 9, catch_up=True)
    assert not outbox.put(b"h", catch_up=True)
    assert not outbox.put(b"")  # one message, as before
    assert [outbox.pop(), outbox.pop()] == [b"event", b"s" * 50]
    assert outbox.put(b"event")
    assert outbox.put(b"h", catch_up=True)
    assert [outbox.pop() for _ in range(4)] == [b"h" * 9, b"event", b"h", None]
    assert outbox.bytes_queued == 0


def test_every_reason_has_an_ending() -> None:
    for reason in media_pb2.DisconnectReason.values():
        code, _ = ending(media_pb2.DisconnectReason.ValueType(reason))
        assert code in CloseCode


def test_subprotocols_are_chosen_in_the_clients_order() -> None:
    json_first = choose_codec(["other", "nexus.v1.json", "nexus.v1"])
    assert json_first is not None
    assert json_first.subprotocol == "nexus.v1.json"
    assert choose_codec(["nexus.v2", ""]) is None
    assert choose_codec([]) is None


def test_json_is_canonical_and_keeps_the_names_of_enums() -> None:
    error = error_pb2.Error(code=ErrorCode.ROOM_NOT_FOUND, retry_after_ms=5)
    text = JsonCodec().encode(Outgoing(session_pb2.ServerMessage(request_id=3, error=error)))
    assert json.loads(text) == {"requestId": 3, "error": {"code": "ROOM_NOT_FOUND", "retryAfterMs": 5}}


def test_an_encoding_is_created_once_and_shared() -> None:
    outgoing = Outgoing(session_pb2.ServerMessage(request_id=3))
    assert BinaryCodec().encode(outgoing) is BinaryCodec().encode(outgoing)
    assert JsonCodec().encode(outgoing) is JsonCodec().encode(outgoing)


def test_unknown_fields_are_ignored_in_json() -> None:
    message = JsonCodec().decode('{"requestId": 1, "ping": {"sentAtMs": "5", "new": [1]}, "newer": {}}')
    assert message.ping.sent_at_ms == 5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "{",
        '{"requestId": -1}',
        '{"requestId": 1e99}',
        '{"requestId": 99999999999999999999999}',
        '{"requestId": "x"}',
        '{"join": 5}',
        '{"join": {"sdp": "\\ud800"}}',
        '{"join": {}, "leave": {}}',
        '{"join": {"attributes": {"a": 5}}}',
        "[" * 100_000,
        '{"x":' * 50_000,
        '{"join":' * 50_000 + "1" + "}" * 50_000,
        '{"requestId": ' + "9" * 10_000 + "}",
        '{"requestId": NaN}',
    ],
)
def test_invalid_json_raises_only_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        JsonCodec().decode(text)


@pytest.mark.parametrize("frame", [b"\xff", b"\x52\xff\xff\xff\xff\x0f", b"\x52\x04\x0a\x02\xff\xfe", "text"])
def test_invalid_protobuf_raises_only_malformed(frame: bytes | str) -> None:
    with pytest.raises(Malformed):
        BinaryCodec().decode(frame)


def test_a_binary_frame_is_malformed_for_the_json_subprotocol() -> None:
    with pytest.raises(Malformed):
        JsonCodec().decode(b"{}")


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300)))
def test_any_frame_is_a_message_or_malformed(frame: bytes | str) -> None:
    for codec in (BinaryCodec(), JsonCodec()):
        try:
            message = codec.decode(frame)
        except Malformed:
            continue
        assert isinstance(message, session_pb2.ClientMessage)
