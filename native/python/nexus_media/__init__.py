"""The media engine's Python module: commands in, events and taps' batches out. See `_engine.pyi`."""

from nexus_media._engine import (
    Candidate,
    Codec,
    CodecBinding,
    CommandRejected,
    Engine,
    EngineConfig,
    EngineStats,
    GcmLibraryUnavailable,
    HeaderExtension,
    Kind,
    LayerDemandChanged,
    RetainedTotals,
    SlotChanged,
    SlotDescription,
    SlotPaused,
    SlotStats,
    SpeakersChanged,
    StatsReady,
    TapBatch,
    TapOptions,
    TapState,
    TrackOptions,
    TrackStarted,
    TrackStats,
    TransportChanged,
    TransportDescription,
    TransportOptions,
    TransportState,
    TransportStats,
)

Event = (
    TransportChanged
    | TrackStarted
    | SlotChanged
    | SlotPaused
    | LayerDemandChanged
    | SpeakersChanged
    | CommandRejected
    | StatsReady
)

__all__ = [
    "Candidate",
    "Codec",
    "CodecBinding",
    "CommandRejected",
    "Engine",
    "EngineConfig",
    "EngineStats",
    "Event",
    "GcmLibraryUnavailable",
    "HeaderExtension",
    "Kind",
    "LayerDemandChanged",
    "RetainedTotals",
    "SlotChanged",
    "SlotDescription",
    "SlotPaused",
    "SlotStats",
    "SpeakersChanged",
    "StatsReady",
    "TapBatch",
    "TapOptions",
    "TapState",
    "TrackOptions",
    "TrackStarted",
    "TrackStats",
    "TransportChanged",
    "TransportDescription",
    "TransportOptions",
    "TransportState",
    "TransportStats",
]
