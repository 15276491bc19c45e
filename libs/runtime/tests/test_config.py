"""Configuration is read once from the environment, and its errors name environment variables."""

from collections.abc import Iterator

import pytest
from nexus_runtime import ConfigError, ServiceConfig, TextList, describe, service_settings, setting
from pydantic import SecretStr, ValidationError


class Demo(ServiceConfig):
    model_config = service_settings("NEXUS_DEMO_")
    udp_port: int = setting(7881, unit="port", reason="the first shard's", ge=1, le=65535)
    hosts: TextList = setting((), reason="none | all")
    secret: SecretStr = setting(SecretStr("hush"), reason="development only")


class Demanding(ServiceConfig):
    model_config = service_settings("NEXUS_DEMANDING_")
    region: str = setting(reason="it has no sensible default")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("NEXUS_NATS_URL", "NEXUS_LOG_LEVEL", "NEXUS_LOG_FORMAT"):
        monkeypatch.delenv(variable, raising=False)


def test_defaults_apply() -> None:
    config = Demo.from_env()
    assert (config.udp_port, config.hosts, config.nats_url) == (7881, (), "nats://127.0.0.1:4222")


def test_overrides_take_precedence_over_the_environment_and_it_over_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NEXUS_DEMO_UDP_PORT", "9000")
    monkeypatch.setenv("NEXUS_DEMO_HOSTS", " a, b,")
    monkeypatch.setenv("NEXUS_NATS_URL", "nats://broker:4222")
    config = Demo.from_env()
    assert (config.udp_port, config.hosts, config.nats_url) == (9000, ("a", "b"), "nats://broker:4222")
    overridden = Demo.from_env(udp_port=1, nats_url="nats://other:4222")
    assert (overridden.udp_port, overridden.nats_url) == (1, "nats://other:4222")


def test_a_configuration_is_immutable() -> None:
    with pytest.raises(ValidationError):
        Demo.from_env().udp_port = 1


def test_errors_name_the_variable_and_not_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_DEMO_UDP_PORT", "70000")
    with pytest.raises(ConfigError, match=r"NEXUS_DEMO_UDP_PORT: .*65535") as caught:
        Demo.from_env()
    assert "70000" not in str(caught.value)
    assert caught.value.fault == "client"


def test_every_fault_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Paired(Demo):
        def problems(self) -> Iterator[str]:
            yield from super().problems()
            yield "NEXUS_DEMO_HOSTS: needed"

    monkeypatch.setenv("NEXUS_NATS_URL", "nats://user:hush@ok:4222,http://user:hush@broker")
    with pytest.raises(ConfigError) as caught:
        Paired.load()
    assert len(caught.value.problems) == 2
    assert caught.value.problems[0].startswith("NEXUS_NATS_URL: 'broker'")
    assert "hush" not in str(caught.value)
    monkeypatch.setenv("NEXUS_DEMO_UDP_PORT", "0")
    monkeypatch.setenv("NEXUS_DEMO_HEALTH_PORT", "x")
    with pytest.raises(ConfigError) as caught:
        Paired.load()
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "NEXUS_DEMO_HEALTH_PORT",
        "NEXUS_DEMO_UDP_PORT",
    ]


def test_a_missing_required_variable_is_reported() -> None:
    with pytest.raises(ConfigError, match="NEXUS_DEMANDING_REGION"):
        Demanding.from_env()


@pytest.mark.parametrize(("variable", "value"), [("LOG_LEVEL", "loud"), ("LOG_FORMAT", "xml")])
def test_logging_is_checked(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(f"NEXUS_{variable}", value)
    with pytest.raises(ConfigError, match=f"NEXUS_{variable}: "):
        Demo.from_env()
    for valid in ("", "WARNING") if variable == "LOG_LEVEL" else ("", "json", "console"):
        monkeypatch.setenv(f"NEXUS_{variable}", valid)
        Demo.from_env()


def test_an_override_must_be_a_field() -> None:
    with pytest.raises(TypeError):
        Demo.from_env(udp_prot=1)


def test_a_prefix_must_begin_with_nexus() -> None:
    with pytest.raises(ValueError):
        service_settings("DEMO_")


def test_the_table_has_every_variable() -> None:
    table = describe(Demo).splitlines()
    assert "| `NEXUS_DEMO_UDP_PORT` | `7881` | port | the first shard's |" in table
    assert "| `NEXUS_DEMO_HOSTS` |  |  | none \\| all |" in table
    assert "| `NEXUS_DEMO_SECRET` | hidden |  | development only |" in table
    assert any(row.startswith("| `NEXUS_NATS_URL` |") for row in table)
    assert (
        "| `NEXUS_DEMANDING_REGION` | must be set |  | it has no sensible default |"
        in describe(Demanding).splitlines()
    )


def test_a_field_without_a_reason_is_refused() -> None:
    class Bare(ServiceConfig):
        model_config = service_settings("NEXUS_BARE_")
        field: int = 1

    with pytest.raises(ValueError, match=r"Bare\.field"):
        describe(Bare)
