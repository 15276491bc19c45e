"""Adjusts session descriptions (RFC 8866), as text."""


def spread_candidates(answer: str) -> str:
    """Copies the ICE candidates of the bundle's first section to all others.

    RFC 9143 section 7.1.3 has them in the first section only; aiortc, with `max-bundle`, believes the last
    one it reads (seen in 1.16).
    """
    session, *sections = _sections(answer)
    candidates = next((found for section in sections if (found := _candidates(section))), [])
    spread = [section if _candidates(section) else [*section, *candidates] for section in sections]
    return "".join(f"{line}\r\n" for part in (session, *spread) for line in part)


def _sections(sdp: str) -> list[list[str]]:
    """The session part, then each media section, as lines."""
    parts: list[list[str]] = [[]]
    for line in filter(None, sdp.splitlines()):
        if line.startswith("m="):
            parts.append([])
        parts[-1].append(line)
    return parts


def _candidates(section: list[str]) -> list[str]:
    return [line for line in section if line.startswith(("a=candidate:", "a=end-of-candidates"))]
