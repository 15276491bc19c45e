"""The session with signaling, without I/O: messages in, messages and events out, and the next deadline.

The edge owns the WebSocket, the peer connection and the clock (docs/architecture/contracts.md, "Client ⇄
signaling").
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from nexus.events.v1.room_pb2 import ActiveSpeakers, ConnectionQualityChanged, RoomEvent, TrackPaused
from nexus.signaling.v1 import session_pb2 as wire
from nexus.types.v1 import media_pb2

from nexus_rtc import events
from nexus_rtc.errors import NexusError, disconnected, from_wire
from nexus_rtc.model import (
    Participant,
    PauseReason,
    Slot,
    pause_reason_from_wire,
    quality_from_wire,
    tracks_by_id,
)
from nexus_rtc.roster import Roster

# Number of silent ping intervals after which the connection counts as lost; the server has the same rule.
SILENT_INTERVALS: Final = 3


@dataclass(frozen=True, slots=True)
class Send:
    message: wire.ClientMessage


@dataclass(frozen=True, slots=True)
class Reply:
    """The server's answer to one request: its message or an error."""

    request_id: int
    message: wire.ServerMessage | None = None
    error: NexusError | None = None


@dataclass(frozen=True, slots=True)
class TelemetryStored:
    """The server has stored all samples up to `number`. With `resend`, it has not kept those after it."""

    number: int
    resend: bool


Output = Send | Reply | TelemetryStored | events.Event


@dataclass(slots=True)
class Session:
    """One join. `receive` and `handle_timeout` return what the edge has to do, in order."""

    roster: Roster = field(default_factory=Roster)
    local_participant: Participant | None = None
    room_name: str = ""
    node_id: str = ""
    server_version: str = ""
    grants: media_pb2.Grants = field(default_factory=media_pb2.Grants)
    slots: Sequence[Slot] = ()
    speakers: Sequence[events.Speaker] = ()
    ended: events.SessionEnded | None = None
    round_trip_ms: float | None = None
    telemetry_level: int = 0
    """The highest level of telemetry that the server allows, as in `TelemetryLevel`."""
    _slots_revision: int = 0
    _speakers_revision: int = 0
    _paused: dict[str, PauseReason] = field(default_factory=dict)
    _request_id: int = 0
    _pending: set[int] = field(default_factory=set)
    _ping_interval: float = 0.0
    _next_ping: float | None = None
    _heard_at: float = 0.0

    @property
    def joined(self) -> bool:
        return self.local_participant is not None and self.ended is None

    def request(self, message: wire.ClientMessage) -> Send:
        """Numbers a request. The edge sends what is returned."""
        self._request_id += 1
        message.request_id = self._request_id
        self._pending.add(self._request_id)
        return Send(message)

    def forget(self, request_id: int) -> None:
        """Ignores the answer of a request that was given up."""
        self._pending.discard(request_id)

    def receive(self, message: wire.ServerMessage, now: float) -> list[Output]:
        self._heard_at = now
        if self.ended is not None:
            return []
        kind = message.WhichOneof("body")
        if kind == "event":
            return list(self._event(message.event))
        if kind == "snapshot":
            return [
                *self._whole_room(message.snapshot),
                *self._slot_table(message.snapshot.slots),
                *self._pauses_at_once(message.snapshot),
                *self._speakers_at_once(message.snapshot.active_speakers),
            ]
        if kind == "disconnected":
            gone = disconnected(message.disconnected.reason, message.disconnected.message)
            return self._end(gone.code, gone.message, message.disconnected.can_rejoin)
        if kind == "telemetry_stored":
            return [TelemetryStored(message.telemetry_stored.number, message.telemetry_stored.resend)]
        if kind == "ping":
            # The time of sending was rounded, so a fast answer can seem to precede it.
            self.round_trip_ms = max(0.0, now * 1000 - message.ping.sent_at_ms)
        return self._reply(message, now)

    def transport_closed(self, why: str) -> list[Output]:
        """Ends the session after the WebSocket has closed."""
        return self._end("SIGNALING_LOST", why, can_rejoin=True)

    def left(self) -> list[Output]:
        """Ends the session after this client has left."""
        return self._end("CLIENT_LEFT", "", can_rejoin=True)

    def next_deadline(self) -> float | None:
        """The time at which `handle_timeout` is due, on the clock of `receive`'s `now`."""
        return None if self.ended else self._next_ping

    def handle_timeout(self, now: float) -> list[Output]:
        if self._next_ping is None or now < self._next_ping or self.ended:
            return []
        if now - self._heard_at > SILENT_INTERVALS * self._ping_interval:
            return self._end("SIGNALING_LOST", "the server is silent", can_rejoin=True)
        self._next_ping = now + self._ping_interval
        return [self.request(wire.ClientMessage(ping=wire.PingRequest(sent_at_ms=round(now * 1000))))]

    def _reply(self, message: wire.ServerMessage, now: float) -> list[Output]:
        outputs: Sequence[Output] = ()
        match message.WhichOneof("body"):
            case "error":
                return self._failed(message)
            case "join":
                outputs = self._joined(message.join, now)
            case "offer":
                self._own_tracks(message.offer.tracks)
                outputs = self._slot_table(message.offer.slots)
            case "update_slots":
                outputs = self._slot_table(message.update_slots.slots)
            case "update_subscriptions":
                outputs = self._slot_table(message.update_subscriptions.slots)
        if message.request_id not in self._pending:
            return list(outputs)
        self._pending.discard(message.request_id)
        return [Reply(message.request_id, message), *outputs]

    def _failed(self, message: wire.ServerMessage) -> list[Output]:
        error = from_wire(message.error)
        outputs: list[Output] = []
        if message.request_id in self._pending:
            self._pending.discard(message.request_id)
            outputs.append(Reply(message.request_id, error=error))
        if message.error.fatal:
            outputs += self._end(
                error.code, error.message, can_rejoin=message.error.retry_after_ms > 0, cause=error
            )
        return outputs

    def _joined(self, answer: wire.JoinResponse, now: float) -> list[events.Event]:
        self.local_participant = Participant.from_wire(answer.participant)
        self.room_name = answer.room.name
        self.node_id = answer.node_id
        self.server_version = answer.server_version
        self.grants = answer.grants
        self.telemetry_level = answer.telemetry
        if answer.ping_interval_ms:
            self._ping_interval = answer.ping_interval_ms / 1000
            self._next_ping = now + self._ping_interval
        arrivals = self._whole_room(answer)
        return [
            *self._slot_table(answer.slots),
            *arrivals,
            *self._speakers_at_once(answer.active_speakers),
        ]

    def _whole_room(self, answer: wire.JoinResponse | wire.RoomSnapshot) -> list[events.Event]:
        return self.roster.replace(answer.room, self._others(answer.participants), answer.revision)

    def _others(self, participants: Iterable[media_pb2.Participant]) -> list[media_pb2.Participant]:
        return [
            participant
            for participant in participants
            if self.local_participant is None or participant.id != self.local_participant.id
        ]

    def _event(self, event: RoomEvent) -> Sequence[events.Event]:
        match event.WhichOneof("event"):
            case "active_speakers":
                return self._speak(event.active_speakers)
            case "slots_changed":
                return self._slot_table(event.slots_changed.slots)
            case "reoffer_needed":
                return [events.ReofferNeeded(event.reoffer_needed.pairs, event.reoffer_needed.audio_slots)]
            case "media_connected":
                mine = (
                    self.local_participant is not None
                    and event.media_connected.participant_id == self.local_participant.id
                )
                return [events.MediaConnected(event.media_connected.srtp_profile)] if mine else []
            case "track_paused":
                return self._pause(event.track_paused)
            case "track_resumed":
                self._paused.pop(event.track_resumed.track_id, None)
                return [events.TrackResumed(event.track_resumed.track_id)]
            case "connection_quality":
                return self._quality(event.connection_quality)
            case _ if self._is_mine(event):
                self.roster.revision = max(self.roster.revision, event.revision)
                return []
            case _:
                return self.roster.apply(event)

    @property
    def paused(self) -> Mapping[str, PauseReason]:
        """The requested tracks of which the server sends nothing, with the reason. A track that has lost its
        slot is no longer paused for bandwidth; one that cannot be decoded never had a slot."""
        bound = {slot.track_id for slot in self.slots}
        return {
            track_id: reason
            for track_id, reason in self._paused.items()
            if self.roster.track(track_id) and (reason != "bandwidth" or track_id in bound)
        }

    def _pause(self, message: TrackPaused) -> Sequence[events.Event]:
        reason = pause_reason_from_wire(message.reason)
        here = {i: before for i, before in self._paused.items() if self.roster.track(i) is not None}
        self._paused = {**here, message.track_id: reason}
        return [events.TrackPaused(message.track_id, reason)]

    def _pauses_at_once(self, snapshot: wire.RoomSnapshot) -> list[events.Event]:
        """Returns the differences as the events that were missed."""
        before = self._paused
        now = {one.track_id: pause_reason_from_wire(one.reason) for one in snapshot.paused_tracks}
        self._paused = now
        changes: list[events.Event] = [
            events.TrackPaused(track_id, reason)
            for track_id, reason in now.items()
            if before.get(track_id) != reason
        ]
        return changes + [
            events.TrackResumed(i) for i in before if i not in now and self.roster.track(i) is not None
        ]

    def _speak(self, message: ActiveSpeakers) -> Sequence[events.Event]:
        """Ignores a list that is not newer than the last one: an event may be older than a snapshot before
        it. Revision 0 is always accepted."""
        if message.revision and message.revision <= self._speakers_revision:
            return []
        self._speakers_revision = message.revision
        self.speakers = tuple(
            events.Speaker(one.participant_id, one.track_id, one.level_dbov) for one in message.speakers
        )
        return [events.ActiveSpeakers(self.speakers)]

    def _speakers_at_once(self, message: ActiveSpeakers) -> Sequence[events.Event]:
        """Reads the list of an answer or a snapshot. Revision 0: no participant has spoken yet."""
        return self._speak(message) if message.revision else ()

    def _quality(self, changed: ConnectionQualityChanged) -> Sequence[events.Event]:
        quality = quality_from_wire(changed.quality)
        self.roster.rate(changed.participant_id, quality)
        if self.local_participant is not None and self.local_participant.id == changed.participant_id:
            self.local_participant = replace(self.local_participant, connection_quality=quality)
        return [events.ConnectionQualityChanged(changed.participant_id, quality, changed.score)]

    def _is_mine(self, event: RoomEvent) -> bool:
        """Whether an event is about the local participant. Such an event only moves the revision, because the
        answers to requests describe the local participant."""
        return self.local_participant is not None and _participant_id(event) == self.local_participant.id

    def _slot_table(self, table: media_pb2.SlotTable) -> list[events.Event]:
        if table.revision < self._slots_revision or not table.slots:
            return []
        before, self.slots = self.slots, tuple(Slot.from_wire(slot) for slot in table.slots)
        self._slots_revision = table.revision
        return [events.SlotsChanged(self.slots)] if self.slots != before else []

    def _own_tracks(self, tracks: Iterable[media_pb2.Track]) -> None:
        if self.local_participant is not None:
            self.local_participant = replace(self.local_participant, tracks=tracks_by_id(tracks))

    def _end(
        self, reason: str, message: str, can_rejoin: bool = False, cause: NexusError | None = None
    ) -> list[Output]:
        """Fails every open request and returns the last event."""
        if self.ended is not None:
            return []
        self.ended = events.SessionEnded(reason, message, can_rejoin)
        error = cause or NexusError(reason, message)
        waiting, self._pending = sorted(self._pending), set()
        return [*(Reply(request_id, error=error) for request_id in waiting), self.ended]


def _participant_id(event: RoomEvent) -> str:
    """The participant that an event is about; empty: none."""
    match event.WhichOneof("event"):
        case "participant_joined":
            return event.participant_joined.participant.id
        case "participant_updated":
            return event.participant_updated.participant.id
        case "participant_left":
            return event.participant_left.participant_id
        case "track_published":
            return event.track_published.track.participant_id
        case "track_unpublished":
            return event.track_unpublished.participant_id
        case "track_muted":
            return event.track_muted.participant_id
        case "track_updated":
            return event.track_updated.track.participant_id
    return ""
