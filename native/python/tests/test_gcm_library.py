"""Who computes AES-GCM can be chosen, and is told."""

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


def test_openssl_can_always_be_asked_for() -> None:
    assert opened("openssl") == "openssl"


def test_the_one_that_was_asked_for_is_in_use() -> None:
    assert [opened(name) for name in available()] == available()


def test_auto_is_the_fastest_that_is_there() -> None:
    assert opened("auto") == available()[0]
    assert media.Engine(media.EngineConfig(bind_addresses=["127.0.0.1"])).gcm_library == available()[0]


@pytest.mark.parametrize("name", ["", "aws-lc", "OpenSSL", "Auto"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="unknown GCM library") as raised:
        media.EngineConfig(gcm_library=name)
    assert raised.type is ValueError  # not GcmLibraryUnavailable: it is nowhere
