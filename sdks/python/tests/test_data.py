"""Messages of data channels: their encoding, their sender, refused messages."""

import pytest
from nexus_rtc import events
from nexus_rtc.data_envelope import (
    PART_BYTES,
    DataEnvelope,
    Part,
    read_envelope,
    write_envelope,
    write_messages,
)
from nexus_rtc.data_parts import MAX_UNFINISHED, DataParts
from nexus_rtc.errors import NexusError
from nexus_rtc.model import Participant
from nexus_rtc.room_data import MAX_EARLY, Destination, Incoming, outgoing

BOB = Participant("PA_bob", "bob")
PEOPLE = {BOB.id: BOB}


def test_the_encoding_equals_that_of_the_engine() -> None:
    """The same vectors are in native/engine/sctp/data_envelope_test.cc and in the web SDK."""
    to_two = DataEnvelope(b"hi", text=True, topic="chat", destinations=("PA_a", "PA_b"))
    assert write_envelope(to_two) == b"\x01\x01\x00\x04chat\x02\x04PA_a\x04PA_bhi"
    assert read_envelope(write_envelope(to_two)) == to_two
    server = DataEnvelope(sender="PA_me", from_server=True, directed=True)
    assert write_envelope(server) == b"\x01\x06\x05PA_me\x00\x00"
    assert read_envelope(write_envelope(server)) == server


def test_every_truncated_header_is_refused() -> None:
    wire = write_envelope(DataEnvelope(topic="t", destinations=("PA_2",), sender="PA_1"))
    assert all(read_envelope(wire[:size]) is None for size in range(len(wire)))
    assert read_envelope(b"\x02" + wire[1:]) is None
    assert read_envelope(b"\x01\x20" + wire[2:]) is None


def test_a_large_payload_is_two_parts_that_fit() -> None:
    payload = bytes(range(256)) * 1024
    (whole,) = write_messages(DataEnvelope(payload[:PART_BYTES]), 9)
    assert read_envelope(whole) == DataEnvelope(payload[:PART_BYTES])
    messages = write_messages(DataEnvelope(payload, topic="t" * 128, destinations=("PA_1",)), 0xFE000009)
    assert all(len(message) <= 256 * 1024 for message in messages)
    first, last = (read_envelope(message) for message in messages)
    assert first is not None
    assert last is not None
    assert (first.part, last.part) == (Part(0xFE000009, last=False), Part(0xFE000009, last=True))
    assert first.payload + last.payload == payload


def test_parts_of_other_lengths_are_refused() -> None:
    last = b"\x01\x10\x00\x00\x00\x09\x00\x00\x00"
    assert read_envelope(last + b"x") == DataEnvelope(b"x", part=Part(9, last=True))
    for wire in (last, last + bytes(1025), b"\x01\x08" + last[2:] + b"x", b"\x01\x18" + last[2:] + b"x"):
        assert read_envelope(wire) is None


def test_parts_are_joined_by_sender_and_number_in_either_order() -> None:
    parts = DataParts()

    def part(sender: str, number: int, last: bool) -> DataEnvelope:
        return DataEnvelope(b"21"[not last :][:1], sender=sender, part=Part(number, last))

    assert parts.take(part("a", 1, False)) is None
    assert parts.take(part("b", 1, True)) is None
    assert parts.take(part("a", 1, True)) == DataEnvelope(b"12", sender="a")
    assert parts.take(part("b", 1, False)) == DataEnvelope(b"12", sender="b")
    for number in range(MAX_UNFINISHED + 1):
        assert parts.take(part("a", number, False)) is None
    assert parts.take(part("a", 1, True)) is not None
    assert parts.take(part("a", 0, True)) is None


@pytest.mark.parametrize(
    ("payload", "topic", "to", "granted", "code"),
    [
        ("x" * (256 * 1024 + 1), "", None, True, "DATA_TOO_LARGE"),
        ("x", "ü" * 65, None, True, "INVALID_ARGUMENT"),
        ("x", "", ["bob"] * 33, True, "INVALID_ARGUMENT"),
        ("x", "", "carol", True, "PARTICIPANT_NOT_FOUND"),
        ("x", "", None, False, "PERMISSION_DENIED"),
    ],
)
def test_invalid_messages_raise_an_error(
    payload: str, topic: str, to: Destination | list[Destination] | None, granted: bool, code: str
) -> None:
    with pytest.raises(NexusError) as refused:
        outgoing(payload, topic, to, PEOPLE, granted=granted)
    assert refused.value.code == code


def test_receivers_are_named_by_identity_or_participant() -> None:
    for to in ("bob", BOB, ["bob"], [BOB]):
        (message,) = outgoing(b"x", "", to, PEOPLE, granted=True)
        assert read_envelope(message) == DataEnvelope(b"x", destinations=("PA_bob",))
    assert outgoing(b"x", "", [], PEOPLE, granted=True) == []


def test_messages_wait_until_their_sender_is_announced() -> None:
    participants: dict[str, Participant] = {}
    told: list[events.Event] = []
    incoming = Incoming(lambda: participants, told.append)
    for number in range(MAX_EARLY + 2):
        incoming.receive(write_envelope(DataEnvelope(bytes([number]), sender="PA_bob")), reliable=False)
    incoming.receive(write_envelope(DataEnvelope(b"news", text=True, from_server=True)), reliable=True)
    incoming.receive(b"nonsense", reliable=True)
    assert told == [events.DataReceived("news", None, from_server=True)]
    participants[BOB.id] = BOB
    incoming.release(BOB.id)
    assert [event.payload for event in told[1:] if isinstance(event, events.DataReceived)] == [
        bytes([number]) for number in range(2, MAX_EARLY + 2)
    ]
    assert told[1] == events.DataReceived(bytes([2]), BOB, reliable=False)
