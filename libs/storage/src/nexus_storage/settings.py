"""The configuration of a store. A request only ever names a store.

The document is an object of stores by name::

    {
      "archive": {
        "kind": "s3", "endpoint": "https://s3.example.org", "region": "eu-central-1", "bucket": "calls",
        "credentials": ["env"], "encryption": {"kind": "sse-s3"}
      },
      "local": {"kind": "folder", "path": "/var/lib/nexus/recordings"}
    }
"""

import base64
import binascii
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from minio.commonconfig import Tags
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from nexus_storage.errors import InvalidKey
from nexus_storage.keys import check_prefix

# Minimum size of the secret that signs links (RFC 2104 section 3: not less than the hash).
MIN_LINK_SECRET_BYTES: Final = 32
# Maximum number of tags of an object (Amazon S3 user guide, "Categorizing your storage using tags").
MAX_TAGS: Final = 10
# Maximum number of sources of credentials of one store.
MAX_SOURCES: Final = 8
MIB: Final = 1 << 20

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.IGNORECASE)


class Settings(BaseModel):
    """Base of all parts: unknown fields are faults, and nothing can be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class EnvSource(Settings):
    """`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`."""

    kind: Literal["env"]


class FileSource(Settings):
    """A credentials file of AWS (`~/.aws/credentials` by default) and a profile in it."""

    kind: Literal["file"]
    path: Path | None = None
    profile: str = ""


class IamSource(Settings):
    """The role of the machine: web identity, ECS or EC2 metadata. `endpoint` replaces the address of the
    metadata service."""

    kind: Literal["iam"]
    endpoint: str = ""


class KeysSource(Settings):
    """A fixed key. Each half stands in the configuration or in a file of its own."""

    kind: Literal["keys"]
    access_key: SecretStr | None = None
    access_key_file: Path | None = None
    secret_key: SecretStr | None = None
    secret_key_file: Path | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> "KeysSource":
        for name in ("access_key", "secret_key"):
            if (getattr(self, name) is None) == (getattr(self, f"{name}_file") is None):
                raise ValueError(f"one of {name} and {name}_file must be set")
        return self

    def read_access_key(self) -> str:
        """Raises OSError."""
        return _secret(self.access_key, self.access_key_file)

    def read_secret_key(self) -> str:
        """Raises OSError."""
        return _secret(self.secret_key, self.secret_key_file)


CredentialSource = Annotated[EnvSource | FileSource | IamSource | KeysSource, Field(discriminator="kind")]


class SseS3Settings(Settings):
    """Encryption with keys of the store."""

    kind: Literal["sse-s3"]


class SseKmsSettings(Settings):
    """Encryption with a key of the store's key service."""

    kind: Literal["sse-kms"]
    key_id: str = Field(min_length=1, max_length=2048)
    context: dict[str, str] = Field(default_factory=dict)


class SseCustomerSettings(Settings):
    """Encryption with a key of ours (SSE-C), 32 bytes in base64 in a file. The store forgets the key
    after each request, so signed links do not work."""

    kind: Literal["sse-c"]
    key_file: Path

    def read_key(self) -> bytes:
        """Raises OSError, and ValueError if the file is not the base64 of 32 bytes."""
        try:
            key = base64.b64decode(self.key_file.read_text().strip(), validate=True)
        except (binascii.Error, UnicodeDecodeError):
            key = b""
        if len(key) != 32:
            raise ValueError("is not the base64 of 32 bytes")
        return key


EncryptionSettings = Annotated[
    SseS3Settings | SseKmsSettings | SseCustomerSettings, Field(discriminator="kind")
]


class S3Settings(Settings):
    """A bucket, or the part of it under a prefix."""

    kind: Literal["s3"]
    # URL of the store: https://host or https://host:port.
    endpoint: str
    # Region of the bucket, without which the client would have to ask for it; stores without regions accept
    # "us-east-1".
    region: str = "us-east-1"
    bucket: str
    # Place of the bucket in the URL: in the path or in the host's name. "auto": in the host's name on AWS.
    style: Literal["auto", "path", "virtual"] = "auto"
    # Prefix of every key: empty, or ending with a slash.
    prefix: str = ""
    # URL of the store for signed links, if clients reach it by another name than the services do.
    public_endpoint: str = ""
    # Sources of credentials, in their order.
    credentials: tuple[CredentialSource, ...] = (
        EnvSource(kind="env"),
        FileSource(kind="file"),
        IamSource(kind="iam"),
    )
    # PEM file of the authorities that sign the store's certificate; unset: the public ones.
    ca_file: Path | None = None
    # False accepts every certificate. Only for experiments.
    verify: bool = True
    # False allows an endpoint without TLS, for a store on the same machine or an encrypted network.
    require_tls: bool = True
    encryption: EncryptionSettings | None = None
    tags: dict[str, str] = Field(default_factory=dict, max_length=MAX_TAGS)
    # In a bucket with versions, deleting or replacing an object removes its older versions. True keeps
    # them, so that the bucket's own rules decide when a deleted recording is gone.
    keep_versions: bool = False
    # Size of all parts of an upload except the last (R2 rejects others). An upload has at most 10,000
    # parts, and one part of each upload is in memory. S3 allows 5 MiB to 5 GiB.
    part_size_mib: int = Field(default=16, ge=5, le=1024)
    # Maximum number of calls at a time.
    connections: int = Field(default=16, ge=1, le=256)
    # How long connecting, and sending a block of 64 KiB, may take.
    connect_timeout_ms: int = Field(default=10_000, ge=100, le=600_000)
    # How long the store may be silent before and within an answer.
    read_timeout_ms: int = Field(default=60_000, ge=100, le=600_000)

    @field_validator("endpoint", "public_endpoint")
    @classmethod
    def _is_origin(cls, url: str) -> str:
        if not url:
            return url
        parts = urlsplit(url)
        try:
            parts.port  # noqa: B018 - raises ValueError
        except ValueError:
            raise ValueError("the port is not a number") from None
        rest = (parts.path.rstrip("/"), parts.query, parts.fragment)
        if parts.scheme not in ("http", "https") or not parts.hostname or any(rest) or "@" in parts.netloc:
            raise ValueError("must be https://host or https://host:port, without path and credentials")
        return url.rstrip("/")

    @field_validator("region")
    @classmethod
    def _is_region(cls, region: str) -> str:
        if not _REGION.fullmatch(region):
            raise ValueError("must be the name of a region, such as eu-central-1")
        return region

    @field_validator("bucket")
    @classmethod
    def _is_bucket(cls, bucket: str) -> str:
        if not _BUCKET.fullmatch(bucket) or ".." in bucket:
            raise ValueError("must be the name of a bucket: 3 to 63 of a-z, 0-9, . and -")
        return bucket

    @field_validator("prefix")
    @classmethod
    def _is_prefix(cls, prefix: str) -> str:
        try:
            check_prefix(prefix, whole_elements=bool(prefix))
        except InvalidKey as error:
            raise ValueError(error.message) from None
        if len(prefix.encode()) > 200:
            raise ValueError("must have at most 200 bytes, because keys of S3 have at most 1,024")
        return prefix

    @field_validator("credentials")
    @classmethod
    def _has_source(cls, sources: tuple[CredentialSource, ...]) -> tuple[CredentialSource, ...]:
        if not 1 <= len(sources) <= MAX_SOURCES:
            raise ValueError(f"needs 1 to {MAX_SOURCES} sources")
        return sources

    @field_validator("tags")
    @classmethod
    def _are_tags(cls, tags: dict[str, str]) -> dict[str, str]:
        checked = Tags.new_object_tags()
        for name, value in tags.items():
            try:
                checked[name] = value
            except ValueError:
                raise ValueError(
                    "a tag needs a name of 1 to 128 and a value of at most 256 characters"
                ) from None
        return tags

    @model_validator(mode="after")
    def _needs_tls(self) -> "S3Settings":
        plaintext = self.endpoint.startswith("http://") or self.public_endpoint.startswith("http://")
        if plaintext and self.require_tls:
            raise ValueError("an http:// endpoint needs require_tls = false")
        if plaintext and isinstance(self.encryption, SseCustomerSettings):
            raise ValueError("sse-c needs https://, because each request carries the key")
        return self


class FolderSettings(Settings):
    """A folder, on a disk that all replicas of a service share (or on the only one)."""

    kind: Literal["folder"]
    path: Path
    # True creates the folder. False, because a disk that is not mounted must not be filled in silently.
    create: bool = False
    # URL of the endpoint that serves signed links, and the secret, or the file with it, that signs them.
    # Without them the store has no links.
    link_url: str = ""
    link_secret: SecretStr | None = None
    link_secret_file: Path | None = None
    # Maximum number of calls at a time.
    connections: int = Field(default=8, ge=1, le=256)

    @field_validator("path")
    @classmethod
    def _is_absolute(cls, path: Path) -> Path:
        if not path.is_absolute():
            raise ValueError("must be an absolute path")
        return path

    @model_validator(mode="after")
    def _has_secret(self) -> "FolderSettings":
        if self.link_secret is not None and self.link_secret_file is not None:
            raise ValueError("only one of link_secret and link_secret_file can be set")
        if bool(self.link_url) != (self.link_secret is not None or self.link_secret_file is not None):
            raise ValueError("link_url needs link_secret or link_secret_file, and the other way round")
        if self.link_url and urlsplit(self.link_url).scheme not in ("http", "https"):
            raise ValueError("link_url must begin with https:// or http://")
        return self

    def read_link_secret(self) -> bytes | None:
        """None if the store has no links. Raises OSError, and ValueError if the secret is too short."""
        if not self.link_url:
            return None
        secret = _secret(self.link_secret, self.link_secret_file).encode()
        if len(secret) < MIN_LINK_SECRET_BYTES:
            raise ValueError(f"the secret of links must have at least {MIN_LINK_SECRET_BYTES} bytes")
        return secret


StoreSettings = Annotated[S3Settings | FolderSettings, Field(discriminator="kind")]


def _secret(value: SecretStr | None, file: Path | None) -> str:
    if value is not None:
        return value.get_secret_value()
    return "" if file is None else file.read_text().strip()


def problems_in_files(settings: Any) -> list[str]:
    """Faults of the files that the settings of a store name, each with its field. The values of secrets
    are not in the texts."""
    found: list[str] = []

    def attempt(field: str, read: Any) -> None:
        try:
            read()
        except OSError as error:
            found.append(f"{field}: {error.strerror or type(error).__name__}: {error.filename}")
        except ValueError as error:
            found.append(f"{field}: {error}")

    if isinstance(settings, FolderSettings):
        attempt("link_secret", settings.read_link_secret)
        if not settings.create and not settings.path.is_dir():
            found.append(f"path: is not a folder: {settings.path}")
    elif isinstance(settings, S3Settings):
        for index, source in enumerate(settings.credentials):
            if isinstance(source, KeysSource):
                attempt(f"credentials.{index}.access_key_file", source.read_access_key)
                attempt(f"credentials.{index}.secret_key_file", source.read_secret_key)
            elif isinstance(source, FileSource) and source.path is not None:
                attempt(f"credentials.{index}.path", source.path.read_bytes)
        if isinstance(settings.encryption, SseCustomerSettings):
            attempt("encryption.key_file", settings.encryption.read_key)
        if settings.ca_file is not None:
            attempt("ca_file", lambda: _check_pem(settings.ca_file))
    return found


def _check_pem(path: Path | None) -> None:
    if path is not None and b"-----BEGIN CERTIFICATE-----" not in path.read_bytes():
        raise ValueError("contains no PEM certificate")
