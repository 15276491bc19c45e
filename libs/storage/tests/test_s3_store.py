"""S3 itself: what is requested, what is refused, and what encryption, TLS and links do. The server is
versitygw."""

import datetime
import http.client
import io
import ipaddress
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from minio import Minio
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig
from nexus_storage import LinkOptions, ObjectExists, S3Store, StorageRefused, StorageUnavailable
from nexus_storage.s3_connections import SEND_BLOCK_BYTES
from nexus_storage.s3_encryption import encryption_of
from nexus_storage.settings import SseCustomerSettings, SseKmsSettings
from nexus_testkit import Answer, FaultProxy, ManualClock, S3Server

MakeS3 = Callable[..., S3Store]

KEY = "room/segment.m4s"
MIB = 1 << 20
# Code of versitygw for an access key that it does not know; that of AWS is InvalidAccessKeyId.
UNKNOWN_KEY = "XAdminUserNotFound"


@pytest.fixture
def client(shared_s3_server: S3Server) -> Minio:
    """A client beside the stores, for what they have no call for."""
    return Minio(
        endpoint=urlsplit(shared_s3_server.url).netloc,
        access_key=S3Server.access_key,
        secret_key=S3Server.secret_key,
        region=S3Server.region,
        secure=False,
    )


async def refusal(store: S3Store) -> str:
    """The code with which the probe is refused."""
    with pytest.raises(StorageRefused) as caught:
        await store.probe()
    for secret in (S3Server.access_key, S3Server.secret_key):
        assert secret not in f"{caught.value} {caught.value!r} {caught.value.details} {store!r}"
    return caught.value.code


async def test_the_probe_is_refused_with_the_code_of_the_store(make_s3: MakeS3, bucket: str) -> None:
    def keys(access_key: str, secret_key: str) -> list[dict[str, str]]:
        return [{"kind": "keys", "access_key": access_key, "secret_key": secret_key}]

    assert await refusal(make_s3(bucket="no-such-bucket")) == "NoSuchBucket"
    assert await refusal(make_s3(credentials=keys(S3Server.access_key, "wrong"))) == "SignatureDoesNotMatch"
    assert await refusal(make_s3(credentials=keys("wrong", "wrong"))) == UNKNOWN_KEY
    assert await refusal(make_s3(region="us-west-2")) == "AuthorizationHeaderMalformed"


async def test_a_clock_that_is_wrong_is_refused(make_s3: MakeS3, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    monkeypatch.setattr("minio.time.utcnow", lambda: wrong)
    assert await refusal(make_s3()) == "RequestTimeTooSkewed"


async def test_a_store_without_credentials_is_refused(make_s3: MakeS3, tmp_path: Path) -> None:
    missing = [{"kind": "file", "path": tmp_path / "missing"}]
    assert await refusal(make_s3(credentials=missing)) == "CredentialsMissing"


async def test_the_first_source_with_credentials_is_used(
    make_s3: MakeS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    file = tmp_path / "credentials"
    file.write_text(
        f"[calls]\naws_access_key_id = {S3Server.access_key}\naws_secret_access_key = {S3Server.secret_key}\n"
    )
    store = make_s3(credentials=[{"kind": "env"}, {"kind": "file", "path": file, "profile": "calls"}])
    await store.probe()

    # A rotated key takes effect without a restart.
    file.write_text("[calls]\naws_access_key_id = other\naws_secret_access_key = other\n")
    assert await refusal(store) == UNKNOWN_KEY
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", S3Server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", S3Server.secret_key)
    await store.probe()


async def test_keys_are_read_from_files(make_s3: MakeS3, tmp_path: Path) -> None:
    (tmp_path / "id").write_text(S3Server.access_key + "\n")
    (tmp_path / "secret").write_text(S3Server.secret_key + "\n")
    source = {"kind": "keys", "access_key_file": tmp_path / "id", "secret_key_file": tmp_path / "secret"}
    await make_s3(credentials=[source]).probe()


async def test_an_unreachable_source_of_credentials_is_no_refusal(make_s3: MakeS3) -> None:
    with pytest.raises(StorageUnavailable, match="CredentialsUnavailable"):
        await make_s3(credentials=[{"kind": "iam", "endpoint": "http://127.0.0.1:1"}]).probe()


async def test_an_upload_has_parts_of_one_size_and_uses_no_rare_requests(
    make_s3: MakeS3, proxy: FaultProxy, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    data = bytes(range(256)) * (11 * MIB // 256) + b"the rest"
    file.write_bytes(data)
    store = make_s3(endpoint=proxy.url)
    await store.put_file(KEY, file, content_type="video/mp4", metadata={"n": "1"}, if_absent=True)

    info = await store.head(KEY)
    assert (info.size, info.content_type, dict(info.metadata)) == (len(data), "video/mp4", {"n": "1"})
    async with await store.open(KEY) as reader:
        assert b"".join([chunk async for chunk in reader]) == data

    parts = [seen for seen in proxy.seen if "partNumber=" in seen.target]
    assert [seen.size for seen in parts] == [5 * MIB, 5 * MIB, len(data) - 10 * MIB]
    for seen in proxy.seen:
        query = parse_qs(urlsplit(seen.target).query, keep_blank_values=True)
        assert "location" not in query  # GetBucketLocation
        assert not ("uploadId" in query and seen.method == "GET")  # ListParts
        assert not any(
            name.startswith(("x-amz-trailer", "x-amz-checksum", "x-amz-sdk")) for name in seen.headers
        )
    # Only the last request of the upload makes the object visible, so only that one is conditional.
    conditional = [seen for seen in proxy.seen if "if-none-match" in seen.headers]
    assert [(seen.method, "uploadId=" in seen.target) for seen in conditional] == [("POST", True)]


async def test_a_body_is_sent_in_blocks_with_a_timeout_each(
    make_s3: MakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    send = http.client.HTTPConnection.send

    def record(connection: http.client.HTTPConnection, data: bytes) -> None:
        sent.append(len(data))
        send(connection, data)

    monkeypatch.setattr(http.client.HTTPConnection, "send", record)
    await make_s3().put(KEY, bytes(MIB))
    assert sum(sent) > MIB
    assert max(sent) <= SEND_BLOCK_BYTES


async def test_a_long_upload_that_another_one_overtakes_replaces_nothing(
    make_s3: MakeS3, proxy: FaultProxy, shared_s3_server: S3Server, bucket: str
) -> None:
    store, other = make_s3(endpoint=proxy.url), make_s3()
    # The object does not exist when it is asked for first, but when the upload is completed.
    proxy.inject(Answer(404), methods=("HEAD",))
    await other.put(KEY, b"first")
    with pytest.raises(ObjectExists):
        await store.put(KEY, bytes(6 * MIB), if_absent=True)
    assert await other.get(KEY) == b"first"

    # An object that is there is found before anything is uploaded.
    before = len(proxy.seen)
    with pytest.raises(ObjectExists):
        await store.put(KEY, bytes(6 * MIB), if_absent=True)
    assert [seen.method for seen in proxy.seen[before:]] == ["HEAD"]


async def test_a_prefix_bounds_everything(make_s3: MakeS3) -> None:
    whole, part = make_s3(), make_s3(prefix="calls/")
    await whole.put("other/a", b"")
    await part.put("a", b"")
    assert [found.key async for found in whole.list()] == ["calls/a", "other/a"]
    assert [found.key async for found in part.list()] == ["a"]


@pytest.mark.parametrize("keep_versions", [False, True])
async def test_a_deleted_object_is_gone_from_a_bucket_with_versions(
    make_s3: MakeS3, bucket: str, client: Minio, keep_versions: bool
) -> None:
    client.set_bucket_versioning(bucket, VersioningConfig(ENABLED))
    store = make_s3(keep_versions=keep_versions)
    await store.put(KEY + "2", b"another object")
    await store.put(KEY, b"first")
    await store.put(KEY, b"second")
    await store.delete(KEY)
    await store.delete("missing")

    assert [found.key async for found in store.list()] == [KEY + "2"]
    left = [
        version
        for version in store._client.list_objects(bucket, recursive=True, include_version=True)
        if version.object_name == KEY
    ]
    assert len(left) == (3 if keep_versions else 0)


@pytest.mark.parametrize(("keep_versions", "left"), [(False, 1), (True, 3)])
async def test_a_replaced_object_is_gone_from_a_bucket_with_versions(
    make_s3: MakeS3, bucket: str, client: Minio, keep_versions: bool, left: int
) -> None:
    client.set_bucket_versioning(bucket, VersioningConfig(ENABLED))
    store = make_s3(keep_versions=keep_versions)
    await store.put(KEY + "2", b"another object")
    for data in (b"first", b"second", b"third"):
        await store.put(KEY, data)
    assert await store.get(KEY) == b"third"
    assert await store.get(KEY + "2") == b"another object"
    found = [
        version
        for version in store._client.list_objects(bucket, recursive=True, include_version=True)
        if version.object_name == KEY
    ]
    assert len(found) == left


async def test_objects_have_the_configured_tags(make_s3: MakeS3, bucket: str, client: Minio) -> None:
    await make_s3(tags={"team": "calls / more +1=2"}).put(KEY, b"")
    assert client.get_object_tags(bucket, KEY) == {"team": "calls / more +1=2"}


async def test_the_markers_of_empty_folders_are_not_listed(
    make_s3: MakeS3, bucket: str, client: Minio
) -> None:
    client.put_object(bucket, "folder/", io.BytesIO(b""), 0)
    assert [found.key async for found in make_s3().list()] == []


async def test_a_long_listing_is_read_in_pages(
    make_s3: MakeS3, tmp_path: Path, shared_s3_server: S3Server
) -> None:
    bucket = f"pages-{id(make_s3)}"
    folder = shared_s3_server.make_bucket(bucket)
    names = [f"{number:05}" for number in range(2100)]
    for name in names:
        (folder / name).touch()
    assert [found.key async for found in make_s3(bucket=bucket).list()] == names


async def test_encryption_that_the_store_does_not_confirm_is_an_error(
    make_s3: MakeS3, tmp_path: Path
) -> None:
    """versitygw accepts the request and stores in clear."""
    file = tmp_path / "file"
    file.write_bytes(bytes(6 * MIB))
    store = make_s3(encryption={"kind": "sse-s3"})
    assert await refusal(store) == "EncryptionNotConfirmed"
    with pytest.raises(StorageRefused, match="EncryptionNotConfirmed"):
        await store.put(KEY, b"secret")
    with pytest.raises(StorageRefused, match="EncryptionNotConfirmed"):
        await store.put_file(KEY, file)
    # An object in clear does not stay.
    assert [found.key async for found in store.list()] == []


@pytest.mark.parametrize(
    ("encryption", "confirmation"),
    [
        ({"kind": "sse-s3"}, {"x-amz-server-side-encryption": "AES256"}),
        ({"kind": "sse-kms", "key_id": "key-1"}, {"X-Amz-Server-Side-Encryption": "aws:kms"}),
    ],
)
async def test_confirmed_encryption_is_accepted(
    make_s3: MakeS3, proxy: FaultProxy, encryption: dict[str, Any], confirmation: dict[str, str]
) -> None:
    store = make_s3(endpoint=proxy.url, encryption=encryption)
    proxy.inject(Answer(200, {"ETag": '"1"', **confirmation}), methods=("PUT",))
    await store.put(KEY, b"secret")
    (seen,) = proxy.seen
    for name, value in confirmation.items():
        assert seen.headers[name.lower()] == value


def test_each_kind_of_encryption_has_its_own_confirmation(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    customer = encryption_of(SseCustomerSettings(kind="sse-c", key_file=tmp_path / "key"))
    algorithm, key = (f"x-amz-server-side-encryption-customer-{name}" for name in ("algorithm", "key-md5"))
    right = {algorithm: "AES256", key: "KYvwGXoFFJ42a2u2GDWhwQ=="}
    assert customer.sse is not None
    assert customer.sse.headers()["X-Amz-Server-Side-Encryption-Customer-Key-MD5"] == right[key]
    assert customer.confirmed_by(right)
    assert not customer.confirmed_by({algorithm: "AES256"})
    assert not customer.confirmed_by({**right, key: "of another key"})
    assert "MDEyMzQ1" not in repr(customer)

    kms = encryption_of(SseKmsSettings(kind="sse-kms", key_id="key-1", context={"app": "acme"}))
    assert kms.confirmed_by({"x-amz-server-side-encryption": "aws:kms"})
    assert not kms.confirmed_by({"x-amz-server-side-encryption": "AES256"})
    assert encryption_of(None).confirmed_by({})


@pytest.mark.parametrize(
    ("settings", "beginning"),
    [
        ({}, "https://s3.example.org/calls/room"),
        ({"style": "virtual"}, "https://calls.s3.example.org/room"),
        ({"endpoint": "https://s3.amazonaws.com"}, "https://calls.s3.eu-test-1.amazonaws.com/room"),
        (
            {"endpoint": "https://s3.amazonaws.com", "style": "path"},
            "https://s3.eu-test-1.amazonaws.com/calls/",
        ),
    ],
)
async def test_the_bucket_is_in_the_path_or_in_the_name_of_the_host(
    make_s3: MakeS3, settings: dict[str, str], beginning: str
) -> None:
    store = make_s3(**({"endpoint": "https://s3.example.org", "bucket": "calls"} | settings))
    assert (await store.presign(KEY, expires_s=60)).startswith(beginning)


class TestLinks:
    """Signed links, fetched over HTTP by a client that has no credentials."""

    @pytest.fixture
    async def http(self) -> AsyncIterator[aiohttp.ClientSession]:
        async with aiohttp.ClientSession() as session:
            yield session

    async def test_a_link_is_fetched_without_credentials(
        self, make_s3: MakeS3, http: aiohttp.ClientSession
    ) -> None:
        store = make_s3()
        await store.put(KEY, b"0123456789", content_type="video/mp4")
        url = await store.presign(
            KEY, expires_s=60, options=LinkOptions(filename="Jürgens Anruf.mp4", content_type="video/x")
        )
        assert S3Server.secret_key not in url
        async with http.get(url) as answer:
            assert (answer.status, await answer.read()) == (200, b"0123456789")
            assert answer.headers["Content-Type"] == "video/x"
            assert answer.headers["Content-Disposition"] == (
                "attachment; filename=\"J_rgens Anruf.mp4\"; filename*=UTF-8''J%C3%BCrgens%20Anruf.mp4"
            )
        async with http.get(url, headers={"Range": "bytes=2-4"}) as answer:
            assert (answer.status, await answer.read()) == (206, b"234")

    async def test_a_link_opens_only_its_object(self, make_s3: MakeS3, http: aiohttp.ClientSession) -> None:
        store = make_s3()
        await store.put(KEY, b"mine")
        await store.put("other", b"not mine")
        url = await store.presign(KEY, expires_s=60)
        async with http.get(url.replace(KEY, "other")) as answer:
            assert answer.status == 403
        async with http.put(url, data=b"changed") as answer:
            assert answer.status == 403

    async def test_a_link_expires(self, make_s3: MakeS3, http: aiohttp.ClientSession) -> None:
        long_ago = ManualClock(datetime.datetime.now(datetime.UTC).timestamp() - 3600)
        store = make_s3(long_ago)
        await store.put(KEY, b"mine")
        async with http.get(await store.presign(KEY, expires_s=1800)) as answer:
            assert answer.status == 403
        async with http.get(await store.presign(KEY, expires_s=7200)) as answer:
            assert answer.status == 200

    async def test_a_link_may_have_another_address_than_the_services_use(self, make_s3: MakeS3) -> None:
        store = make_s3(public_endpoint="http://storage.example.org:9000")
        assert (await store.presign(KEY, expires_s=60)).startswith("http://storage.example.org:9000/calls-")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def tls_server(certificate: tuple[Path, Path], shared_s3_server: S3Server) -> Iterator[S3Server]:
    with S3Server(*certificate) as server:
        server.make_bucket("calls")
        yield server


class TestTls:
    """A server with a certificate of its own authority."""

    @pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
    async def test_the_authority_of_the_certificate_is_configured(
        self, make_s3: MakeS3, tls_server: S3Server, certificate: tuple[Path, Path]
    ) -> None:
        await make_s3(server=tls_server, require_tls=True, ca_file=certificate[0]).probe()
        await make_s3(server=tls_server, require_tls=True, verify=False).probe()
        assert await refusal(make_s3(server=tls_server, require_tls=True)) == "CertificateInvalid"

    async def test_a_server_without_tls_is_not_used_by_mistake(
        self, make_s3: MakeS3, shared_s3_server: S3Server
    ) -> None:
        endpoint = shared_s3_server.url.replace("http://", "https://")
        with pytest.raises(StorageUnavailable, match="TlsFailed"):
            await make_s3(endpoint=endpoint, require_tls=True).probe()

    async def test_the_key_of_a_customer_must_be_confirmed(
        self, make_s3: MakeS3, tls_server: S3Server, certificate: tuple[Path, Path], tmp_path: Path
    ) -> None:
        (tmp_path / "key").write_text("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
        encryption = {"kind": "sse-c", "key_file": tmp_path / "key"}
        store = make_s3(server=tls_server, require_tls=True, ca_file=certificate[0], encryption=encryption)
        assert await refusal(store) == "EncryptionNotConfirmed"
        with pytest.raises(StorageRefused, match="LinksNeedNoCustomerKey"):
            await store.presign(KEY, expires_s=60)
