"""Adapts the engine, `nexus_media`, to `EnginePort`. It only translates values."""

from collections.abc import Sequence
from contextlib import suppress

import nexus_media as native

from nexus_sfu import engine_port as port
from nexus_sfu.core.effects import SlotView
from nexus_sfu.core.model import (
    CodecChoice,
    DataOffer,
    IceCredentials,
    Kind,
    LayerLimit,
    Setup,
    Track,
    TransportOffer,
)


class NativeEngine:
    """An `EnginePort`."""

    def __init__(self, config: native.EngineConfig) -> None:
        """Raises OSError if an address or port cannot be bound."""
        self._engine = native.Engine(config)

    @property
    def event_fd(self) -> int:
        return self._engine.event_fd

    @property
    def fingerprint(self) -> str:
        return self._engine.fingerprint

    @property
    def gcm_library(self) -> str:
        return self._engine.gcm_library

    @property
    def ports(self) -> Sequence[int]:
        return self._engine.ports

    def poll_events(self, limit: int = 1024) -> list[port.EngineEvent]:
        events = (_event(event) for event in self._engine.poll_events(limit))
        return [event for event in events if event is not None]

    def close(self) -> None:
        self._engine.close()

    def create_room(self) -> int:
        return self._engine.create_room()

    def close_room(self, room: int) -> None:
        self._engine.close_room(room)

    def create_transport(self, room: int, offer: TransportOffer) -> port.OpenedTransport:
        options = native.TransportOptions(
            remote_ufrag=offer.ice.ufrag,
            remote_pwd=offer.ice.pwd,
            fingerprints=offer.fingerprints,
            codecs=_codecs(offer),
            extensions=_extensions(offer),
            forward_descriptors=offer.forward_descriptors,
            reduced_size_rtcp=offer.reduced_size_rtcp,
            dtls_client=offer.setup is Setup.PASSIVE,
        )
        return _opened(self._engine.create_transport(room, options))

    def update_transport(self, transport: int, offer: TransportOffer) -> None:
        self._engine.update_transport(
            transport, _codecs(offer), _extensions(offer), offer.forward_descriptors
        )

    def restart_ice(self, transport: int, ice: IceCredentials) -> port.OpenedTransport:
        return _opened(self._engine.restart_ice(transport, ice.ufrag, ice.pwd))

    def configure_data(
        self, transport: int, offer: DataOffer, sender: str, publish: bool, receive: bool
    ) -> None:
        self._engine.configure_data(
            transport,
            remote_port=offer.port,
            max_message_size=offer.max_message_size,
            participant=sender,
            publish=publish,
            receive=receive,
        )

    def send_data(self, room: int, message: port.DataMessage) -> None:
        self._engine.send_data(
            room,
            message.payload,
            to=message.to,
            topic=message.topic,
            text=message.text,
            reliable=message.reliable,
            ordered=message.ordered,
        )

    def close_transport(self, transport: int) -> None:
        self._engine.close_transport(transport)

    def add_track(self, transport: int, track: Track) -> int:
        options = native.TrackOptions(
            kind=native.Kind(int(track.kind)),
            number=track.number,
            mid=track.mid,
            ssrcs=track.ssrcs,
            rtx_ssrcs=track.rtx_ssrcs,
            rids=track.rids,
            payload_types=track.payload_types,
            group=track.source.group,
            muted=track.muted,
            sizes=track.sizes,
            scalability_mode=track.scalability_mode,
        )
        return self._engine.add_track(transport, options)

    def remove_track(self, track: int) -> None:
        self._engine.remove_track(track)

    def set_track_muted(self, track: int, muted: bool) -> None:
        self._engine.set_track_muted(track, muted)

    def set_track_sizes(self, track: int, sizes: Sequence[tuple[int, int]]) -> None:
        self._engine.set_track_sizes(track, sizes)

    def add_slot(
        self, transport: int, kind: Kind, pair: int, stream: str, rtx: bool = True
    ) -> port.OpenedSlot:
        opened = self._engine.add_slot(transport, native.Kind(int(kind)), pair, stream, rtx)
        return port.OpenedSlot(opened.slot, opened.ssrc, opened.rtx_ssrc)

    def remove_slot(self, slot: int) -> None:
        self._engine.remove_slot(slot)

    def bind_slot(self, slot: int, track: int) -> None:
        self._engine.bind_slot(slot, track)

    def unbind_slot(self, slot: int) -> None:
        self._engine.unbind_slot(slot)

    def set_subscribed(self, transport: int, track: int, subscribed: bool) -> None:
        self._engine.set_subscribed(transport, track, subscribed)

    def set_slot_view(self, slot: int, view: SlotView) -> None:
        highest = view.highest
        self._engine.set_slot_view(
            slot,
            width=view.width,
            height=view.height,
            priority=view.priority,
            pinned=view.pinned,
            visible=view.visible,
            max_spatial=None if highest is None else highest.spatial,
            max_temporal=None if highest is None else highest.temporal,
        )

    @property
    def tap_fd(self) -> int:
        return self._engine.tap_fd

    def add_tap(self, track: int, options: port.TapOptions) -> int:
        return self._engine.add_tap(track, _tap_options(options))

    def remove_tap(self, tap: int) -> None:
        with suppress(RuntimeError):  # raised after `close`
            self._engine.remove_tap(tap)

    def ready_taps(self) -> Sequence[int]:
        return self._engine.ready_taps()

    def read_tap(self, tap: int, limit: int) -> port.TapBatch:
        return self._engine.read_tap(tap, limit)

    def continue_tap(self, tap: int, track: int, options: port.TapOptions) -> None:
        self._engine.continue_tap(tap, track, _tap_options(options))

    def finish_tap(self, tap: int, record: bytes) -> None:
        self._engine.finish_tap(tap, record)

    def resume_tap(self, tap: int, position: int) -> None:
        self._engine.resume_tap(tap, position)

    def acknowledge_tap(self, tap: int, position: int) -> None:
        self._engine.acknowledge_tap(tap, position)

    def update_tap(self, tap: int, demand: port.TapDemand) -> None:
        self._engine.update_tap(
            tap,
            keyframe_interval_ms=demand.keyframe_interval_ms,
            max_width=demand.max_width,
            max_height=demand.max_height,
        )

    def request_tap_keyframe(self, tap: int) -> None:
        self._engine.request_tap_keyframe(tap)

    def expire_taps(self) -> None:
        self._engine.expire_taps()

    def tap_state(self, tap: int) -> port.TapState:
        return self._engine.tap_state(tap)

    @property
    def retained(self) -> port.RetainedTotals:
        return self._engine.retained

    def request_stats(self, room: int | None, details: bool = True) -> int:
        return self._engine.request_stats(room, details)


def _tap_options(options: port.TapOptions) -> native.TapOptions:
    return native.TapOptions(
        patience_ms=options.patience_ms,
        batch_ms=options.batch_ms,
        backlog_bytes=options.backlog_bytes,
        retain_ms=options.retain_ms,
        first_position=options.first_position,
        keyframe_interval_ms=options.demand.keyframe_interval_ms,
        max_width=options.demand.max_width,
        max_height=options.demand.max_height,
    )


def _codecs(offer: TransportOffer) -> list[native.CodecBinding]:
    return [_codec(choice) for choice in offer.codecs]


def _codec(choice: CodecChoice) -> native.CodecBinding:
    return native.CodecBinding(
        payload_type=choice.payload_type,
        codec=native.Codec(int(choice.codec)),
        clock_rate=choice.clock_rate,
        rtx_payload_type=choice.rtx_payload_type,
        h264_profile_level_id=choice.h264_profile_level_id,
        h264_packetization_mode=choice.h264_packetization_mode,
        vp9_profile=choice.vp9_profile,
        red_payload_type=choice.red_payload_type,
    )


def _extensions(offer: TransportOffer) -> dict[native.HeaderExtension, int]:
    return {native.HeaderExtension(int(extension)): number for extension, number in offer.extensions}


def _opened(description: native.TransportDescription) -> port.OpenedTransport:
    return port.OpenedTransport(
        transport=description.transport,
        ice=IceCredentials(description.ufrag, description.pwd),
        candidates=tuple(
            port.EngineCandidate(c.foundation, c.priority, c.ip, c.port, c.tcp)
            for c in description.candidates
        ),
    )


def _event(event: native.Event) -> port.EngineEvent | None:
    """The event in the service's types; None for events that the service ignores, such as `SlotChanged`,
    because packets name their track by the CSRC."""
    match event:
        case native.TransportChanged():
            return _transport_event(event)
        case native.TrackStarted():
            return port.TrackStarted(event.track)
        case native.SlotPaused():
            return port.SlotPaused(event.slot, event.paused)
        case native.LayerDemandChanged():
            return port.LayerDemandChanged(event.track, LayerLimit(*event.highest) if event.highest else None)
        case native.SpeakersChanged():
            return port.SpeakersChanged(event.room, tuple(event.speakers))
        case native.CommandRejected():
            return port.CommandRejected(event.command, event.id, event.reason)
        case native.StatsReady():
            return port.StatsReady(event.request, event.engine, event.transports, event.tracks, event.slots)
        case native.SlotChanged():
            return None


def _transport_event(event: native.TransportChanged) -> port.EngineEvent | None:
    match event.state:
        case native.TransportState.CONNECTED:
            return port.TransportConnected(event.transport, event.srtp_profile, event.remote_address)
        case native.TransportState.DISCONNECTED:
            return port.TransportDisconnected(event.transport)
        case native.TransportState.FAILED | native.TransportState.CLOSED:
            return port.TransportGone(event.transport, event.reason)
        case _:
            return None
