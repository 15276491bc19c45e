"""The configuration of stores: every fault is listed, with its store and field, and no secret is quoted."""

import json
from pathlib import Path
from typing import Any

import pytest
from nexus_runtime import ConfigError, SystemClock
from nexus_storage import (
    FolderSettings,
    FolderStore,
    S3Settings,
    S3Store,
    StorageConfig,
    StoreNotFound,
    StoreSet,
)

SECRET = "never-to-be-seen"
S3 = {"kind": "s3", "endpoint": "https://s3.example.org", "bucket": "calls"}


def config(stores: Any = None, file: Path | None = None) -> StorageConfig:
    text = "" if stores is None else stores if isinstance(stores, str) else json.dumps(stores)
    return StorageConfig.from_env(stores=text, stores_file=file)


def faults(stores: Any, file: Path | None = None) -> list[str]:
    found = list(config(stores, file).problems())
    assert SECRET not in " ".join(found)
    return found


def test_without_stores_there_are_none() -> None:
    assert config().load_stores() == {}
    assert list(config().problems()) == []


def test_stores_come_from_a_variable_and_a_file(tmp_path: Path) -> None:
    file = tmp_path / "stores.json"
    file.write_text(json.dumps({"local": {"kind": "folder", "path": str(tmp_path)}}))
    stores = config({"archive": S3 | {"credentials": ["env", "iam"]}}, file).load_stores()
    archive, local = stores["archive"], stores["local"]
    assert isinstance(archive, S3Settings)
    assert isinstance(local, FolderSettings)
    assert [source.kind for source in archive.credentials] == ["env", "iam"]
    assert list(config({"archive": S3}, file).problems()) == []


def test_the_fault_of_one_store_hides_no_fault_of_another(tmp_path: Path) -> None:
    local = {"kind": "folder", "path": str(tmp_path / "missing")}
    found = faults({"archive": S3 | {"region": ""}, "local": local})
    assert found[0].startswith("NEXUS_STORES: store archive: region: ")
    assert found[1:] == [f"store local: path: is not a folder: {tmp_path / 'missing'}"]


def test_every_fault_is_listed(tmp_path: Path) -> None:
    found = faults(
        {
            "one": S3
            | {"endpoint": "http://s3.example.org", "bucket": "A", "colour": "red", "part_size_mib": 1},
            "two": {"kind": "ftp"},
            "three": {"kind": "folder", "path": "relative"},
            "a b": S3,
            "five": S3 | {"credentials": [{"kind": "keys", "secret_key": SECRET}], "region": "a b"},
            "six": "text",
        }
    )
    places = [fault.removeprefix("NEXUS_STORES: ").removeprefix("store ") for fault in found]
    assert [" ".join(place.split()[:2]) for place in places] == [
        "one: bucket:",
        "one: part_size_mib:",
        "one: colour:",
        "two: kind",
        "three: path:",
        "the name",
        "five: region:",
        "five: credentials.0:",
        "six: Input",
    ]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"endpoint": "http://s3.example.org"}, "needs require_tls = false"),
        ({"endpoint": "s3.example.org"}, "endpoint: must be https://host"),
        ({"endpoint": f"https://user:{SECRET}@s3.example.org"}, "endpoint: must be https://host"),
        ({"endpoint": "https://s3.example.org/path"}, "endpoint: must be https://host"),
        ({"endpoint": "https://s3.example.org:port"}, "endpoint: the port"),
        ({"bucket": "a..b"}, "bucket:"),
        ({"prefix": "../up/"}, "prefix:"),
        ({"prefix": "no-slash"}, "prefix:"),
        ({"style": "dotted"}, "style:"),
        ({"credentials": []}, "credentials:"),
        ({"credentials": [SECRET]}, "credentials.0:"),
        (
            {"credentials": [{"kind": "keys", "access_key": "a", "secret_key": SECRET, "x": 1}]},
            "credentials.0.x:",
        ),
        ({"encryption": {"kind": "sse-kms"}}, "encryption.key_id:"),
        ({"encryption": {"kind": "rot13"}}, "encryption:"),
        ({"tags": {str(number): "x" for number in range(11)}}, "tags:"),
        ({"tags": {"x" * 129: ""}}, "tags:"),
        ({"read_timeout_ms": 0}, "read_timeout_ms:"),
        (
            {
                "endpoint": "http://s3.example.org",
                "require_tls": False,
                "encryption": {"kind": "sse-c", "key_file": "/k"},
            },
            "sse-c needs https://",
        ),
    ],
)
def test_a_fault_names_its_field(change: dict[str, Any], fault: str) -> None:
    (found,) = faults({"archive": S3 | change})
    assert found.startswith("NEXUS_STORES: store archive")
    assert fault in found


@pytest.mark.parametrize(
    "text", ["{", "[]", '"text"', "\ufeff{}", json.dumps({str(n): {} for n in range(65)})]
)
def test_what_is_no_object_of_stores_is_a_fault(text: str) -> None:
    (found,) = faults(text)
    assert found.startswith("NEXUS_STORES: is not")


def test_files_that_a_store_names_are_read(tmp_path: Path) -> None:
    (tmp_path / "short").write_text(SECRET)
    (tmp_path / "empty").write_text("")
    found = faults(
        {
            "one": S3
            | {
                "ca_file": str(tmp_path / "empty"),
                "encryption": {"kind": "sse-c", "key_file": str(tmp_path / "short")},
                "credentials": [
                    {"kind": "keys", "access_key": "a", "secret_key_file": str(tmp_path / "missing")},
                    {"kind": "file", "path": str(tmp_path / "missing")},
                ],
            },
            "two": {
                "kind": "folder",
                "path": str(tmp_path / "missing"),
                "link_url": "https://x/y",
                "link_secret_file": str(tmp_path / "short"),
            },
        }
    )
    missing = f"No such file or directory: {tmp_path / 'missing'}"
    assert found == [
        f"store one: credentials.0.secret_key_file: {missing}",
        f"store one: credentials.1.path: {missing}",
        "store one: encryption.key_file: is not the base64 of 32 bytes",
        "store one: ca_file: contains no PEM certificate",
        "store two: link_secret: the secret of links must have at least 32 bytes",
        f"store two: path: is not a folder: {tmp_path / 'missing'}",
    ]


def test_the_file_of_stores_can_be_missing_or_name_a_store_twice(tmp_path: Path) -> None:
    (found,) = faults(None, tmp_path / "missing")
    assert found.startswith("NEXUS_STORES_FILE: cannot be read")
    (tmp_path / "stores").write_text(json.dumps({"archive": S3}))
    (found,) = faults({"archive": S3}, tmp_path / "stores")
    assert found == "NEXUS_STORES_FILE: the store archive exists already"
    with pytest.raises(ConfigError):
        config({"archive": S3}, tmp_path / "stores").load_stores()


def test_no_secret_is_shown_by_the_configuration_or_a_store(tmp_path: Path) -> None:
    stores = {
        "archive": S3 | {"credentials": [{"kind": "keys", "access_key": SECRET, "secret_key": SECRET}]},
        "local": {
            "kind": "folder",
            "path": str(tmp_path),
            "link_url": "https://x",
            "link_secret": SECRET * 3,
        },
    }
    settings = config(stores)
    loaded = settings.load_stores()
    opened = list(StoreSet.open(loaded, SystemClock()))
    assert SECRET not in f"{settings!r} {loaded!r} {opened!r}"


async def test_stores_are_found_by_name_and_the_first_one_without(tmp_path: Path) -> None:
    loaded = config({"local": {"kind": "folder", "path": str(tmp_path)}, "archive": S3}).load_stores()
    stores = StoreSet.open(loaded, SystemClock())
    assert isinstance(stores.get("local"), FolderStore)
    assert isinstance(stores.get("archive"), S3Store)
    assert stores.get() is stores.get("local")
    assert len(stores) == 2
    with pytest.raises(StoreNotFound) as caught:
        stores.get("other")
    assert (caught.value.error_code, caught.value.details) == ("STORE_NOT_FOUND", {"store": "other"})
    with pytest.raises(StoreNotFound):
        StoreSet({}).get()
    await stores.close()
