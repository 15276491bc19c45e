"""Frames from the packets of a StreamTrack (`docs/architecture/frames.md`).

Containers are in `nexus_frames.mux`.
"""

from nexus_frames.assembler import FrameAssembler, StreamState
from nexus_frames.counters import FrameCounters
from nexus_frames.events import (
    EndReason,
    Frame,
    Gap,
    GapReason,
    Mute,
    SourceChange,
    StreamEnd,
    StreamEvent,
    Undecodable,
    UndecodableReason,
)
from nexus_frames.formats import AudioFormat, Codec, Format, Orientation, VideoFormat
from nexus_frames.transform import FrameTransform, Identity

__all__ = [
    "AudioFormat",
    "Codec",
    "EndReason",
    "Format",
    "Frame",
    "FrameAssembler",
    "FrameCounters",
    "FrameTransform",
    "Gap",
    "GapReason",
    "Identity",
    "Mute",
    "Orientation",
    "SourceChange",
    "StreamEnd",
    "StreamEvent",
    "StreamState",
    "Undecodable",
    "UndecodableReason",
    "VideoFormat",
]
