"""The library for AES-GCM can be chosen, and is reported."""

import nexus_media as media
import pytest


def opened(name: str) -> str:
    engine = media.Engine(media.EngineConfig(bind_addresses=["127.0.0.1"], gcm_library=name))
    try:
        return engine.gcm_library
    finally:
        engine.close()


def available() -> list[str]:
    found = []
    for name in ("intel-ipsec-mb", "openssl"):
        try:
            media.EngineConfig(gcm_library=name)
            found.append(name)
        except media.GcmLibraryUnavailable:
            continue
    return found


def test_openssl_is_always_available() -> None:
    assert opened("openssl") == "openssl"


def test_the_chosen_library_is_in_use() -> None:
    assert [opened(name) for name in available()] == available()


def test_auto_chooses_the_fastest_available_library() -> None:
    assert opened("auto") == available()[0]
    assert media.Engine(media.EngineConfig(bind_addresses=["127.0.0.1"])).gcm_library == available()[0]


@pytest.mark.parametrize("name", ["", "aws-lc", "OpenSSL", "Auto"])
def test_an_unknown_name_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match="unknown GCM library") as raised:
        media.EngineConfig(gcm_library=name)
    assert raised.type is ValueError  # not GcmLibraryUnavailable: no such library exists
