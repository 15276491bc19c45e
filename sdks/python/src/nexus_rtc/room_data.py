"""Messages to and from the people of a room, over the session's data channels."""

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

# Messages that came before word of their sender; beyond, the oldest are forgotten.
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
    """The message as it goes out, one or two parts; empty when it is for nobody. Raises NexusError."""
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
    for person in participants.values():
        if person.identity == destination:
            return person.id
    raise NotFound("PARTICIPANT_NOT_FOUND", f"nobody of the identity {destination!r} is here")


class Incoming:
    """What comes on the channels, as events under the sender's name."""

    def __init__(
        self, participants: Callable[[], Mapping[str, Participant]], tell: Callable[[events.Event], None]
    ) -> None:
        self._participants = participants
        self._tell = tell
        self._parts = DataParts()
        self._early: list[tuple[DataEnvelope, bool]] = []

    def receive(self, message: bytes, reliable: bool) -> None:
        read = read_envelope(message)
        if read is None:
            return  # of a newer server
        envelope = self._parts.take(read)
        if envelope is None:
            return  # the rest is on its way
        if envelope.sender and envelope.sender not in self._participants():
            # Media may be faster than signaling's word of who has come.
            self._early = [*self._early[1 - MAX_EARLY :], (envelope, reliable)]
            return
        self._deliver(envelope, reliable)

    def release(self, participant_id: str) -> None:
        """Somebody has joined: what they have said is told now."""
        released = [one for one in self._early if one[0].sender == participant_id]
        self._early = [one for one in self._early if one[0].sender != participant_id]
        for envelope, reliable in released:
            self._deliver(envelope, reliable)

    def _deliver(self, envelope: DataEnvelope, reliable: bool) -> None:
        content: bytes | str = envelope.payload
        if envelope.text:
            content = envelope.payload.decode(errors="replace")
        self._tell(
            events.DataReceived(
                payload=content,
                participant=self._participants().get(envelope.sender),
                topic=envelope.topic,
                from_server=envelope.from_server,
                directed=envelope.directed,
                reliable=reliable,
            )
        )
