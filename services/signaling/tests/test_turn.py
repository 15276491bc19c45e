"""TURN credentials as coturn checks them (its REST convention)."""

import base64
import hashlib
import hmac

from nexus_signaling.turn import ice_servers


def test_the_password_is_the_hmac_of_expiry_and_identity() -> None:
    (server,) = ice_servers(
        stun_urls=[],
        turn_urls=["turn:t.example:3478", "turns:t.example:5349"],
        turn_secret="north",
        identity="ann:ü",
        now_epoch_seconds=1_000.9,
        ttl_seconds=60,
    )
    assert server.username == "1060:ann:ü"
    digest = hmac.new(b"north", "1060:ann:ü".encode(), hashlib.sha1).digest()
    assert server.credential == base64.b64encode(digest).decode()
    assert len(server.urls) == 2


def test_without_configured_servers_there_are_none() -> None:
    assert (
        ice_servers(
            stun_urls=[], turn_urls=[], turn_secret="x", identity="ann", now_epoch_seconds=0, ttl_seconds=60
        )
        == []
    )
