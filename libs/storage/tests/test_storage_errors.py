"""Errors: the meaning of an answer of S3, and the codes with which a service passes an error on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_storage import (
    InvalidRange,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageFull,
    StorageRefused,
    StorageUnavailable,
    StoreNotFound,
)
from nexus_storage.s3_errors import MAX_MESSAGE_CHARACTERS, MAX_RETRY_AFTER_MS, error_in_success, error_of

DATE = "Tue, 01 Dec 2026 12:00:00 GMT"


def document(code: str, message: str = "no") -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Code>{code}</Code>'
        f"<Message>{message}</Message></Error>"
    ).encode()


def all_errors(base: type[StorageError] = StorageError) -> list[type[StorageError]]:
    return [base, *(error for child in base.__subclasses__() for error in all_errors(child))]


@pytest.mark.parametrize("error", all_errors())
def test_every_error_has_a_code_of_the_contract(error: type[StorageError]) -> None:
    assert error.error_code in ErrorCode.keys()  # noqa: SIM118 - no mapping


def test_an_error_names_its_code_and_key() -> None:
    error = StorageRefused("NoSuchBucket", "the bucket does not exist", key="a/b")
    assert str(error) == "NoSuchBucket: the bucket does not exist (key 'a/b')"
    assert (error.error_code, error.details) == ("STORAGE_REFUSED", {"store_code": "NoSuchBucket"})
    assert StoreNotFound("x" * 4096).details == {"store": "x" * 64}


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (404, "NoSuchKey", ObjectNotFound),
        (404, "NoSuchBucket", StorageRefused),
        (404, "NoSuchUpload", StorageUnavailable),
        (412, "PreconditionFailed", ObjectExists),
        (416, "InvalidRange", InvalidRange),
        (400, "BadDigest", StorageUnavailable),
        (400, "AuthorizationHeaderMalformed", StorageRefused),
        (403, "RequestTimeTooSkewed", StorageRefused),
        (403, "SignatureDoesNotMatch", StorageRefused),
        (301, "PermanentRedirect", StorageRefused),
        (307, "TemporaryRedirect", StorageUnavailable),
        (503, "SlowDown", StorageUnavailable),
        (503, "SomethingNew", StorageUnavailable),
        (418, "SomethingNew", StorageRefused),
        (507, "XMinioStorageFull", StorageFull),
    ],
)
def test_the_code_of_the_store_decides(status: int, code: str, error: type[StorageError]) -> None:
    found = error_of(status, {}, document(code))
    assert (type(found), found.code, found.message) == (error, code, "no")


@pytest.mark.parametrize(
    ("header", "wait_ms"),
    [
        ("7", 7000),
        (" 0 ", 0),
        ("Tue, 01 Dec 2026 12:00:30 GMT", 30_000),
        ("Tue, 01 Dec 2026 11:00:00 GMT", 0),
        ("Wed, 01 Dec 2027 12:00:00 GMT", MAX_RETRY_AFTER_MS),
        ("99999999999", 0),
        ("-1", 0),
        ("1.5", 0),
        ("soon", 0),
        ("", 0),
        ("٣", 0),
    ],
)
def test_how_long_the_store_asks_to_wait(header: str, wait_ms: int) -> None:
    found = error_of(503, {"retry-after": header, "date": DATE}, b"")
    assert isinstance(found, StorageUnavailable)
    assert found.retry_after_ms == wait_ms


def test_a_long_message_is_cut_and_redacted() -> None:
    found = error_of(403, {}, document("AccessDenied", "key " * 1000), lambda text: text.replace("key", "…"))
    assert found.message == ("… " * 1000)[:MAX_MESSAGE_CHARACTERS]


def test_a_success_may_contain_an_error() -> None:
    assert error_in_success(b"<CompleteMultipartUploadResult/>") is None
    found = error_in_success(b"  \n" + document("InternalError"))
    assert isinstance(found, StorageUnavailable)


@given(st.integers(300, 599), st.binary(max_size=200) | st.binary(max_size=60).map(lambda b: b"<Error>" + b))
def test_any_answer_is_one_error(status: int, body: bytes) -> None:
    found = error_of(status, {}, body)
    assert found.code
    assert found.code.isascii()
