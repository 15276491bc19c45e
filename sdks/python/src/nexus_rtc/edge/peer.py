"""The peer connection, on aiortc: one bundled transport, publications that send, slots that receive.

aiortc gathers all candidates in `setLocalDescription`, so the offer contains them, and none are sent later.
Without STUN or TURN servers, which a server with a public address does not require, this takes no time.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCDtlsTransport
from aiortc.rtp import is_rtcp

from nexus_rtc.edge import host_addresses
from nexus_rtc.edge.data_link import DataLink, Delivery
from nexus_rtc.edge.slot_receiver import OnFrame, SlotReceiver
from nexus_rtc.sdp import spread_candidates

SrtpProfile = Literal["AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80"]
SRTP_PROFILE_NAMES: Final[Sequence[SrtpProfile]] = ("AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80")
# OpenSSL's names for RFC 7714 and RFC 3711/4568 profiles.
_OPENSSL_NAMES: Final = {
    "AEAD_AES_128_GCM": b"SRTP_AEAD_AES_128_GCM",
    "AES_CM_128_HMAC_SHA1_80": b"SRTP_AES128_CM_SHA1_80",
}


@dataclass(frozen=True, slots=True)
class IceServer:
    urls: Sequence[str]
    username: str = ""
    credential: str = ""


@dataclass(slots=True)
class Milestones:
    """The times at which the transport came up, on the monotonic clock."""

    ice_at: float | None = None
    dtls_at: float | None = None
    first_sent_at: float | None = None
    """The time at which the first RTP packet was sent."""


@dataclass(frozen=True, slots=True)
class SelectedPair:
    """The selected candidate pair, as address:port."""

    local: str
    remote: str


class Peer:
    """One RTCPeerConnection with `max-bundle`, always the offerer."""

    def __init__(
        self,
        on_frame: OnFrame,
        *,
        ice_servers: Iterable[IceServer] = (),
        srtp_profile: SrtpProfile | None = None,
    ) -> None:
        servers = [
            RTCIceServer(urls=list(one.urls), username=one.username, credential=one.credential)
            for one in ice_servers
        ]
        # An empty list: the default of aiortc is a public STUN server.
        configuration = RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        host_addresses.install()
        self._connection = RTCPeerConnection(configuration)
        self.on_data: Callable[[bytes, Delivery], None] = lambda message, delivery: None
        self.data = DataLink(self._connection, lambda message, delivery: self.on_data(message, delivery))
        self._on_frame = on_frame
        self._srtp_profile = srtp_profile
        self._watched: RTCDtlsTransport | None = None
        self._muted: set[RTCRtpTransceiver] = set()
        self.slots: list[SlotReceiver] = []
        self.milestones = Milestones()

    @property
    def connection(self) -> RTCPeerConnection:
        return self._connection

    def add_slots(self, pairs: int, audio: int) -> None:
        """Adds receive-only sections: pairs (an audio section directly followed by a video section), then
        lone audio sections."""
        for kind in (*("audio", "video") * pairs, *("audio",) * audio):
            transceiver = self._connection.addTransceiver(kind, direction="recvonly")
            self.slots.append(SlotReceiver(transceiver, self._on_frame))

    def publish(self, track: MediaStreamTrack, codec: str | None = None) -> RTCRtpTransceiver:
        """Adds a section that sends `track`; its mid is known after `offer`. `codec` (vp8 or h264) is
        preferred."""
        transceiver = self._connection.addTransceiver(track, direction="sendonly")
        if codec is not None:
            transceiver.setCodecPreferences(_preferences(track.kind, codec))
        return transceiver

    def unpublish(self, transceiver: RTCRtpTransceiver) -> None:
        """Ends a publication with the next offer."""
        transceiver.direction = "inactive"
        self._muted.discard(transceiver)
        transceiver.sender.replaceTrack(None)

    def set_muted(self, transceiver: RTCRtpTransceiver, muted: bool) -> None:
        """Mutes a publication, which then sends nothing. Its track is still read, so that it does not fall
        behind."""
        if muted:
            self._muted.add(transceiver)
        else:
            self._muted.discard(transceiver)
        self._apply_mutes()

    def _apply_mutes(self) -> None:
        for transceiver in self._connection.getTransceivers():
            if transceiver.direction == "sendonly":
                sender: Any = transceiver.sender
                sender._enabled = transceiver not in self._muted

    async def offer(self) -> str:
        self._prepare()
        await self._connection.setLocalDescription()
        return str(self._connection.localDescription.sdp)

    async def answer(self, sdp: str) -> None:
        description = RTCSessionDescription(sdp=spread_candidates(sdp), type="answer")
        await self._connection.setRemoteDescription(description)
        self._apply_mutes()  # an answer restarts every sender
        for slot in self.slots:
            slot.start()

    async def close(self) -> None:
        self.data.close()
        await self._connection.close()
        for slot in self.slots:
            await slot.stop()

    @property
    def transport(self) -> RTCDtlsTransport | None:
        return self._watched

    @property
    def ice_state(self) -> str:
        return str(self._watched.transport.state) if self._watched else "new"

    @property
    def dtls_state(self) -> str:
        return self._watched.state if self._watched else "new"

    @property
    def selected_pair(self) -> SelectedPair | None:
        """The selected pair; None before ICE is completed."""
        if self._watched is None:
            return None
        ice: Any = self._watched.transport
        pair = ice._connection._nominated.get(1)
        return SelectedPair(_text(pair.local_addr), _text(pair.remote_addr)) if pair else None

    @property
    def transport_bytes(self) -> tuple[int, int]:
        """The bytes that the transport has sent and received, with all headers of DTLS and SRTP."""
        transport: Any = self._watched
        if transport is None:
            return 0, 0
        (counted,) = transport._get_stats().values()
        return counted.bytesSent, counted.bytesReceived

    @property
    def srtp_profile(self) -> str | None:
        """The profile by its name in RFC 5764 and RFC 7714; None before DTLS is connected."""
        transport: Any = self._watched
        if transport is None or transport._ssl is None:
            return None
        chosen = transport._ssl.get_selected_srtp_profile()
        names = {openssl: name for name, openssl in _OPENSSL_NAMES.items()}
        return names.get(chosen, chosen.decode()) if chosen else None

    def _prepare(self) -> None:
        """Observes the one transport, which exists from the first section on, of media or of data."""
        if self._watched is not None:
            return
        first: Any = next(iter(self._connection.getTransceivers()), None)
        sctp: Any = self._connection.sctp
        transport: Any = first.receiver.transport if first else sctp.transport
        self._watched = transport
        if self._srtp_profile is not None:
            wanted = _OPENSSL_NAMES[self._srtp_profile]
            transport._srtp_profiles = [one for one in SRTP_PROFILES if one.openssl_profile == wanted]
        transport.on("statechange", self._note_state)
        transport.transport.on("statechange", self._note_state)
        send = transport._send_rtp

        async def send_and_note(data: bytes) -> None:
            await send(data)
            if self.milestones.first_sent_at is None and not is_rtcp(data):
                self.milestones.first_sent_at = time.monotonic()

        transport._send_rtp = send_and_note

    def _note_state(self) -> None:
        now = time.monotonic()
        if self.milestones.ice_at is None and self.ice_state == "completed":
            self.milestones.ice_at = now
        if self.milestones.dtls_at is None and self.dtls_state == "connected":
            self.milestones.dtls_at = now


def _text(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _preferences(kind: str, codec: str) -> list[Any]:
    """Moves the codec to the front and keeps the others, so that a server without it still finds one. Raises
    ValueError."""
    known = RTCRtpSender.getCapabilities(kind).codecs
    wanted = f"{kind}/{codec}".lower()
    first = [one for one in known if one.mimeType.lower() == wanted]
    if not first:
        raise ValueError(f"aiortc has no {codec} encoder")
    return first + [one for one in known if one not in first]
