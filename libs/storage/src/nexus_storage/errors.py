"""The errors of stores.

`code` is the code of the store itself (``NoSuchBucket``, ``SlowDown``) or, for a folder, one of ours in
the same style. `error_code` is the value of `nexus.types.v1.ErrorCode` with which a service answers a
request that failed for this reason. No message, code or detail contains a credential.
"""

from collections.abc import Mapping
from typing import ClassVar


class StorageError(Exception):
    """A call to a store failed; the subclass says why, and whether a later attempt can succeed."""

    error_code: ClassVar[str] = "INTERNAL"

    def __init__(self, code: str, message: str, *, key: str = "") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.key = key

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" (key {self.key!r})" if self.key else "")

    @property
    def details(self) -> Mapping[str, str]:
        """The details of a request's error: the store's code."""
        return {"store_code": self.code}


class StorageRefused(StorageError):
    """The store refuses: a wrong key, region, bucket, clock or certificate, no TLS where it is required, or
    encryption that was not confirmed. It lasts until an operator changes a setting."""

    error_code = "STORAGE_REFUSED"


class StorageUnavailable(StorageError):
    """The store does not answer at the moment, or asks to slow down. `retry_after_ms` is how long it asks to
    wait; 0 if it does not say."""

    error_code = "SERVICE_UNAVAILABLE"

    def __init__(self, code: str, message: str, *, key: str = "", retry_after_ms: int = 0) -> None:
        super().__init__(code, message, key=key)
        self.retry_after_ms = retry_after_ms


class StorageFull(StorageError):
    """The disk, or the quota, has no room for the object."""

    error_code = "SERVICE_UNAVAILABLE"


class ObjectNotFound(StorageError):
    """No object has this key."""


class ObjectExists(StorageError):
    """An object has this key already, and `if_absent` was requested. The object is unchanged."""


class InvalidRange(StorageError):
    """The offset lies at or beyond the end of the object."""

    error_code = "INVALID_ARGUMENT"


class InvalidKey(StorageError):
    """The key, prefix or metadata cannot be stored everywhere; see `keys.check_key` and
    `keys.check_metadata`."""

    error_code = "INVALID_ARGUMENT"

    def __init__(self, message: str, *, key: str = "") -> None:
        super().__init__("InvalidKey", message, key=key)


class InvalidTemplate(StorageError):
    """A key template is malformed, or names a field that does not exist. `field` is the name of that field;
    empty if the fault is elsewhere."""

    error_code = "INVALID_ARGUMENT"

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__("InvalidTemplate", message)
        self.field = field

    @property
    def details(self) -> Mapping[str, str]:
        return {"field": self.field} if self.field else {}


class StoreNotFound(StorageError):
    """No store of this name is configured."""

    error_code = "STORE_NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__("StoreNotFound", "no store of this name is configured")
        self.name = name

    @property
    def details(self) -> Mapping[str, str]:
        return {"store": self.name[:64]}


class LinkRefused(StorageError):
    """A signed link has expired (code ``LinkExpired``), or its signature does not fit (``LinkInvalid``)."""

    error_code = "PERMISSION_DENIED"
