"""Errors by whose fault they are, so that each seam (gRPC, WebSocket, log) translates them once and in one
way.

A service subclasses or raises these with a stable `code` (``ROOM_NOT_FOUND``) that clients may act on, a
message for people and fields for the log. What is not one of these is a defect of ours and must reach a
caller as ``INTERNAL``, without detail.
"""

from typing import ClassVar, Literal

Fault = Literal["client", "peer", "internal"]
FieldValue = str | int | float | bool | None


class NexusError(Exception):
    """The base. `code` is stable and upper case; `message` is for people; `fields` go to the log and, for a
    client's own faults, to the client: put no secret there."""

    fault: ClassVar[Fault] = "internal"

    def __init__(self, code: str, message: str, **fields: FieldValue) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fields = fields

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ClientError(NexusError):
    """The caller asked for what cannot be: trying the same again will not help."""

    fault = "client"


class PeerError(NexusError):
    """Something that we depend on (another service, the broker, a store) failed or was too slow: trying again
    may help."""

    fault = "peer"


class InternalError(NexusError):
    """An invariant of our own is broken."""

    fault = "internal"
