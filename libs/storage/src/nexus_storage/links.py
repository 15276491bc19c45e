"""Signed links to objects of a store that has no HTTP interface of its own.

A link is `<url>/<store>/<key>?expires=…&filename=…&type=…&signature=…`. The signature is HMAC-SHA256 (RFC
2104) over all other parts, so a link opens exactly one object, until it expires.
`LinkSigner` signs and verifies; `link_endpoint` answers requests.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from nexus_storage.errors import InvalidKey, LinkRefused, StorageError
from nexus_storage.keys import check_key, check_metadata
from nexus_storage.store import DEFAULT_CONTENT_TYPE, MAX_LINK_SECONDS, LinkOptions

MAX_FILENAME_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Link:
    """A link whose signature is right. `expires_at_s` is Unix time."""

    store: str
    key: str
    expires_at_s: int
    options: LinkOptions


class LinkSigner:
    """Signs links to the endpoint at `url` and verifies them. All replicas share the secret."""

    def __init__(self, url: str, secret: bytes) -> None:
        self._url = url.rstrip("/")
        self._secret = secret

    def sign(self, store: str, key: str, expires_at_s: int, options: LinkOptions | None = None) -> str:
        """The whole URL. Raises InvalidKey."""
        options = options or LinkOptions()
        check_key(key)
        content_disposition(options.filename)
        if options.content_type:
            check_metadata(options.content_type, {})
        link = Link(store, key, expires_at_s, options)
        query = {"expires": str(expires_at_s)}
        if options.filename:
            query["filename"] = options.filename
        if options.content_type:
            query["type"] = options.content_type
        query["signature"] = self._signature(link)
        return f"{self._url}/{quote(store, safe='')}/{quote(key)}?{urlencode(query)}"

    def verify(self, store: str, key: str, query: Mapping[str, str], now_s: float) -> Link:
        """The link that a request names by its path and query, both decoded. `now_s` is Unix time. Raises
        LinkRefused."""
        expires = query.get("expires", "")
        if not expires.isascii() or not expires.isdecimal() or len(expires) > 12:
            raise LinkRefused("LinkInvalid", "the link is not complete")
        options = LinkOptions(query.get("filename", ""), query.get("type", ""))
        link = Link(store, key, int(expires), options)
        given = query.get("signature", "").encode(errors="replace")
        if not hmac.compare_digest(self._signature(link).encode(), given):
            raise LinkRefused("LinkInvalid", "the signature does not fit the link")
        if now_s >= link.expires_at_s:
            raise LinkRefused("LinkExpired", "the link has expired")
        return link

    def _signature(self, link: Link) -> str:
        parts = ["nexus-link-1", link.store, link.key, link.expires_at_s]
        parts += [link.options.filename, link.options.content_type]
        # JSON keeps the parts apart, whatever characters they contain.
        return hmac.new(self._secret, json.dumps(parts).encode(), hashlib.sha256).hexdigest()


def check_expiry(expires_s: int) -> None:
    """Raises LinkRefused unless a link may live for `expires_s` seconds."""
    if not 1 <= expires_s <= MAX_LINK_SECONDS:
        raise LinkRefused("LinkInvalid", f"a link lives for 1 to {MAX_LINK_SECONDS} seconds")


def content_disposition(filename: str) -> str:
    """`Content-Disposition` (RFC 6266): `attachment` with the name in both forms (RFC 8187 for other
    characters than ASCII), or `inline` without a name. Raises InvalidKey for a name that is no name of a
    file."""
    if not filename:
        return "inline"
    if (
        len(filename) > MAX_FILENAME_CHARACTERS
        or not filename.isprintable()
        or "/" in filename
        or "\\" in filename
    ):
        raise InvalidKey("the file name of a link is too long, or has slashes or control characters")
    plain = re.sub(r"[^ !#-~]", "_", filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def stored_type(content_type: str) -> str:
    """The content type if it is valid, otherwise that of unknown bytes: a sidecar may have been edited."""
    try:
        check_metadata(content_type, {})
    except StorageError:
        return DEFAULT_CONTENT_TYPE
    return content_type
