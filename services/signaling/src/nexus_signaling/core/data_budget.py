"""Rate limits for the data that applications' servers send to rooms (`POST /v1/data`). Time is a parameter.

Each app has one budget for all tokens and rooms, so that a loop in one application's server does not take the
SFUs and the receivers' bandwidth from others.
"""

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
    """The budgets of all apps. Call it only for the app of a verified token, so that the number of budgets is
    bounded by the configured apps."""

    def __init__(self, limits: DataLimits) -> None:
        self._limits: Final = limits
        self._apps: Final[dict[str, _AppBudget]] = {}

    def take_message(self, app: str, now_ms: int) -> None:
        """Raises RpcError RATE_LIMITED."""
        _refuse("messages", self._of(app, now_ms).messages.take(now_ms))

    def take_bytes(self, app: str, now_ms: int, count: int) -> None:
        """Raises RpcError RATE_LIMITED."""
        _refuse("bytes", self._of(app, now_ms).bytes.take(now_ms, count))

    def _of(self, app: str, now_ms: int) -> _AppBudget:
        budget = self._apps.get(app)
        if budget is None:
            limits = self._limits
            budget = self._apps[app] = _AppBudget(
                TokenBucket(limits.messages_per_second, limits.message_burst, now_ms),
                TokenBucket(limits.bytes_per_second, limits.bytes_burst, now_ms),
            )
        return budget


def _refuse(what: str, wait_ms: int) -> None:
    """Raises RpcError unless `wait_ms` is 0."""
    if wait_ms:
        raise RpcError(
            ErrorCode.RATE_LIMITED,
            f"The app's servers send too many {what} in too short a time.",
            retry_after_ms=wait_ms,
            details={"limit": what},
        )
