"""SDP lines, read with the grammar of the package sdp-transform.

Its grammar is used and its `parse` is not, for two reasons seen in its source. It turns whatever looks like a
number into one, so the ICE ufrags "00123" and "12e4" come back as 123 and 120000.0: about one session in
forty of a browser with hexadecimal ufrags would fail its connectivity checks. And it tries some sixty
expressions on every line, where the attribute's name already says which one applies.
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
        """The groups as strings, "" where one is absent. `content` is the line after "a="."""
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
    """Kind, port, protocol, formats of an m-line (RFC 8866 section 5.14)."""
    match = _MEDIA.match(content)
    if match is None:
        raise errors.invalid_sdp(f"malformed line: m={content[:80]}")
    kind, port, protocol, formats = match.groups()
    return kind, port, protocol, formats or ""


def number(text: str, highest: int, what: str) -> int:
    """A decimal number of 0 to `highest`; the length is checked first, as int() of a huge text is slow."""
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > highest:
        raise errors.invalid_sdp(f"{what} is not a number of 0 to {highest}: {text[:20]!r}")
    return int(text)


def split(sdp: str) -> Iterator[tuple[str, str]]:
    """(type, content) of each line. RFC 8866 section 5: CRLF, a parser should take LF alone too. Lines that
    are not SDP are left out, as browsers do."""
    for line in sdp.split("\n"):
        text = line.rstrip("\r")
        if len(text) >= 2 and text[1] == "=":
            yield text[0], text[2:]
