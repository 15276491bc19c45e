"""ICE servers for clients: STUN as configured, and TURN with credentials that expire.

The credentials follow the TURN REST convention that coturn implements (`use-auth-secret`): the user name is
"<unix time of expiry>:<identity>", and the password is the base64 form of its HMAC-SHA1 with the shared
secret.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from nexus.types.v1 import media_pb2


def ice_servers(
    *,
    stun_urls: Sequence[str],
    turn_urls: Sequence[str],
    turn_secret: str,
    identity: str,
    now_epoch_seconds: float,
    ttl_seconds: int,
) -> list[media_pb2.IceServer]:
    servers = [media_pb2.IceServer(urls=stun_urls)] if stun_urls else []
    if turn_urls:
        # The identity is for the TURN server's log. It may contain colons, because coturn reads up to the
        # first.
        username = f"{int(now_epoch_seconds) + ttl_seconds}:{identity}"
        digest = hmac.new(turn_secret.encode(), username.encode(), hashlib.sha1).digest()
        credential = base64.b64encode(digest).decode("ascii")
        servers.append(media_pb2.IceServer(urls=turn_urls, username=username, credential=credential))
    return servers
