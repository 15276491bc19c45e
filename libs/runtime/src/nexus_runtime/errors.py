"""Errors that end a process: what the operator must change, and what failed in the service itself.

Why a *request* fails is `nexus_rpc.RpcError`. These carry a stable `code` (``PORT_UNAVAILABLE``), a message
for people and fields for the log.
"""

from typing import ClassVar, Literal

Fault = Literal["client", "internal"]
FieldValue = str | int | float | bool | None


class NexusError(Exception):
    """The base: a failure of the service. `code` is stable and upper case; `message` is for people; `fields`
    go to the log: put no secret there."""

    fault: ClassVar[Fault] = "internal"

    def __init__(self, code: str, message: str, **fields: FieldValue) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fields = fields

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ClientError(NexusError):
    """The operator asked for what cannot be: starting again without a change will not help."""

    fault = "client"
