"""How much the servers of each application may say to rooms (`POST /v1/data`). Time is a parameter.

One budget per app, whatever token and room it uses: a loop in one application's server must leave the SFUs,
and the receivers' bandwidth, to the others.
"""

import math
from dataclasses import dataclass
from typing import Final

from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import RpcError

from nexus_signaling.core.token_bucket import TokenBucket


@dataclass(frozen=True, slots=True)
class DataLimits:
    messages_per_second: float
    message_burst: int
    bytes_per_second: float
    bytes_burst: int


@dataclass(frozen=True, slots=True)
class _AppBudget:
    messages: TokenBucket
    bytes: TokenBucket


class DataBudget:
    """Ask only for apps that a verified token named: they are the configured ones, so this does not grow."""

    def __init__(self, limits: DataLimits) -> None:
        self._limits: Final = limits
        self._apps: Final[dict[str, _AppBudget]] = {}

    def take_message(self, app: str, now: float) -> None:
        """Raises RpcError, RATE_LIMITED."""
        _refuse("messages", self._of(app, now).messages.take(now))

    def take_bytes(self, app: str, now: float, count: int) -> None:
        """Raises RpcError, RATE_LIMITED."""
        _refuse("bytes", self._of(app, now).bytes.take(now, count))

    def _of(self, app: str, now: float) -> _AppBudget:
        budget = self._apps.get(app)
        if budget is None:
            limits = self._limits
            budget = self._apps[app] = _AppBudget(
                TokenBucket(limits.messages_per_second, limits.message_burst, now),
                TokenBucket(limits.bytes_per_second, limits.bytes_burst, now),
            )
        return budget


def _refuse(what: str, wait_seconds: float) -> None:
    """Nothing when `wait_seconds` is 0."""
    if wait_seconds:
        raise RpcError(
            ErrorCode.RATE_LIMITED,
            f"The app's servers send too many {what} in too short a time.",
            retry_after_ms=max(1, math.ceil(wait_seconds * 1000)),
            details={"limit": what},
        )
