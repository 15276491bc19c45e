"""Checks that an offer has one bundled, multiplexed and encrypted transport.

Every error explains in one sentence what is missing, for developers whose client does not connect.
"""

import re
from dataclasses import dataclass

from nexus_sfu import errors
from nexus_sfu.core.model import Setup
from nexus_sfu.sdp.offer import Offer, Section
from nexus_sfu.sdp.simulcast import check_rids, check_ssrc_groups

# The hashes that the engine supports, with the size of their digests in bytes; others are ignored (RFC 8122
# section 5).
HASHES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
MAX_FINGERPRINTS = 8
# RFC 8839 section 5.4: 4 to 256 and 22 to 256 ice-char.
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PWD = re.compile(r"[A-Za-z0-9+/]{22,256}")
# A token (RFC 9143 section 6); the limit of its length is our own.
_MID = re.compile(r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]{1,64}")
_DIGEST = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2})*")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Maximum size of an offer."""

    sdp_bytes: int = 512 * 1024
    sections: int = 128


DEFAULT_BOUNDS = Bounds()


def check_offer(offer: Offer, *, ice_lite: bool) -> None:
    """Raises RpcError INVALID_SDP."""
    if ice_lite:
        # RFC 8445 section 6.1.1: two lite agents would send no checks.
        raise errors.invalid_sdp("the server is ICE-lite, so the client must be a full ICE agent")
    _check_mids(offer)
    tagged = offer.tagged
    if tagged.stopped:
        raise errors.invalid_sdp("the first section of the BUNDLE group is stopped", mid=tagged.mid)
    # A section for data channels has no RTP (RFC 8841).
    if not tagged.rtcp_mux and tagged.kind != "application":
        raise errors.invalid_sdp("a=rtcp-mux is missing: RTP and RTCP must share one port", mid=tagged.mid)
    _check_transport(tagged)
    _check_ssrcs(offer)
    for section in offer.sections:
        check_rids(section.capabilities, section.mid)
        check_ssrc_groups(section)


def _check_mids(offer: Offer) -> None:
    # A stopped section may have lost its mid.
    mids = [section.mid for section in offer.sections if section.mid or not section.stopped]
    for mid in mids:
        if not _MID.fullmatch(mid):
            raise errors.invalid_sdp(f"a media section has no valid a=mid: {mid[:80]!r}")
    if len(set(mids)) != len(mids):
        raise errors.invalid_sdp("two media sections have the same a=mid")
    bundled = set(offer.bundle)
    if not bundled.issubset(mids):
        raise errors.invalid_sdp("the BUNDLE group names a mid that no media section has")
    for section in offer.sections:
        if not section.stopped and section.mid not in bundled:
            raise errors.invalid_sdp("a media section is not in the BUNDLE group", mid=section.mid)


def _check_transport(section: Section) -> None:
    if section.ice is None:
        raise errors.invalid_sdp("a=ice-ufrag or a=ice-pwd is missing", mid=section.mid)
    if not _UFRAG.fullmatch(section.ice.ufrag) or not _PWD.fullmatch(section.ice.pwd):
        raise errors.invalid_sdp("a=ice-ufrag or a=ice-pwd is malformed", mid=section.mid)
    if section.setup not in {setup.value for setup in Setup}:
        raise errors.invalid_sdp("a=setup must be actpass, active or passive", setup=section.setup[:20])
    if not any(name in HASHES for name, _ in section.fingerprints):
        raise errors.invalid_sdp("a=fingerprint with SHA-256, SHA-384 or SHA-512 is missing")
    if len(section.fingerprints) > MAX_FINGERPRINTS:
        raise errors.invalid_sdp("too many fingerprints", limit=MAX_FINGERPRINTS)
    for name, digest in section.fingerprints:
        size = HASHES.get(name)
        if size is not None and (len(digest) != 3 * size - 1 or not _DIGEST.fullmatch(digest)):
            raise errors.invalid_sdp("a=fingerprint is malformed", hash=name)


def _check_ssrcs(offer: Offer) -> None:
    seen: set[int] = set()
    for section in offer.sections:
        own = {*section.ssrcs, *(ssrc for group in (*section.fid, *section.sim) for ssrc in group)}
        if seen & own:
            raise errors.invalid_sdp("two media sections have the same SSRC", mid=section.mid)
        seen |= own
