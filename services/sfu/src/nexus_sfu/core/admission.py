"""Checks of grants and limits, made before any state changes."""

from collections.abc import Mapping

from nexus_sfu import errors
from nexus_sfu.core.limits import Limits
from nexus_sfu.core.model import Grants, Kind, MediaOffer, Setup


def check_media(limits: Limits, grants: Grants, media: MediaOffer) -> None:
    """Raises RpcError PERMISSION_DENIED, TOO_MANY_TRACKS or SLOTS_EXHAUSTED."""
    if media.publications and not grants.publish:
        raise errors.permission_denied("the token does not grant publishing", grant="publish")
    if media.publications and grants.hidden:
        # Other participants would receive its tracks without knowing the publisher.
        raise errors.permission_denied("a hidden participant cannot publish", grant="hidden")
    if len(media.publications) > limits.tracks_per_participant:
        raise errors.too_many_tracks(limits.tracks_per_participant)
    if len(media.slots) > limits.slots_per_participant:
        raise errors.slots_exhausted(limits.slots_per_participant)
    if sum(1 for slot in media.slots if slot.kind is Kind.VIDEO) > limits.pairs:
        raise errors.slots_exhausted(limits.pairs)


def check_silence(media: MediaOffer) -> None:
    """Raises RpcError INVALID_SDP for publications whose section sends nothing. In a re-offer such a
    publication has ended, but in a join it is an error."""
    for mid in media.silent:
        raise errors.invalid_sdp("a publication names a media section that sends nothing", mid=mid)


def check_setup(setup: Setup, *, dtls_client: bool) -> None:
    """Checks that the DTLS roles do not change (RFC 8842 section 5.5). Raises RpcError INVALID_SDP."""
    if setup is (Setup.ACTIVE if dtls_client else Setup.PASSIVE):
        raise errors.invalid_sdp("a=setup would change the DTLS roles of the session: join again")


def check_subscribe(grants: Grants) -> None:
    """Raises RpcError PERMISSION_DENIED."""
    if not grants.subscribe:
        raise errors.permission_denied("the token does not grant subscribing", grant="subscribe")


def check_profile(limits: Limits, name: str, metadata: str, attributes: Mapping[str, str]) -> None:
    """Raises RpcError INVALID_ARGUMENT."""
    if len(name.encode()) > limits.name_bytes:
        raise errors.invalid_argument("the name is too long", limit=limits.name_bytes)
    if len(metadata.encode()) > limits.metadata_bytes:
        raise errors.invalid_argument("the metadata is too long", limit=limits.metadata_bytes)
    size = sum(len(key.encode()) + len(value.encode()) for key, value in attributes.items())
    if len(attributes) > limits.attributes or size > limits.attributes_bytes:
        raise errors.invalid_argument("the attributes are too many or too long", limit=limits.attributes)
