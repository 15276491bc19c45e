"""The published tracks of a room. An offer adds, changes or ends tracks; the end of a track frees its slots.
Each method changes the state and returns effects in order.
"""

from collections.abc import Callable, Iterable, Mapping

from nexus_sfu.core import effects as fx
from nexus_sfu.core import slot_table
from nexus_sfu.core.event_log import EventLog
from nexus_sfu.core.model import Kind, Participant, PublicationOffer, Track


class Publications:
    """The tracks by id. `participants` are the present participants of the room by id, owned by the room."""

    def __init__(
        self, participants: Mapping[str, Participant], log: EventLog, new_id: Callable[[], str]
    ) -> None:
        self.tracks: dict[str, Track] = {}
        self._participants = participants
        self._log = log
        self._new_id = new_id
        self._last_number = 0

    def add(self, participant: Participant, offer: PublicationOffer) -> Track:
        """Adds a track to the state. The caller adds the effects for the engine, and an event unless that of
        the participant's join includes the track."""
        self._last_number += 1
        track = Track(
            id=self._new_id(),
            number=self._last_number,
            participant_id=participant.id,
            source=offer.source,
            format=offer.format,
            mid=offer.mid,
            name=offer.name,
            muted=offer.muted,
            width=offer.width,
            height=offer.height,
            ssrcs=offer.ssrcs,
            rtx_ssrcs=offer.rtx_ssrcs,
            payload_types=offer.payload_types,
            layers=offer.layers,
            scalability_mode=offer.scalability_mode,
        )
        participant.tracks[track.id] = track
        self.tracks[track.id] = track
        return track

    def reconcile(self, participant: Participant, offered: Iterable[PublicationOffer]) -> list[fx.Effect]:
        """Updates the participant's tracks from an offer. A track whose section is no longer offered, or is
        offered for another source, has ended."""
        by_mid = {publication.mid: publication for publication in offered}
        kept: dict[str, Track] = {}
        gone: list[Track] = []
        for track in participant.tracks.values():
            publication = by_mid.get(track.mid)
            if publication is None or publication.source is not track.source:
                gone.append(track)
            else:
                kept[track.mid] = track
        effects = self.remove(participant, gone)
        for mid, publication in by_mid.items():
            if mid in kept:
                effects += self._refresh(kept[mid], publication)
                continue
            track = self.add(participant, publication)
            effects += [fx.AddTrack(track), self._log.published(track)]
        return effects

    def remove(self, participant: Participant, tracks: list[Track]) -> list[fx.Effect]:
        effects: list[fx.Effect] = []
        for track in tracks:
            del participant.tracks[track.id]
            effects.append(self._log.unpublished(track))
        effects += self.forget(tracks)
        effects += [fx.RemoveTrack(track.participant_id, track.id) for track in tracks]
        return effects

    def forget(self, tracks: list[Track]) -> list[fx.Effect]:
        """Removes ended tracks from all slots, which waiting tracks then take."""
        if not tracks:
            return []  # most participants that leave a large room publish nothing
        ids = [track.id for track in tracks]
        for track_id in ids:
            del self.tracks[track_id]
        effects: list[fx.Effect] = []
        for participant in self._participants.values():
            participant.unsubscribed.difference_update(ids)
            for track_id in ids:
                participant.views.pop(track_id, None)
            participant.undecodable.difference_update(ids)
            changes = slot_table.change_requests(participant, (), ids, self.tracks)
            effects += changes
            if changes:
                effects.append(self._log.slots_changed(participant))
        return effects

    def _refresh(self, track: Track, publication: PublicationOffer) -> list[fx.Effect]:
        """Updates a track that continues. `muted` does not change, because an outdated offer must not undo a
        moderator's mute."""
        before, rids, sizes = _description(track), track.rids, track.sizes
        track.width, track.height = publication.width, publication.height
        track.format = publication.format
        track.scalability_mode = publication.scalability_mode
        track.layers = publication.layers
        events: list[fx.Effect] = [] if _description(track) == before else [self._log.redescribed(track)]
        sources = (publication.ssrcs, publication.rtx_ssrcs, publication.payload_types)
        if sources == (track.ssrcs, track.rtx_ssrcs, track.payload_types) and track.rids == rids:
            if track.sizes == sizes or track.kind is not Kind.VIDEO:
                return events
            return [*events, fx.ResizeTrack(track.id, track.sizes)]
        track.ssrcs, track.rtx_ssrcs, track.payload_types = sources
        effects: list[fx.Effect] = [
            *events,
            fx.RemoveTrack(track.participant_id, track.id),
            fx.AddTrack(track),
        ]
        for participant in self._participants.values():
            slot = slot_table.slot_of(participant, track.id)
            if slot is not None:
                effects.append(fx.BindSlot(participant.id, slot.mid, track.id))
            if track.id in participant.unsubscribed and track.kind is Kind.AUDIO:
                effects.append(fx.SetSubscribed(participant.id, track.id, False))
        return effects


def _description(track: Track) -> tuple[object, ...]:
    """The properties that other participants know and that an offer may change."""
    return (track.width, track.height, track.codec, track.scalability_mode, track.layers)
