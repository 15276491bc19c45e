"""The endpoints to which webhooks are sent, and how they are configured.

An app's entry in the file of apps has a list of them::

    "webhooks": [{"url": "https://shop.example/hooks", "secret": "whsec_…", "events": ["recording.*"]}]

No fault quotes a value of an entry, because any of them may be a secret.
"""

import base64
import binascii
import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the prefix is public
# Size of a secret's key (Standard Webhooks 1.0, "Signature scheme": 192 to 512 bits).
MIN_SECRET_BYTES: Final = 24
MAX_SECRET_BYTES: Final = 64
# Maximum number of secrets of one endpoint: the new one and those that it replaces.
MAX_SECRETS: Final = 4
MAX_ENDPOINTS_PER_APP: Final = 16
MAX_URL_CHARACTERS: Final = 2_048
MAX_NAME_CHARACTERS: Final = 64
_FIELDS: Final = frozenset(("url", "secret", "events", "name"))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL of an app's server. `id` is `WE_` and a hash of app and name, or of app and URL.

    With several `secrets`, each webhook has a signature of each of them, so that a receiver can be changed
    from one to another without a gap. `events` are types (`recording.completed`), or prefixes with a
    wildcard (`recording.*`, `*`); empty: every type except those that are sent only on request.
    """

    id: str
    app: str
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    events: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The host of the URL. The rest may contain a secret, so logs have only this."""
        return urlsplit(self.url).hostname or ""

    def wants(self, event_type: str, *, on_request: bool) -> bool:
        """Whether events of this type are sent to the endpoint. `on_request`: only if `events` names it."""
        if not self.events:
            return not on_request
        return any(_matches(pattern, event_type) for pattern in self.events)


def _matches(pattern: str, event_type: str) -> bool:
    if pattern.endswith("*"):
        return event_type.startswith(pattern[:-1])
    return event_type == pattern


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """Rules for endpoints. `allow_http` admits URLs without TLS."""

    known_types: frozenset[str]
    allow_http: bool = False


def parse_endpoints(app: str, entries: Any, rules: EndpointRules) -> tuple[list[Endpoint], list[str]]:
    """The valid endpoints of an app, and the faults of the others."""
    if not isinstance(entries, list) or len(entries) > MAX_ENDPOINTS_PER_APP:
        return [], [f"webhooks is not a list of at most {MAX_ENDPOINTS_PER_APP} endpoints"]
    endpoints: dict[str, Endpoint] = {}
    faults: list[str] = []
    for number, entry in enumerate(entries):
        found = list(_faults(entry, rules))
        if not found:
            endpoint = _endpoint(app, entry)
            if endpoint.id in endpoints:
                found.append("another endpoint of the app has this URL or name")
            endpoints[endpoint.id] = endpoint
        faults += [f"webhooks[{number}]: {fault}" for fault in found]
    return list(endpoints.values()), faults


def _endpoint(app: str, entry: Mapping[str, Any]) -> Endpoint:
    url: str = entry["url"]
    return Endpoint(
        id=endpoint_id(app, name=entry.get("name", ""), url=url),
        app=app,
        url=url,
        secrets=_texts(entry["secret"]) or (),
        events=_texts(entry.get("events", [])) or (),
    )


def endpoint_id(app: str, *, name: str, url: str) -> str:
    """The id under which deliveries are remembered: an endpoint with a name may get another URL."""
    parts = (app, "name", name) if name else (app, "url", url)
    text = "".join(f"{len(part.encode())}:{part}" for part in parts)
    return f"WE_{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def _faults(entry: Any, rules: EndpointRules) -> Iterator[str]:
    if not isinstance(entry, Mapping):
        yield "is not an object"
        return
    if unknown := sorted(str(name) for name in entry if name not in _FIELDS):
        yield f"unknown field {unknown[0][:32]!r}"
    name = entry.get("name", "")
    if not isinstance(name, str) or len(name) > MAX_NAME_CHARACTERS:
        yield f"name is not a text of at most {MAX_NAME_CHARACTERS} characters"
    yield from _url_faults(entry.get("url"), rules)
    yield from _secret_faults(entry.get("secret"))
    yield from _event_faults(entry.get("events", []), rules.known_types)


def _url_faults(url: Any, rules: EndpointRules) -> Iterator[str]:
    if not isinstance(url, str) or len(url) > MAX_URL_CHARACTERS or not url.isprintable() or " " in url:
        yield f"url is not a text of at most {MAX_URL_CHARACTERS} characters"
        return
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        yield "url is not a URL"
        return
    schemes = ("https", "http") if rules.allow_http else ("https",)
    if parts.scheme not in schemes or not host:
        yield f"url must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    if parts.username is not None or parts.password is not None or parts.fragment:
        yield "url must have no user, password or fragment; the signature proves who sends"


def _secret_faults(secret: Any) -> Iterator[str]:
    secrets = _texts(secret)
    if not secrets or len(secrets) > MAX_SECRETS:
        yield f"secret is not a text or a list of 1 to {MAX_SECRETS} texts"
        return
    for text in secrets:
        if not MIN_SECRET_BYTES <= len(_key(text)) <= MAX_SECRET_BYTES:
            yield (
                f"secret is not {SECRET_PREFIX} and the base64 of {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} "
                "bytes; `nexus webhooks secret` prints one"
            )
            return


def _key(secret: str) -> bytes:
    """The key of a secret; empty if it is not one."""
    if not secret.startswith(SECRET_PREFIX):
        return b""
    text = secret.removeprefix(SECRET_PREFIX)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _event_faults(events: Any, known: Collection[str]) -> Iterator[str]:
    if isinstance(events, str) or (patterns := _texts(events)) is None:
        yield "events is not a list of types of events"
        return
    for pattern in patterns:
        if not any(_matches(pattern, event_type) for event_type in known) or "*" in pattern[:-1]:
            yield f"events has a type that does not exist; the types are {', '.join(sorted(known))}"
            return


def _texts(value: Any) -> tuple[str, ...] | None:
    """The texts of a text or a list; None if it is neither."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return tuple(value)
    return None
