"""The id of a request, which appears in the logs of every service that handles it.

The id is kept in structlog's context variables, so every log line of the task has it as `request_id`. A
caller sends it as gRPC metadata, and the server binds the received id.
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import structlog

METADATA: Final = "nexus-request-id"
_FIELD: Final = "request_id"
# Pattern of an accepted id. A peer chooses the id, so it must be safe in a log line.
_ACCEPTED: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


def current() -> str | None:
    """The id that is bound in this task, or None."""
    value = structlog.contextvars.get_contextvars().get(_FIELD)
    return value if isinstance(value, str) else None


def bind(request_id: str | None) -> None:
    """Binds an id (a new one if None) for the rest of this task."""
    structlog.contextvars.bind_contextvars(**{_FIELD: request_id or new()})


def new() -> str:
    return secrets.token_hex(8)


@contextmanager
def bound(request_id: str | None = None) -> Iterator[str]:
    """Binds an id (a new one if None) for log lines written inside, also by tasks started inside."""
    chosen = request_id or new()
    with structlog.contextvars.bound_contextvars(**{_FIELD: chosen}):
        yield chosen


def received(metadata: Sequence[tuple[str, str | bytes]] | None) -> str | None:
    """The id in a call's metadata, or None if there is none or it is not safe in a log line."""
    for name, value in metadata or ():
        if name == METADATA and isinstance(value, str) and _ACCEPTED.fullmatch(value):
            return value
    return None
