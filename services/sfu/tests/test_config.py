"""The configuration, and the errors for invalid settings."""

import nexus_media
import pytest
from nexus_runtime import ClientError, ConfigError
from nexus_sfu.config import SfuConfig
from nexus_sfu.memory_engine import MemoryEngine
from nexus_sfu.open_engine import open_engine
from nexus_sfu.service import SfuService, reachable_host
from nexus_testkit import free_port, make_runtime


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_SFU_MEDIA_ADDRESSES", "192.0.2.7, 2001:db8::7")
    monkeypatch.setenv("NEXUS_SFU_MAX_PAIRS", "9")
    monkeypatch.setenv("NEXUS_SFU_VIDEO_CODECS", "av1,vp8")
    config = SfuConfig.from_env()
    assert config.media_addresses == ("192.0.2.7", "2001:db8::7")
    assert config.limits().pairs == 9
    assert [codec.name for codec in config.codec_order()] == ["AV1", "VP8"]


def test_default_node_ids_are_valid_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "höst.example")
    name = SfuConfig.from_env().node_id
    assert SfuConfig.from_env(node_id=name).node_id == name
    assert name.startswith("sfu-h-st-example-")


def test_a_busy_grpc_port_is_reported() -> None:
    async def twice() -> None:
        engine = MemoryEngine()
        config = SfuConfig.from_env(grpc_port=free_port())
        SfuService(config, make_runtime("sfu"), engine)
        with pytest.raises(ClientError, match="cannot listen for gRPC"):
            SfuService(config, make_runtime("sfu"), engine)
        engine.close()

    import asyncio

    asyncio.run(twice())


def test_an_unspecified_address_is_reached_by_the_hosts_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "media-3")
    hosts = {"0.0.0.0": "media-3", "::": "media-3", "127.0.0.1": "127.0.0.1", "::1": "[::1]", "sfu": "sfu"}
    assert {host: reachable_host(host) for host in hosts} == hosts


def test_a_missing_cipher_library_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_settings: object) -> None:
        raise nexus_media.GcmLibraryUnavailable("intel-ipsec-mb was not built in")

    monkeypatch.setattr(nexus_media, "EngineConfig", refuse)
    with pytest.raises(ClientError, match="NEXUS_SFU_GCM_LIBRARY: intel-ipsec-mb was not built in") as raised:
        open_engine(SfuConfig.from_env(gcm_library="intel-ipsec-mb"))
    assert raised.value.code == "GCM_LIBRARY_UNAVAILABLE"


def test_an_unknown_codec_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_SFU_VIDEO_CODECS", "vp8,divx")
    with pytest.raises(ConfigError, match=r"NEXUS_SFU_VIDEO_CODECS: 'divx' is not one of the codecs .*av1"):
        SfuConfig.load()


def test_unknown_cipher_libraries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_SFU_GCM_LIBRARY", "rot13")
    with pytest.raises(ConfigError, match="NEXUS_SFU_GCM_LIBRARY"):
        SfuConfig.from_env()
