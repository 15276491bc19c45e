"""Data channels of a room: permissions to send and receive, and the sender's id. The messages themselves pass
only through the engine.
"""

from collections.abc import Iterable, Iterator

from nexus_sfu import errors
from nexus_sfu.core import effects as fx
from nexus_sfu.core.model import MediaOffer, Participant

# Maximum size of a message, that of the engine (docs/reference/data.md).
MAX_PAYLOAD_BYTES = 256 * 1024
MAX_TOPIC_BYTES = 128


def configure(participant: Participant, media: MediaOffer) -> Iterator[fx.EngineEffect]:
    """The effects of the client's offer of data channels; none without one."""
    if media.data is None:
        return
    grants = participant.grants
    yield fx.ConfigureData(
        participant.id,
        media.data,
        # Messages of a hidden participant have no sender, because its id would reveal its presence.
        sender="" if grants.hidden else participant.id,
        publish=grants.data,
        receive=grants.subscribe,
    )


def check_message(payload: bytes, topic: str) -> None:
    """Raises RpcError DATA_TOO_LARGE or INVALID_ARGUMENT."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise errors.data_too_large(MAX_PAYLOAD_BYTES)
    if len(topic.encode()) > MAX_TOPIC_BYTES:
        raise errors.invalid_argument("the topic is too long", limit=MAX_TOPIC_BYTES)


def destinations(participants: Iterable[Participant], identities: Iterable[str]) -> list[str]:
    """The ids of the participants with these identities. Raises RpcError PARTICIPANT_NOT_FOUND for the first
    one that is not in the room."""
    by_identity = {participant.identity: participant.id for participant in participants}
    found = []
    for identity in dict.fromkeys(identities):
        if identity not in by_identity:
            raise errors.participant_not_found(identity)
        found.append(by_identity[identity])
    return found
