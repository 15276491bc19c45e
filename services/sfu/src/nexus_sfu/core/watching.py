"""Keeps how each participant views its tracks, and derives what the engine and clients need from it: views of
slots, the layer that a view needs, and messages about layer demand and paused tracks."""

from collections.abc import Iterable, Iterator, Mapping

from nexus.events.v1 import room_pb2
from nexus.types.v1 import media_pb2

from nexus_sfu.core import slot_table
from nexus_sfu.core.effects import Effect, SetSlotView, SlotView
from nexus_sfu.core.model import LayerLimit, Participant, Source, Track, View

# The engine's highest layers, for a limit that names only the spatial or only the temporal layer.
HIGHEST_SPATIAL = 3
HIGHEST_TEMPORAL = 3
# Maximum enlargement of a layer at which it still counts as large enough for a view.
STRETCH = 1.15
# Screens come first, because text that is too small is useless while a smaller face is not.
DEFAULT_PRIORITY = {Source.SCREEN: 200, Source.CAMERA: 100}


def slot_view(view: View | None, track: Track) -> SlotView:
    default = DEFAULT_PRIORITY.get(track.source, 1)
    if view is None:
        return SlotView(priority=default)
    return SlotView(
        width=view.width,
        height=view.height,
        visible=not view.hidden,
        pinned=view.pinned,
        priority=view.priority or default,
        highest=_limit(view),
    )


def _limit(view: View) -> LayerLimit | None:
    if view.max_spatial is None and view.max_temporal is None:
        return None
    spatial = HIGHEST_SPATIAL if view.max_spatial is None else view.max_spatial
    temporal = HIGHEST_TEMPORAL if view.max_temporal is None else view.max_temporal
    return LayerLimit(min(spatial, HIGHEST_SPATIAL), min(temporal, HIGHEST_TEMPORAL))


def needed_layer(view: View | None, track: Track) -> int:
    """The spatial layer that a view needs: the lowest one that is large enough, but none above the view's
    limit."""
    layers = track.sent_layers
    highest = max(0, len(layers) - 1)
    if view is None:
        return highest
    limit = highest if view.max_spatial is None else min(highest, view.max_spatial)
    if view.width == 0 or view.height == 0:
        return limit
    shown = min(view.width, view.height)
    for index, layer in enumerate(layers):
        if min(layer.width, layer.height) * STRETCH >= shown:
            return min(limit, index)
    return limit


def set_slot_view(participant: Participant, mid: str, track: Track) -> SetSlotView:
    return SetSlotView(participant.id, mid, slot_view(participant.views.get(track.id), track))


def update_views(
    participant: Participant, views: Iterable[View], tracks: Mapping[str, Track]
) -> Iterator[Effect]:
    """Stores the views, and yields the effects for bound tracks. Only views of present tracks are stored, so
    their number is bounded by that of the room's tracks."""
    for view in views:
        track = tracks.get(view.track_id)
        if track is None or participant.views.get(view.track_id) == view:
            continue
        participant.views[view.track_id] = view
        slot = slot_table.slot_of(participant, view.track_id)
        if slot is not None:
            yield set_slot_view(participant, slot.mid, track)


def paused_tracks(participant: Participant) -> list[room_pb2.TrackPaused]:
    """Requested tracks of which nothing is sent, as last reported to the participant."""
    slow = [slot.track_id for slot in participant.slots.values() if slot.paused and slot.track_id]
    reasons = [(track_id, room_pb2.PAUSE_REASON_BANDWIDTH) for track_id in slow]
    reasons += [(i, room_pb2.PAUSE_REASON_UNSUPPORTED_CODEC) for i in sorted(participant.undecodable)]
    return [room_pb2.TrackPaused(track_id=track_id, reason=reason) for track_id, reason in reasons]


def demand_message(track: Track) -> media_pb2.LayerDemand:
    if track.demand is None:
        return media_pb2.LayerDemand(track_id=track.id)
    return media_pb2.LayerDemand(
        track_id=track.id,
        watched=True,
        max_spatial=track.demand.spatial,
        max_temporal=track.demand.temporal,
        rids=track.rids[: track.demand.spatial + 1],
    )


def demand_messages(publisher: Participant) -> list[media_pb2.LayerDemand]:
    """The layer demands of all tracks for which one is known."""
    return [demand_message(track) for track in publisher.tracks.values() if track.demand_known]
