"""Messages on the wire, tokens and addresses."""

import jwt
import nexus_rtc
import pytest
from nexus.signaling.v1 import session_pb2 as wire
from nexus_rtc.edge.host_addresses import with_loopback_as_last_resort
from nexus_rtc.edge.socket import socket_url
from nexus_rtc.sdp import spread_candidates
from nexus_rtc.token import App, mint_token, unverified_claims
from nexus_rtc.wire import BINARY, JSON, Subprotocol, decode, encode

APP = App("key", "0123456789abcdef0123456789abcdef")


def test_every_exported_name_exists() -> None:
    for name in nexus_rtc.__all__:
        assert getattr(nexus_rtc, name) is not None
    with pytest.raises(AttributeError):
        nexus_rtc.no_such_name  # noqa: B018


def test_a_token_contains_what_signaling_checks() -> None:
    token = mint_token(APP, room="r", identity="i", grants=["publish"], ttl_seconds=60, now=1000.5)
    claims = jwt.decode(
        token, APP.secret, algorithms=["HS256"], options={"verify_exp": False, "verify_iat": False}
    )
    assert claims.pop("jti")
    assert claims == {
        "iss": "key",
        "sub": "i",
        "room": "r",
        "grants": {"publish": True},
        "iat": 1000,
        "exp": 1060,
    }


def test_two_tokens_are_never_the_same() -> None:
    first, second = (mint_token(APP, room="r", identity="i", now=1) for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    "wrong", [{"room": ""}, {"identity": ""}, {"grants": ["fly"]}, {"ttl_seconds": 0}, {"ttl_seconds": -1}]
)
def test_an_invalid_token_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        mint_token(APP, **({"room": "r", "identity": "i"} | wrong))  # type: ignore[arg-type]


def test_a_secret_is_long_enough_and_never_shown() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        App("key", "short")
    assert APP.secret not in repr(APP)


def test_a_malformed_token_is_refused() -> None:
    with pytest.raises(ValueError, match="not a token"):
        unverified_claims("hello")


@pytest.mark.parametrize(
    ("url", "socket"),
    [
        ("http://127.0.0.1:7880", "ws://127.0.0.1:7880/v1/rtc"),
        ("https://rtc.example/", "wss://rtc.example/v1/rtc"),
        ("wss://rtc.example/v1/rtc", "wss://rtc.example/v1/rtc"),
        ("ws://[::1]:1/base", "ws://[::1]:1/base/v1/rtc"),
    ],
)
def test_addresses(url: str, socket: str) -> None:
    assert socket_url(url) == socket


@pytest.mark.parametrize("url", ["", "127.0.0.1:7880", "ftp://x", "http://"])
def test_invalid_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no server address"):
        socket_url(url)


@pytest.mark.parametrize("subprotocol", [BINARY, JSON])
def test_both_subprotocols_encode_the_same_messages(subprotocol: Subprotocol) -> None:
    message = wire.ClientMessage(request_id=7, ping=wire.PingRequest(sent_at_ms=1 << 40))
    frame = encode(message, subprotocol)
    assert isinstance(frame, bytes) == (subprotocol == BINARY)
    if isinstance(frame, str):
        assert '"sentAtMs": "1099511627776"' in frame


def test_an_invalid_frame_is_refused() -> None:
    assert decode(b"\x08\x07").request_id == 7
    assert decode('{"requestId": 7, "newField": 1}').request_id == 7
    for frame in (b"\xff\xff\xff", "{", '{"requestId": "many"}'):
        with pytest.raises(ValueError):
            decode(frame)


def test_without_a_network_loopback_addresses_are_used() -> None:
    offline = with_loopback_as_last_resort(lambda use_ipv4, use_ipv6: [])
    assert offline(True, True) == ["127.0.0.1"]
    assert offline(False, True) == ["::1"]
    online = with_loopback_as_last_resort(lambda use_ipv4, use_ipv6: ["192.0.2.7"])
    assert online(True, True) == ["192.0.2.7"]


def test_candidates_reach_every_section() -> None:
    candidate = "a=candidate:1 1 udp 1 127.0.0.1 5 typ host"
    first = f"m=audio 5 X 0\r\na=mid:0\r\n{candidate}\r\na=end-of-candidates\r\n"
    answer = f"v=0\r\n{first}m=video 9 X 0\r\na=mid:1\r\n"
    spread = spread_candidates(answer)
    assert spread.count(candidate) == 2
    assert spread.index("a=mid:1") < spread.rindex(candidate)
    assert spread_candidates(spread) == spread


def test_an_answer_without_candidates_stays_as_it_is() -> None:
    answer = "v=0\r\nm=audio 9 X 0\r\na=mid:0\r\n"
    assert spread_candidates(answer) == answer
