"""Performs the rooms' effects on the engine, and maps the engine's ids.

The engine's ids do not leave this module; all other code uses rooms, participants, mids and tracks. Events
about ids that are gone, which were still in transit, are dropped.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

import structlog

from nexus_sfu.core import effects as fx
from nexus_sfu.core.data import MAX_PAYLOAD_BYTES
from nexus_sfu.core.model import RoomKey
from nexus_sfu.engine_port import EnginePort, OpenedSlot, OpenedTransport

log = structlog.get_logger()


@dataclass(slots=True)
class _Seat:
    """A participant's transport."""

    room: RoomKey
    opened: OpenedTransport
    # By mid.
    slots: dict[str, OpenedSlot] = field(default_factory=dict)
    tracks: set[str] = field(default_factory=set)


class Media:
    def __init__(self, engine: EnginePort) -> None:
        self._engine = engine
        self._rooms: dict[RoomKey, int] = {}
        self._keys: dict[int, RoomKey] = {}
        self._seats: dict[str, _Seat] = {}
        self._participants: dict[int, str] = {}
        self._tracks: dict[str, int] = {}
        self._track_ids: dict[int, str] = {}
        self._publishers: dict[int, str] = {}
        self._slot_ids: dict[int, tuple[str, str]] = {}
        # Transports that the engine has freed but the room has not yet; almost always empty.
        self._gone: set[int] = set()

    def carry_out(self, effects: Iterable[fx.Effect]) -> None:
        """Performs effects in order; events are not for the engine and are skipped. Raises ValueError if the
        engine refuses one."""
        for effect in effects:
            if not isinstance(effect, fx.Emit):
                self._apply(effect)

    def transport(self, participant_id: str) -> OpenedTransport:
        """The participant's transport, with the ICE credentials and candidates of the last restart."""
        return self._seats[participant_id].opened

    def slot(self, participant_id: str, mid: str) -> OpenedSlot:
        return self._seats[participant_id].slots[mid]

    def seat_of_transport(self, transport: int) -> tuple[RoomKey, str] | None:
        participant_id = self._participants.get(transport)
        return None if participant_id is None else (self._seats[participant_id].room, participant_id)

    def transport_gone(self, transport: int) -> None:
        """Records that the engine has freed a transport, so that no command for it follows."""
        self._gone.add(transport)

    def track_of(self, track: int | None) -> str | None:
        return None if track is None else self._track_ids.get(track)

    def publisher_of(self, track: int) -> str | None:
        return self._publishers.get(track)

    def key_of_track(self, track: int) -> RoomKey | None:
        participant_id = self._publishers.get(track)
        return None if participant_id is None else self._seats[participant_id].room

    def room_key(self, participant_id: str) -> RoomKey:
        return self._seats[participant_id].room

    def engine_track(self, track_id: str) -> int | None:
        """The engine's present id of the track; None if it has ended."""
        return self._tracks.get(track_id)

    def slot_of(self, slot: int) -> tuple[str, str] | None:
        """(participant id, mid) of a slot, or None."""
        return self._slot_ids.get(slot)

    def key_of(self, room: int) -> RoomKey | None:
        return self._keys.get(room)

    def room_of(self, key: RoomKey) -> int | None:
        return self._rooms.get(key)

    def _apply(self, effect: fx.EngineEffect) -> None:
        match effect:
            case fx.OpenRoom():
                room = self._engine.create_room()
                self._rooms[effect.room] = room
                self._keys[room] = effect.room
            case fx.ShutRoom():
                room = self._rooms.pop(effect.room)
                del self._keys[room]
                self._engine.close_room(room)
            case fx.OpenTransport():
                opened = self._engine.create_transport(self._rooms[effect.room], effect.offer)
                self._seats[effect.participant_id] = _Seat(effect.room, opened)
                self._participants[opened.transport] = effect.participant_id
            case fx.UpdateTransport():
                self._engine.update_transport(self._transport(effect.participant_id), effect.offer)
            case fx.RestartIce():
                seat = self._seats[effect.participant_id]
                seat.opened = self._engine.restart_ice(seat.opened.transport, effect.ice)
            case fx.ConfigureData():
                self._configure_data(effect)
            case fx.CloseTransport():
                self._close_transport(effect.participant_id)
            case fx.AddTrack() | fx.RemoveTrack() | fx.MuteTrack() | fx.ResizeTrack() | fx.SetSubscribed():
                self._apply_to_track(effect)
            case fx.AddSlot() | fx.RemoveSlot() | fx.BindSlot() | fx.UnbindSlot() | fx.SetSlotView():
                self._apply_to_slot(effect)
            case _:
                assert_never(effect)

    def _configure_data(self, effect: fx.ConfigureData) -> None:
        accepted = effect.offer.max_message_size
        if effect.receive and 0 < accepted < MAX_PAYLOAD_BYTES:
            # Senders are not notified, so the log is the only trace of the larger messages that are dropped.
            log.warning(
                "data_receiver_takes_less",
                participant=effect.participant_id,
                max_message_bytes=accepted,
                others_may_send=MAX_PAYLOAD_BYTES,
            )
        transport = self._transport(effect.participant_id)
        self._engine.configure_data(transport, effect.offer, effect.sender, effect.publish, effect.receive)

    def _transport(self, participant_id: str) -> int:
        return self._seats[participant_id].opened.transport

    def _close_transport(self, participant_id: str) -> None:
        seat = self._seats.pop(participant_id, None)
        if seat is None:
            return  # the engine had refused to open it
        for track_id in seat.tracks:
            number = self._tracks.pop(track_id)
            del self._track_ids[number], self._publishers[number]
        for slot in seat.slots.values():
            del self._slot_ids[slot.slot]
        del self._participants[seat.opened.transport]
        if seat.opened.transport in self._gone:
            self._gone.remove(seat.opened.transport)
        else:
            self._engine.close_transport(seat.opened.transport)

    def _apply_to_track(
        self, effect: fx.AddTrack | fx.RemoveTrack | fx.MuteTrack | fx.ResizeTrack | fx.SetSubscribed
    ) -> None:
        match effect:
            case fx.AddTrack():
                seat = self._seats[effect.track.participant_id]
                number = self._engine.add_track(seat.opened.transport, effect.track)
                self._tracks[effect.track.id] = number
                self._track_ids[number] = effect.track.id
                self._publishers[number] = effect.track.participant_id
                seat.tracks.add(effect.track.id)
            case fx.RemoveTrack():
                number = self._tracks.pop(effect.track_id)
                del self._track_ids[number], self._publishers[number]
                self._seats[effect.participant_id].tracks.discard(effect.track_id)
                self._engine.remove_track(number)
            case fx.MuteTrack():
                self._engine.set_track_muted(self._tracks[effect.track_id], effect.muted)
            case fx.ResizeTrack():
                self._engine.set_track_sizes(self._tracks[effect.track_id], effect.sizes)
            case fx.SetSubscribed():
                transport = self._transport(effect.participant_id)
                self._engine.set_subscribed(transport, self._tracks[effect.track_id], effect.subscribed)

    def _apply_to_slot(
        self, effect: fx.AddSlot | fx.RemoveSlot | fx.BindSlot | fx.UnbindSlot | fx.SetSlotView
    ) -> None:
        seat = self._seats[effect.participant_id]
        match effect:
            case fx.AddSlot():
                opened = self._engine.add_slot(
                    seat.opened.transport, effect.kind, effect.pair, effect.stream, effect.rtx
                )
                seat.slots[effect.mid] = opened
                self._slot_ids[opened.slot] = (effect.participant_id, effect.mid)
            case fx.RemoveSlot():
                slot = seat.slots.pop(effect.mid).slot
                del self._slot_ids[slot]
                self._engine.remove_slot(slot)
            case fx.BindSlot():
                self._engine.bind_slot(seat.slots[effect.mid].slot, self._tracks[effect.track_id])
            case fx.UnbindSlot():
                self._engine.unbind_slot(seat.slots[effect.mid].slot)
            case fx.SetSlotView():
                self._engine.set_slot_view(seat.slots[effect.mid].slot, effect.view)
