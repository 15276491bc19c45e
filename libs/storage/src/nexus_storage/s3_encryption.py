"""Server-side encryption of S3, and whether the store's answer confirms it.

Some stores accept the request and keep the object in clear, so an answer that does not repeat the
algorithm counts as a refusal (Amazon S3 user guide, "Protecting data with server-side encryption").
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from minio.sse import Sse, SseCustomerKey, SseKMS, SseS3

from nexus_storage.settings import EncryptionSettings, SseCustomerSettings, SseKmsSettings, SseS3Settings

_ALGORITHM: Final = "x-amz-server-side-encryption"
_CUSTOMER_ALGORITHM: Final = "x-amz-server-side-encryption-customer-algorithm"
_CUSTOMER_KEY_MD5: Final = "x-amz-server-side-encryption-customer-key-md5"


@dataclass(frozen=True, slots=True)
class Encryption:
    """The request of encryption for the SDK, and the headers (lower case) with their values that the
    answer must have."""

    sse: Sse | None = field(default=None, repr=False)
    expected: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def customer_key(self) -> SseCustomerKey | None:
        """The key that every request for the object must carry; None except for SSE-C."""
        return self.sse if isinstance(self.sse, SseCustomerKey) else None

    def confirmed_by(self, headers: Mapping[str, str]) -> bool:
        """Whether the headers of an answer, looked up in lower case, confirm the encryption."""
        return all(headers.get(name, "") == value for name, value in self.expected.items())


def encryption_of(settings: EncryptionSettings | None) -> Encryption:
    """Reads the key file of SSE-C. Raises OSError and ValueError."""
    match settings:
        case None:
            return Encryption()
        case SseS3Settings():
            return Encryption(SseS3(), {_ALGORITHM: "AES256"})
        case SseKmsSettings(key_id=key_id, context=context):
            return Encryption(SseKMS(key_id, context), {_ALGORITHM: "aws:kms"})
        case SseCustomerSettings():
            key = settings.read_key()
            md5 = base64.b64encode(hashlib.md5(key, usedforsecurity=False).digest()).decode()
            return Encryption(SseCustomerKey(key), {_CUSTOMER_ALGORITHM: "AES256", _CUSTOMER_KEY_MD5: md5})
