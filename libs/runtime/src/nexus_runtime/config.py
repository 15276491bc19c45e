"""The base of a service's configuration: one frozen, typed object, read from the environment at the start.

A service writes::

    class SfuConfig(ServiceConfig):
        model_config = service_settings("NEXUS_SFU_")
        udp_port: int = setting(7881, unit="port", reason="the first shard's; one more for each", ge=1)

    config = SfuConfig.from_env()

Every field has a default, a unit and a reason; `describe(SfuConfig)` renders them as the table in the
service's README.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from nexus_runtime.errors import ClientError


class ConfigError(ClientError):
    """The environment is not a valid configuration. Each problem names its variable."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("CONFIG_INVALID", "; ".join(problems))
        self.problems = tuple(problems)


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part for part in (part.strip() for part in value.split(",")) if part)
    return value


# A list in one variable: values separated by commas.
TextList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


def service_settings(prefix: str) -> SettingsConfigDict:
    """The `model_config` of a service whose variables begin with `prefix`, e.g. ``NEXUS_SFU_``."""
    if not prefix.startswith("NEXUS_"):
        raise ValueError(f"a configuration prefix must begin with NEXUS_: {prefix!r}")
    return SettingsConfigDict(env_prefix=prefix, frozen=True, extra="ignore", validate_default=True)


def setting(default: Any = ..., *, reason: str, unit: str = "", **constraints: Any) -> Any:
    """A field with its unit (empty for names and flags) and the reason for its default.

    `constraints` are pydantic's (`ge`, `le`, `pattern`, `validation_alias`, …). Without a default the
    variable must be set.
    """
    description = f"{reason} [{unit}]" if unit else reason
    return Field(
        default, description=description, json_schema_extra={"unit": unit, "reason": reason}, **constraints
    )


class ServiceConfig(BaseSettings):
    """Settings of every service. A subclass sets `model_config = service_settings("NEXUS_<SERVICE>_")`."""

    model_config: ClassVar[SettingsConfigDict] = service_settings("NEXUS_")

    nats_url: str = setting(
        "nats://127.0.0.1:4222",
        reason="the NATS server; `nexus dev` starts its own",
        validation_alias="NEXUS_NATS_URL",
    )
    health_host: str = setting("127.0.0.1", reason="only operators need health and metrics, not clients")
    health_port: int = setting(0, unit="port", reason="0 takes a free port and logs it", ge=0, le=65535)
    log_level: str = setting(
        "info", reason="debug, info, warning or error", validation_alias="NEXUS_LOG_LEVEL"
    )
    log_format: Literal["", "json", "console"] = setting(
        "",
        reason="json or console; empty: console on a terminal, otherwise json",
        validation_alias="NEXUS_LOG_FORMAT",
    )

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, level: str) -> str:
        if level and level.upper() not in logging.getLevelNamesMapping():
            raise ValueError("must be debug, info, warning or error")
        return level

    def problems(self) -> Iterator[str]:
        """Yields faults between fields, or in files that they name. A subclass extends
        `super().problems()`."""
        for url in self.nats_url.split(","):
            parts = urlsplit(url.strip())
            if parts.scheme not in ("nats", "tls", "ws", "wss") or not parts.hostname:
                yield f"NEXUS_NATS_URL: {_without_password(url)!r} is not an address such as nats://host:4222"

    def log_fields(self) -> dict[str, str]:
        """Fields of every log line, such as the node's name."""
        return {}

    def connection_name(self) -> str:
        """The name of this process in the broker's monitoring; empty: the name of the service."""
        return next(iter(self.log_fields().values()), "")

    @classmethod
    def load(cls) -> Self:
        """Reads the environment and checks everything. Raises ConfigError with every problem."""
        config = cls.from_env()
        problems = list(config.problems())
        if problems:
            raise ConfigError(problems)
        return config

    @classmethod
    def from_env(cls, **overrides: Any) -> Self:
        """Reads the environment; `overrides`, by field name, take precedence. Raises ConfigError."""
        try:
            return cls(**{_input_name(cls, name): value for name, value in overrides.items()})
        except ValidationError as error:
            problems = [
                f"{variable_name(cls, str(problem['loc'][0]) if problem['loc'] else '')}: {problem['msg']}"
                for problem in error.errors(include_input=False)
            ]
            raise ConfigError(problems) from None


def _without_password(url: str) -> str:
    return url.rsplit("@", 1)[-1]


def variable_name(config: type[ServiceConfig], field_name: str) -> str:
    """The environment variable that sets a field."""
    field = config.model_fields.get(field_name)
    if field is None:  # pydantic reports an aliased field by its alias
        return field_name
    if isinstance(field.validation_alias, str):
        return field.validation_alias
    return f"{config.model_config.get('env_prefix', '')}{field_name}".upper()


def describe(config: type[ServiceConfig]) -> str:
    """A Markdown table of every variable: name, default, unit, reason."""
    rows = ["| variable | default | unit | why |", "|---|---|---|---|"]
    for name, field in config.model_fields.items():
        extra = field.json_schema_extra
        if not isinstance(extra, dict) or "reason" not in extra:
            raise ValueError(f"{config.__name__}.{name} must be declared with setting(...)")
        reason = str(extra["reason"]).replace("|", "\\|")
        rows.append(
            f"| `{variable_name(config, name)}` | {_shown_default(field)} | {extra['unit']} | {reason} |"
        )
    return "\n".join(rows) + "\n"


def _shown_default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    default = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, SecretStr):
        return "hidden"
    if isinstance(default, tuple):
        default = ",".join(default)
    return f"`{default}`" if default not in ("", None) else ""


def _input_name(config: type[ServiceConfig], field_name: str) -> str:
    field = config.model_fields.get(field_name)
    if field is None:
        raise TypeError(f"{config.__name__} has no field {field_name!r}")
    return field.validation_alias if isinstance(field.validation_alias, str) else field_name
