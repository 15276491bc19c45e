"""A joined room: its participants, their tracks, and the tracks that this client publishes."""

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Self

from aiortc import MediaStreamTrack
from nexus.signaling.v1 import session_pb2 as wire
from nexus.types.v1.media_pb2 import TrackView

from nexus_rtc import events as happened
from nexus_rtc.connection import Connection
from nexus_rtc.edge.data_link import Delivery
from nexus_rtc.edge.peer import Peer
from nexus_rtc.errors import NexusError
from nexus_rtc.event_stream import EventStream
from nexus_rtc.model import Participant, PauseReason, Slot, Track
from nexus_rtc.publishing import LocalTrack
from nexus_rtc.recordings import Recordings
from nexus_rtc.remote_media import Frame, RemoteMedia
from nexus_rtc.room_data import Destination, Incoming, outgoing
from nexus_rtc.room_telemetry import Telemetry


class Room:
    """Returned by `NexusClient.join`. Use it as a context manager, or call `leave`."""

    def __init__(self, peer: Peer, recordings: Recordings, telemetry: Telemetry, *, attach_all: bool) -> None:
        self.recordings = recordings
        """Starts, changes and finds recordings of this room, for a token with the grant `record`."""
        self.unattributed_frames = 0
        """Frames that belong to no track of the room."""
        self._peer = peer
        self._telemetry = telemetry
        self._attach_all = attach_all
        self._listeners: list[EventStream] = []
        self._media: dict[int, RemoteMedia] = {}
        self._local: list[LocalTrack] = []
        self._offering = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connection: Connection | None = None
        self._incoming = Incoming(lambda: self.participants, self.on_event)
        peer.on_data = lambda message, delivery: self._incoming.receive(message, delivery.reliable)

    # State

    @property
    def name(self) -> str:
        return self._running.session.room_name

    @property
    def node_id(self) -> str:
        """The SFU node of the room."""
        return self._running.session.node_id

    @property
    def server_version(self) -> str:
        return self._running.session.server_version

    @property
    def local_participant(self) -> Participant:
        participant = self._running.session.local_participant
        assert participant is not None
        return participant

    @property
    def participants(self) -> Mapping[str, Participant]:
        """The remote participants, by id."""
        return self._running.session.roster.participants

    @property
    def paused(self) -> Mapping[str, PauseReason]:
        """The attached tracks of which the server sends nothing, by id, with the reason."""
        return self._running.session.paused

    @property
    def active_speakers(self) -> Sequence[happened.Speaker]:
        """The participants who speak now, loudest first; known from the join on."""
        return self._running.session.speakers

    @property
    def recording(self) -> bool:
        """Whether the room is being recorded; not while the recording is paused."""
        return self._running.session.roster.recording

    @property
    def transcribing(self) -> bool:
        """Whether the audio of the room is being transcribed."""
        return self._running.session.roster.transcribing

    @property
    def slots(self) -> Sequence[Slot]:
        return self._running.session.slots

    @property
    def published(self) -> Sequence[LocalTrack]:
        return tuple(self._local)

    @property
    def ended(self) -> happened.SessionEnded | None:
        return self._running.session.ended

    @property
    def signaling_rtt_ms(self) -> float | None:
        """Round-trip time of the last ping on the WebSocket."""
        return self._running.session.round_trip_ms

    @property
    def peer(self) -> Peer:
        """The media connection, for measurements."""
        return self._peer

    def media(self, track: Track) -> RemoteMedia:
        """Returns the frames of a remote track as an aiortc track, which has ended if the track is
        unpublished."""
        media = self._media.get(track.number)
        if media is None:
            media = RemoteMedia(track)
            media.stop()
        return media

    def events(self) -> EventStream:
        """Returns the events from now on, after those of the participants, tracks and speakers that are there
        already, and of a recording or transcription that runs."""
        stream = EventStream()
        for participant in self.participants.values():
            stream.put(happened.ParticipantJoined(participant))
            for track in participant.tracks.values():
                stream.put(happened.TrackPublished(participant, track))
        if self.active_speakers:
            stream.put(happened.ActiveSpeakers(self.active_speakers))
        if self.recording:
            stream.put(happened.RecordingChanged(True))
        if self.transcribing:
            stream.put(happened.TranscribingChanged(True))
        if self.ended is not None:
            stream.put(self.ended)
        self._listeners.append(stream)
        return stream

    # Requests

    async def publish(self, track: LocalTrack | MediaStreamTrack) -> LocalTrack:
        """Publishes a track, by a re-offer with one more section. Raises NexusError."""
        local = track if isinstance(track, LocalTrack) else LocalTrack(track)
        since = time.monotonic()
        async with self._offering:
            self.add(local)
            try:
                await self._offer()
            except NexusError:
                self._withdraw(local)
                raise
        for own in self.local_participant.tracks.values():
            if own.mid == local.mid:
                self._telemetry.published(own.id, since)
        return local

    async def unpublish(self, local: LocalTrack) -> None:
        async with self._offering:
            self._withdraw(local)
            await self._offer()

    async def set_muted(self, local: LocalTrack, muted: bool) -> None:
        """Mutes or unmutes a published track for all participants. Nothing is sent while it is muted."""
        own = next(
            (track for track in self.local_participant.tracks.values() if track.mid == local.mid), None
        )
        if own is None or local.transceiver is None:
            raise NexusError("TRACK_NOT_FOUND", "this track is not published")
        self._peer.set_muted(local.transceiver, muted)
        local.muted = muted
        await self.request(wire.ClientMessage(set_muted=wire.SetMutedRequest(track_id=own.id, muted=muted)))

    async def attach(self, *tracks: Track) -> Sequence[str]:
        """Requests video tracks. Returns the ids of those for which no slot was free."""
        request = wire.UpdateSlotsRequest(bind_track_ids=[track.id for track in tracks])
        answer = await self.request(wire.ClientMessage(update_slots=request))
        return list(answer.update_slots.unplaced_track_ids)

    async def detach(self, *tracks: Track) -> None:
        """Releases the slots of video tracks."""
        request = wire.UpdateSlotsRequest(unbind_track_ids=[track.id for track in tracks])
        await self.request(wire.ClientMessage(update_slots=request))

    async def view(
        self,
        track: Track,
        *,
        width: int = 0,
        height: int = 0,
        hidden: bool = False,
        pinned: bool = False,
        priority: int = 0,
        max_spatial: int | None = None,
        max_temporal: int | None = None,
    ) -> None:
        """Reports how this client shows a video track, from which the server chooses layers and bandwidth.
        Replaces the previous view of the track. `width`, `height`: in device pixels; 0: any size. `priority`:
        1 to 255, 0 leaves it to the server."""
        request = TrackView(
            track_id=track.id,
            width=width,
            height=height,
            hidden=hidden,
            pinned=pinned,
            priority=priority,
            max_spatial=max_spatial,
            max_temporal=max_temporal,
        )
        await self.request(wire.ClientMessage(update_view=wire.UpdateViewRequest(views=[request])))

    async def set_subscribed(self, subscribed: bool, *tracks: Track) -> None:
        """Subscribes to tracks or unsubscribes from them. An unsubscribed audio track is never received."""
        request = wire.UpdateSubscriptionsRequest(
            track_ids=[track.id for track in tracks], subscribed=subscribed
        )
        await self.request(wire.ClientMessage(update_subscriptions=request))

    async def update(
        self,
        *,
        name: str | None = None,
        metadata: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Changes the local participant's description. An attribute with an empty value is removed."""
        request = wire.UpdateParticipantRequest(name=name, metadata=metadata, attributes=attributes or {})
        await self.request(wire.ClientMessage(update_participant=request))

    async def publish_data(
        self,
        payload: bytes | str,
        *,
        topic: str = "",
        reliable: bool = True,
        ordered: bool | None = None,
        to: Destination | Sequence[Destination] | None = None,
    ) -> None:
        """Sends a message to all participants, or to those in `to` (identities or participants), who receive
        `DataReceived`.

        At most 256 KiB. A message that is not `reliable` is sent once; `ordered` defaults to `reliable`.
        Returns when the send buffer has space, so that a slow network slows the sender. Raises NexusError.
        """
        granted = self._running.session.grants.data
        messages = outgoing(payload, topic, to, self.participants, granted=granted)
        await self._peer.data.send(Delivery(reliable, reliable if ordered is None else ordered), messages)

    async def request(self, message: wire.ClientMessage) -> wire.ServerMessage:
        """Sends any request of the protocol and returns its answer. Raises NexusError."""
        try:
            return await self._running.request(message)
        except NexusError as error:
            self._telemetry.failed(error)
            raise

    async def leave(self) -> None:
        await self._telemetry.close()
        for task in tuple(self._tasks):
            task.cancel()
        await self._running.leave()
        await self._peer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    # Used by NexusClient

    def connect(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, local: LocalTrack) -> None:
        """Adds a section for a track. It is published by the next offer."""
        local.transceiver = self._peer.publish(local.media, local.codec)
        self._peer.set_muted(local.transceiver, local.muted)
        self._local.append(local)

    def on_frame(self, number: int, frame: Frame) -> None:
        media = self._media.get(number)
        if media is None:
            self.unattributed_frames += 1
        else:
            media.put(frame)

    def on_event(self, event: happened.Event) -> None:
        match event:
            case happened.TrackPublished(_, track):
                self._media[track.number] = RemoteMedia(track)
                if track.kind == "video" and self._attach_all and not self._is_bound(track):
                    self._background(self._attach(track))
            case happened.TrackUnpublished(_, track):
                media = self._media.pop(track.number, None)
                if media is not None:
                    media.end()
            case happened.ReofferNeeded(pairs, audio_slots):
                self._background(self._more_slots(pairs, audio_slots))
            case happened.SessionEnded(reason, message):
                self._background(self._telemetry.close(NexusError(reason, message)))
                for media in self._media.values():
                    media.end()
        for listener in self._listeners:
            listener.put(event)
        if isinstance(event, happened.ParticipantJoined):
            self._incoming.release(event.participant.id)

    @property
    def _running(self) -> Connection:
        assert self._connection is not None
        return self._connection

    def _is_bound(self, track: Track) -> bool:
        return any(slot.track_id == track.id for slot in self.slots)

    async def _attach(self, track: Track) -> None:
        # The track may have ended, or there is no free slot: then `reoffer_needed` follows.
        with contextlib.suppress(NexusError):
            await self.attach(track)

    async def _more_slots(self, pairs: int, audio_slots: int) -> None:
        """Adds the missing slots: new pairs, then lone audio sections, as in the first offer."""
        async with self._offering:
            have_pairs = sum(slot.kind == "video" for slot in self._peer.slots)
            have_audio = len(self._peer.slots) - 2 * have_pairs
            more = (max(0, pairs - have_pairs), max(0, audio_slots - have_audio))
            if more != (0, 0):
                self._peer.add_slots(*more)
                with contextlib.suppress(NexusError):
                    await self._offer()

    async def _offer(self) -> None:
        sdp = await self._peer.offer()
        offer = wire.OfferRequest(sdp=sdp, publications=[local.publication() for local in self._local])
        answer = await self.request(wire.ClientMessage(offer=offer))
        await self._peer.answer(answer.offer.sdp)

    def _withdraw(self, local: LocalTrack) -> None:
        if local in self._local:
            self._local.remove(local)
        if local.transceiver is not None:
            self._peer.unpublish(local.transceiver)

    def _background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
