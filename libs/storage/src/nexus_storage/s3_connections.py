"""The HTTP connections of an S3 store, given to the `minio` SDK as its `http_client`.

This is where the SDK is adapted, without touching anything private of it:

* Every answer that is not a success becomes one of our errors here, so that status, `Retry-After` and
  code are known. The SDK keeps only some of them, and takes a failed CompleteMultipartUpload for a
  success.
* A body is sent in blocks, each with its own timeout. As one piece it would have to be sent within the
  timeout of the connection, because `socket.sendall` counts its whole time.
* `CreateOnly` adds `If-None-Match: *`, which the SDK would rename to `x-amz-meta-if-none-match`.
* One part of a multipart upload is repeated a few times, so that a moment's failure does not cost the
  whole upload. Nothing else is retried here; `retrying` is for that.
"""

import re
import threading
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import certifi
import urllib3
from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from nexus_storage.errors import StorageError, StorageRefused, StorageUnavailable
from nexus_storage.s3_errors import error_in_success, error_of

# Maximum size of an error document that is read.
MAX_ERROR_BYTES: Final = 64 * 1024
# Size of the blocks in which a body is sent.
SEND_BLOCK_BYTES: Final = 64 * 1024
# Attempts to send one part, the wait after the first of them, and the longest wait.
PART_ATTEMPTS: Final = 4
PART_WAIT_MS: Final = 500
MAX_PART_WAIT_MS: Final = 10_000

_LONG_FRACTION: Final = re.compile(rb"(\.\d{3})\d+Z")
_SUCCESS: Final = (200, 204, 206)


def unreachable(error: HTTPError) -> StorageError:
    """The error of a call that got no answer, or not all of it."""
    if isinstance(error, SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return StorageRefused("CertificateInvalid", "the certificate of the store could not be verified")
    if isinstance(error, SSLError):
        return StorageUnavailable("TlsFailed", "TLS with the store failed")
    if isinstance(error, NameResolutionError):
        return StorageUnavailable("UnknownHost", "the name of the store could not be resolved")
    if isinstance(error, ConnectTimeoutError | NewConnectionError):
        return StorageUnavailable("NotConnected", "the store cannot be reached")
    if isinstance(error, ReadTimeoutError):
        return StorageUnavailable("Timeout", "the store did not answer in time")
    return StorageUnavailable("ConnectionLost", f"the connection to the store broke: {type(error).__name__}")


class S3Connections(PoolManager):
    """A pool of `connections` kept open. `ca_file` is a PEM file of authorities (empty: those of the package
    certifi); `verify` False accepts every certificate. Timeouts are in milliseconds and hold for one connect,
    for one block sent, and for one read. `redact` removes credentials from messages."""

    def __init__(
        self,
        *,
        connections: int,
        connect_timeout_ms: int,
        read_timeout_ms: int,
        ca_file: str = "",
        verify: bool = True,
        redact: Callable[[str], str] = str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(
            maxsize=connections,
            timeout=Timeout(connect=connect_timeout_ms / 1000, read=read_timeout_ms / 1000),
            retries=False,
            blocksize=SEND_BLOCK_BYTES,
            cert_reqs="CERT_REQUIRED" if verify else "CERT_NONE",
            ca_certs=(ca_file or certifi.where()) if verify else None,
        )
        self._redact = redact
        self._sleep = sleep
        self._last = threading.local()

    def urlopen(  # type: ignore[override]  # as PoolManager itself
        self, method: str, url: str, redirect: bool = True, **options: Any
    ) -> BaseHTTPResponse:
        """Sends a request, and a part of an upload again. Raises StorageError for everything except 200, 204
        and 206."""
        if method != "PUT" or "uploadId" not in _query(url):
            return self._send(method, url, options)
        for attempt in range(PART_ATTEMPTS - 1):
            try:
                return self._send(method, url, dict(options))
            except StorageUnavailable as error:
                wait_ms = max(PART_WAIT_MS << attempt, error.retry_after_ms)
                if wait_ms > MAX_PART_WAIT_MS:
                    raise
                self._sleep(wait_ms / 1000)
        return self._send(method, url, options)

    def _send(self, method: str, url: str, options: dict[str, Any]) -> BaseHTTPResponse:
        if options.get("body") and isinstance(options["body"], bytes):
            options["body"] = BytesIO(options["body"])
        try:
            response = super().urlopen(method, url, redirect=False, **options)
            if response.status in _SUCCESS:
                self._last.headers = response.headers
                self._refuse_hidden_error(method, url, response)
                return _with_short_times(response) if "versions" in _query(url) else response
            body = response.data if options.get("preload_content", True) else response.read(MAX_ERROR_BYTES)
            response.close()
        except HTTPError as error:
            raise unreachable(error) from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        raise error_of(response.status, headers, body[:MAX_ERROR_BYTES], self._redact)

    @property
    def last_headers(self) -> Mapping[str, str]:
        """The header of the last success in this thread. The SDK keeps it to itself for DeleteObject."""
        headers: Mapping[str, str] = self._last.headers
        return headers

    def _refuse_hidden_error(self, method: str, url: str, response: BaseHTTPResponse) -> None:
        if method == "POST" and "uploadId" in _query(url):
            error = error_in_success(response.data, self._redact)
            if error is not None:
                raise error


class CreateOnly(PoolManager):
    """The same connections for uploads that must not replace anything: the request that makes the object
    visible (PutObject or CompleteMultipartUpload) is conditional (RFC 9110 section 13.1.2)."""

    def __init__(self, connections: S3Connections) -> None:
        super().__init__(num_pools=1)
        self._connections = connections

    def urlopen(  # type: ignore[override]  # as PoolManager itself
        self, method: str, url: str, redirect: bool = True, **options: Any
    ) -> BaseHTTPResponse:
        is_part = "uploadId" in _query(url)
        if (method == "PUT" and not is_part) or (method == "POST" and is_part):
            headers = urllib3.HTTPHeaderDict(options.get("headers"))
            headers["If-None-Match"] = "*"
            options["headers"] = headers
        return self._connections.urlopen(method, url, redirect, **options)


def _with_short_times(response: BaseHTTPResponse) -> BaseHTTPResponse:
    """A listing of versions whose times have milliseconds at most. The SDK does not parse the nanoseconds
    that versitygw sends there."""
    body = _LONG_FRACTION.sub(rb"\1Z", response.data)
    return urllib3.HTTPResponse(body, response.headers, response.status, preload_content=True)


def _query(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query, keep_blank_values=True)
