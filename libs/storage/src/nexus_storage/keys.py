"""The keys and metadata that every store accepts.

The rules are the narrowest of S3 and of file systems, so that a key that works in one store works in all. One
restriction cannot be checked here: a key is never the folder of another one (`a` and `a/b`), because a file
system has no room for both.
"""

import re
from collections.abc import Mapping
from typing import Final

from nexus_storage.errors import InvalidKey

# Maximum size of a key in UTF-8. S3 allows 1,024 bytes, of which the rest is for the store's prefix.
MAX_KEY_BYTES: Final = 800
# Maximum size of one element of a key. File systems allow 255 bytes, of which the rest is for the sidecar's
# name.
MAX_ELEMENT_BYTES: Final = 230
# Maximum size of an object's metadata, names and values together (S3: 2 KB).
MAX_METADATA_BYTES: Final = 2048
# The first element of paths in which a folder store keeps its own files.
RESERVED: Final = ".nexus"

# Characters that some store, file system or tool does not accept. Surrogates have no UTF-8.
_FORBIDDEN: Final = re.compile('[\x00-\x1f\x7f-\x9f\ud800-\udfff\\\\:*?"<>|]')
_METADATA_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_CONTENT_TYPE: Final = re.compile(r"[!-~]+/[!-~][ -~]{0,120}")


def check_key(key: str) -> str:
    """Returns the key if every store accepts it: 1 to 800 bytes of UTF-8 in elements of 1 to 230 bytes,
    separated by slashes, none of them `.` or `..`, without control characters and ``\\ : * ? " < > |``.

    Raises InvalidKey.
    """
    _check_characters(key)
    for element in key.split("/"):
        if element in ("", ".", ".."):
            raise InvalidKey(
                "a key must be relative and without empty elements, . and ..", key=key[:MAX_KEY_BYTES]
            )
        if len(element.encode()) > MAX_ELEMENT_BYTES:
            raise InvalidKey(
                f"an element of the key has more than {MAX_ELEMENT_BYTES} bytes", key=element[:80]
            )
    return key


def check_prefix(prefix: str, *, whole_elements: bool = False) -> str:
    """Returns the prefix of keys, which may be empty, if keys can begin with it. With `whole_elements` it
    must end with a slash, so that the prefix of one recording is not also that of another one.

    Raises InvalidKey.
    """
    if prefix:
        check_key(prefix.removesuffix("/"))
    if whole_elements and not prefix.endswith("/"):
        raise InvalidKey("this prefix must end with a slash", key=prefix)
    return prefix


def check_metadata(content_type: str, metadata: Mapping[str, str]) -> None:
    """Checks what is stored beside an object: names of lower-case letters, digits and hyphens, values of any
    text without control characters. Raises InvalidKey."""
    if not _CONTENT_TYPE.fullmatch(content_type):
        raise InvalidKey("the content type is not a media type")
    size = 0
    for name, value in metadata.items():
        if not _METADATA_NAME.fullmatch(name):
            raise InvalidKey("a name of metadata has other characters than a-z, 0-9 and -, or is too long")
        if not value.isprintable():
            raise InvalidKey(f"the value of the metadata {name} has control characters")
        size += len(name) + len(encode_value(value))
    if size > MAX_METADATA_BYTES:
        raise InvalidKey(f"the metadata have more than {MAX_METADATA_BYTES} bytes")


def _check_characters(key: str) -> None:
    found = _FORBIDDEN.search(key)
    if found:
        raise InvalidKey(f"a key must not contain the character U+{ord(found[0]):04X}")
    if not key or len(key.encode()) > MAX_KEY_BYTES:
        raise InvalidKey(f"a key must have 1 to {MAX_KEY_BYTES} bytes", key=key[:80])
    if key.split("/", 1)[0] == RESERVED:
        raise InvalidKey(f"{RESERVED} is reserved for the store", key=key)


def encode_value(value: str) -> str:
    """Metadata as S3 can carry it in a header: printable ASCII as it is, everything else, spaces and `%`
    percent-encoded."""
    if value.isascii() and " " not in value and "%" not in value:
        return value
    encoded = (
        f"%{byte:02X}" if byte <= 0x20 or byte >= 0x7F or byte == 0x25 else chr(byte)
        for byte in value.encode()
    )
    return "".join(encoded)
