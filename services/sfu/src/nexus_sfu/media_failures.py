"""Explanations of the engine's reasons for failed transports, for developers whose client was removed."""

_SENTENCES = {
    "consent_lost": "ICE consent was lost: neither checks (RFC 7675) nor authenticated packets arrived",
    "connect_timeout": "ICE and DTLS did not connect in time",
    "dtls_fingerprint_mismatch": "the DTLS certificate does not match a=fingerprint",
    "dtls_alert": "the client refused the DTLS handshake",
    "dtls_timeout": "the client did not answer the DTLS handshake",
    "dtls_protocol": "the DTLS handshake failed",
}


def sentence(reason: str) -> str:
    return _SENTENCES.get(reason, f"the media engine ended the connection: {reason or 'no reason given'}")
