"""`POST /v1/data`: messages of an application's server to a room."""

import json
from typing import Any

import pytest
from nexus.sfu.v1 import sfu_pb2
from nexus_rpc import RpcError
from nexus_signaling.core.data_budget import DataBudget, DataLimits

from services.signaling.tests.harness import Harness, grants, mint

ADMIN: dict[str, Any] = grants(admin=True)
USUAL: dict[str, Any] = grants(data=True, publish=True)


async def post(
    harness: Harness,
    payload: bytes = b"hi",
    query: str = "",
    token: str | None = None,
    content_type: str = "application/octet-stream",
) -> tuple[int, dict[str, Any]]:
    headers = {"Content-Type": content_type}
    token = mint("server", **ADMIN) if token is None else token
    if token:
        headers["Authorization"] = f"Bearer {token}"
    async with harness.http.post(f"{harness.url}/v1/data{query}", data=payload, headers=headers) as response:
        text = await response.text()
        return response.status, json.loads(text) if text else {}


def sent(harness: Harness) -> list[sfu_pb2.SendDataRequest]:
    return [request for request in harness.sfu.requests if isinstance(request, sfu_pb2.SendDataRequest)]


async def test_a_message_is_sent_to_the_tokens_room(harness: Harness) -> None:
    await harness.joined("ann")
    await harness.joined("bob")
    assert await post(harness, b"\x00\xff") == (204, {})
    query = "?topic=caf%C3%A9&to=ann&to=bob&reliable=false"
    assert await post(harness, "größe".encode(), query, content_type="text/plain; charset=utf-8") == (204, {})
    assert await post(harness, b"", "?reliable=false&ordered=true") == (204, {})
    room = sfu_pb2.RoomKey(app="devkey", room="lobby")
    assert sent(harness) == [
        sfu_pb2.SendDataRequest(room=room, payload=b"\x00\xff"),
        sfu_pb2.SendDataRequest(
            room=room,
            identities=["ann", "bob"],
            payload="größe".encode(),
            text=True,
            topic="café",
            lossy=True,
            unordered=True,
        ),
        sfu_pb2.SendDataRequest(room=room, lossy=True),
    ]


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        ("", 401, "TOKEN_MISSING"),
        ("nonsense", 401, "TOKEN_INVALID"),
        (mint("server", secret="another-secret-that-is-long-enough-for-it", **ADMIN), 401, "TOKEN_INVALID"),
        (mint("server", exp=1, **ADMIN), 401, "TOKEN_EXPIRED"),
        (mint("server", **USUAL), 403, "PERMISSION_DENIED"),
        (mint("server", "elsewhere", **ADMIN), 404, "ROOM_NOT_FOUND"),
    ],
)
async def test_a_refusal_names_the_missing_grant(
    harness: Harness, token: str, status: int, code: str
) -> None:
    await harness.joined("ann")
    got, error = await post(harness, token=token)
    assert (got, error["code"]) == (status, code)
    assert "fatal" not in error
    assert sent(harness) == []


@pytest.mark.parametrize(
    ("query", "payload", "status", "code"),
    [
        ("?topic=" + "t" * 129, b"x", 400, "INVALID_ARGUMENT"),
        ("?tpoic=x", b"x", 400, "INVALID_ARGUMENT"),
        ("?reliable=perhaps", b"x", 400, "INVALID_ARGUMENT"),
        ("?to=", b"x", 400, "INVALID_ARGUMENT"),
        ("?to=a" * 257, b"x", 400, "INVALID_ARGUMENT"),
        ("", b"\xff", 400, "INVALID_ARGUMENT"),
        ("", bytes(256 * 1024 + 1), 413, "DATA_TOO_LARGE"),
        ("?to=nobody", b"x", 404, "PARTICIPANT_NOT_FOUND"),
    ],
)
async def test_invalid_requests_are_refused(
    harness: Harness, query: str, payload: bytes, status: int, code: str
) -> None:
    await harness.joined("ann")
    query = query.replace("?", "&").replace("&", "?", 1)
    got, error = await post(harness, payload, query, content_type="text/plain")
    assert (got, error["code"]) == (status, code)


async def test_the_largest_payload_is_accepted(harness: Harness) -> None:
    await harness.joined("ann")
    assert await post(harness, bytes(256 * 1024)) == (204, {})
    assert len(sent(harness)[0].payload) == 256 * 1024


async def test_an_unreachable_sfu_has_a_retry_time(harness: Harness) -> None:
    await harness.joined("ann")
    await harness.sfu.stop()
    status, error = await post(harness)
    assert (status, error["code"]) == (503, "SFU_UNREACHABLE")
    assert error["retryAfterMs"] > 0


async def test_an_app_that_sends_too_often_receives_a_retry_time() -> None:
    async with Harness(data_messages_per_second=0.01, data_message_burst=2) as slow:
        await slow.joined("ann")
        await slow.joined("bob", "elsewhere")
        other_room = mint("server", "elsewhere", **ADMIN)
        assert await post(slow) == (204, {})
        assert await post(slow, token=other_room) == (204, {})  # one budget for all its rooms
        for refused in ({"token": other_room}, {"payload": bytes(300_000)}):
            status, error = await post(slow, **refused)
            assert (status, error["code"], error["details"]) == (429, "RATE_LIMITED", {"limit": "messages"})
            assert 0 < error["retryAfterMs"] <= 100_000
        assert len(sent(slow)) == 2
        assert slow.metric("data_requests_total", result="ok") == 2
        assert slow.metric("data_requests_total", result="RATE_LIMITED") == 2
        # A request without permission spends no budget and has its own error.
        assert (await post(slow, token=mint("server", **USUAL)))[0] == 403


async def test_an_app_that_sends_too_much_receives_a_retry_time() -> None:
    async with Harness(data_bytes_per_second=1024, data_bytes_burst=100_000) as slow:
        await slow.joined("ann")
        assert await post(slow, bytes(90_000)) == (204, {})
        headers = {"Authorization": f"Bearer {mint('server', **ADMIN)}"}
        async with slow.http.post(f"{slow.url}/v1/data", data=bytes(90_000), headers=headers) as response:
            assert response.status == 429
            assert 0 < int(response.headers["Retry-After"]) <= 79  # 80,000 bytes are missing
            assert (await response.json())["details"] == {"limit": "bytes"}
        assert await post(slow, b"small") == (204, {})


def test_each_app_has_its_own_budget() -> None:
    budget = DataBudget(DataLimits(1.0, 1, 1000.0, 1000))
    budget.take_message("one", 0)
    budget.take_message("two", 0)
    with pytest.raises(RpcError) as refused:
        budget.take_message("one", 250)
    assert refused.value.retry_after_ms == 750
    budget.take_message("one", 1_000)
    budget.take_bytes("one", 1_000, 5000)  # above the burst: taken from a full bucket, as a debt
    with pytest.raises(RpcError) as refused:
        budget.take_bytes("one", 1_000, 1000)
    assert refused.value.retry_after_ms == 5000
    budget.take_bytes("two", 1_000, 1000)
