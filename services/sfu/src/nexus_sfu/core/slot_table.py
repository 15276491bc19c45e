"""The slots of one participant: their tracks, the tracks that wait for one, and the number of missing slots.

Video slots are bound on request: a requested track takes the first free slot that decodes it, or waits until
one becomes free, oldest first. A track that no slot decodes waits without a request for more slots: it is not
bound, so the engine requests no keyframe from its publisher. The engine binds audio slots, which have no
track in this table. A slot's pair number never changes.
"""

from collections.abc import Iterable, Iterator, Mapping

from nexus_sfu.core.effects import AddSlot, BindSlot, RemoveSlot, UnbindSlot
from nexus_sfu.core.model import Format, Kind, Participant, Slot, SlotOffer, Track

SlotEffect = AddSlot | RemoveSlot | BindSlot | UnbindSlot
Tracks = Mapping[str, Track]


def video_slots(participant: Participant) -> Iterator[Slot]:
    return (slot for slot in participant.slots.values() if slot.kind is Kind.VIDEO)


def slot_of(participant: Participant, track_id: str) -> Slot | None:
    return next((slot for slot in video_slots(participant) if slot.track_id == track_id), None)


def waiting(participant: Participant) -> list[str]:
    """Requested tracks without a slot, oldest first."""
    placed = {slot.track_id for slot in video_slots(participant)}
    return [track_id for track_id in participant.requested_tracks if track_id not in placed]


def decodable(slots: Iterable[Slot | SlotOffer]) -> frozenset[Format]:
    """The formats that any of the video slots decodes."""
    return frozenset().union(*(slot.formats for slot in slots if slot.kind is Kind.VIDEO))


def undecodable(participant: Participant, tracks: Tracks) -> set[str]:
    """Tracks, requested now or before, that no slot decodes. Without video slots it is unknown which formats
    the client decodes, so earlier results stay."""
    formats = decodable(participant.slots.values())
    requested = [i for i in (*participant.requested_tracks, *participant.undecodable) if i in tracks]
    if not formats:
        return participant.undecodable.intersection(requested)
    return {track_id for track_id in requested if tracks[track_id].format not in formats}


def place_waiting(participant: Participant, tracks: Tracks) -> list[BindSlot]:
    """Binds waiting tracks to free slots."""
    free = [slot for slot in video_slots(participant) if slot.track_id is None]
    effects = []
    for track_id in waiting(participant):
        if not free:
            break
        track = tracks[track_id]
        slot = next((slot for slot in free if track.format in slot.formats), None)
        if slot is not None:
            free.remove(slot)
            slot.track_id = track_id
            effects.append(BindSlot(participant.id, slot.mid, track_id))
    return effects


def change_requests(
    participant: Participant, bind: Iterable[str], unbind: Iterable[str], tracks: Tracks
) -> list[SlotEffect]:
    """Changes the requested tracks. It unbinds before it binds, so that one request can replace a track."""
    freed = []
    for track_id in unbind:
        participant.requested_tracks.pop(track_id, None)
        slot = slot_of(participant, track_id)
        if slot is not None:
            freed.append(slot)
    for track_id in bind:
        participant.requested_tracks.setdefault(track_id)
    effects = _refill(participant, freed, tracks)
    if effects:
        participant.slot_revision += 1
    return effects


def refit(participant: Participant, tracks: Tracks) -> list[SlotEffect]:
    """Updates the slots after a track's format has changed: removes tracks from slots that no longer decode
    them, and binds waiting tracks."""
    effects = _refill(participant, _misfits(participant, tracks), tracks)
    if effects:
        participant.slot_revision += 1
    return effects


def _misfits(participant: Participant, tracks: Tracks) -> list[Slot]:
    return [
        slot
        for slot in video_slots(participant)
        if slot.track_id is not None and tracks[slot.track_id].format not in slot.formats
    ]


def _refill(participant: Participant, freed: list[Slot], tracks: Tracks) -> list[SlotEffect]:
    """Frees slots, and binds waiting tracks to all free ones. A freed slot that another track takes at once
    is rebound without an unbind: the engine continues with the old track until the first keyframe of the new
    one."""
    for slot in freed:
        slot.track_id = None
    effects: list[SlotEffect] = [*place_waiting(participant, tracks)]
    return effects + [UnbindSlot(participant.id, slot.mid) for slot in freed if slot.track_id is None]


def reconcile(participant: Participant, offered: Iterable[SlotOffer], tracks: Tracks) -> list[SlotEffect]:
    """Updates the table from a new description. A requested track whose slot was removed, or no longer
    decodes it, waits again."""
    offers = {slot.mid: slot for slot in offered}
    effects: list[SlotEffect] = []
    for slot in list(participant.slots.values()):
        offer = offers.get(slot.mid)
        if offer is None or (offer.kind, offer.rtx) != (slot.kind, slot.rtx):
            del participant.slots[slot.mid]
            effects.append(RemoveSlot(participant.id, slot.mid))
        else:
            slot.formats = offer.formats
    added = _new_slots(participant, [slot for slot in offers.values() if slot.mid not in participant.slots])
    for slot in added:
        participant.slots[slot.mid] = slot
        effects.append(AddSlot(participant.id, slot.mid, slot.kind, slot.pair, slot.stream, slot.rtx))
    effects += _refill(participant, _misfits(participant, tracks), tracks)
    if effects:
        participant.slot_revision += 1
    return effects


def _new_slots(participant: Participant, offered: list[SlotOffer]) -> Iterator[Slot]:
    """Creates slots and their pairs: an audio section directly followed by a video section is a pair. A
    single video section is a pair without audio."""
    for index, slot in enumerate(offered):
        before = offered[index - 1] if index else None
        after = offered[index + 1] if index + 1 < len(offered) else None
        if slot.kind is Kind.VIDEO:
            paired = before is not None and before.kind is Kind.AUDIO
            pair = participant.next_pair - 1 if paired else _next_pair(participant)
        else:
            paired = after is not None and after.kind is Kind.VIDEO
            pair = _next_pair(participant) if paired else -1
        yield Slot(mid=slot.mid, kind=slot.kind, pair=pair, formats=slot.formats, rtx=slot.rtx)


def _next_pair(participant: Participant) -> int:
    participant.next_pair += 1
    return participant.next_pair - 1


def pairs_needed(participant: Participant, limit: int) -> int | None:
    """The number of pairs with which every decodable requested track has a slot; None if a re-offer would not
    help."""
    have = sum(1 for _ in video_slots(participant))
    decodable_requests = sum(
        1 for track_id in participant.requested_tracks if track_id not in participant.undecodable
    )
    need = min(limit, decodable_requests)
    return need if need > have else None
