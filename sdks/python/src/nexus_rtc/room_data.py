"""Messages to and from the participants of a room, over the session's data channels."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from nexus_rtc import events
from nexus_rtc.data_envelope import (
    MAX_DESTINATIONS,
    MAX_PAYLOAD_BYTES,
    MAX_TOPIC_BYTES,
    DataEnvelope,
    read_envelope,
    write_messages,
)
from nexus_rtc.data_parts import DataParts
from nexus_rtc.errors import LimitReached, NotFound, PermissionDenied, RequestInvalid
from nexus_rtc.model import Participant

# Maximum number of messages kept until their sender is known; the oldest are dropped first.
MAX_EARLY: Final = 64

Destination = str | Participant


def outgoing(
    payload: bytes | str,
    topic: str,
    to: Destination | Sequence[Destination] | None,
    participants: Mapping[str, Participant],
    *,
    granted: bool,
) -> list[bytes]:
    """Encodes a message in one or two parts; empty if it has no receiver. Raises NexusError."""
    if not granted:
        raise PermissionDenied("PERMISSION_DENIED", "the token does not grant data")
    text = isinstance(payload, str)
    content = payload.encode() if isinstance(payload, str) else payload
    if len(content) > MAX_PAYLOAD_BYTES:
        raise LimitReached("DATA_TOO_LARGE", f"a message has {MAX_PAYLOAD_BYTES} bytes at most")
    if len(topic.encode()) > MAX_TOPIC_BYTES:
        raise RequestInvalid("INVALID_ARGUMENT", f"a topic has {MAX_TOPIC_BYTES} bytes at most")
    wanted = [to] if isinstance(to, str | Participant) else list(to or ())
    if len(wanted) > MAX_DESTINATIONS:
        raise RequestInvalid("INVALID_ARGUMENT", f"a message has {MAX_DESTINATIONS} destinations at most")
    if to is not None and not wanted:
        return []
    destinations = [_identifier(one, participants) for one in wanted]
    return write_messages(DataEnvelope(content, text, topic, destinations), secrets.randbits(32))


def _identifier(destination: Destination, participants: Mapping[str, Participant]) -> str:
    if isinstance(destination, Participant):
        return destination.id
    for participant in participants.values():
        if participant.identity == destination:
            return participant.id
    raise NotFound("PARTICIPANT_NOT_FOUND", f"nobody of the identity {destination!r} is here")


class Incoming:
    """Turns received messages into events of their sender."""

    def __init__(
        self, participants: Callable[[], Mapping[str, Participant]], emit: Callable[[events.Event], None]
    ) -> None:
        self._participants = participants
        self._emit = emit
        self._parts = DataParts()
        self._early: list[tuple[DataEnvelope, bool]] = []

    def receive(self, message: bytes, reliable: bool) -> None:
        read = read_envelope(message)
        if read is None:
            return  # a version of a newer server
        envelope = self._parts.take(read)
        if envelope is None:
            return  # the other part has not arrived
        if envelope.sender and envelope.sender not in self._participants():
            # Data may arrive before signaling has announced its sender.
            self._early = [*self._early[1 - MAX_EARLY :], (envelope, reliable)]
            return
        self._deliver(envelope, reliable)

    def release(self, participant_id: str) -> None:
        """Delivers the messages that a participant sent before it was announced."""
        released = [one for one in self._early if one[0].sender == participant_id]
        self._early = [one for one in self._early if one[0].sender != participant_id]
        for envelope, reliable in released:
            self._deliver(envelope, reliable)

    def _deliver(self, envelope: DataEnvelope, reliable: bool) -> None:
        content: bytes | str = envelope.payload
        if envelope.text:
            content = envelope.payload.decode(errors="replace")
        self._emit(
            events.DataReceived(
                payload=content,
                participant=self._participants().get(envelope.sender),
                topic=envelope.topic,
                from_server=envelope.from_server,
                directed=envelope.directed,
                reliable=reliable,
            )
        )
