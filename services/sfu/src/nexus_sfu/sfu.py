"""The SFU without its edges: passes requests to the core, performs the effects on the engine, and emits the
events.

A decision and all its effects happen without an await, so that requests never observe a partial change. Only
SDP work is awaited, before and after.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from weakref import WeakValueDictionary

import structlog
from nexus.events.v1 import room_pb2
from nexus_runtime import Clock

from nexus_sfu import engine_port as port
from nexus_sfu import errors, media_failures
from nexus_sfu.core import commands as cmd
from nexus_sfu.core import data
from nexus_sfu.core import effects as fx
from nexus_sfu.core.model import MediaOffer, Participant, Reason, RoomKey, Slot
from nexus_sfu.core.node import NodeState
from nexus_sfu.core.room import Outcome, RoomState
from nexus_sfu.media import Media
from nexus_sfu.metrics import Metrics
from nexus_sfu.sdp import AnswerTransport, CandidateLine, Negotiated, PublicationRequest, Role
from nexus_sfu.sdp_worker import SdpWorker

log = structlog.get_logger()

EmitEvent = Callable[[room_pb2.RoomEvent], None]
OnStats = Callable[[port.StatsReady], None]
MAX_EVENTS_A_TURN = 1_024
# The engine's reason for a close_notify from the client.
PEER_CLOSED = "peer_closed"


@dataclass(frozen=True, slots=True)
class JoinRequest:
    room: RoomKey
    room_id: str
    sdp: str
    publications: tuple[PublicationRequest, ...]
    # Creates the command from the parsed SDP.
    command: Callable[[MediaOffer], cmd.Join]


@dataclass(frozen=True, slots=True)
class Answered:
    """The result of a join or offer, as of the room's decision."""

    room: RoomState
    participant: Participant
    sdp: str
    # Media sections without media: mid → the reason, for developers.
    unused: Mapping[str, str]


class Sfu:
    def __init__(
        self,
        node: NodeState,
        engine: port.EnginePort,
        sdp: SdpWorker,
        metrics: Metrics,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self.node = node
        self.media = Media(engine)
        self._engine = engine
        self._sdp = sdp
        self._emit: EmitEvent = lambda _event: None
        self._metrics = metrics
        self._clock = clock
        self._rng = rng
        self._on_stats: OnStats = lambda _stats: None
        # Locks by participant, so that its offers are handled one at a time; each exists only while it is
        # used.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._sessions: dict[str, tuple[int, int]] = {}

    def emit_events_to(self, emit: EmitEvent) -> None:
        self._emit = emit

    # Requests

    async def join(self, request: JoinRequest) -> Answered:
        negotiated = await self._sdp.negotiate(request.sdp, request.publications)
        join = request.command(negotiated.media)
        outcome = self.node.join(request.room, request.room_id, join, self._clock.now())
        self._carry_out(request.room, outcome)
        return await self._answer(request.room, outcome.participant_id, negotiated)

    async def offer(
        self, key: RoomKey, participant_id: str, sdp: str, requests: Sequence[PublicationRequest]
    ) -> Answered:
        async with self._turns.setdefault(participant_id, asyncio.Lock()):
            self.node.room(key).participant(participant_id)
            negotiated = await self._sdp.negotiate(sdp, requests)
            self.handle(key, cmd.Offer(participant_id, negotiated.media))
            return await self._answer(key, participant_id, negotiated)

    def handle(self, key: RoomKey, command: cmd.Command) -> Outcome:
        """Handles a command and its effects. Raises RpcError."""
        outcome = self.node.handle(key, command, self._clock.now())
        self._carry_out(key, outcome)
        return outcome

    def leave(self, key: RoomKey, participant_id: str, reason: Reason, detail: str = "") -> None:
        """Removes a participant. It is idempotent, also if the room is gone."""
        if key in self.node.rooms:
            self.handle(key, cmd.Leave(participant_id, reason, detail))

    def send_data(self, key: RoomKey, identities: Sequence[str], message: port.DataMessage) -> None:
        """Sends a message of the server to these identities, or to all without any. Raises RpcError
        ROOM_NOT_FOUND, PARTICIPANT_NOT_FOUND, DATA_TOO_LARGE or INVALID_ARGUMENT."""
        room = self.node.room(key)
        data.check_message(message.payload, message.topic)
        to = data.destinations(room.participants.values(), identities)
        transports = tuple(self.media.transport(participant_id).transport for participant_id in to)
        number = self.media.room_of(key)
        if number is not None:
            self._engine.send_data(number, replace(message, to=transports))

    def close_room(self, key: RoomKey, reason: Reason) -> None:
        """Closes a room. It is idempotent."""
        if key in self.node.rooms:
            self.handle(key, cmd.Close(reason))

    def close_all(self, reason: Reason) -> None:
        for key in list(self.node.rooms):
            self.close_room(key, reason)

    def close_expired(self) -> None:
        """Closes rooms that have been empty for too long. Call it periodically."""
        for key, outcome in self.node.close_expired(self._clock.now()):
            self._carry_out(key, outcome)

    # Between core and engine

    def _carry_out(self, key: RoomKey, outcome: Outcome) -> None:
        try:
            self.media.carry_out(outcome.effects)
        except ValueError as error:
            self._engine_refused(key, outcome, str(error))
            raise errors.invalid_sdp("the media engine cannot use this description") from error
        self._note_ssrcs(key, outcome.effects)
        self._emit_events(outcome.effects)

    def _engine_refused(self, key: RoomKey, outcome: Outcome, problem: str) -> None:
        """Removes the participant, because the engine refused a part of its description and its media is in
        an unknown state."""
        log.error("engine_refused", room=key.room, participant=outcome.participant_id, error=problem)
        self._metrics.engine_refusals.inc()
        self._emit_events(outcome.effects)
        if outcome.participant_id:
            self.leave(
                key, outcome.participant_id, Reason.PROTOCOL_ERROR, "the media engine refused the offer"
            )

    def _note_ssrcs(self, key: RoomKey, effects: Sequence[fx.Effect]) -> None:
        for effect in effects:
            if isinstance(effect, fx.AddSlot):
                opened = self.media.slot(effect.participant_id, effect.mid)
                slot = self.node.room(key).participant(effect.participant_id).slots[effect.mid]
                slot.ssrc, slot.rtx_ssrc = opened.ssrc, opened.rtx_ssrc

    def _emit_events(self, effects: Sequence[fx.Effect]) -> None:
        for effect in effects:
            if isinstance(effect, fx.Emit):
                if effect.event.HasField("participant_left"):
                    self._sessions.pop(effect.event.participant_left.participant_id, None)
                if effect.event.track_paused.reason == room_pb2.PAUSE_REASON_UNSUPPORTED_CODEC:
                    self._metrics.undecodable.inc()
                self._emit(effect.event)

    async def _answer(self, key: RoomKey, participant_id: str, negotiated: Negotiated) -> Answered:
        room = self.node.room(key)
        participant = room.participant(participant_id)
        opened = self.media.transport(participant_id)
        session_id, version = self._sessions.get(participant_id) or (self._rng.getrandbits(62), 0)
        self._sessions[participant_id] = (session_id, version + 1)
        sdp = self._sdp.answer(
            negotiated,
            AnswerTransport(
                opened.ice,
                tuple(
                    CandidateLine(c.foundation, c.priority, c.ip, c.port, c.tcp) for c in opened.candidates
                ),
                self._engine.fingerprint,
                participant.dtls_client,
            ),
            _copied(participant.slots),
            session_id=session_id,
            session_version=version + 1,
        )
        unused = _unused(negotiated, participant)
        return Answered(room, participant, await sdp, unused)

    # From the engine

    def on_stats(self, listener: OnStats) -> None:
        self._on_stats = listener

    def handle_engine_events(self) -> None:
        """Handles the engine's events. Call it when the engine's event_fd is readable."""
        for event in self._engine.poll_events(MAX_EVENTS_A_TURN):
            try:
                self._handle_engine_event(event)
            except Exception:
                # A failed event must not lose the others of the batch.
                log.error("engine_event_failed", kind=type(event).__name__, exc_info=True)
                self._metrics.engine_event_failures.inc()

    def _handle_engine_event(self, event: port.EngineEvent) -> None:
        match event:
            case port.TransportConnected():
                self._transport_connected(event)
            case port.TransportDisconnected():
                self._log_transport("media_disconnected", event.transport)
            case port.TransportGone():
                self._transport_gone(event)
            case port.SpeakersChanged():
                self._speakers_changed(event)
            case port.CommandRejected():
                self._command_rejected(event)
            case port.SlotPaused():
                self._slot_paused(event)
            case port.LayerDemandChanged():
                self._layer_demand_changed(event)
            case port.StatsReady():
                self._on_stats(event)
            case port.TrackStarted():
                log.debug("track_started", track=self.media.track_of(event.track))

    def _command_rejected(self, event: port.CommandRejected) -> None:
        log.warning("engine_command_rejected", command=event.command, id=event.id, reason=event.reason)
        self._metrics.commands_rejected.labels(event.reason).inc()
        track_id, key = self.media.track_of(event.id), self.media.key_of_track(event.id)
        publisher = self.media.publisher_of(event.id)
        if (
            event.command == "add_track"
            and track_id is not None
            and key is not None
            and publisher is not None
        ):
            # No participant can receive the track, so it is unpublished, which notifies all participants.
            self.handle(key, cmd.Unpublish(publisher, (track_id,)))

    def _transport_connected(self, event: port.TransportConnected) -> None:
        seat = self.media.seat_of_transport(event.transport)
        if seat is not None:
            key, participant_id = seat
            self._metrics.connected.labels(event.srtp_profile).inc()
            self._log_transport("media_connected", event.transport, srtp=event.srtp_profile)
            self.handle(key, cmd.MediaUp(participant_id, event.srtp_profile))

    def _transport_gone(self, event: port.TransportGone) -> None:
        seat = self.media.seat_of_transport(event.transport)
        if seat is None:
            return
        key, participant_id = seat
        # A client that closes its connection sends a DTLS close_notify (RFC 8827 section 6.5), which often
        # arrives before the notification from signaling.
        left = event.reason == PEER_CLOSED
        if not left:
            self._metrics.failed.labels(event.reason or "unknown").inc()
        self._log_transport("media_closed" if left else "media_failed", event.transport, reason=event.reason)
        self.media.transport_gone(event.transport)
        if left:
            self.leave(key, participant_id, Reason.CLIENT_LEFT)
        else:
            self.leave(key, participant_id, Reason.MEDIA_FAILED, media_failures.sentence(event.reason))

    def _slot_paused(self, event: port.SlotPaused) -> None:
        place = self.media.slot_of(event.slot)
        if place is not None:
            participant_id, mid = place
            command = cmd.SlotPaused(participant_id, mid, event.paused)
            self.handle(self.media.room_key(participant_id), command)

    def _layer_demand_changed(self, event: port.LayerDemandChanged) -> None:
        track_id, key = self.media.track_of(event.track), self.media.key_of_track(event.track)
        if track_id is not None and key is not None:
            self.handle(key, cmd.LayerDemandChanged(track_id, event.highest))

    def _speakers_changed(self, event: port.SpeakersChanged) -> None:
        key = self.media.key_of(event.room)
        if key is None:
            return
        named = ((self.media.track_of(track), level) for track, level in event.speakers)
        speakers = tuple((track, level) for track, level in named if track is not None)
        self.handle(key, cmd.Speakers(speakers))

    def _log_transport(self, event: str, transport: int, **fields: str) -> None:
        seat = self.media.seat_of_transport(transport)
        if seat is not None:
            key, participant_id = seat
            log.info(event, app=key.app, room=key.room, participant=participant_id, **fields)


def _unused(negotiated: Negotiated, participant: Participant) -> dict[str, str]:
    unused = {}
    for plan in negotiated.plans:
        if plan.unused:
            unused[plan.section.mid] = plan.unused
        elif plan.section.mid in negotiated.media.silent:
            unused[plan.section.mid] = "a publication names the section, but it sends nothing"
        elif plan.role is Role.SLOT and plan.section.mid not in participant.slots:
            unused[plan.section.mid] = "the token does not grant subscribing"
    return unused


def _copied(slots: dict[str, Slot]) -> dict[str, Slot]:
    """A copy for the thread that writes the answer, because the room may change meanwhile."""
    return {mid: replace(slot) for mid, slot in slots.items()}
