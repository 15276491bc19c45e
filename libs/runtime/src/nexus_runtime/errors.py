"""Errors that end a process: faults that the operator must fix, and failures of the service itself.

They carry a stable `code` (``PORT_UNAVAILABLE``), a readable message and fields for the log. A failed
*request* raises `nexus_rpc.RpcError` instead.
"""

from typing import ClassVar, Literal

Fault = Literal["client", "internal"]
FieldValue = str | int | float | bool | None


class NexusError(Exception):
    """A failure of the service, and the base class. `code` is stable and upper case, `message` is readable,
    and `fields` go to the log, so they must not contain secrets."""

    fault: ClassVar[Fault] = "internal"

    def __init__(self, code: str, message: str, **fields: FieldValue) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fields = fields

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ClientError(NexusError):
    """A fault that the operator must fix; restarting without a change will not help."""

    fault = "client"
