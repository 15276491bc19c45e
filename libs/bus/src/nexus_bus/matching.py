"""Subjects, keys and patterns as NATS reads them: tokens between dots, `*` for one token, a closing `>` for
one or more."""

import re

# What a KV key may be made of; the server's own rule (NATS ADR-8), narrower than a subject's.
_KEY = re.compile(r"[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*")
_BUCKET = re.compile(r"[a-zA-Z0-9_-]+")


def check_subject(subject: str) -> str:
    """Raises ValueError unless something can be published there."""
    tokens = check_pattern(subject).split(".")
    if "*" in tokens or ">" in tokens:
        raise ValueError(f"a wildcard cannot be published to: {subject!r}")
    return subject


def check_pattern(pattern: str) -> str:
    """Raises ValueError unless it can be subscribed to."""
    tokens = pattern.split(".")
    for position, part in enumerate(tokens):
        if not part or not part.isprintable() or " " in part:
            raise ValueError(f"not a subject: {pattern!r}")
        if part == ">" and position != len(tokens) - 1:
            raise ValueError(f"'>' stands last: {pattern!r}")
        if len(part) > 1 and ("*" in part or ">" in part):
            raise ValueError(f"a wildcard is a token of its own: {pattern!r}")
    return pattern


def check_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a key: {key!r}")
    return key


def check_bucket(bucket: str) -> str:
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"not a bucket's name: {bucket!r}")
    return bucket


def matches(pattern: str, subject: str) -> bool:
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(given) <= len(wanted):
            return False
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(w in ("*", g) for w, g in zip(wanted, given, strict=True))
