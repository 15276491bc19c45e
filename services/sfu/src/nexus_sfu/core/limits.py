"""Limits of a node, for everything whose size a peer can influence."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    rooms: int = 1_000
    participants_per_room: int = 200
    tracks_per_participant: int = 8
    # Slots of one participant: pairs with video, and all slots.
    pairs: int = 25
    slots_per_participant: int = 64
    name_bytes: int = 256
    metadata_bytes: int = 65_536
    attributes: int = 64
    attributes_bytes: int = 65_536
    # How long a room without participants is kept.
    empty_timeout_ms: int = 10_000
