"""Structured logs: event names with fields, JSON lines in production, coloured columns for a person at a
terminal.

Configured once, in a service's `__main__`; everything else says `log = structlog.get_logger()` and
`log.info("track_published", room=room, track=track)`. Lines go to standard error. Nothing that grants access
is ever written: fields whose name says token, secret or password, and anything that looks like a JWT, are
masked whatever the caller does.
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
# Three base64url parts, the first beginning as every JSON object in base64 does (RFC 7519 §3).
_JWT = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*")
MASK = "[masked]"

EventDict = MutableMapping[str, Any]


def mask_secrets(_logger: object, _method: str, event: EventDict) -> EventDict:
    """The structlog processor that masks. Works on nested dicts and lists too."""
    for name, value in event.items():
        event[name] = _masked(name, value)
    return event


def _masked(name: str, value: Any) -> Any:
    # A count of tokens or a flag grants nothing; only what could hold the secret itself is masked.
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
    """`NEXUS_LOG_FORMAT` if it is set, else by whether somebody is looking."""
    wish = os.environ.get("NEXUS_LOG_FORMAT", "")
    if wish in ("json", "console"):
        return "json" if wish == "json" else "console"
    return "console" if sys.stderr.isatty() else "json"


def configure_logs(
    service: str,
    *,
    level: str | None = None,
    format: LogFormat | None = None,
    bound: Mapping[str, str] | None = None,
) -> None:
    """Sets up structlog and the standard library's logging (grpc, aiohttp, nats use that) to write the same
    lines.

    `level` defaults to `NEXUS_LOG_LEVEL` or INFO. `bound` fields, such as `node`, stand on every line.
    """
    level_number = logging.getLevelNamesMapping()[
        (level or os.environ.get("NEXUS_LOG_LEVEL") or "INFO").upper()
    ]
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
    # A line per request is the proxy's business; the libraries' warnings stay.
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
        # The plain traceback: structlog's richer one shows local variables, and those hold anything.
        console = structlog.dev.ConsoleRenderer(
            colors=_colours(), exception_formatter=structlog.dev.plain_traceback
        )
        rendered = [mask_secrets, console]
    return [*rendered, mask_rendered]


def mask_rendered(_logger: object, _method: str, line: Any) -> str:
    """The last processor: whatever way a JWT took into the line, a traceback or some object's repr, it ends
    here."""
    return _JWT.sub(MASK, str(line))


def _colours() -> bool:
    """Colours where a person looks, or where `nexus dev` says that one does (https://no-color.org,
    FORCE_COLOR)."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stderr.isatty()


def _service_fields(fields: dict[str, str]) -> structlog.typing.Processor:
    def add(_logger: object, _method: str, event: EventDict) -> EventDict:
        for name, value in fields.items():
            event.setdefault(name, value)
        return event

    return add
