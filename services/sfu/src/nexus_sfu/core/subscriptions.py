"""The tracks that the participants of a room receive: slots, requests, views and pauses. Each method changes
the state and returns effects in order."""

from collections.abc import Iterable, Mapping, Sequence

from nexus.events.v1 import room_pb2

from nexus_sfu import errors
from nexus_sfu.core import admission, slot_table, watching
from nexus_sfu.core import effects as fx
from nexus_sfu.core.commands import SlotPaused, UpdateSlots, UpdateSubscriptions, UpdateView
from nexus_sfu.core.event_log import EventLog
from nexus_sfu.core.model import Kind, Participant, SlotOffer, Track


class Subscriptions:
    """`participants` and `tracks` are those of the room by id, owned by others. `pairs` is the maximum number
    of slots for audio and for video that a participant is asked to offer."""

    def __init__(
        self,
        participants: Mapping[str, Participant],
        tracks: Mapping[str, Track],
        log: EventLog,
        pairs: int,
    ) -> None:
        self._participants = participants
        self._tracks = tracks
        self._log = log
        self._pairs = pairs

    def reconcile(self, participant: Participant, slots: Sequence[SlotOffer]) -> list[fx.Effect]:
        """Takes the slots of an offer."""
        return [
            *slot_table.reconcile(participant, slots, self._tracks),
            *self._report_undecodable(participant),
        ]

    def update_slots(
        self, participant: Participant, command: UpdateSlots
    ) -> tuple[list[fx.Effect], tuple[str, ...]]:
        """Returns also the requested tracks that have no slot. Raises RpcError without any change."""
        bind = list(dict.fromkeys(command.bind))
        if bind:
            admission.check_subscribe(participant.grants)
        for track_id in bind:
            self._check_bindable(participant, track_id)
        known = [track_id for track_id in bind if track_id in self._tracks]
        participant.unsubscribed.difference_update(known)
        effects: list[fx.Effect] = [
            *slot_table.change_requests(participant, known, command.unbind, self._tracks)
        ]
        effects += self._report_undecodable(participant)
        waiting = set(slot_table.waiting(participant))
        unplaced = tuple(track_id for track_id in bind if track_id in waiting or track_id not in self._tracks)
        if waiting.intersection(unplaced):
            pairs = slot_table.pairs_needed(participant, self._pairs)
            if pairs is not None:
                effects.append(self._log.reoffer_needed(participant, pairs))
        return effects, unplaced

    def _check_bindable(self, participant: Participant, track_id: str) -> None:
        track = self._tracks.get(track_id)
        if track is None:
            return
        if track.participant_id == participant.id:
            raise errors.invalid_argument("a participant cannot receive its own track", track_id=track_id)
        if track.kind is not Kind.VIDEO:
            raise errors.invalid_argument(
                "audio tracks cannot be bound: the SFU chooses their slots", track_id=track_id
            )

    def refit(self) -> list[fx.Effect]:
        """Updates all slots after a publisher has changed a track's format."""
        effects: list[fx.Effect] = []
        for participant in self._participants.values():
            changes = list(slot_table.refit(participant, self._tracks))
            effects += changes
            if changes:
                effects.append(self._log.slots_changed(participant))
            effects += self._report_undecodable(participant)
        return effects

    def _report_undecodable(self, participant: Participant) -> list[fx.Effect]:
        """Emits events for requested tracks that no slot decodes any longer, or that one decodes again."""
        before, now = participant.undecodable, slot_table.undecodable(participant, self._tracks)
        participant.undecodable = now
        reason = room_pb2.PAUSE_REASON_UNSUPPORTED_CODEC
        return [
            *(self._log.paused(participant, track_id, reason) for track_id in sorted(now - before)),
            *(self._log.resumed(participant, track_id) for track_id in sorted(before - now)),
        ]

    def update(self, participant: Participant, command: UpdateSubscriptions) -> list[fx.Effect]:
        """Subscribes to tracks or unsubscribes from them. Raises RpcError without any change."""
        if command.subscribed:
            admission.check_subscribe(participant.grants)
        tracks = [self._tracks[i] for i in dict.fromkeys(command.track_ids) if i in self._tracks]
        changed = [
            track
            for track in tracks
            if track.participant_id != participant.id
            and (track.id in participant.unsubscribed) is command.subscribed
        ]
        effects: list[fx.Effect] = []
        for track in changed:
            if command.subscribed:
                participant.unsubscribed.discard(track.id)
            else:
                participant.unsubscribed.add(track.id)
            if track.kind is Kind.AUDIO:
                effects.append(fx.SetSubscribed(participant.id, track.id, command.subscribed))
        if not command.subscribed:
            video = [track.id for track in changed if track.kind is Kind.VIDEO]
            effects += slot_table.change_requests(participant, (), video, self._tracks)
        return effects

    def update_view(self, participant: Participant, command: UpdateView) -> list[fx.Effect]:
        """Raises RpcError without any change."""
        admission.check_subscribe(participant.grants)
        return list(watching.update_views(participant, command.views, self._tracks))

    def follow_bindings(self, effects: Iterable[fx.Effect]) -> list[fx.Effect]:
        """For each slot that these effects bind to another track, applies that track's view, and reports a
        paused slot for the new track."""
        further: list[fx.Effect] = []
        for change in effects:
            if not isinstance(change, fx.BindSlot | fx.UnbindSlot):
                continue
            participant = self._participants.get(change.participant_id)
            slot = None if participant is None else participant.slots.get(change.mid)
            if participant is None or slot is None:
                continue
            track = self._tracks.get(slot.track_id or "")
            if track is not None:
                further.append(watching.set_slot_view(participant, slot.mid, track))
                if slot.paused:
                    further.append(self._report_paused(participant, track.id, True))
            else:
                slot.paused = False
        return further

    def slot_paused(self, command: SlotPaused) -> list[fx.Effect]:
        """Takes a report of the engine."""
        participant = self._participants.get(command.participant_id)
        slot = None if participant is None else participant.slots.get(command.mid)
        if participant is None or slot is None or slot.paused is command.paused:
            return []
        slot.paused = command.paused
        if slot.track_id is None:
            return []
        return [self._report_paused(participant, slot.track_id, slot.paused)]

    def _report_paused(self, participant: Participant, track_id: str, paused: bool) -> fx.Effect:
        if paused:
            return self._log.paused(participant, track_id, room_pb2.PAUSE_REASON_BANDWIDTH)
        return self._log.resumed(participant, track_id)
