"""The types of a parsed WebRTC offer. Tokens stay strings, because an ICE ufrag may be "00123" or "12e4"."""

from dataclasses import dataclass

from nexus_sfu.core.model import IceCredentials


@dataclass(frozen=True, slots=True)
class RtpCodec:
    """One payload type: `a=rtpmap`, `a=fmtp`, `a=rtcp-fb` (RFC 8866 section 6.6, 6.15; RFC 4585 section
    4.2)."""

    payload_type: int
    # In lower case; encoding names are case-insensitive.
    name: str
    clock_rate: int
    channels: int
    fmtp: str
    # "nack", "nack pli", "transport-cc", …
    feedback: tuple[str, ...]

    def parameter(self, name: str) -> str | None:
        for part in self.fmtp.split(";"):
            key, _, value = part.strip().partition("=")
            if key.lower() == name:
                return value
        return None


@dataclass(frozen=True, slots=True)
class ExtMap:
    """RFC 8285 section 5."""

    id: int
    # "" or sendonly, recvonly, sendrecv, inactive
    direction: str
    uri: str


@dataclass(frozen=True, slots=True)
class Rid:
    """RFC 8851."""

    id: str
    direction: str
    parameters: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The capabilities of a media section, which many sections and many offers share."""

    codecs: tuple[RtpCodec, ...]
    extensions: tuple[ExtMap, ...]
    rids: tuple[Rid, ...]
    # The value of `a=simulcast` (RFC 8853).
    simulcast: str


@dataclass(frozen=True, slots=True)
class Section:
    mid: str
    # "audio", "video", "application", …
    kind: str
    port: int
    protocol: str
    formats: str
    direction: str
    capabilities: Capabilities
    # In order of appearance, without those of RTX, which are only in `fid`.
    ssrcs: tuple[int, ...]
    # (media, RTX), `a=ssrc-group:FID` (RFC 5576 section 4.2).
    fid: tuple[tuple[int, int], ...]
    # `a=ssrc-group:SIM`: simulcast by SSRC, low to high.
    sim: tuple[tuple[int, ...], ...]
    msid: str
    ice: IceCredentials | None
    fingerprints: tuple[tuple[str, str], ...]
    setup: str
    rtcp_mux: bool
    rtcp_rsize: bool
    bundle_only: bool
    # Attributes of data channels (RFC 8841 sections 5 and 6); -1 and the default if absent.
    sctp_port: int = -1
    max_message_size: int = 65_536

    @property
    def stopped(self) -> bool:
        """Whether the section is unused: port 0 without `bundle-only` (RFC 9143 section 6)."""
        return self.port == 0 and not self.bundle_only


@dataclass(frozen=True, slots=True)
class Offer:
    sections: tuple[Section, ...]
    # The mids of the BUNDLE group; the first is the offerer-tagged section (RFC 9143 section 7.1).
    bundle: tuple[str, ...]
    extmap_allow_mixed: bool

    @property
    def tagged(self) -> Section:
        """The section whose transport the whole group uses."""
        return next(section for section in self.sections if section.mid == self.bundle[0])
