"""Counts of what a stream's packets became."""

from collections import Counter
from dataclasses import dataclass, field

from nexus_frames.events import UndecodableReason


@dataclass(slots=True)
class FrameCounters:
    """Each packet is part of a frame that is counted in one of these, except empty packets."""

    packets: int = 0
    frames: int = 0
    incomplete: int = 0
    """Frames that lack a packet: a gap, a mute or another source cut them off."""
    awaiting_keyframe: int = 0
    """Whole frames that refer to a frame that was lost."""
    undecodable: Counter[UndecodableReason] = field(default_factory=Counter)
    unknown_records: int = 0
    """Records of a kind that this version does not know."""
