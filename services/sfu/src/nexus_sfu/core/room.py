"""One room: `handle(command, now_ms)` checks, changes the state, and returns what is to be done.

Nothing is changed when a command is refused. Every change of state is one event with the next revision, so
that a reader who misses one sees the gap. What the engine must do comes in the order in which it must do it.
"""

import random
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nexus.events.v1 import room_pb2
from nexus.types.v1 import media_pb2

from nexus_sfu import errors
from nexus_sfu.core import data, slot_table, watching
from nexus_sfu.core import effects as fx
from nexus_sfu.core.commands import (
    Close,
    Command,
    Join,
    LayersWatched,
    Leave,
    MediaUp,
    Offer,
    QualityChanged,
    SetMuted,
    SlotPaused,
    Speakers,
    Unpublish,
    UpdateParticipant,
    UpdateSlots,
    UpdateSubscriptions,
    UpdateView,
)
from nexus_sfu.core.limits import Limits
from nexus_sfu.core.model import (
    Grants,
    Kind,
    MediaOffer,
    Participant,
    PublicationOffer,
    Reason,
    RoomKey,
    Track,
)
from nexus_sfu.core.wire import participant_message, slot_table_message, track_message

ID_ALPHABET = string.ascii_letters + string.digits
ID_LENGTH = 14


@dataclass(frozen=True, slots=True)
class Outcome:
    effects: tuple[fx.Effect, ...]
    # Who joined or offered.
    participant_id: str = ""
    # Wished for, but without a slot.
    unplaced: tuple[str, ...] = ()


class RoomState:
    def __init__(
        self, key: RoomKey, room_id: str, created_at_ms: int, limits: Limits, rng: random.Random
    ) -> None:
        self.key = key
        self.room_id = room_id
        self.created_at_ms = created_at_ms
        self.revision = 0
        self.participants: dict[str, Participant] = {}
        self.tracks: dict[str, Track] = {}
        # Since when nobody is here who keeps the room open.
        self.empty_since_ms: int | None = created_at_ms
        self.closed = False
        self._limits = limits
        self._rng = rng
        self._last_number = 0
        self._opened = False
        self._effects: list[fx.Effect] = []

    def handle(self, command: Command, now_ms: int) -> Outcome:
        """Raises ClientError; then nothing has changed."""
        self._effects = []
        outcome = self._dispatch(command, now_ms)
        self._follow_bindings(now_ms)
        self._note_emptiness(now_ms)
        return Outcome(tuple(self._effects), outcome.participant_id, outcome.unplaced)

    def next_deadline_ms(self) -> int | None:
        """When the room, if still empty, ends."""
        if self.empty_since_ms is None or self.closed:
            return None
        return self.empty_since_ms + self._limits.empty_timeout_ms

    def participant(self, participant_id: str) -> Participant:
        found = self.participants.get(participant_id)
        if found is None:
            raise errors.participant_not_found(participant_id)
        return found

    def visible_participants(self, except_id: str = "") -> list[Participant]:
        return [p for p in self.participants.values() if not p.grants.hidden and p.id != except_id]

    def _dispatch(self, command: Command, now_ms: int) -> Outcome:
        match command:
            case Join():
                return self._join(command, now_ms)
            case Offer():
                return self._offer(command, now_ms)
            case UpdateSlots():
                return self._update_slots(command, now_ms)
            case Leave():
                self._leave(command, now_ms)
            case UpdateSubscriptions():
                self._update_subscriptions(command)
            case UpdateView():
                self._update_view(command)
            case SetMuted():
                self._set_muted(command, now_ms)
            case Unpublish():
                self._unpublish(command, now_ms)
            case UpdateParticipant():
                self._update_participant(command, now_ms)
            case MediaUp():
                self._media_up(command, now_ms)
            case Speakers():
                self._speakers(command, now_ms)
            case LayersWatched():
                self._layers_watched(command, now_ms)
            case SlotPaused():
                self._slot_paused(command, now_ms)
            case QualityChanged():
                self._quality_changed(command, now_ms)
            case Close():
                self._close(command.reason, now_ms)
        return Outcome(())

    # Joining, offering, leaving

    def _join(self, join: Join, now_ms: int) -> Outcome:
        old = next((p for p in self.participants.values() if p.identity == join.identity), None)
        limits = [limit for limit in (join.max_participants, self._limits.participants_per_room) if limit]
        if len(self.participants) - (old is not None) >= min(limits):
            raise errors.room_full(min(limits))
        self._check_media(join.grants, join.media)
        self._check_profile(join.name, join.metadata, join.attributes)
        if not self._opened:
            self._opened = True
            self._effects.append(fx.OpenRoom(self.key))
        if old is not None:
            self._remove(old, Reason.REPLACED, now_ms)
        participant = Participant(
            id=self._new_id("PA_"),
            identity=join.identity,
            name=join.name,
            metadata=join.metadata,
            attributes={name: value for name, value in join.attributes.items() if value},
            grants=join.grants,
            joined_at_ms=now_ms,
            transport=join.media.transport,
        )
        self._effects.append(fx.OpenTransport(self.key, participant.id, join.media.transport))
        self._effects += data.configure(participant, join.media)
        if join.bind_existing and join.grants.subscribe:
            room_for = sum(1 for slot in join.media.slots if slot.kind is Kind.VIDEO)
            existing = [t.id for t in self.tracks.values() if t.kind is Kind.VIDEO][:room_for]
            participant.wishes = dict.fromkeys(existing)
        for publication in join.media.publications:
            self._publish(participant, publication)
        self.participants[participant.id] = participant
        self._effects += slot_table.reconcile(participant, join.media.slots if join.grants.subscribe else ())
        self._emit(
            now_ms,
            internal=participant.grants.hidden,
            participant_joined=room_pb2.ParticipantJoined(participant=participant_message(participant)),
        )
        return Outcome((), participant.id)

    def _offer(self, offer: Offer, now_ms: int) -> Outcome:
        participant = self.participant(offer.participant_id)
        media = offer.media
        self._check_media(participant.grants, media)
        if set(media.transport.fingerprints) != set(participant.transport.fingerprints):
            raise errors.invalid_sdp("the fingerprint of a session cannot change: join anew")
        self._update_transport(participant, media)
        self._effects += data.configure(participant, media)
        self._reconcile_publications(participant, media.publications, now_ms)
        slots = media.slots if participant.grants.subscribe else ()
        self._effects += slot_table.reconcile(participant, slots)
        return Outcome((), participant.id)

    def _update_transport(self, participant: Participant, media: MediaOffer) -> None:
        before, after = participant.transport, media.transport
        if (before.codecs, before.extensions) != (after.codecs, after.extensions):
            self._effects.append(fx.UpdateTransport(participant.id, after))
        # RFC 8839 section 4.4.1.1.1: new credentials ask for an ICE restart.
        if before.ice != after.ice:
            self._effects.append(fx.RestartIce(participant.id, after.ice))
        participant.transport = after

    def _leave(self, leave: Leave, now_ms: int) -> None:
        participant = self.participants.get(leave.participant_id)
        if participant is not None:
            self._remove(participant, leave.reason, now_ms)

    def _remove(self, participant: Participant, reason: Reason, now_ms: int) -> None:
        del self.participants[participant.id]
        self._emit(
            now_ms,
            internal=participant.grants.hidden,
            participant_left=room_pb2.ParticipantLeft(
                participant_id=participant.id,
                identity=participant.identity,
                reason=media_pb2.DisconnectReason.ValueType(reason),
            ),
        )
        self._forget_tracks(list(participant.tracks.values()), now_ms)
        # The engine takes the tracks and slots of a closed transport with it.
        self._effects.append(fx.CloseTransport(participant.id))

    def _close(self, reason: Reason, now_ms: int) -> None:
        for participant in list(self.participants.values()):
            self._remove(participant, reason, now_ms)
        if self._opened:
            self._effects.append(fx.ShutRoom(self.key))
        self.closed = True
        self._emit(
            now_ms, room_closed=room_pb2.RoomClosed(reason=media_pb2.DisconnectReason.ValueType(reason))
        )

    def _note_emptiness(self, now_ms: int) -> None:
        """A recorder alone does not keep a room open."""
        if any(not p.grants.recorder for p in self.participants.values()):
            self.empty_since_ms = None
        elif self.empty_since_ms is None:
            self.empty_since_ms = now_ms

    # Publishing

    def _check_media(self, grants: Grants, media: MediaOffer) -> None:
        if media.publications and not grants.publish:
            raise errors.permission_denied("the token does not grant publishing", grant="publish")
        if media.publications and grants.hidden:
            # Its tracks would be heard and seen without a name.
            raise errors.permission_denied("a hidden participant cannot publish", grant="hidden")
        if len(media.publications) > self._limits.tracks_per_participant:
            raise errors.too_many_tracks(self._limits.tracks_per_participant)
        if len(media.slots) > self._limits.slots_per_participant:
            raise errors.slots_exhausted(self._limits.slots_per_participant)
        if sum(1 for slot in media.slots if slot.kind is Kind.VIDEO) > self._limits.pairs:
            raise errors.slots_exhausted(self._limits.pairs)

    def _publish(self, participant: Participant, offer: PublicationOffer) -> Track:
        self._last_number += 1
        track = Track(
            id=self._new_id("TR_"),
            number=self._last_number,
            participant_id=participant.id,
            source=offer.source,
            codec=offer.codec,
            mid=offer.mid,
            name=offer.name,
            muted=offer.muted,
            width=offer.width,
            height=offer.height,
            ssrcs=offer.ssrcs,
            rtx_ssrcs=offer.rtx_ssrcs,
            layers=offer.layers,
            scalability_mode=offer.scalability_mode,
        )
        participant.tracks[track.id] = track
        self.tracks[track.id] = track
        self._effects.append(fx.AddTrack(track))
        return track

    def _reconcile_publications(
        self, participant: Participant, offered: Iterable[PublicationOffer], now_ms: int
    ) -> None:
        wanted = {publication.mid: publication for publication in offered}
        kept: dict[str, Track] = {}
        gone: list[Track] = []
        for track in participant.tracks.values():
            publication = wanted.get(track.mid)
            if publication is None or publication.source is not track.source:
                gone.append(track)
            else:
                kept[track.mid] = track
        self._unpublish_tracks(participant, gone, now_ms)
        for mid, publication in wanted.items():
            if mid in kept:
                self._refresh(kept[mid], publication)
                continue
            track = self._publish(participant, publication)
            self._emit(now_ms, track_published=room_pb2.TrackPublished(track=track_message(track)))

    def _refresh(self, track: Track, publication: PublicationOffer) -> None:
        """What may change under a track that stays. `muted` may not: a stale repetition must not undo a
        moderator's mute."""
        track.width, track.height = publication.width, publication.height
        track.codec = publication.codec
        track.scalability_mode = publication.scalability_mode
        before, track.layers = track.rids, publication.layers
        sources = (publication.ssrcs, publication.rtx_ssrcs)
        if sources == (track.ssrcs, track.rtx_ssrcs) and track.rids == before:
            return
        track.ssrcs, track.rtx_ssrcs = sources
        self._effects += [fx.RemoveTrack(track.participant_id, track.id), fx.AddTrack(track)]
        for participant in self.participants.values():
            slot = slot_table.slot_of(participant, track.id)
            if slot is not None:
                self._effects.append(fx.BindSlot(participant.id, slot.mid, track.id))
            if track.id in participant.unsubscribed and track.kind is Kind.AUDIO:
                self._effects.append(fx.SetSubscribed(participant.id, track.id, False))

    def _unpublish(self, command: Unpublish, now_ms: int) -> None:
        participant = self.participant(command.participant_id)
        wanted = [participant.tracks[i] for i in dict.fromkeys(command.track_ids) if i in participant.tracks]
        self._unpublish_tracks(participant, wanted, now_ms)

    def _unpublish_tracks(self, participant: Participant, tracks: list[Track], now_ms: int) -> None:
        for track in tracks:
            del participant.tracks[track.id]
            self._emit(
                now_ms,
                track_unpublished=room_pb2.TrackUnpublished(track_id=track.id, participant_id=participant.id),
            )
        self._forget_tracks(tracks, now_ms)
        self._effects += [fx.RemoveTrack(track.participant_id, track.id) for track in tracks]

    def _forget_tracks(self, tracks: list[Track], now_ms: int) -> None:
        """Frees every slot that shows them; those who wait take the place."""
        ids = [track.id for track in tracks]
        for track_id in ids:
            del self.tracks[track_id]
        for participant in self.participants.values():
            participant.unsubscribed.difference_update(ids)
            for track_id in ids:
                participant.views.pop(track_id, None)
            changes = slot_table.change_wishes(participant, bind=(), unbind=ids)
            self._effects += changes
            if changes:
                self._emit(
                    now_ms,
                    target=participant.id,
                    internal=participant.grants.hidden,
                    slots_changed=room_pb2.SlotsChanged(slots=slot_table_message(participant)),
                )

    # Slots, subscriptions, mute, profile

    def _update_slots(self, command: UpdateSlots, now_ms: int) -> Outcome:
        participant = self.participant(command.participant_id)
        bind = list(dict.fromkeys(command.bind))
        if bind and not participant.grants.subscribe:
            raise errors.permission_denied("the token does not grant subscribing", grant="subscribe")
        for track_id in bind:
            track = self.tracks.get(track_id)
            if track is None:
                continue
            if track.participant_id == participant.id:
                raise errors.invalid_argument("nobody receives an own track", track_id=track_id)
            if track.kind is not Kind.VIDEO:
                raise errors.invalid_argument("audio is placed by the SFU, not bound", track_id=track_id)
        known = [track_id for track_id in bind if track_id in self.tracks]
        participant.unsubscribed.difference_update(known)
        self._effects += slot_table.change_wishes(participant, known, command.unbind)
        waiting = set(slot_table.waiting(participant))
        unplaced = tuple(track_id for track_id in bind if track_id in waiting or track_id not in self.tracks)
        if waiting.intersection(unplaced):
            self._ask_for_slots(participant, now_ms)
        return Outcome((), participant.id, unplaced)

    def _ask_for_slots(self, participant: Participant, now_ms: int) -> None:
        pairs = slot_table.pairs_needed(participant, self._limits.pairs)
        if pairs is not None:
            lone = sum(1 for slot in participant.slots.values() if slot.pair < 0)
            needed = room_pb2.ReofferNeeded(pairs=pairs, audio_slots=lone)
            self._emit(
                now_ms, target=participant.id, internal=participant.grants.hidden, reoffer_needed=needed
            )

    def _update_subscriptions(self, command: UpdateSubscriptions) -> None:
        participant = self.participant(command.participant_id)
        if command.subscribed and not participant.grants.subscribe:
            raise errors.permission_denied("the token does not grant subscribing", grant="subscribe")
        tracks = [self.tracks[i] for i in dict.fromkeys(command.track_ids) if i in self.tracks]
        changed = [
            track
            for track in tracks
            if track.participant_id != participant.id
            and (track.id in participant.unsubscribed) is command.subscribed
        ]
        for track in changed:
            if command.subscribed:
                participant.unsubscribed.discard(track.id)
            else:
                participant.unsubscribed.add(track.id)
            if track.kind is Kind.AUDIO:
                self._effects.append(fx.SetSubscribed(participant.id, track.id, command.subscribed))
        if not command.subscribed:
            video = [track.id for track in changed if track.kind is Kind.VIDEO]
            self._effects += slot_table.change_wishes(participant, bind=(), unbind=video)

    def _update_view(self, command: UpdateView) -> None:
        participant = self.participant(command.participant_id)
        if not participant.grants.subscribe:
            raise errors.permission_denied("the token does not grant subscribing", grant="subscribe")
        self._effects += watching.see(participant, command.views, self.tracks)

    def _follow_bindings(self, now_ms: int) -> None:
        """A slot that shows another track is preferred as that track is looked at; what is paused is told of
        the track that it shows now."""
        changes = [effect for effect in self._effects if isinstance(effect, fx.BindSlot | fx.UnbindSlot)]
        for change in changes:
            participant = self.participants.get(change.participant_id)
            slot = None if participant is None else participant.slots.get(change.mid)
            if participant is None or slot is None:
                continue
            track = self.tracks.get(slot.track_id or "")
            if track is not None:
                self._effects.append(watching.prefer(participant, slot.mid, track))
                if slot.paused:
                    self._tell_paused(participant, track.id, True, now_ms)
            else:
                slot.paused = False

    def _set_muted(self, command: SetMuted, now_ms: int) -> None:
        track = self.tracks.get(command.track_id)
        if track is None:
            raise errors.track_not_found(command.track_id)
        if command.participant_id and command.participant_id != track.participant_id:
            if not self.participant(command.participant_id).grants.admin:
                raise errors.permission_denied("muting others needs the admin grant", grant="admin")
            if not command.muted:
                # Nobody else opens a person's microphone or camera.
                raise errors.permission_denied("only its publisher unmutes a track", track_id=track.id)
        if track.muted is command.muted:
            return
        track.muted = command.muted
        self._effects.append(fx.MuteTrack(track.id, track.muted))
        muted = room_pb2.TrackMuted(track_id=track.id, participant_id=track.participant_id, muted=track.muted)
        self._emit(now_ms, track_muted=muted)

    def _update_participant(self, command: UpdateParticipant, now_ms: int) -> None:
        participant = self.participant(command.participant_id)
        name = participant.name if command.name is None else command.name
        metadata = participant.metadata if command.metadata is None else command.metadata
        attributes = {k: v for k, v in {**participant.attributes, **command.attributes}.items() if v}
        self._check_profile(name, metadata, attributes)
        if (name, metadata, attributes) == (participant.name, participant.metadata, participant.attributes):
            return
        participant.name, participant.metadata, participant.attributes = name, metadata, attributes
        self._emit(
            now_ms,
            internal=participant.grants.hidden,
            participant_updated=room_pb2.ParticipantUpdated(participant=participant_message(participant)),
        )

    def _check_profile(self, name: str, metadata: str, attributes: Mapping[str, str]) -> None:
        limits = self._limits
        if len(name.encode()) > limits.name_bytes:
            raise errors.invalid_argument("the name is too long", limit=limits.name_bytes)
        if len(metadata.encode()) > limits.metadata_bytes:
            raise errors.invalid_argument("the metadata are too long", limit=limits.metadata_bytes)
        size = sum(len(key.encode()) + len(value.encode()) for key, value in attributes.items())
        if len(attributes) > limits.attributes or size > limits.attributes_bytes:
            raise errors.invalid_argument("too many attributes", limit=limits.attributes)

    # What the engine reports

    def _media_up(self, command: MediaUp, now_ms: int) -> None:
        participant = self.participants.get(command.participant_id)
        if participant is None:
            return
        participant.connected = True
        connected = room_pb2.MediaConnected(participant_id=participant.id, srtp_profile=command.srtp_profile)
        self._emit(now_ms, internal=participant.grants.hidden, media_connected=connected)

    def _speakers(self, command: Speakers, now_ms: int) -> None:
        speakers = [
            room_pb2.Speaker(
                participant_id=self.tracks[track_id].participant_id, track_id=track_id, level_dbov=level
            )
            for track_id, level in command.speakers
            if track_id in self.tracks
        ]
        self._emit(now_ms, state=False, active_speakers=room_pb2.ActiveSpeakers(speakers=speakers))

    def _layers_watched(self, command: LayersWatched, now_ms: int) -> None:
        track = self.tracks.get(command.track_id)
        if track is None or (track.wanted_known and track.wanted == command.highest):
            return
        track.wanted, track.wanted_known = command.highest, True
        wanted = room_pb2.LayersWanted(tracks=[watching.wanted_message(track)])
        self._emit(now_ms, target=track.participant_id, layers_wanted=wanted)

    def _slot_paused(self, command: SlotPaused, now_ms: int) -> None:
        participant = self.participants.get(command.participant_id)
        slot = None if participant is None else participant.slots.get(command.mid)
        if participant is None or slot is None or slot.paused is command.paused:
            return
        slot.paused = command.paused
        if slot.track_id is not None:
            self._tell_paused(participant, slot.track_id, slot.paused, now_ms)

    def _tell_paused(self, participant: Participant, track_id: str, paused: bool, now_ms: int) -> None:
        target, internal = participant.id, participant.grants.hidden
        if paused:
            event = room_pb2.TrackPaused(track_id=track_id, reason=room_pb2.PAUSE_REASON_BANDWIDTH)
            self._emit(now_ms, target=target, internal=internal, track_paused=event)
        else:
            resumed = room_pb2.TrackResumed(track_id=track_id)
            self._emit(now_ms, target=target, internal=internal, track_resumed=resumed)

    def _quality_changed(self, command: QualityChanged, now_ms: int) -> None:
        participant = self.participants.get(command.participant_id)
        if participant is None or participant.quality is command.quality:
            return
        participant.quality = command.quality
        changed = room_pb2.ConnectionQualityChanged(
            participant_id=participant.id,
            quality=media_pb2.ConnectionQuality.ValueType(command.quality),
            score=command.score,
        )
        self._emit(now_ms, state=False, internal=participant.grants.hidden, connection_quality=changed)

    def _emit(
        self, now_ms: int, *, state: bool = True, target: str = "", internal: bool = False, **event: Any
    ) -> None:
        """`event`: the one field of `RoomEvent` that is set. Without `state` it takes no revision."""
        self.revision += state
        self._effects.append(
            fx.Emit(
                room_pb2.RoomEvent(
                    app=self.key.app,
                    room=self.key.room,
                    room_id=self.room_id,
                    revision=self.revision if state else 0,
                    at_ms=now_ms,
                    target_participant_id=target,
                    internal=internal,
                    **event,
                )
            )
        )

    def _new_id(self, prefix: str) -> str:
        return prefix + "".join(self._rng.choices(ID_ALPHABET, k=ID_LENGTH))
