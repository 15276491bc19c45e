"""Options of a probe."""

from dataclasses import dataclass
from typing import Final, Literal

from nexus_rtc.edge.peer import SrtpProfile

Echo = Literal["auto", "always", "never"]

PROFILES: Final[dict[str, SrtpProfile]] = {
    "gcm": "AEAD_AES_128_GCM",
    "aead_aes_128_gcm": "AEAD_AES_128_GCM",
    "cm": "AES_CM_128_HMAC_SHA1_80",
    "aes_cm_128_hmac_sha1_80": "AES_CM_128_HMAC_SHA1_80",
}


@dataclass(frozen=True, slots=True)
class Options:
    url: str
    room: str
    token: str
    seconds: float = 5.0
    step_seconds: float = 15.0
    """Maximum time of a step."""
    srtp_profile: SrtpProfile | None = None
    codec: str = "vp8"
    colour: tuple[int, int, int] = (200, 40, 40)
    tone_hz: float = 440.0
    flash: bool = False
    subprotocol: Literal["nexus.v1", "nexus.v1.json"] = "nexus.v1"
    echo: Echo = "auto"
    partner_token: str | None = None
    """Token for the partner; None: no partner can join."""
