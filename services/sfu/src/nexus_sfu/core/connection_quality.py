"""Rates each participant's connection, from the engine's stats of its transport, tracks and slots.

For each direction and interval:

    score = 100 − 400 · loss − max(0, delay − 100 ms) / 5 − 50 · starved

`loss` is the share of lost packets, 0 to 1. The denominator is at least `MIN_PACKETS`: with DTX a silent
microphone sends a few packets per second, and one lost of three does not make a bad connection. (Other
implementations guess the normal packet rate from a histogram, which is unreliable.)

`delay` is half the round trip plus twice the jitter, which is the delay of a jitter buffer, in milliseconds.

`starved` (downlink only) is the mean distance of videos from their requested layer: 1 for a video that is
paused for lack of bandwidth, 1/3 for the second of three layers when the third was requested, 0 for a video
that arrives as requested or whose publisher does not send more.

Twenty points are the cost of 5 % loss, of 200 ms of delay, or of two paused videos among five. The worse
direction counts, smoothed: faster down than up, because users notice a decline sooner. From 80 the connection
is EXCELLENT, from 60 GOOD, below that POOR; a boundary must be crossed by `HYSTERESIS`, so that the rating
does not flicker. LOST means that neither ICE checks (RFC 7675) nor any other packets arrive. It is a
statement about the path and not about the amount of media, so a participant that is muted or only listens is
never LOST.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from nexus_sfu.core.model import Quality

MIN_PACKETS = 50
EXCELLENT_FROM = 80.0
GOOD_FROM = 60.0
HYSTERESIS = 4.0
FALL, RISE = 0.7, 0.3


@dataclass(frozen=True, slots=True)
class Flow:
    """The measurements of one direction in one interval."""

    packets: int = 0
    lost: float = 0.0
    rtt_ms: float = 0.0
    jitter_ms: float = 0.0
    # 0 to 1.
    starved: float = 0.0


@dataclass(frozen=True, slots=True)
class TrackCounters:
    """Counters of a published track since its start."""

    track: int
    packets: int
    lost: int
    jitter_ms: float


@dataclass(frozen=True, slots=True)
class SlotCounters:
    """Counters of a slot since its start, and the `fraction_lost` of the receiver's last report."""

    slot: int
    packets: int
    fraction_lost: float
    bound: bool
    # Distance from the requested layer, 0 to 1.
    distance: float


@dataclass(frozen=True, slots=True)
class Line:
    """The measurements of one participant's connection in one report."""

    participant_id: str
    # The engine's state: "connected", "disconnected", …
    state: str
    rtt_ms: float
    tracks: tuple[TrackCounters, ...] = ()
    slots: tuple[SlotCounters, ...] = ()


@dataclass(frozen=True, slots=True)
class Rating:
    participant_id: str
    quality: Quality
    score: float


def layer_distance(needed: int, sent: int, target: int | None, *, paused: bool) -> float:
    """The distance of a slot from its requested layer `needed`, 0 to 1. `sent`: the highest spatial layer
    that the publisher sends; `target`: the one that the subscriber's bandwidth allows, None if none is aimed
    for (hidden, muted)."""
    if paused:
        return 1.0
    if target is None:
        return 0.0
    reachable = min(needed, sent)
    return max(0, reachable - target) / (reachable + 1)


def score(flow: Flow) -> float:
    loss = min(1.0, max(0.0, flow.lost) / max(MIN_PACKETS, flow.packets + max(0.0, flow.lost)))
    delay_ms = flow.rtt_ms / 2 + 2 * flow.jitter_ms
    penalty = 400 * loss + max(0.0, delay_ms - 100) / 5 + 50 * flow.starved
    return min(100.0, max(0.0, 100 - penalty))


def rate(value: float, before: Quality) -> Quality:
    """The rating of a score, with hysteresis: the rating `before` stays until the score clearly crosses a
    boundary."""
    up = HYSTERESIS if before in (Quality.POOR, Quality.GOOD) else 0.0
    down = HYSTERESIS if before in (Quality.EXCELLENT, Quality.GOOD) else 0.0
    excellent = EXCELLENT_FROM - down if before is Quality.EXCELLENT else EXCELLENT_FROM + up
    good = GOOD_FROM + up if before is Quality.POOR else GOOD_FROM - down
    if value >= excellent:
        return Quality.EXCELLENT
    return Quality.GOOD if value >= good else Quality.POOR


@dataclass(slots=True)
class _Meter:
    """The state of one participant between two reports."""

    quality: Quality = Quality.UNKNOWN
    smoothed: float | None = None
    tracks: dict[int, TrackCounters] = field(default_factory=dict)
    slots: dict[int, int] = field(default_factory=dict)

    def update(self, line: Line) -> Rating | None:
        """Processes a report. Returns the rating if it changed."""
        value = min(score(self._uplink(line)), score(self._downlink(line)))
        self.tracks = {track.track: track for track in line.tracks}
        self.slots = {slot.slot: slot.packets for slot in line.slots}
        if line.state == "disconnected":
            self.smoothed = None  # the score restarts after the reconnect
            return self._became(line.participant_id, Quality.LOST, 0.0)
        if line.state != "connected":
            return None
        weight = 1.0 if self.smoothed is None else FALL if value < self.smoothed else RISE
        self.smoothed = value if self.smoothed is None else self.smoothed + weight * (value - self.smoothed)
        return self._became(line.participant_id, rate(self.smoothed, self.quality), self.smoothed)

    def _became(self, participant_id: str, quality: Quality, value: float) -> Rating | None:
        before, self.quality = self.quality, quality
        return None if quality is before else Rating(participant_id, quality, value)

    def _uplink(self, line: Line) -> Flow:
        packets, lost, jitter = 0, 0, 0.0
        for track in line.tracks:
            before = self.tracks.get(track.track, TrackCounters(track.track, 0, 0, 0.0))
            arrived = max(0, track.packets - before.packets)
            packets += arrived
            lost += track.lost - before.lost
            if arrived:  # the jitter of a silent track is out of date
                jitter = max(jitter, track.jitter_ms)
        return Flow(packets, lost, line.rtt_ms, jitter)

    def _downlink(self, line: Line) -> Flow:
        sent = {slot.slot: max(0, slot.packets - self.slots.get(slot.slot, 0)) for slot in line.slots}
        # `fraction_lost` applies to the sent packets; `Flow.packets` are those that arrived.
        lost = sum(sent[slot.slot] * slot.fraction_lost for slot in line.slots)
        packets = sum(sent.values())
        bound = [slot for slot in line.slots if slot.bound]
        starved = sum(slot.distance for slot in bound) / len(bound) if bound else 0.0
        return Flow(max(0, packets - round(lost)), lost, line.rtt_ms, 0.0, starved)


class ConnectionMeters:
    """The ratings of all participants of a node. Participants that the latest report does not contain are
    removed."""

    def __init__(self) -> None:
        self._meters: dict[str, _Meter] = {}

    def observe(self, lines: Iterable[Line]) -> list[Rating]:
        """Processes a report. Returns the ratings that changed."""
        present: dict[str, _Meter] = {}
        changed = []
        for line in lines:
            meter = present[line.participant_id] = self._meters.get(line.participant_id) or _Meter()
            rating = meter.update(line)
            if rating is not None:
                changed.append(rating)
        self._meters = present
        return changed
