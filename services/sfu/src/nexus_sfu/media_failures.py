"""The engine's words for why a transport failed, as sentences for the developer whose client was removed."""

_SENTENCES = {
    "consent_lost": "ICE consent was lost: neither checks (RFC 7675) nor authenticated packets came any more",
    "connect_timeout": "ICE and DTLS were not up in time",
    "dtls_fingerprint_mismatch": "the DTLS certificate is not the one that a=fingerprint names",
    "dtls_alert": "the client refused the DTLS handshake",
    "dtls_timeout": "the DTLS handshake got no answer",
    "dtls_protocol": "the DTLS handshake failed",
}


def sentence(reason: str) -> str:
    return _SENTENCES.get(reason, f"the media engine ended the connection: {reason or 'no reason given'}")
