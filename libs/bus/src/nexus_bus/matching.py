"""Subjects, keys and patterns of NATS: tokens separated by dots, where `*` matches one token and a final `>`
matches one or more."""

import re

# Characters of a KV key, as the server requires (NATS ADR-8); narrower than those of a subject.
_KEY = re.compile(r"[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*")
_BUCKET = re.compile(r"[a-zA-Z0-9_-]+")


def check_subject(subject: str) -> str:
    """Returns `subject`. Raises ValueError unless messages can be published to it."""
    tokens = check_pattern(subject).split(".")
    if "*" in tokens or ">" in tokens:
        raise ValueError(f"cannot publish to a wildcard: {subject!r}")
    return subject


def check_pattern(pattern: str) -> str:
    """Returns `pattern`. Raises ValueError unless it can be subscribed to."""
    tokens = pattern.split(".")
    for position, part in enumerate(tokens):
        if not part or not part.isprintable() or " " in part:
            raise ValueError(f"invalid subject: {pattern!r}")
        if part == ">" and position != len(tokens) - 1:
            raise ValueError(f"'>' must be the last token: {pattern!r}")
        if len(part) > 1 and ("*" in part or ">" in part):
            raise ValueError(f"a wildcard must be a whole token: {pattern!r}")
    return pattern


def check_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"invalid key: {key!r}")
    return key


def check_bucket(bucket: str) -> str:
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"invalid bucket name: {bucket!r}")
    return bucket


def matches(pattern: str, subject: str) -> bool:
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(given) <= len(wanted):
            return False
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(w in ("*", g) for w, g in zip(wanted, given, strict=True))
