"""Data channels as a room sees them: who may send, who receives, under which name. What is said goes through
the engine alone.
"""

from collections.abc import Iterable, Iterator

from nexus_sfu import errors
from nexus_sfu.core import effects as fx
from nexus_sfu.core.model import MediaOffer, Participant

# The engine's own bound (docs/reference/data.md).
MAX_PAYLOAD_BYTES = 256 * 1024
MAX_TOPIC_BYTES = 128


def configure(participant: Participant, media: MediaOffer) -> Iterator[fx.EngineEffect]:
    """Nothing when the client offers no data channels."""
    if media.data is None:
        return
    grants = participant.grants
    yield fx.ConfigureData(
        participant.id,
        media.data,
        # A hidden participant's messages come from nobody: its id would tell that it is there.
        sender="" if grants.hidden else participant.id,
        publish=grants.data,
        receive=grants.subscribe,
    )


def check_message(payload: bytes, topic: str) -> None:
    """Raises DATA_TOO_LARGE, INVALID_ARGUMENT."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise errors.data_too_large(MAX_PAYLOAD_BYTES)
    if len(topic.encode()) > MAX_TOPIC_BYTES:
        raise errors.invalid_argument("the topic is too long", limit=MAX_TOPIC_BYTES)


def destinations(participants: Iterable[Participant], identities: Iterable[str]) -> list[str]:
    """Ids of those who are meant. Raises PARTICIPANT_NOT_FOUND for the first who is not here."""
    by_identity = {participant.identity: participant.id for participant in participants}
    found = []
    for identity in dict.fromkeys(identities):
        if identity not in by_identity:
            raise errors.participant_not_found(identity)
        found.append(by_identity[identity])
    return found
