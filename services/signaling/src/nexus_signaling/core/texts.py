"""Limits for the texts that clients choose: names, identities, metadata and attributes. Sizes are in bytes of
UTF-8."""

from collections.abc import Mapping
from typing import Final

from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rpc import RpcError

MAX_NAME_BYTES: Final = 256
MAX_METADATA_BYTES: Final = 16 * 1024
MAX_ATTRIBUTES: Final = 64
MAX_ATTRIBUTE_NAME_BYTES: Final = 128
MAX_ATTRIBUTES_BYTES: Final = 16 * 1024


def _refused(field: str, limit: int) -> RpcError:
    return RpcError(
        ErrorCode.INVALID_ARGUMENT,
        f"`{field}` is too long or not valid text.",
        details={"field": field, "limit_bytes": limit},
    )


def utf8_size(text: str) -> int | None:
    """The size in bytes; None for a text without a UTF-8 form, such as a lone surrogate, which JSON can
    contain."""
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return None


def is_name(text: str) -> bool:
    """Whether `text` can be a room's name or an identity: not empty, and at most `MAX_NAME_BYTES`."""
    size = utf8_size(text)
    return size is not None and 0 < size <= MAX_NAME_BYTES


def check_name(text: str, field: str) -> None:
    """Checks a display name, which may be empty. Raises RpcError INVALID_ARGUMENT."""
    _check_size(text, field, MAX_NAME_BYTES)


def check_metadata(text: str) -> None:
    _check_size(text, "metadata", MAX_METADATA_BYTES)


def check_attributes(attributes: Mapping[str, str]) -> None:
    if len(attributes) > MAX_ATTRIBUTES:
        raise RpcError(
            ErrorCode.INVALID_ARGUMENT,
            "Too many attributes.",
            details={"field": "attributes", "limit": MAX_ATTRIBUTES},
        )
    total = 0
    for name, value in attributes.items():
        _check_size(name, "attributes", MAX_ATTRIBUTE_NAME_BYTES)
        size = utf8_size(value)
        if size is None:
            raise _refused("attributes", MAX_ATTRIBUTES_BYTES)
        total += len(name) + size
    if total > MAX_ATTRIBUTES_BYTES:
        raise _refused("attributes", MAX_ATTRIBUTES_BYTES)


def _check_size(text: str, field: str, limit: int) -> None:
    size = utf8_size(text)
    if size is None or size > limit:
        raise _refused(field, limit)
