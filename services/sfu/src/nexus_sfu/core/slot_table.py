"""One participant's slots: which track sits in which, who waits, how many more are needed.

Video slots are filled by request: a requested track takes the first free slot that decodes it, else it
waits, oldest first, until one is freed. A track that no slot decodes waits without asking for more slots:
nothing is bound, so the engine requests no keyframe from its publisher. The engine fills audio slots, which
never carry a track here. A slot's pair number is assigned once and never changes.
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
    """What any of the video slots decodes."""
    return frozenset().union(*(slot.formats for slot in slots if slot.kind is Kind.VIDEO))


def undecodable(participant: Participant, tracks: Tracks) -> set[str]:
    """Tracks that were requested, now or before, and that no slot decodes. Where there is no video slot
    nothing is known of what one would decode: then what was known stays."""
    formats = decodable(participant.slots.values())
    requested = [i for i in (*participant.requested_tracks, *participant.undecodable) if i in tracks]
    if not formats:
        return participant.undecodable.intersection(requested)
    return {track_id for track_id in requested if tracks[track_id].format not in formats}


def place_waiting(participant: Participant, tracks: Tracks) -> list[BindSlot]:
    """Gives free slots to those who wait."""
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
    """Unbinds before it binds, so that one request can swap two tracks."""
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
    """After a track's format has changed: takes out of its slot what that does not decode any more, and fills
    what can be filled."""
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
    """Empties slots, and gives them and other free ones to those who wait. A freed slot that somebody else
    takes at once is rebound, not unbound: the engine shows the old source until the new one's first
    keyframe."""
    for slot in freed:
        slot.track_id = None
    effects: list[SlotEffect] = [*place_waiting(participant, tracks)]
    return effects + [UnbindSlot(participant.id, slot.mid) for slot in freed if slot.track_id is None]


def reconcile(participant: Participant, offered: Iterable[SlotOffer], tracks: Tracks) -> list[SlotEffect]:
    """Makes the table what a new description says. A requested track whose slot went away, or does not
    decode it any more, waits again."""
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
    """Pairs by order: an audio section directly followed by a video section. A video section alone is a pair
    without sound."""
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
    """How many pairs a re-offer should have so that every requested track that can be decoded has a slot;
    None when no re-offer would help."""
    have = sum(1 for _ in video_slots(participant))
    decodable_requests = sum(
        1 for track_id in participant.requested_tracks if track_id not in participant.undecodable
    )
    need = min(limit, decodable_requests)
    return need if need > have else None
