"""Data channels through the service with the memory engine: grants, channel names, messages from the
server."""

from collections.abc import Callable

import grpc
import pytest
from nexus.sfu.v1 import sfu_pb2
from nexus.types.v1 import error_pb2, media_pb2
from nexus_sfu.core.model import DataOffer
from nexus_sfu.engine_port import DataMessage
from nexus_sfu.memory_engine import MemoryData
from structlog.testing import capture_logs

from services.sfu.tests.conftest import OfferReader, Running

WireError = Callable[[grpc.aio.AioRpcError], error_pb2.Error]


def data_of(running: Running) -> list[MemoryData]:
    return [t.data for t in running.engine.transports.values() if t.data is not None]


async def test_grants_and_name_reach_the_engine(running: Running, read_offer: OfferReader) -> None:
    alice = await running.join("alice", read_offer("chromium_data"))
    (data,) = data_of(running)
    assert data.offer == DataOffer("13", 5000, 262_144)
    assert (data.sender, data.publish, data.receive) == (alice.participant.id, True, True)


@pytest.mark.parametrize(
    ("grants", "expected"),
    [
        (media_pb2.Grants(create=True, subscribe=True), (True, False, True)),
        (media_pb2.Grants(create=True, data=True), (True, True, False)),
        (media_pb2.Grants(create=True, data=True, hidden=True, subscribe=True), (False, True, True)),
    ],
)
async def test_data_without_grants_is_refused(
    running: Running,
    read_offer: OfferReader,
    grants: media_pb2.Grants,
    expected: tuple[bool, bool, bool],
) -> None:
    request = sfu_pb2.JoinRequest(
        room=running.room, identity="bob", sdp=read_offer("firefox_data"), grants=grants
    )
    await running.stub.Join(request)
    (data,) = data_of(running)
    assert (bool(data.sender), data.publish, data.receive) == expected


async def test_a_receiver_of_only_small_messages_is_logged(running: Running, read_offer: OfferReader) -> None:
    offer = read_offer("chromium_data")
    with capture_logs() as logs:
        await running.join("alice", offer)
        await running.join("bob", offer.replace("a=max-message-size:262144", "a=max-message-size:0"))
        carla = await running.join("carla", offer.replace("a=max-message-size:262144\r\n", ""))
    reported = [entry for entry in logs if entry["event"] == "data_receiver_takes_less"]
    assert [(entry["participant"], entry["max_message_bytes"]) for entry in reported] == [
        (carla.participant.id, 65_536)  # RFC 8841 section 6.1
    ]


async def test_an_offer_without_data_opens_no_data_channels(
    running: Running, read_offer: OfferReader
) -> None:
    await running.join("alice", read_offer("chromium_join"))
    assert data_of(running) == []


async def test_server_messages_reach_all_or_some(running: Running, read_offer: OfferReader) -> None:
    await running.join("alice", read_offer("chromium_data"))
    await running.join("bob", read_offer("firefox_data"), publish=False)
    await running.stub.SendData(sfu_pb2.SendDataRequest(room=running.room, payload=b"all", topic="t"))
    await running.stub.SendData(
        sfu_pb2.SendDataRequest(
            room=running.room, identities=["bob", "bob"], payload=b"x", text=True, lossy=True, unordered=True
        )
    )
    bob = list(running.engine.transports)[1]
    assert [message for _, message in running.engine.sent_data] == [
        DataMessage(b"all", topic="t"),
        DataMessage(b"x", to=(bob,), text=True, reliable=False, ordered=False),
    ]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"identities": ["nobody"]}, "PARTICIPANT_NOT_FOUND"),
        ({"payload": bytes(256 * 1024 + 1)}, "DATA_TOO_LARGE"),
        ({"topic": "t" * 129}, "INVALID_ARGUMENT"),
        ({"room": sfu_pb2.RoomKey(app="devkey", room="elsewhere")}, "ROOM_NOT_FOUND"),
    ],
)
async def test_invalid_messages_are_refused(
    running: Running,
    read_offer: OfferReader,
    wire_error: WireError,
    fields: dict[str, object],
    code: str,
) -> None:
    await running.join("alice", read_offer("chromium_data"))
    request = sfu_pb2.SendDataRequest(**{"room": running.room, **fields})  # type: ignore[arg-type]
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await running.stub.SendData(request)
    assert error_pb2.ErrorCode.Name(wire_error(failure.value).code) == code
    assert running.engine.sent_data == []
