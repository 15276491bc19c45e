"""The client's faults as the SFU names them: one function each, so that a code always comes with the same
fields."""

from nexus_runtime import ClientError


def data_too_large(limit: int) -> ClientError:
    return ClientError("DATA_TOO_LARGE", "the message is too large for a data channel", limit=limit)


def invalid_sdp(message: str, **fields: str | int) -> ClientError:
    return ClientError("INVALID_SDP", message, **fields)


def invalid_argument(message: str, **fields: str | int) -> ClientError:
    return ClientError("INVALID_ARGUMENT", message, **fields)


def permission_denied(message: str, **fields: str | int) -> ClientError:
    return ClientError("PERMISSION_DENIED", message, **fields)


def room_not_found(room: str) -> ClientError:
    return ClientError("ROOM_NOT_FOUND", "the room does not exist on this node", room=room)


def participant_not_found(participant_id: str) -> ClientError:
    return ClientError(
        "PARTICIPANT_NOT_FOUND", "nobody with this id is in the room", participant_id=participant_id
    )


def track_not_found(track_id: str) -> ClientError:
    return ClientError("TRACK_NOT_FOUND", "no track with this id is in the room", track_id=track_id)


def room_full(limit: int) -> ClientError:
    return ClientError("ROOM_FULL", "the room takes no more participants", limit=limit)


def too_many_rooms(limit: int) -> ClientError:
    return ClientError("TOO_MANY_ROOMS", "the node takes no more rooms", limit=limit)


def too_many_tracks(limit: int) -> ClientError:
    return ClientError("TOO_MANY_TRACKS", "a participant publishes at most so many tracks", limit=limit)


def slots_exhausted(limit: int) -> ClientError:
    return ClientError("SLOTS_EXHAUSTED", "a participant has at most so many slots", limit=limit)


def node_draining() -> ClientError:
    return ClientError("NODE_DRAINING", "the node is draining and takes nothing new")
