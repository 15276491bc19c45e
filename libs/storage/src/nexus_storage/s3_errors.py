"""The meaning of an S3 answer that is not a success.

Stores disagree about codes and status, so both are considered: the code if it is known, otherwise the status.
"""

import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Final
from xml.etree import ElementTree as ET

from nexus_storage.errors import (
    InvalidRange,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageFull,
    StorageRefused,
    StorageUnavailable,
)

# Maximum time that a store may ask to wait.
MAX_RETRY_AFTER_MS: Final = 3_600_000
# Maximum length of the store's own message in an error.
MAX_MESSAGE_CHARACTERS: Final = 300

_UNAVAILABLE: Final = frozenset(
    {
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "ServiceUnavailable",
        "InternalError",
        "RequestTimeout",
        "TooManyRequests",
        "OperationAborted",
        "ConditionalRequestConflict",  # another conditional write of the key is under way
        "NoSuchUpload",  # the whole upload is repeated
        # The body was damaged on its way.
        "BadDigest",
        "IncompleteBody",
        "XAmzContentSHA256Mismatch",
        # A temporary redirect of a new bucket, until DNS knows it.
        "TemporaryRedirect",
    }
)
_FULL: Final = frozenset(
    {
        "InsufficientStorage",
        "QuotaExceeded",
        "StorageQuotaExceeded",
        "XMinioStorageFull",
        "XMinioAdminBucketQuotaExceeded",
    }
)
# Codes for answers without XML: those to HEAD, and those of proxies.
_CODE_OF_STATUS: Final[Mapping[int, str]] = {
    301: "PermanentRedirect",
    307: "TemporaryRedirect",
    400: "BadRequest",
    401: "Unauthorized",
    403: "AccessDenied",
    404: "NoSuchKey",
    405: "MethodNotAllowed",
    408: "RequestTimeout",
    409: "OperationAborted",
    412: "PreconditionFailed",
    416: "InvalidRange",
    429: "TooManyRequests",
    501: "NotImplemented",
    503: "ServiceUnavailable",
    507: "InsufficientStorage",
}


def error_of(
    status: int, headers: Mapping[str, str], body: bytes, redact: Callable[[str], str] = str
) -> StorageError:
    """The error of an answer. `headers` are looked up without regard to case; `redact` removes
    credentials from the store's message."""
    code, message = _parse(body)
    if not code:
        code = _CODE_OF_STATUS.get(status, f"Http{status}")
        message = f"the store answered with HTTP status {status}"
    message = redact(message)[:MAX_MESSAGE_CHARACTERS]
    if code in _FULL or status == 507:
        return StorageFull(code, message)
    if code in _UNAVAILABLE or status == 429 or (status >= 500 and status != 501):
        return StorageUnavailable(code, message, retry_after_ms=_retry_after_ms(headers))
    if code == "PreconditionFailed":
        return ObjectExists(code, message)
    if code == "NoSuchKey":
        return ObjectNotFound(code, message)
    if code == "InvalidRange":
        return InvalidRange(code, message)
    return StorageRefused(code, message)


def error_in_success(body: bytes, redact: Callable[[str], str] = str) -> StorageError | None:
    """The error in the body of an answer with status 200, which CompleteMultipartUpload may send (Amazon
    S3 API reference: the status line goes out before the work is done)."""
    code, _ = _parse(body)
    return error_of(200, {}, body, redact) if code else None


def _parse(body: bytes) -> tuple[str, str]:
    """Code and message of an error document; empty for anything else."""
    if b"<Error" not in body[:1024]:
        return "", ""
    try:
        root = ET.fromstring(body.lstrip())  # noqa: S314 - bodies are bounded, and expat refuses bombs
    except ET.ParseError:
        return "", ""
    code = re.sub(r"[^A-Za-z0-9.]", "", root.findtext("{*}Code") or "")[:64]
    return code, root.findtext("{*}Message") or ""


def _retry_after_ms(headers: Mapping[str, str]) -> int:
    """`Retry-After` (RFC 9110 section 10.2.3): seconds, or a date, which is compared with the store's
    `Date`."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdecimal() and len(value) < 10:
        return min(int(value) * 1000, MAX_RETRY_AFTER_MS)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))
        return max(0, min(round(wait.total_seconds() * 1000), MAX_RETRY_AFTER_MS))
    except (ValueError, TypeError):
        return 0
