"""One participant's slots: which track sits in which, who waits, how many more are needed.

Video slots are filled by wish: a wish takes the first free slot, else it waits, oldest first, until one is
freed. Audio slots are the engine's to fill and never carry a track here. A slot's pair number is given once
and never moves.
"""

from collections.abc import Iterable, Iterator

from nexus_sfu.core.effects import AddSlot, BindSlot, RemoveSlot, UnbindSlot
from nexus_sfu.core.model import Kind, Participant, Slot, SlotOffer

SlotEffect = AddSlot | RemoveSlot | BindSlot | UnbindSlot


def video_slots(participant: Participant) -> Iterator[Slot]:
    return (slot for slot in participant.slots.values() if slot.kind is Kind.VIDEO)


def slot_of(participant: Participant, track_id: str) -> Slot | None:
    return next((slot for slot in video_slots(participant) if slot.track_id == track_id), None)


def waiting(participant: Participant) -> list[str]:
    """Wishes without a slot, oldest first."""
    placed = {slot.track_id for slot in video_slots(participant)}
    return [track_id for track_id in participant.wishes if track_id not in placed]


def place_waiting(participant: Participant) -> list[BindSlot]:
    """Gives free slots to those who wait."""
    free = [slot for slot in video_slots(participant) if slot.track_id is None]
    effects = []
    for slot, track_id in zip(free, waiting(participant), strict=False):
        slot.track_id = track_id
        effects.append(BindSlot(participant.id, slot.mid, track_id))
    return effects


def change_wishes(participant: Participant, bind: Iterable[str], unbind: Iterable[str]) -> list[SlotEffect]:
    """Unbinds before it binds, so that one request can swap two tracks. A freed slot that somebody else takes
    at once is rebound, not unbound: the engine shows the old source until the new one's first keyframe."""
    freed = []
    for track_id in unbind:
        participant.wishes.pop(track_id, None)
        slot = slot_of(participant, track_id)
        if slot is not None:
            slot.track_id = None
            freed.append(slot)
    for track_id in bind:
        participant.wishes.setdefault(track_id)
    effects: list[SlotEffect] = [*place_waiting(participant)]
    effects += [UnbindSlot(participant.id, slot.mid) for slot in freed if slot.track_id is None]
    if effects:
        participant.slot_revision += 1
    return effects


def reconcile(participant: Participant, offered: Iterable[SlotOffer]) -> list[SlotEffect]:
    """Makes the table what a new description says. A wish whose slot went away waits again."""
    wanted = list(offered)
    kinds = {slot.mid: (slot.kind, slot.rtx) for slot in wanted}
    gone = [slot for slot in participant.slots.values() if kinds.get(slot.mid) != (slot.kind, slot.rtx)]
    effects: list[SlotEffect] = []
    for slot in gone:
        del participant.slots[slot.mid]
        effects.append(RemoveSlot(participant.id, slot.mid))
    added = _new_slots(participant, [slot for slot in wanted if slot.mid not in participant.slots])
    for slot in added:
        participant.slots[slot.mid] = slot
        effects.append(AddSlot(participant.id, slot.mid, slot.kind, slot.pair, slot.stream, slot.rtx))
    effects += place_waiting(participant)
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
        yield Slot(mid=slot.mid, kind=slot.kind, pair=pair, rtx=slot.rtx)


def _next_pair(participant: Participant) -> int:
    participant.next_pair += 1
    return participant.next_pair - 1


def pairs_needed(participant: Participant, limit: int) -> int | None:
    """How many pairs a re-offer should have so that every wish is placed; None when no re-offer would
    help."""
    have = sum(1 for _ in video_slots(participant))
    need = min(limit, len(participant.wishes))
    return need if need > have else None
