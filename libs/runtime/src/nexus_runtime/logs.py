"""Structured logs: event names with fields, as JSON lines in production and coloured columns on a terminal.

`run_service` configures them once; every other module uses `log = structlog.get_logger()` and
`log.info("track_published", room=room, track=track)`. Lines go to standard error. Credentials are never
written: fields whose name contains token, secret or password, and anything that looks like a JWT, are masked
regardless of the caller.
"""

import logging
import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import structlog

LogFormat = Literal["json", "console"]

_SECRET_NAME = re.compile(
    r"token|secret|password|credential|authorization|api_?key|private_?key", re.IGNORECASE
)
# Three base64url parts, of which the first begins like every JSON object in base64 (RFC 7519 §3).
_JWT = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*")
MASK = "[masked]"

EventDict = MutableMapping[str, Any]


def mask_secrets(_logger: object, _method: str, event: EventDict) -> EventDict:
    """A structlog processor that masks secrets, also in nested dicts and lists."""
    for name, value in event.items():
        event[name] = _masked(name, value)
    return event


def _masked(name: str, value: Any) -> Any:
    # Numbers and flags, such as a count of tokens, cannot contain the secret itself and are not masked.
    if _SECRET_NAME.search(name) and not isinstance(value, bool | int | float | None):
        return MASK
    if isinstance(value, str):
        return _JWT.sub(MASK, value)
    if isinstance(value, dict):
        return {key: _masked(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(name, inner) for inner in value]
    return value


def chosen_format() -> LogFormat:
    """`NEXUS_LOG_FORMAT` if it is set; otherwise columns on a terminal and JSON elsewhere."""
    requested = os.environ.get("NEXUS_LOG_FORMAT", "")
    if requested in ("json", "console"):
        return "json" if requested == "json" else "console"
    return "console" if sys.stderr.isatty() else "json"


def configure_logs(
    service: str,
    *,
    level: str | None = None,
    format: LogFormat | None = None,
    bound: Mapping[str, str] | None = None,
) -> None:
    """Configures structlog and the standard library's logging (used by grpc, aiohttp and nats) to write the
    same lines.

    `level` defaults to `NEXUS_LOG_LEVEL`, and to INFO if that is unset or invalid. Every line has the fields
    of `bound`, such as `node`.
    """
    level_name = (level or os.environ.get("NEXUS_LOG_LEVEL") or "INFO").upper()
    level_number = logging.getLevelNamesMapping().get(level_name, logging.INFO)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _service_fields({"service": service, **(bound or {})}),
    ]
    rendered = _rendering(format or chosen_format())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level_number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level_number)
    # Access logs are left to the proxy; warnings of the libraries stay.
    for noisy in ("aiohttp.access", "nats", "aioice", "aiortc"):
        logging.getLogger(noisy).setLevel(max(level_number, logging.WARNING))


def _rendering(format: LogFormat) -> list[structlog.typing.Processor]:
    if format == "json":
        rendered: list[structlog.typing.Processor] = [
            structlog.processors.format_exc_info,
            mask_secrets,
            structlog.processors.JSONRenderer(default=str),
        ]
    else:
        # The plain traceback: structlog's richer one shows local variables, which may contain secrets.
        console = structlog.dev.ConsoleRenderer(
            colors=_colours(), exception_formatter=structlog.dev.plain_traceback
        )
        rendered = [mask_secrets, console]
    return [*rendered, mask_rendered]


def mask_rendered(_logger: object, _method: str, line: Any) -> str:
    """The last processor: masks JWTs in the rendered line, where tracebacks and reprs may have put them."""
    return _JWT.sub(MASK, str(line))


def _colours() -> bool:
    """Whether to use colours: on a terminal, or if FORCE_COLOR is set, as `nexus dev` does; never with
    NO_COLOR (https://no-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stderr.isatty()


def _service_fields(fields: dict[str, str]) -> structlog.typing.Processor:
    def add(_logger: object, _method: str, event: EventDict) -> EventDict:
        for name, value in fields.items():
            event.setdefault(name, value)
        return event

    return add
