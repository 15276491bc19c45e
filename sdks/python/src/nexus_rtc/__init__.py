"""A Python client for rooms, on aiortc. It joins a room as a browser does.

    client = NexusClient(token=token, server_url="http://127.0.0.1:7880")
    async with await client.join(tracks=[LocalTrack(camera)]) as room:
        async for event in room.events(): ...

A name is loaded on its first use, so that minting a token loads no media stack.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nexus_rtc.client import NexusClient
    from nexus_rtc.edge.peer import IceServer
    from nexus_rtc.errors import (
        ConnectionFailed,
        Disconnected,
        LimitReached,
        MediaFailed,
        NexusError,
        NotFound,
        PermissionDenied,
        RequestInvalid,
        ServerUnavailable,
        TokenRejected,
    )
    from nexus_rtc.events import (
        ActiveSpeakers,
        ConnectionQualityChanged,
        DataReceived,
        Event,
        MediaConnected,
        ParticipantJoined,
        ParticipantLeft,
        ParticipantUpdated,
        RecordingChanged,
        ReofferNeeded,
        SessionEnded,
        SlotsChanged,
        Speaker,
        TrackMuted,
        TrackPaused,
        TrackPublished,
        TrackResumed,
        TrackUnpublished,
        TrackUpdated,
        TranscribingChanged,
    )
    from nexus_rtc.model import Participant, Slot, Track, VideoLayer
    from nexus_rtc.publishing import LocalTrack
    from nexus_rtc.recordings import Recordings
    from nexus_rtc.remote_media import RemoteMedia
    from nexus_rtc.room import Room
    from nexus_rtc.server_data import send_data
    from nexus_rtc.token import App, mint_token

_HOMES = {
    "client": ("NexusClient",),
    "edge.peer": ("IceServer",),
    "errors": (
        "ConnectionFailed",
        "Disconnected",
        "LimitReached",
        "MediaFailed",
        "NexusError",
        "NotFound",
        "PermissionDenied",
        "RequestInvalid",
        "ServerUnavailable",
        "TokenRejected",
    ),
    "events": (
        "ActiveSpeakers",
        "ConnectionQualityChanged",
        "DataReceived",
        "Event",
        "MediaConnected",
        "ParticipantJoined",
        "ParticipantLeft",
        "ParticipantUpdated",
        "RecordingChanged",
        "ReofferNeeded",
        "SessionEnded",
        "SlotsChanged",
        "Speaker",
        "TrackMuted",
        "TrackPaused",
        "TrackPublished",
        "TrackResumed",
        "TrackUnpublished",
        "TrackUpdated",
        "TranscribingChanged",
    ),
    "model": ("Participant", "Slot", "Track", "VideoLayer"),
    "publishing": ("LocalTrack",),
    "recordings": ("Recordings",),
    "remote_media": ("RemoteMedia",),
    "room": ("Room",),
    "server_data": ("send_data",),
    "token": ("App", "mint_token"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ActiveSpeakers",
    "App",
    "ConnectionFailed",
    "ConnectionQualityChanged",
    "DataReceived",
    "Disconnected",
    "Event",
    "IceServer",
    "LimitReached",
    "LocalTrack",
    "MediaConnected",
    "MediaFailed",
    "NexusClient",
    "NexusError",
    "NotFound",
    "Participant",
    "ParticipantJoined",
    "ParticipantLeft",
    "ParticipantUpdated",
    "PermissionDenied",
    "RecordingChanged",
    "Recordings",
    "RemoteMedia",
    "ReofferNeeded",
    "RequestInvalid",
    "Room",
    "ServerUnavailable",
    "SessionEnded",
    "Slot",
    "SlotsChanged",
    "Speaker",
    "TokenRejected",
    "Track",
    "TrackMuted",
    "TrackPaused",
    "TrackPublished",
    "TrackResumed",
    "TrackUnpublished",
    "TrackUpdated",
    "TranscribingChanged",
    "VideoLayer",
    "mint_token",
    "send_data",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
