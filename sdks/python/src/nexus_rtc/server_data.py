"""Sends data to a room from an application's server: `POST /v1/data` (docs/reference/data.md). It joins no
room and loads no media stack.
"""

from collections.abc import Iterable
from typing import Final

from nexus_rtc.data_envelope import MAX_PAYLOAD_BYTES
from nexus_rtc.errors import LimitReached
from nexus_rtc.server_http import send_request

PATH: Final = "/v1/data"


async def send_data(
    url: str,
    token: str,
    payload: bytes | str,
    *,
    topic: str = "",
    to: Iterable[str] = (),
    reliable: bool = True,
    ordered: bool | None = None,
    timeout_seconds: float = 10.0,
) -> None:
    """Sends a message to all participants in the token's room, or to some identities, as the server.

    `token` needs the grant `admin`. `payload` has at most 256 KiB; a str is received as text. `ordered` is as
    `reliable` unless said otherwise. Returns when the SFU has it. Raises NexusError; ValueError for what is
    no address.
    """
    content = payload.encode() if isinstance(payload, str) else payload
    if len(content) > MAX_PAYLOAD_BYTES:
        raise LimitReached("DATA_TOO_LARGE", f"a message has {MAX_PAYLOAD_BYTES} bytes at most")
    query = [("topic", topic)] if topic else []
    query += [("to", identity) for identity in to]
    query += [("reliable", "true" if reliable else "false")]
    query += [] if ordered is None else [("ordered", "true" if ordered else "false")]
    text = isinstance(payload, str)
    headers = {"Content-Type": "text/plain; charset=utf-8" if text else "application/octet-stream"}
    await send_request(
        url, "POST", PATH, token, query=query, body=content, headers=headers, timeout_seconds=timeout_seconds
    )
