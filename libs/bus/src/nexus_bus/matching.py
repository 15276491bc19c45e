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


def check_ttl(ttl_seconds: int | None) -> int | None:
    """Returns `ttl_seconds`. Raises ValueError unless it is a whole second or more, as JetStream requires."""
    if ttl_seconds is not None and ttl_seconds < 1:
        raise ValueError(f"a key lives for at least one second, not {ttl_seconds!r}")
    return ttl_seconds


def check_replicas(replicas: int) -> int:
    """Returns `replicas`. Raises ValueError unless JetStream accepts the number."""
    if not 1 <= replicas <= 5:
        raise ValueError(f"a stream has 1 to 5 replicas, not {replicas}")
    return replicas


def overlap(one: str, other: str) -> bool:
    """Whether some subject matches both patterns."""
    left, right = one.split("."), other.split(".")
    for mine, theirs in zip(left, right, strict=False):
        if ">" in (mine, theirs):
            return True
        if mine != theirs and "*" not in (mine, theirs):
            return False
    return len(left) == len(right)


def matches(pattern: str, subject: str) -> bool:
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(given) <= len(wanted):
            return False
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(w in ("*", g) for w, g in zip(wanted, given, strict=True))
