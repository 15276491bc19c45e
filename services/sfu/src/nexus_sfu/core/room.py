"""The state of one room: `handle(command, now)` checks a command, changes the state, and returns effects.

A refused command changes nothing. Every change of state is one event with the next revision, so that a reader
detects a missed event by the gap. Effects for the engine are in the order in which it must perform them.
"""

import random
import string
from collections.abc import Mapping
from dataclasses import dataclass

from nexus.events.v1 import room_pb2
from nexus.types.v1 import media_pb2
from nexus_runtime import Now

from nexus_sfu import errors
from nexus_sfu.core import admission, data, slot_table
from nexus_sfu.core import effects as fx
from nexus_sfu.core.commands import (
    Close,
    Command,
    Join,
    LayerDemandChanged,
    Leave,
    MediaUp,
    Offer,
    QualityChanged,
    SetMuted,
    SlotPaused,
    Speakers,
    Unpublish,
    UpdateParticipant,
    UpdateRoom,
    UpdateSlots,
    UpdateSubscriptions,
    UpdateView,
)
from nexus_sfu.core.event_log import EventLog
from nexus_sfu.core.limits import Limits
from nexus_sfu.core.model import Kind, MediaOffer, Participant, Reason, RoomKey, Setup, Track
from nexus_sfu.core.publications import Publications
from nexus_sfu.core.subscriptions import Subscriptions
from nexus_sfu.core.wire import speakers_message

ID_ALPHABET = string.ascii_letters + string.digits
ID_LENGTH = 14


@dataclass(frozen=True, slots=True)
class Outcome:
    effects: tuple[fx.Effect, ...]
    # The participant that joined or offered.
    participant_id: str = ""
    # Requested tracks without a slot.
    unplaced: tuple[str, ...] = ()


class RoomState:
    def __init__(self, key: RoomKey, room_id: str, now: Now, limits: Limits, rng: random.Random) -> None:
        self.key = key
        self.room_id = room_id
        self.created_at_ms = now.epoch_ms
        self.participants: dict[str, Participant] = {}
        # Whether a service records or transcribes the room at present, which all participants are shown.
        self.recording = False
        self.transcribing = False
        # Monotonic time since which the room has no participants that keep it open.
        self.empty_since_ms: int | None = now.monotonic_ms
        self.closed = False
        self._limits = limits
        self._rng = rng
        self._opened = False
        self._effects: list[fx.Effect] = []
        self._log = EventLog(key, room_id)
        self._publications = Publications(self.participants, self._log, lambda: self._new_id("TR_"))
        self._subscriptions = Subscriptions(self.participants, self.tracks, self._log, limits.pairs)
        # The engine's last report: track and level in dBov.
        self._loudest: tuple[tuple[str, float], ...] = ()
        self._speakers_revision = 0

    @property
    def tracks(self) -> Mapping[str, Track]:
        return self._publications.tracks

    @property
    def revision(self) -> int:
        """The revision of the last event that carries state."""
        return self._log.revision

    def handle(self, command: Command, now: Now) -> Outcome:
        """Performs a command. Raises RpcError without any change."""
        self._effects = []
        self._log.epoch_ms = now.epoch_ms
        outcome = self._dispatch(command, now)
        self._effects += self._subscriptions.follow_bindings(self._effects)
        self._note_emptiness(now)
        return Outcome(tuple(self._effects), outcome.participant_id, outcome.unplaced)

    def next_deadline_ms(self) -> int | None:
        """The monotonic time at which the room closes if it is still empty; None if it is not empty."""
        if self.empty_since_ms is None or self.closed:
            return None
        return self.empty_since_ms + self._limits.empty_timeout_ms

    def participant(self, participant_id: str) -> Participant:
        found = self.participants.get(participant_id)
        if found is None:
            raise errors.participant_not_found(participant_id)
        return found

    def message(self) -> media_pb2.Room:
        return media_pb2.Room(
            id=self.room_id,
            name=self.key.room,
            created_at_ms=self.created_at_ms,
            recording=self.recording,
            transcribing=self.transcribing,
        )

    def visible_participants(self, except_id: str = "") -> list[Participant]:
        return [p for p in self.participants.values() if not p.grants.hidden and p.id != except_id]

    def _dispatch(self, command: Command, now: Now) -> Outcome:
        match command:
            case Join():
                return self._join(command, now)
            case Offer():
                return self._offer(command)
            case UpdateSlots():
                participant = self.participant(command.participant_id)
                effects, unplaced = self._subscriptions.update_slots(participant, command)
                self._effects += effects
                return Outcome((), participant.id, unplaced)
            case Leave():
                self._leave(command)
            case UpdateSubscriptions():
                participant = self.participant(command.participant_id)
                self._effects += self._subscriptions.update(participant, command)
            case UpdateView():
                participant = self.participant(command.participant_id)
                self._effects += self._subscriptions.update_view(participant, command)
            case SetMuted():
                self._set_muted(command)
            case Unpublish():
                self._unpublish(command)
            case UpdateParticipant():
                self._update_participant(command)
            case UpdateRoom():
                self._update_room(command)
            case MediaUp():
                self._media_up(command)
            case Speakers():
                self._speakers(command)
            case LayerDemandChanged():
                self._layer_demand_changed(command)
            case SlotPaused():
                self._effects += self._subscriptions.slot_paused(command)
            case QualityChanged():
                self._quality_changed(command)
            case Close():
                self._close(command.reason)
        return Outcome(())

    # Joining, offering, leaving

    def _join(self, join: Join, now: Now) -> Outcome:
        old = next((p for p in self.participants.values() if p.identity == join.identity), None)
        limits = [limit for limit in (join.max_participants, self._limits.participants_per_room) if limit]
        if len(self.participants) - (old is not None) >= min(limits):
            raise errors.room_full(min(limits))
        admission.check_media(self._limits, join.grants, join.media)
        admission.check_silence(join.media)
        admission.check_profile(self._limits, join.name, join.metadata, join.attributes)
        if not self._opened:
            self._opened = True
            self._effects.append(fx.OpenRoom(self.key))
        if old is not None:
            self._remove(old, Reason.REPLACED)
        participant = Participant(
            id=self._new_id("PA_"),
            identity=join.identity,
            name=join.name,
            metadata=join.metadata,
            attributes={name: value for name, value in join.attributes.items() if value},
            grants=join.grants,
            joined_at_ms=now.epoch_ms,
            transport=join.media.transport,
            dtls_client=join.media.transport.setup is Setup.PASSIVE,
        )
        self._effects.append(fx.OpenTransport(self.key, participant.id, join.media.transport))
        self._effects += data.configure(participant, join.media)
        if join.bind_existing and join.grants.subscribe:
            room_for = sum(1 for slot in join.media.slots if slot.kind is Kind.VIDEO)
            formats = slot_table.decodable(join.media.slots)
            existing = [t.id for t in self.tracks.values() if t.format in formats]
            participant.requested_tracks = dict.fromkeys(existing[:room_for])
        for publication in join.media.publications:
            self._effects.append(fx.AddTrack(self._publications.add(participant, publication)))
        self.participants[participant.id] = participant
        slots = join.media.slots if join.grants.subscribe else ()
        self._effects += slot_table.reconcile(participant, slots, self.tracks)
        self._effects.append(self._log.joined(participant))
        return Outcome((), participant.id)

    def _offer(self, offer: Offer) -> Outcome:
        participant = self.participant(offer.participant_id)
        media = offer.media
        admission.check_media(self._limits, participant.grants, media)
        admission.check_setup(media.transport.setup, dtls_client=participant.dtls_client)
        if set(media.transport.fingerprints) != set(participant.transport.fingerprints):
            raise errors.invalid_sdp("the fingerprint of a session cannot change: join again")
        self._update_transport(participant, media)
        self._effects += data.configure(participant, media)
        before = {track.id: track.format for track in participant.tracks.values()}
        self._effects += self._publications.reconcile(participant, media.publications)
        slots = media.slots if participant.grants.subscribe else ()
        self._effects += self._subscriptions.reconcile(participant, slots)
        if any(before.get(track.id, track.format) != track.format for track in participant.tracks.values()):
            self._effects += self._subscriptions.refit()
        return Outcome((), participant.id)

    def _update_transport(self, participant: Participant, media: MediaOffer) -> None:
        before, after = participant.transport, media.transport
        if (before.codecs, before.extensions, before.forward_descriptors) != (
            after.codecs,
            after.extensions,
            after.forward_descriptors,
        ):
            self._effects.append(fx.UpdateTransport(participant.id, after))
        # RFC 8839 section 4.4.1.1.1: new credentials request an ICE restart.
        if before.ice != after.ice:
            self._effects.append(fx.RestartIce(participant.id, after.ice))
        participant.transport = after

    def _leave(self, leave: Leave) -> None:
        participant = self.participants.get(leave.participant_id)
        if participant is not None:
            self._remove(participant, leave.reason, leave.detail)

    def _remove(self, participant: Participant, reason: Reason, detail: str = "") -> None:
        del self.participants[participant.id]
        self._effects.append(self._log.left(participant, reason, detail))
        self._effects += self._publications.forget(list(participant.tracks.values()))
        # The engine removes the tracks and slots of a closed transport.
        self._effects.append(fx.CloseTransport(participant.id))

    def _close(self, reason: Reason) -> None:
        for participant in list(self.participants.values()):
            self._remove(participant, reason)
        if self._opened:
            self._effects.append(fx.ShutRoom(self.key))
        self.closed = True
        self._effects.append(self._log.closed(reason))

    def _note_emptiness(self, now: Now) -> None:
        """A recorder alone does not keep a room open."""
        if any(not p.grants.recorder for p in self.participants.values()):
            self.empty_since_ms = None
        elif self.empty_since_ms is None:
            self.empty_since_ms = now.monotonic_ms

    def _unpublish(self, command: Unpublish) -> None:
        participant = self.participant(command.participant_id)
        unpublished = [
            participant.tracks[i] for i in dict.fromkeys(command.track_ids) if i in participant.tracks
        ]
        self._effects += self._publications.remove(participant, unpublished)

    # Mute, profile

    def _set_muted(self, command: SetMuted) -> None:
        track = self.tracks.get(command.track_id)
        if track is None:
            raise errors.track_not_found(command.track_id)
        if command.participant_id and command.participant_id != track.participant_id:
            if not self.participant(command.participant_id).grants.admin:
                raise errors.permission_denied("muting others requires the grant `admin`", grant="admin")
            if not command.muted:
                # Only the participant itself may turn its microphone or camera on.
                raise errors.permission_denied("only its publisher can unmute a track", track_id=track.id)
        if track.muted is command.muted:
            return
        track.muted = command.muted
        self._effects.append(fx.MuteTrack(track.id, track.muted))
        self._effects.append(self._log.muted(track))

    def _update_participant(self, command: UpdateParticipant) -> None:
        participant = self.participant(command.participant_id)
        name = participant.name if command.name is None else command.name
        metadata = participant.metadata if command.metadata is None else command.metadata
        attributes = {k: v for k, v in {**participant.attributes, **command.attributes}.items() if v}
        admission.check_profile(self._limits, name, metadata, attributes)
        if (name, metadata, attributes) == (participant.name, participant.metadata, participant.attributes):
            return
        participant.name, participant.metadata, participant.attributes = name, metadata, attributes
        self._effects.append(self._log.updated(participant))

    def _update_room(self, command: UpdateRoom) -> None:
        recording = self.recording if command.recording is None else command.recording
        transcribing = self.transcribing if command.transcribing is None else command.transcribing
        if (recording, transcribing) == (self.recording, self.transcribing):
            return
        self.recording, self.transcribing = recording, transcribing
        self._effects.append(self._log.room_updated(self.message()))

    # Reports of the engine

    def _media_up(self, command: MediaUp) -> None:
        participant = self.participants.get(command.participant_id)
        if participant is None:
            return
        participant.connected = True
        self._effects.append(self._log.connected(participant, command.srtp_profile))

    def _speakers(self, command: Speakers) -> None:
        self._loudest = tuple(command.speakers)
        self._speakers_revision += 1
        self._effects.append(self._log.speakers(self.active_speakers()))

    def active_speakers(self) -> room_pb2.ActiveSpeakers:
        """The last reported speakers. The engine reports only changes, so the answer to a join contains
        them."""
        speaking = [(self.tracks[i], level) for i, level in self._loudest if i in self.tracks]
        return speakers_message(speaking, self._speakers_revision)

    def _layer_demand_changed(self, command: LayerDemandChanged) -> None:
        track = self.tracks.get(command.track_id)
        if track is None or (track.demand_known and track.demand == command.highest):
            return
        track.demand, track.demand_known = command.highest, True
        self._effects.append(self._log.layer_demand_changed(track))

    def _quality_changed(self, command: QualityChanged) -> None:
        participant = self.participants.get(command.participant_id)
        if participant is None or participant.quality is command.quality:
            return
        participant.quality = command.quality
        self._effects.append(self._log.quality(participant, command.score))

    def _new_id(self, prefix: str) -> str:
        return prefix + "".join(self._rng.choices(ID_ALPHABET, k=ID_LENGTH))
