"""SDP lines, read with the grammar of the package sdp-transform.

Its `parse` is not used, for two reasons found in its source. It converts everything that looks like a number,
so the ICE ufrags "00123" and "12e4" become 123 and 120000.0: about one in forty sessions of a browser with
hexadecimal ufrags would fail its connectivity checks. And it tries some sixty expressions on every line,
although the attribute's name determines which one applies.
"""

import re
from collections.abc import Iterator
from typing import Any

from sdp_transform.grammar import grammar

from nexus_sfu import errors


class Line:
    """The expression for one attribute and the names of its groups."""

    def __init__(self, key: str) -> None:
        rule: dict[str, Any] = next(r for r in grammar["a"] if key in (r.get("push"), r.get("name")))
        self._expression = re.compile(rule["reg"])
        self._attribute = key

    def read(self, content: str) -> tuple[str, ...]:
        """The groups as strings, "" if absent. `content` is the line after "a=". Raises RpcError
        INVALID_SDP."""
        match = self._expression.match(content)
        if match is None:
            raise errors.invalid_sdp(f"malformed line: a={content[:80]}")
        return tuple(group or "" for group in match.groups())


RTPMAP = Line("rtp")
FMTP = Line("fmtp")
RTCP_FB = Line("rtcpFb")
EXTMAP = Line("ext")
RID = Line("rids")
SSRC = Line("ssrcs")
SSRC_GROUP = Line("ssrcGroups")
FINGERPRINT = Line("fingerprint")
GROUP = Line("groups")

_MEDIA = re.compile(grammar["m"][0]["reg"])


def read_media(content: str) -> tuple[str, str, str, str]:
    """Kind, port, protocol and formats of an m-line (RFC 8866 section 5.14). Raises RpcError INVALID_SDP."""
    match = _MEDIA.match(content)
    if match is None:
        raise errors.invalid_sdp(f"malformed line: m={content[:80]}")
    kind, port, protocol, formats = match.groups()
    return kind, port, protocol, formats or ""


def number(text: str, highest: int, what: str) -> int:
    """A decimal number from 0 to `highest`. Raises RpcError INVALID_SDP. The length is checked first, because
    int() of a long text is slow."""
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > highest:
        raise errors.invalid_sdp(f"{what} must be a number from 0 to {highest}: {text[:20]!r}")
    return int(text)


def split(sdp: str) -> Iterator[tuple[str, str]]:
    """(type, content) of each line. Lines end with CRLF, and a parser should also accept LF (RFC 8866 section
    5). Lines that are not SDP are ignored, as in browsers."""
    for line in sdp.split("\n"):
        text = line.rstrip("\r")
        if len(text) >= 2 and text[1] == "=":
            yield text[0], text[2:]
