"""The media engine's Python module: commands in, events and taps' batches out. See `_engine.pyi`."""

from nexus_media._engine import (
    Candidate,
    Codec,
    CodecBinding,
    CommandRejected,
    Engine,
    EngineConfig,
    EngineReport,
    GcmLibraryUnavailable,
    HeaderExtension,
    Kind,
    LayersWanted,
    ReportReady,
    SlotChanged,
    SlotDescription,
    SlotPaused,
    SlotReport,
    SpeakersChanged,
    TapBatch,
    TapOptions,
    TrackOptions,
    TrackReport,
    TrackStarted,
    TransportChanged,
    TransportDescription,
    TransportOptions,
    TransportReport,
    TransportState,
)

Event = (
    TransportChanged
    | TrackStarted
    | SlotChanged
    | SlotPaused
    | LayersWanted
    | SpeakersChanged
    | CommandRejected
    | ReportReady
)

__all__ = [
    "Candidate",
    "Codec",
    "CodecBinding",
    "CommandRejected",
    "Engine",
    "EngineConfig",
    "EngineReport",
    "Event",
    "GcmLibraryUnavailable",
    "HeaderExtension",
    "Kind",
    "LayersWanted",
    "ReportReady",
    "SlotChanged",
    "SlotDescription",
    "SlotPaused",
    "SlotReport",
    "SpeakersChanged",
    "TapBatch",
    "TapOptions",
    "TrackOptions",
    "TrackReport",
    "TrackStarted",
    "TransportChanged",
    "TransportDescription",
    "TransportOptions",
    "TransportReport",
    "TransportState",
]
