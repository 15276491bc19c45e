"""Containers for frames: segments while a recording runs, and one seekable file afterwards.

`docs/architecture/frames.md` describes them.
"""

from nexus_frames.mux.audio_timeline import AudioTimeline, PlacedPacket
from nexus_frames.mux.containers import Container, container_for
from nexus_frames.mux.errors import (
    FrameDoesNotFit,
    Mismatch,
    MuxError,
    UnreadableSegment,
    UnsupportedContainer,
)
from nexus_frames.mux.files import FileReport, make_file
from nexus_frames.mux.recovery import playable_size
from nexus_frames.mux.segment_reader import Segment
from nexus_frames.mux.segment_writer import FRAGMENT_US, Fragment, SegmentWriter, Sink

__all__ = [
    "FRAGMENT_US",
    "AudioTimeline",
    "Container",
    "FileReport",
    "Fragment",
    "FrameDoesNotFit",
    "Mismatch",
    "MuxError",
    "PlacedPacket",
    "Segment",
    "SegmentWriter",
    "Sink",
    "UnreadableSegment",
    "UnsupportedContainer",
    "container_for",
    "make_file",
    "playable_size",
]
