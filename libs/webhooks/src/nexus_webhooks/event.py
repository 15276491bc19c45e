"""An event as it is sent, and the sources of events."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from nexus_bus import StoredMessage

# Maximum size of a body. The longest event of a recording has about 100 kB of files.
MAX_BODY_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """An event of a room. `id` follows from the event itself, so it is the same in every attempt, also after
    the death of a deliverer. It has no full stop, because the signed content is separated by them."""

    id: str
    room: str
    type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class EventSource:
    """A stream whose messages become webhooks.

    `pattern(app)` is the pattern of all subjects of an app, and `room_pattern(app, room)` that of one room.
    `read` makes an event of a message, or returns None for a message that has
    none. `types` are all types that it makes, and `on_request` those of them that are so frequent that they
    are sent only to endpoints that name them.
    """

    stream: str
    types: frozenset[str]
    on_request: frozenset[str]
    pattern: Callable[[str], str]
    room_pattern: Callable[[str, str], str]
    read: Callable[[StoredMessage], WebhookEvent | None]


def make_body(event_type: str, at_ms: int, content: Mapping[str, Any]) -> bytes:
    """The JSON of a webhook. `at_ms` is when the event happened, in milliseconds since the Unix epoch."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    document = {"type": event_type, "timestamp": at, "data": content}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
