"""Rate limits of what an application sends over plain HTTP: data (`POST /v1/data`), and requests about
recordings. Time is a parameter.

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


class AppBudget:
    """One rate limit for each app. Call it only for the app of a verified token, so that the number of
    buckets is bounded by the configured apps. `what` names the things that are counted."""

    def __init__(self, what: str, per_second: float, burst: int) -> None:
        self._what: Final = what
        self._per_second: Final = per_second
        self._burst: Final = burst
        self._apps: Final[dict[str, TokenBucket]] = {}

    def take(self, app: str, now_ms: int, count: int = 1) -> None:
        """Raises RpcError RATE_LIMITED."""
        bucket = self._apps.get(app)
        if bucket is None:
            bucket = self._apps[app] = TokenBucket(self._per_second, self._burst, now_ms)
        _refuse(self._what, bucket.take(now_ms, count))


class DataBudget:
    """The budgets of messages and of their bytes."""

    def __init__(self, limits: DataLimits) -> None:
        self._messages: Final = AppBudget("messages", limits.messages_per_second, limits.message_burst)
        self._bytes: Final = AppBudget("bytes", limits.bytes_per_second, limits.bytes_burst)

    def take_message(self, app: str, now_ms: int) -> None:
        """Raises RpcError RATE_LIMITED."""
        self._messages.take(app, now_ms)

    def take_bytes(self, app: str, now_ms: int, count: int) -> None:
        """Raises RpcError RATE_LIMITED."""
        self._bytes.take(app, now_ms, count)


def _refuse(what: str, wait_ms: int) -> None:
    """Raises RpcError unless `wait_ms` is 0."""
    if wait_ms:
        raise RpcError(
            ErrorCode.RATE_LIMITED,
            f"The app's servers send too many {what} in too short a time.",
            retry_after_ms=wait_ms,
            details={"limit": what},
        )
