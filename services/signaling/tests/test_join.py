"""Joining through a real WebSocket, in both subprotocols, to an SFU that speaks the real gRPC contract."""

import pytest
from nexus.types.v1 import media_pb2

from services.signaling.tests.harness import Harness


@pytest.mark.parametrize("subprotocol", ["nexus.v1", "nexus.v1.json"])
async def test_one_message_brings_everything(harness: Harness, subprotocol: str) -> None:
    await harness.joined("bob")
    client, answer = await harness.joined(
        "ann", subprotocol=subprotocol, publications=[media_pb2.Publication(mid="0")], name="Ann"
    )
    assert answer.room.name == "lobby"
    assert answer.room.id.startswith("RM_")
    assert answer.participant.identity == "ann"
    assert answer.participant.name == "Ann"
    assert [track.mid for track in answer.participant.tracks] == ["0"]
    assert [other.identity for other in answer.participants] == ["bob"]
    assert answer.sdp == "v=0 answer"
    assert answer.ping_interval_ms == 10_000
    assert answer.node_id == "sfu-1"
    assert answer.grants.publish
    assert not answer.grants.admin
    assert client.socket.protocol == subprotocol
